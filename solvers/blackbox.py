"""The coarse problem of the Schwarz method: Q1 on the cells, with the harmonic (bilinear) vertex functions.

Owns the compiled V-cycle: two Chebyshev steps before and after, black-box interpolation (J. Dendy, *Black box
multigrid*, 1982) to half the grid, and there a direct solution. Contrast does its harm below half the pixel grid, where
no smoother mends it; so nothing is approximated there. Only rasters with a short side above twice ``MAX_BLOCK`` cells
are coarsened further: the direct solution would take longer than all else. ``blackbox_twin`` does the same in torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from .kernels import blackbox as ck
from .kernels import blocks
from .kernels.workers import Workers
from .smoothing import row_sum_bound, smoothing_bound
from .trace.layout import Boundary

#: Blocks of the exact solution have at most this many cells, and at most so many where the contrast is high.
MAX_BLOCK, MAX_BLOCK_HIGH = 130, 300
#: From here on it must be on half the grid: 53 steps instead of 77 at contrast 10⁴ (30 instead of 32 at 1000).
HIGH_CONTRAST = 2000.0


@dataclass
class _Level:
    """One grid: operator, inverse diagonal, interpolation weights, work space; all float32."""

    S: np.ndarray
    D: np.ndarray
    bound: np.float32
    weights: tuple[np.ndarray, ...]
    b: np.ndarray
    x: np.ndarray
    r: np.ndarray
    d: np.ndarray


def _mask(cells: tuple[int, int], boundary: Boundary) -> np.ndarray:
    """Return 1 at free and 0 at fixed vertices of my x mx cells, (my+1, mx+1) float32."""
    j0, j1, i0, i1 = boundary.ranges(cells)
    mask = np.zeros((cells[0] + 1, cells[1] + 1), np.float32)
    mask[j0:j1, i0:i1] = 1
    return mask


class DirectSolver:
    """Direct solution of a nine-point operator with ring, block by block along its long side.

    Set up in three parts, so that both halves may be eliminated side by side: :meth:`eliminate` twice, then
    :meth:`join`.

    Parameters
    ----------
    S : (5, ny+3, nx+3) operator as in ``kernels.blackbox``, fixed nodes with identity rows.
    """

    def __init__(self, S: np.ndarray):
        self.transposed = S.shape[2] > S.shape[1]
        if self.transposed:
            S = np.ascontiguousarray(S[[0, 2, 1, 3, 4]].transpose(0, 2, 1))
        rows, n = S.shape[1] - 2, S.shape[2] - 2
        self.middle = rows // 2
        self.G = np.empty((rows, n, n), np.float32)
        self.S64 = S
        self.S = S.astype(np.float32)
        self.b, self.x = np.zeros((2, rows + 2, n + 2), np.float32)
        self.work = np.empty((rows, n), np.float32)

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
        """Set x to the solution for b, both (ny+3, nx+3) float32 with ring."""
        if self.transposed:
            self.b[:] = b.T
            blocks.solve(self.S, self.G, self.middle, self.b, self.x, self.work)
            x[:] = self.x.T
        else:
            blocks.solve(self.S, self.G, self.middle, b, x, self.work)


class CoarseSolver:
    """V-cycle for the vertex functions: set up in float64, cycle in float32.

    Parameters
    ----------
    a : (my, mx) coefficients.
    element : (4, 4) matrix of the vertex functions of a cell with a = 1.
    boundary : which vertices are free; not periodic.
    workers : for the set-up.
    """

    def __init__(self, a: np.ndarray, element: np.ndarray, boundary: Boundary, workers: Workers):
        K = ck.pixel_elements(a, np.ascontiguousarray(element))
        self.levels: list[_Level] = []
        self.masks = [_mask(K.shape[:2], boundary)]
        bound = smoothing_bound(element)
        block = MAX_BLOCK_HIGH if a.max() > HIGH_CONTRAST * a.min() else MAX_BLOCK
        while not self.levels or min(K.shape[:2]) > block:
            S = ck.stencil(K)
            weights = ck.weights(S)
            K = ck.galerkin(K, *weights)
            ck.fix(S, *boundary.ranges((S.shape[1] - 3, S.shape[2] - 3)))
            self.levels.append(self._level(S, weights, bound if not self.levels else row_sum_bound(S)))
            self.masks.append(_mask(K.shape[:2], boundary))
        S = ck.stencil(K)
        ck.fix(S, *boundary.ranges(K.shape[:2]))
        self.singular = boundary.singular
        if self.singular:  # one vertex is held; the moments of constants vanish
            _hold_first(S)
            self.masks[-1][0, 0] = 0
        self.exact = DirectSolver(S)
        halves = workers.together([partial(self.exact.eliminate, step) for step in (1, -1)])
        self.exact.join(*halves)
        self.b, self.x = np.zeros((2, *S.shape[1:]), np.float32)

    def _level(self, S: np.ndarray, weights: tuple[np.ndarray, ...], bound: float) -> _Level:
        """Build a grid of the cycle in float32."""
        D = np.zeros(S.shape[1:], np.float32)
        D[1:-1, 1:-1] = self.masks[-1] / S[0, 1:-1, 1:-1]
        b, x, r, d = (np.zeros(S.shape[1:], np.float32) for _ in range(4))
        single = tuple(w.astype(np.float32) for w in weights)
        return _Level(S.astype(np.float32), D, np.float32(bound), single, b, x, r, d)

    @property
    def right_side(self) -> np.ndarray:
        """Where the moments are written before :meth:`cycle`: (my+3, mx+3) float32 with ring."""
        return self.levels[0].b

    def cycle(self, depth: int = 0) -> np.ndarray:
        """Return an approximate solution for :attr:`right_side` by one V-cycle.

        Parameters
        ----------
        depth : level to begin on; 0 is the raster.

        Returns
        -------
        (my+3, mx+3) float32 with ring, work space of this object: overwritten by the next cycle.
        """
        level = self.levels[depth]
        last = depth + 1 == len(self.levels)
        b = self.b if last else self.levels[depth + 1].b
        ck.smooth(level.S, level.D, level.b, level.x, level.r, level.d, level.bound, True)
        ck.residual(level.S, level.b, level.x, level.r)
        Wx, Wy, Wc = level.weights
        ck.restrict(level.r, Wx, Wy, Wc, self.masks[depth + 1], b)
        if last:
            self.exact.solve(self.b, self.x)
        x = self.x if last else self.cycle(depth + 1)
        ck.prolong(level.x, Wx, Wy, Wc, x)
        ck.smooth(level.S, level.D, level.b, level.x, level.r, level.d, level.bound, False)
        if self.singular and depth == 0:
            level.x[1:-1, 1:-1] -= level.x[1:-1, 1:-1].mean()
        return level.x


def _hold_first(S: np.ndarray) -> None:
    """Give node (0, 0) an identity row, in place: constants are then not in the kernel."""
    S[0, 1, 1] = 1
    S[1, 1, 1] = S[2, 1, 1] = S[3, 1, 1] = 0
