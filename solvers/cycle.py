"""The compiled V-cycle: bilinear down to the raster, black-box below it, exact at its end.

Owns the hierarchy of grids on CPUs; ``multigrid.Multigrid`` is its twin in torch.

A coefficient that is constant in the cells of a raster does no harm on grids that divide it: bilinear interpolation is
exact there. High contrast does its harm below the raster, where no smoother mends it (of 89 steps at contrast 1000,
black-box interpolation saves 50 and an exact solution on half the raster 27 more). So the cycle is exact on the first
grid below the raster that a direct solver affords, and where that is not half the raster, it takes some steps of
Chebyshev's iteration there, whose preconditioner is the rest of the cycle.

References: J. Dendy, *Black box multigrid*, J. Comput. Phys. 48 (1982); Chebyshev smoothing as in Y. Saad, *Iterative
Methods for Sparse Linear Systems*, 2003, ch. 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from .block_solver import DirectSolver
from .kernels import blackbox, passes, rows
from .kernels.buffers import Buffers
from .kernels.workers import Workers
from .robin import Sides, add_full_sides
from .row_operator import Multiples, RowOperator, Storage, full_elements
from .smoothing import HIGH_CONTRAST, Factors, half_raster, kept_nodes, smoother

#: The exact solution is on a grid of at most so many cells along its short side; at high contrast, on half the raster:
#: with 512² pixels at contrast 10⁴ 8 steps of 15 ms instead of 23 of 12 ms, after a set-up of 240 ms instead of 40.
MAX_BLOCK, MAX_BLOCK_HIGH = 130, 300
#: Grids with fewer nodes are worked on by one thread: handing out work takes longer than doing it.
SMALL = 150 * 150
Weights = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Level:
    """One grid of the cycle: operator, smoother, work space, in the precision of the cycle.

    Attributes
    ----------
    S, D, F, kind, steps : operator, its diagonal, mask, kinds of rows, Chebyshev factors; see ``kernels.passes``.
    weights : black-box interpolation from the next grid; ``None``: bilinear.
    b, x, z : right-hand side, result of the first smoothing, result of the cycle, (ny+3, nx+3) with ring.
    r : residual, where it is not restricted at once.
    """

    S: Storage
    D: np.ndarray
    F: np.ndarray
    kind: np.ndarray
    steps: np.ndarray
    weights: Weights | None
    b: np.ndarray
    x: np.ndarray
    z: np.ndarray
    r: np.ndarray

    @classmethod
    def of(cls, operator: RowOperator, weights: Weights | None, dtype: type, buffers: Buffers) -> Level:
        """Set up the smoother of an operator."""
        first, ((again, second),) = smoother(operator.bound)
        shape = (len(operator.kind), operator.F.shape[1])
        b, x, z = (buffers.ringed(shape, dtype) for _ in range(3))
        return cls(
            S=operator.stored(dtype, buffers),
            D=operator.diagonal,
            F=operator.F,
            kind=operator.kind,
            steps=np.array([first, again, second], dtype),
            weights=None if weights is None else tuple(w.astype(dtype) for w in weights),  # type: ignore[arg-type]
            b=b,
            x=x,
            z=z,
            r=b if weights is None else buffers.ringed(shape, dtype),
        )

    @property
    def operator(self) -> tuple[Storage, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What the kernels of a cycle take first."""
        return self.S, self.D, self.F, self.kind, self.steps


