"""Which implementation runs: compiled kernels where numba is installed, else numpy and torch."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec


@lru_cache(maxsize=1)
def compiled() -> bool:
    """Tell whether compiled kernels can be used here: numba is installed."""
    return find_spec("numba") is not None
