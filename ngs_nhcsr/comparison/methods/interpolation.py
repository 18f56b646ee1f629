"""Interpolation of the coarse solution: what costs nothing beyond the coarse solve.

All of them are charged the coarse solve (factorisation offline, substitution online), also the user's own solution,
whose solve in NGSolve was not timed but is of the same size.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import RectBivariateSpline

from ...errors import InvalidProblem
from ...solvers.direct import DirichletSystem
from ...solvers.mass import best_multiple
from ...solvers.transfer import prolongate
from ..context import Context
from ..method import Method, methods


class Prolongation(Method):
    """Bilinear prolongation of the canonical coarse solution; the others of this file differ in what they return."""

    name, label = "prolongation", "coarse Galerkin solution, prolonged"

    def offline(self, context: Context) -> DirichletSystem:
        """Factorise the canonical coarse system."""
        return context.dirichlet_system(context.coarse)

    def online(self, context: Context, state: DirichletSystem) -> np.ndarray:
        """Solve the coarse system and prolong: (ny+1, nx+1)."""
        return prolongate(state.solve(context.F), context.cells)


class OwnProlongation(Prolongation):
    """Bilinear prolongation of the coarse solution as the user computed it, quadrature error and all."""

    name, label = "prolongation-own", "coarse solution as given, prolonged"

    def online(self, context: Context, state: DirichletSystem) -> np.ndarray:
        """Solve the coarse system, for its seconds, and prolong the given solution: (ny+1, nx+1)."""
        state.solve(context.F)
        return prolongate(context.given, context.cells)


class Bicubic(Prolongation):
    """Bicubic spline through the canonical coarse solution."""

    name, label = "bicubic", "coarse Galerkin solution, bicubic"

    def online(self, context: Context, state: DirichletSystem) -> np.ndarray:
        """Solve the coarse system and interpolate: (ny+1, nx+1)."""
        U = state.solve(context.F)
        (Ny, Nx), (ny, nx) = context.coarse, context.cells
        # On fewer than four nodes there is no cubic.
        spline = RectBivariateSpline(
            np.linspace(0, 1, Ny + 1), np.linspace(0, 1, Nx + 1), U, kx=min(3, Ny), ky=min(3, Nx), s=0
        )
        u = np.zeros((ny + 1, nx + 1))
        u[1:-1, 1:-1] = spline(np.linspace(0, 1, ny + 1), np.linspace(0, 1, nx + 1))[1:-1, 1:-1]
        return u


class BestMultiple(Prolongation):
    """The best that a factor can do for the prolongation: how much of its error is a wrong overall stiffness.

    In the L2 norm: in the energy norm the Galerkin solution is its own best multiple.
    """

    name, label = "best-multiple", "best multiple in L2 of the prolongation (needs u_h)"

    def online(self, context: Context, state: DirichletSystem) -> np.ndarray:
        """Prolong and scale: (ny+1, nx+1).

        Parameters
        ----------
        context : with a reference.
        state : the coarse system.

        Returns
        -------
        Nodal values (ny+1, nx+1).

        Raises
        ------
        InvalidProblem
            Without a reference.
        """
        if context.reference is None:
            raise InvalidProblem("the best multiple is that for a reference; give the context one.")
        return best_multiple(super().online(context, state), context.reference, context.size)


for _method in (Prolongation(), OwnProlongation(), Bicubic(), BestMultiple()):
    methods.add(_method)
