"""Solvers on plain arrays ``[iy, ix]``: fine and coarse Q1 problems, multigrid, LOD, MsFEM, the PDE itself, bounds.

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

from typing import TYPE_CHECKING

from .._lazy import lazy

if TYPE_CHECKING:
    from .coarse import coarse_solve
    from .fine import fine_solve
    from .flux import EquilibratedFlux
    from .load import Load
    from .lod import LOD
    from .medium import Medium
    from .msfem import MsFEM
    from .multigrid import Multigrid
    from .norms import relative_errors
    from .space import Space
    from .substructuring.scheme import Scheme
    from .trace import TraceField, effective_conductivity, solve_pde

__getattr__, __dir__ = lazy(
    globals(),
    {
        "EquilibratedFlux": "flux",
        "LOD": "lod",
        "Load": "load",
        "Medium": "medium",
        "MsFEM": "msfem",
        "Multigrid": "multigrid",
        "Space": "space",
        "Scheme": "substructuring.scheme",
        "TraceField": "trace",
        "coarse_solve": "coarse",
        "effective_conductivity": "trace",
        "fine_solve": "fine",
        "relative_errors": "norms",
        "solve_pde": "trace",
    },
)

__all__ = [
    "LOD",
    "EquilibratedFlux",
    "Load",
    "Medium",
    "MsFEM",
    "Multigrid",
    "Scheme",
    "Space",
    "TraceField",
    "coarse_solve",
    "effective_conductivity",
    "fine_solve",
    "relative_errors",
    "solve_pde",
]
