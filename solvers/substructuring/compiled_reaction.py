"""The local solves of media with a reaction in compiled kernels; the twin of ``reaction.ReactionSkeleton``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .compiled import CompiledSkeleton, KernelValues
from .distinct import DistinctCells


class CompiledReactionSkeleton(CompiledSkeleton):
    """The condensed system on the skeleton for media with reactions; methods as for ``CompiledSkeleton``.

    Parameters
    ----------
    cells : the distinct cells of B media (B, my, mx).
    load : (B, K, qy my + 1, qx mx + 1) nodal values of f.
    size : (Ly, Lx) of the rectangle.
    sweeps : sweeps over corners and edges in a local solve.
    """

    def __init__(self, cells: DistinctCells, load: Tensor, size: tuple[float, float], sweeps: int):
        from ..kernels import distinct_cells, distinct_loads

        self.cells, self._distinct, self._fields = cells, distinct_cells, distinct_loads
        self._take(cells.raster, load, cells.r, size, sweeps)
        self._condense_loads()

    def _condense_loads(self) -> None:
        self._clear_loads()
        vectors, self._responses = self.cells.loads(self.parts)
        arguments = (self.cells.index, self.K, vectors, self.f, self.parts, self.g, self.hats)
        self._run(self._fields.load_vectors, self.my + 1, *arguments)

    def _relax_edges(self, x: KernelValues) -> None:
        cells, kernels = self.cells, self._distinct
        start = (cells.index, self.K, cells.stiffness)
        self._run(kernels.relax_upright, self.my, *start, *cells.upright, self.g[2], x.triple)
        for first in (1, 2):
            lines = (self.my - first + 1) // 2
            self._run(kernels.relax_level, lines, *start, *cells.level, self.g[1], x.triple, first)

    def _step_at_corners(self, residual: np.ndarray, step: np.ndarray, first: int) -> None:
        arguments = (self.cells.index, self.K, self.cells.elements, residual, step, first)
        self._run(self._distinct.relax_corners, (self.my - first + 1) // 2, *arguments)

    def _residual(self, x: KernelValues) -> np.ndarray:
        out = np.empty_like(x.C)
        arguments = (self.cells.index, self.K, self.cells.hats, self.hats, x.triple, out)
        self._run(self._distinct.residual, self.my + 1, *arguments)
        return out

    def _sum_along(self, v: KernelValues, w: KernelValues, sums: np.ndarray) -> None:
        arguments = (self.cells.index, self.K, self.cells.stiffness, self.g, v.triple, w.triple, sums)
        self._run(self._distinct.line_search, self.my + 1, *arguments)

    def field(self, v: KernelValues) -> Tensor:
        """Extend values on the skeleton into the cells: the fine field (B, K, ny+1, nx+1)."""
        out = np.empty((self.problems, self.r[0] * self.my + 1, self.r[1] * self.mx + 1))
        cells = self.cells
        arguments = (cells.index, self.K, cells.inside, self._responses, self.f, self.parts, v.triple, out)
        self._run(self._fields.extend, self.my + 1, *arguments)
        return torch.from_numpy(out).unflatten(0, self.batch)
