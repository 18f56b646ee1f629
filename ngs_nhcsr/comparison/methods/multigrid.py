"""A few multigrid-CG steps on the fine mesh, from the coarse solution and from zero."""

from __future__ import annotations

import numpy as np

from ...solvers.direct import DirichletSystem
from ...solvers.hierarchy import Hierarchy
from ...solvers.transfer import prolongate
from ..context import Context
from ..method import Method, methods

CYCLES = (1, 2, 3)


def cycles(steps: int) -> str:
    """Say how many cycles, in words.

    Parameters
    ----------
    steps : from 1 on.

    Returns
    -------
    The words.

    Examples
    --------
    >>> cycles(2)
    '2 multigrid-CG cycles'
    """
    return f"{steps} multigrid-CG cycle{'s' * (steps > 1)}"


class CoarseThenCycles(Method):
    """Prolongation of the canonical coarse solution, then multigrid-CG.

    Parameters
    ----------
    steps : conjugate gradient steps, of one V-cycle each.
    """

    def __init__(self, steps: int):
        self.steps = steps
        self.name, self.label = f"coarse+{steps}", f"coarse solution + {cycles(steps)}"

    def offline(self, context: Context) -> tuple[DirichletSystem, Hierarchy]:
        """Factorise the coarse system and set up the hierarchy."""
        return context.dirichlet_system(context.coarse), context.hierarchy()

    def online(self, context: Context, state: tuple[DirichletSystem, Hierarchy]) -> np.ndarray:
        """Solve the coarse system, prolong and iterate: (ny+1, nx+1)."""
        system, mg = state
        start = prolongate(system.solve(context.F), context.cells)
        return mg.solve(context.b, start, tolerance=0.0, max_iterations=self.steps)[0]


class CyclesFromZero(Method):
    """Multigrid-CG from zero.

    Parameters
    ----------
    steps : conjugate gradient steps, of one V-cycle each.
    """

    def __init__(self, steps: int):
        self.steps = steps
        self.name, self.label = f"zero+{steps}", f"zero + {cycles(steps)}"

    def offline(self, context: Context) -> Hierarchy:
        """Set up the hierarchy."""
        return context.hierarchy()

    def online(self, context: Context, state: Hierarchy) -> np.ndarray:
        """Iterate: (ny+1, nx+1)."""
        return state.solve(context.b, tolerance=0.0, max_iterations=self.steps)[0]


for _family in (CoarseThenCycles, CyclesFromZero):
    for _steps in CYCLES:
        methods.add(_family(_steps))
