"""Q1 on the coefficient's own cells: the cheapest mesh that knows the coefficient, and that of the network's solve.

With the network's local solves and corrections, but nothing learned, it shows what these do alone.
"""

from __future__ import annotations

import numpy as np

from ...solvers.direct import DirichletSystem
from ...solvers.load import Load
from ...solvers.substructuring.plain_start import PlainQ1
from ...solvers.substructuring.scheme import Scheme
from ...solvers.substructuring.solve import PreparedSolve
from ...solvers.target import FineQ1
from ...solvers.transfer import prolongate
from ..context import Context
from ..method import Method, methods

CORRECTIONS = (1, 2, 3)


class CellQ1(Method):
    """Q1 solution on the mesh of the raster, prolonged."""

    name, label = "cells", "Q1 solve on the coefficient's cells (mesh size ε), prolonged"

    def offline(self, context: Context) -> DirichletSystem:
        """Factorise the system on the raster's mesh."""
        return context.dirichlet_system(_raster_mesh(context))

    def online(self, context: Context, state: DirichletSystem) -> np.ndarray:
        """Solve on the raster's mesh and prolong: (ny+1, nx+1)."""
        b = Load(context.f, context.size).vector(_raster_mesh(context))
        return prolongate(state.solve(b), context.cells)


class CorrectedCellQ1(Method):
    """Q1 solution on the mesh of the raster, with local solves and coarse corrections on the fine mesh.

    Parameters
    ----------
    corrections : how often the system on the raster's mesh is solved for the residual at the cells' corners.
    """

    def __init__(self, corrections: int):
        self.scheme = Scheme(corrections, tolerance=0.0)
        self.name = f"cells+{corrections}"
        plural = "s" * (corrections > 1)
        self.label = f"Q1 on the cells, local solves, {corrections} correction{plural}; no network"

    def offline(self, context: Context) -> PreparedSolve:
        """Factorise the system on the raster's mesh."""
        medium = context.tensors().medium
        return PreparedSolve(medium, context.space, FineQ1(context.scale), PlainQ1(), self.scheme)

    def online(self, context: Context, state: PreparedSolve) -> np.ndarray:
        """Solve, then relax and correct on the cells' skeleton: (ny+1, nx+1)."""
        return state.solve(context.tensors())[0, 0].cpu().numpy()


def _raster_mesh(context: Context) -> tuple[int, int]:
    """Cells of the raster; on coarser fine meshes those of the fine mesh."""
    (my, mx), (ny, nx) = context.medium.cells, context.cells
    return min(my, ny), min(mx, nx)


methods.add(CellQ1())
for _corrections in CORRECTIONS:
    methods.add(CorrectedCellQ1(_corrections))
