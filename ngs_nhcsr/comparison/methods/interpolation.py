"""Interpolation of the coarse solution: what costs nothing beyond the coarse solve.

All of them are charged the coarse solve (factorisation offline, substitution online), also the user's own solution,
whose solve in NGSolve was not timed but is of the same size.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import RectBivariateSpline

from ...solvers.q1 import mass_apply
from ...solvers.transfer import prolongate
from ..context import Context, Q1System, canonical_system
from ..method import Method, methods


def _prolonged(context: Context, system: Q1System) -> np.ndarray:
    return prolongate(system.solve(context.F), context.cells)


def _own(context: Context, system: Q1System) -> np.ndarray:
    system.solve(context.F)
    return prolongate(context.problem.field.U, context.cells)


def _bicubic(context: Context, system: Q1System) -> np.ndarray:
    U = system.solve(context.F)
    (Ny, Nx), (ny, nx) = context.coarse, context.cells
    # On fewer than four nodes there is no cubic.
    spline = RectBivariateSpline(
        np.linspace(0, 1, Ny + 1), np.linspace(0, 1, Nx + 1), U, kx=min(3, Ny), ky=min(3, Nx), s=0
    )
    u = np.zeros((ny + 1, nx + 1))
    u[1:-1, 1:-1] = spline(np.linspace(0, 1, ny + 1), np.linspace(0, 1, nx + 1))[1:-1, 1:-1]
    return u


def _best_multiple(context: Context, system: Q1System) -> np.ndarray:
    # In the L2 norm: in the energy norm the Galerkin solution is its own best multiple.
    v = _prolonged(context, system)
    weighted = mass_apply(v, context.size)
    norm = float(np.sum(weighted * v))
    return v * (float(np.sum(weighted * context.reference)) / norm) if norm > 0 else v


methods.add(Method("prolongation", "coarse Galerkin solution, prolonged", canonical_system, _prolonged))
methods.add(Method("prolongation-own", "coarse solution as given, prolonged", canonical_system, _own))
methods.add(Method("bicubic", "coarse Galerkin solution, bicubic", canonical_system, _bicubic))
methods.add(
    Method("best-multiple", "best multiple in L2 of the prolongation (needs u_h)", canonical_system, _best_multiple)
)