class VCycle:
    """A symmetric V-cycle with two Chebyshev steps before and after the coarse correction.

    Parameters
    ----------
    elements : (10, my, mx) matrices of a mesh cell inside each cell of the raster, or multiples of one matrix.
    refinement : (ky, kx) mesh cells per cell of the raster.
    free : (ny+1, nx+1) boolean mask of the free nodes. If all are free and there is neither reaction nor Robin
        side, right-hand sides must sum to zero, and results have the mean zero.
    contrast : of the coefficient.
    workers : threads.
    reaction : (10, my, mx) the part of ``elements`` that grows with the area of a mesh cell. Interpolation is made for
        the rest: where reaction dominates, smoothing does all the work.
    sides : weights of Robin sides on the mesh, as of ``robin.edge_weights``, which are no part of ``elements``;
        ``None``: there are none. Interpolation is made without them, likewise.
    serial : run cycles on the calling thread; only the set-up uses ``workers``.

    Attributes
    ----------
    dtype : float32, at high contrast float64.
    finest : the operator of the mesh.
    buffers : where all work space comes from; it goes back when the cycle ends.
    """

    def __init__(
        self,
        elements: np.ndarray | Multiples,
        refinement: tuple[int, int],
        free: np.ndarray,
        contrast: float,
        workers: Workers,
        reaction: np.ndarray | None = None,
        sides: Sides | None = None,
        *,
        serial: bool = False,
    ):
        self.workers, self.singular = workers, bool(free.all()) and reaction is None and sides is None
        self.dtype = dtype = np.float64 if contrast > HIGH_CONTRAST else np.float32
        self.levels: list[Level] = []
        ky, kx = refinement
        self.buffers = Buffers()
        operator = self.finest = RowOperator.of_raster(elements, (ky, kx), free, buffers=self.buffers, sides=sides)
        while ky % 2 == kx % 2 == 0:
            self.levels.append(Level.of(operator, None, dtype, self.buffers))
            ky, kx, free = ky // 2, kx // 2, free[::2, ::2]
            if reaction is not None and not isinstance(elements, Multiples):
                elements, reaction = elements + 3 * reaction, 4 * reaction
            if sides is not None:  # edges are twice as long
                sides = (2 * sides[0], 2 * sides[1], 2 * sides[2], 2 * sides[3])
            operator = RowOperator.of_raster(elements, (ky, kx), free, dtype, self.buffers, sides)
        own = Buffers()  # goes back at the end of the set-up
        K = full_elements(elements, own)
        diffusion = K
        if reaction is not None and not isinstance(elements, Multiples):
            diffusion = full_elements(elements - reaction, own)
        if (ky, kx) != (1, 1):
            same = diffusion is K
            K = K.repeat(ky, 0).repeat(kx, 1)
            diffusion = K if same else diffusion.repeat(ky, 0).repeat(kx, 1)
        if sides is not None:
            K = K.copy()
            add_full_sides(K, sides)
        half = (min(K.shape[:2]) + 1) // 2
        block = MAX_BLOCK_HIGH if contrast > HIGH_CONTRAST and half <= MAX_BLOCK_HIGH else MAX_BLOCK
        self.masks: list[np.ndarray] = []
        S = blackbox.stencil(K)
        while not self.masks or min(K.shape[:2]) > block:
            weights = blackbox.weights(S if diffusion is K else blackbox.stencil(diffusion))
            self.levels.append(Level.of(operator, weights, dtype, self.buffers))
            coarse = self._galerkin(K, weights, own)
            diffusion = coarse if diffusion is K else self._galerkin(diffusion, weights, own)
            K, free = coarse, free[kept_nodes(free.shape[0])][:, kept_nodes(free.shape[1])]
            S = blackbox.stencil(K)
            operator = RowOperator.of_stencil(S, free)
            self.masks.append(free.astype(dtype))
        if self.singular:
            free = free.copy()
            free[0, 0] = False
            self.masks[-1][0, 0] = 0
        blackbox.fix(S, free)
        self.exact = DirectSolver(S, self.buffers, dtype)
        self.exact.join(*workers.together([partial(self.exact.eliminate, step) for step in (1, -1)]))
        self.b, self.x = np.zeros((2, *S.shape[1:]), dtype)
        if serial:
            self.workers = Workers(1)
        self._ranges = [self._split(level) for level in self.levels]
        # Half the raster, if that is not the last grid, is solved on by Chebyshev's iteration.
        self._half = len(self.levels) - len(self.masks) + 1
        self._first, self._further = half_raster(contrast)
        self._kept: dict[int, tuple[np.ndarray, ...]] = {}

    def _galerkin(self, K: np.ndarray, weights: Weights, buffers: Buffers) -> np.ndarray:
        """Element matrices (Ny, Nx, 4, 4) of patches of two by two cells with the matrices K (ny, nx, 4, 4)."""
        coarse = buffers.zeros((*weights[2].shape, 4))
        self.workers.map(blackbox.galerkin, self.workers.ranges(len(coarse)), K, *weights, coarse)
        return coarse

    def _split(self, level: Level) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Ranges of rows for the passes down and up."""
        down = len(level.kind) - 2 if level.weights is not None else (len(level.kind) - 3) // 2 + 1
        if level.b.size < SMALL:
            return [(0, down)], [(0, len(level.kind) - 2)]
        return self.workers.ranges(down), self.workers.ranges(len(level.kind) - 2)

    @property
    def right_side(self) -> np.ndarray:
        """Where the right-hand side is written before a cycle: (ny+3, nx+3) with ring, zero at fixed nodes."""
        return self.levels[0].b

    @property
    def result(self) -> np.ndarray:
        """Where a cycle leaves its result: (ny+3, nx+3) with ring, overwritten by the next one."""
        return self.levels[0].z

    def _coarse(self, depth: int) -> None:
        """Solve below the raster, from a grid's ``b`` to its ``z``: by a cycle, or some on its half."""
        if depth == self._half and self._further:
            self.iterate((self._first, self._further), depth)
        else:
            self.cycle(depth)

    def iterate(self, factors: Factors, depth: int = 0) -> None:
        """Take steps of Chebyshev's iteration, whose preconditioner is the cycle, from ``right_side`` to ``result``.

        Parameters
        ----------
        factors : as of ``smoothing.chebyshev``, for eigenvalues up to 1.
        depth : grid to work on, always the same one.
        """
        level, all_rows = self.levels[depth], self._ranges[depth][1]
        if depth not in self._kept:
            self._kept[depth] = tuple(self.buffers.ringed(level.b.shape, self.dtype) for _ in range(3))
        b, x, d = self._kept[depth]
        b[:] = level.b
        self.cycle(depth)
        np.multiply(level.z, self.dtype(factors[0]), out=d)
        x[:] = d
        for again, second in factors[1]:
            self.workers.map(rows.residual, all_rows, level.S, level.F, level.kind, b, x, level.b)
            self.cycle(depth)
            d *= self.dtype(again)
            level.z *= self.dtype(second)
            d += level.z
            x += d
        level.z[:], level.b[:] = x, b

    def cycle(self, depth: int = 0) -> float:
        """Run the cycle from zero, from ``right_side`` to ``result``.

        Parameters
        ----------
        depth : grid to begin on; 0 is the mesh.

        Returns
        -------
        The product of result and right-hand side.
        """
        level, (down, up) = self.levels[depth], self._ranges[depth]
        bilinear = level.weights is None
        last = depth + 1 == len(self.levels)
        out = self.levels[depth + 1].b if bilinear else level.r
        self.workers.map(passes.smooth_and_restrict, down, *level.operator, level.b, level.x, out, bilinear)
        coarse = out
        if bilinear:
            self.cycle(depth + 1)
            coarse = self.levels[depth + 1].z
        else:
            weights: Weights = level.weights  # type: ignore[assignment]
            mask = self.masks[depth - len(self.levels)]
            blackbox.restrict(level.r, *weights, mask, self.b if last else self.levels[depth + 1].b)
            if last:
                self.exact.solve(self.b, self.x)
            else:
                self._coarse(depth + 1)
            blackbox.prolong(level.x, *weights, self.x if last else self.levels[depth + 1].z)
        parts = self.workers.map(
            passes.correct_and_smooth, up, *level.operator, level.b, level.x, coarse, level.z, bilinear
        )
        if self.singular and depth == 0:
            level.z[1:-1, 1:-1] -= level.z[1:-1, 1:-1].mean()
        return float(sum(parts))
