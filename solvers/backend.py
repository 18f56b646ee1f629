"""Which implementation runs: compiled kernels where numba is installed, else numpy and torch."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from typing import Any


@lru_cache(maxsize=1)
def compiled() -> bool:
    """Tell whether compiled kernels can be used here: numba is installed."""
    return find_spec("numba") is not None


def plain(*tensors: Any) -> bool:
    """Tell whether numpy, or kernels on its arrays, can work on tensors.

    Parameters
    ----------
    *tensors : of torch.

    Returns
    -------
    Whether all are float64, on the CPU and without gradients.

    Examples
    --------
    >>> import torch
    >>> plain(torch.zeros(2, dtype=torch.float64)), plain(torch.zeros(2)), plain(torch.zeros(2, device="meta"))
    (True, False, False)
    """
    import torch

    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return False
    return all(t.device.type == "cpu" and t.dtype == torch.float64 for t in tensors)
