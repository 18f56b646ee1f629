"""Solving on the fine mesh, which every other method has to beat."""

from __future__ import annotations

import numpy as np

from ...solvers.direct import DirichletSystem
from ...solvers.hierarchy import Hierarchy
from ..context import Context
from ..method import Method, methods

#: Relative tolerance of the multigrid solve that methods are compared with.
TOLERANCE = 1e-8
#: Steps after which it gives up.
MAX_STEPS = 300


class FineMultigrid(Method):
    """u_h by multigrid-CG to a tolerance.

    Parameters
    ----------
    tolerance : relative residual, in the preconditioner's norm, at which the iteration ends.
    name : what it is called in ``compare(methods=...)``.
    label : for tables; default: says the tolerance.
    """

    def __init__(self, tolerance: float, name: str = "multigrid", label: str | None = None):
        self.tolerance, self.name = tolerance, name
        self.label = f"fine solve, multigrid-CG to {tolerance:.0e}" if label is None else label

    def offline(self, context: Context) -> Hierarchy:
        """Set up the hierarchy."""
        return context.hierarchy()

    def online(self, context: Context, state: Hierarchy) -> np.ndarray:
        """Iterate from zero until the tolerance is reached.

        Parameters
        ----------
        context : the problem.
        state : the hierarchy.

        Returns
        -------
        Nodal values (ny+1, nx+1).

        Raises
        ------
        SolverFailure
            If it is not reached.
        """
        u, info = state.solve(context.b, tolerance=self.tolerance, max_iterations=MAX_STEPS)
        info.check(self.tolerance, "take compare(..., reference=) with a field of your own for this contrast")
        return u


class FineDirect(Method):
    """u_h by a sparse factorisation."""

    name, label = "direct", "fine solve, SuperLU"

    def offline(self, context: Context) -> DirichletSystem:
        """Factorise the fine system."""
        return context.dirichlet_system(context.cells)

    def online(self, context: Context, state: DirichletSystem) -> np.ndarray:
        """Substitute: (ny+1, nx+1)."""
        return state.solve(context.b)


#: The fine solve from which on the others' break-even is counted.
MULTIGRID = methods.add(FineMultigrid(TOLERANCE))
methods.add(FineDirect())
