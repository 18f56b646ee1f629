"""Coarse solves with one mean value of the coefficient per coarse cell."""

from __future__ import annotations

import numpy as np

from ...solvers.direct import DirichletSystem
from ...solvers.medium import Mean
from ...solvers.transfer import prolongate
from ..context import Context
from ..method import Method, methods


class MeanCoefficient(Method):
    """Q1 on the coarse grid with a mean of the coefficient in every coarse cell, prolonged.

    Parameters
    ----------
    mean : "arithmetic", "harmonic" or "geometric".
    """

    def __init__(self, mean: Mean):
        self.mean: Mean = mean
        self.name, self.label = f"{mean}-mean", f"coarse solve with {mean} means, prolonged"

    def offline(self, context: Context) -> DirichletSystem:
        """Average and factorise the coarse system."""
        return context.dirichlet_system(context.coarse, np.asarray(context.medium.mean(self.mean, context.coarse)))

    def online(self, context: Context, state: DirichletSystem) -> np.ndarray:
        """Solve the coarse system and prolong: (ny+1, nx+1)."""
        return prolongate(state.solve(context.F), context.cells)


methods.add(MeanCoefficient("geometric"))
