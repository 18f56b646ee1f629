"""The classical side on plain arrays ``[iy, ix]``: fine and coarse Q1 problems, multigrid, LOD, MsFEM, flux bounds.

Examples
--------
>>> import numpy as np
>>> from ngs_nhcsr.solvers import LOD, fine_solve, relative_errors
>>> A = np.where(np.random.default_rng(0).random((16, 16)) < 0.5, 1.0, 10.0)
>>> u = LOD(A, 4, 64, layers=2).solve(1.0)
>>> relative_errors(u, fine_solve(A, 64), A)["L2"] < 0.1
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .coarse import coarse_solve
    from .fine import fine_solve
    from .flux import EquilibratedFlux
    from .lod import LOD
    from .msfem import MsFEM
    from .multigrid import Multigrid
    from .q1 import relative_errors

_LAZY = {
    "EquilibratedFlux": "flux",
    "LOD": "lod",
    "MsFEM": "msfem",
    "Multigrid": "multigrid",
    "coarse_solve": "coarse",
    "fine_solve": "fine",
    "relative_errors": "q1",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = ["LOD", "EquilibratedFlux", "MsFEM", "Multigrid", "coarse_solve", "fine_solve", "relative_errors"]
