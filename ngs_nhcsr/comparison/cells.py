"""Q1 on the coefficient's own cells: the cheapest mesh that knows the coefficient, and that of the network's solve."""

from __future__ import annotations

import numpy as np

from ..grid import prolongate
from ..problem import load_vector
from ._registry import Method, methods
from .context import Context, Q1System


def _cells(context: Context) -> tuple[int, int]:
    (my, mx), (ny, nx) = context.A.shape, context.cells
    return min(my, ny), min(mx, nx)  # on coarser fine meshes it is the fine solve


def _offline(context: Context) -> Q1System:
    return Q1System(context.A, _cells(context), context.size)


def _online(context: Context, system: Q1System) -> np.ndarray:
    return prolongate(system.solve(load_vector(context.f, _cells(context), context.size)), context.cells)


methods.add(Method("cells", "Q1 solve on the coefficient's cells (mesh size ε), prolonged", _offline, _online))
