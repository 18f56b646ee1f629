"""Compiled direct solution of nine-point operators, block by block: where the V-cycle is exact."""

from __future__ import annotations

import numpy as np

from .kernels import blocks
from .kernels.buffers import Buffers


class DirectSolver:
    """Direct solution of a nine-point operator with ring, block by block along its long side.

    Set up in three parts, so that both halves may be eliminated side by side: :meth:`eliminate` twice, then
    :meth:`join`.

    Parameters
    ----------
    S : (5, ny+3, nx+3) operator as in ``kernels.blackbox``, fixed nodes with identity rows.
    buffers : where the inverses are stored.
    dtype : precision of the solution.
    """

    def __init__(self, S: np.ndarray, buffers: Buffers, dtype: type = np.float32):
        self.transposed = S.shape[2] > S.shape[1]
        if self.transposed:
            S = np.ascontiguousarray(S[[0, 2, 1, 3, 4]].transpose(0, 2, 1))
        rows, n = S.shape[1] - 2, S.shape[2] - 2
        self.middle = rows // 2
        self.G = buffers.zeros((rows, n, n), dtype)
        self.S64 = S
        self.S = S.astype(dtype)
        self.b, self.x = np.zeros((2, rows + 2, n + 2), dtype)
        self.work = np.empty((rows, n), dtype)

    def eliminate(self, step: int) -> np.ndarray:
        """Eliminate the rows of one half, independent of the other.

        Parameters
        ----------
        step : 1 for the first half, -1 for the last.

        Returns
        -------
        The half's contribution to the Schur complement of the middle row, which :meth:`join` needs.
        """
        return blocks.eliminate(self.S64, self.G, self.middle, step)

    def join(self, first: np.ndarray, second: np.ndarray) -> None:
        """Finish the set-up.

        Parameters
        ----------
        first : (n, n) what :meth:`eliminate` returned for step 1.
        second : (n, n) what it returned for step -1.
        """
        blocks.finish(self.S64, self.G, self.middle, first, second)
        del self.S64  # only the set-up needs double precision

    def solve(self, b: np.ndarray, x: np.ndarray) -> None:
        """Set x to the solution for b, both (ny+3, nx+3) with ring."""
        if self.transposed:
            self.b[:] = b.T
            blocks.solve(self.S, self.G, self.middle, self.b, self.x, self.work)
            x[:] = self.x.T
        else:
            blocks.solve(self.S, self.G, self.middle, b, x, self.work)
