"""Coarse solves with one mean value of the coefficient per coarse cell."""

from __future__ import annotations

import numpy as np

from ...solvers.coarse import cell_means
from ...solvers.transfer import prolongate
from ..context import Context, Q1System
from ..method import Method, methods


def _offline(context: Context) -> Q1System:
    return Q1System(cell_means(context.A, context.coarse, "geometric"), context.coarse, context.size)


def _online(context: Context, system: Q1System) -> np.ndarray:
    return prolongate(system.solve(context.F), context.cells)


methods.add(Method("geometric-mean", "coarse solve with geometric means, prolonged", _offline, _online))
