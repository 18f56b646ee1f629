"""The Schwarz solver's operations in compiled kernels (numba): CPU, one coefficient at a time.

Owns the state of the iteration in the kernels' order of axes, ``H (my+1, p, mx)``, ``V (my, p, mx+1)``,
``C (my+1, mx+1)``.

Solution, residual and products with the matrix are float64. The preconditioner works in float32 on the residual divided
by the largest entry of the load, and directions are float32: that costs no steps and halves their memory traffic, and
since solution and residual move along the same rounded direction they stay consistent.
"""

from __future__ import annotations

import logging

import numpy as np

from ..cycle import VCycle
from ..kernels.workers import Workers
from ..q1 import SYMMETRIC_PAIRS
from ..row_operator import Multiples
from . import kernels
from .crosspoints import CrossPoints
from .layout import Boundary, TraceVector
from .local_solvers import Parts, PerKindSolver, PerVertexSolver, flat_vector
from .symmetry import ReflectionBasis
from .vertices import vertex_kinds, vertex_parts

log = logging.getLogger(__name__)


def _vector(cells: tuple[int, int], modes: int, dtype: type) -> tuple[np.ndarray, Parts]:
    """Return a flat vector of zeros and views H (my+1, p, mx), V (my, p, mx+1), C (my+1, mx+1) of it."""
    my, mx = cells
    first = (my + 1) * modes * mx
    second = first + my * modes * (mx + 1)
    flat = np.zeros(second + (my + 1) * (mx + 1), dtype)
    parts = (
        flat[:first].reshape(my + 1, modes, mx),
        flat[first:second].reshape(my, modes, mx + 1),
        flat[second:].reshape(my + 1, mx + 1),
    )
    return flat, parts


def _to_kernel_order(x: TraceVector, to: Parts) -> None:
    """Copy a trace vector into the kernels' order of axes."""
    to[0][:], to[1][:], to[2][:] = x.level.transpose(0, 2, 1), x.upright.transpose(0, 2, 1), x.corners


def _from_kernel_order(x: Parts) -> TraceVector:
    """Copy from the kernels' order of axes to a trace vector."""
    return TraceVector(x[0].transpose(0, 2, 1).copy(), x[1].transpose(0, 2, 1).copy(), x[2].copy())


def coarse_cycle(
    a: np.ndarray, element: np.ndarray, boundary: Boundary, workers: Workers, cross: CrossPoints | None = None
) -> VCycle:
    """Set up the coarse problem: Q1 on the cells, with the harmonic (bilinear) vertex functions.

    Parameters
    ----------
    a : (my, mx) coefficients.
    element : (4, 4) matrix of the vertex functions of a cell with a = 1.
    boundary : which vertices are free; not periodic.
    workers : for the set-up.
    cross : the functions at cross points, which have element matrices of their own; ``None``: there are none.

    Returns
    -------
    VCycle, which runs on the calling thread.
    """
    free = boundary.free(a.shape, 0).corners
    contrast = float(a.max() / a.min())
    if cross is None:
        elements = Multiples(a, np.array([element[i, j] for i, j in SYMMETRIC_PAIRS]))
    else:
        elements = cross.elements
    return VCycle(elements, (1, 1), free, contrast, workers, serial=True)


def _with_ring(cross: CrossPoints, mx: int) -> tuple[np.ndarray, ...]:
    """Return what the kernels take of cross points, vertices as places in a field with ring."""
    j, i = np.divmod(cross.vertices, mx + 1)
    places = (j + 1) * (mx + 3) + i + 1
    return cross.edges, cross.kind, cross.traces.astype(np.float32), places, cross.weights.astype(np.float32)


class CompiledOperations:
    """One state of the conjugate gradient method and its operations; see ``cg.Operations``.

    Parameters
    ----------
    a : (my, mx) coefficients, numpy float64.
    stiffness : (n, n) cell matrix, symmetric.
    modes : functions per edge.
    boundary : which unknowns are free; not periodic.
    threads : the kernels work on that many threads.
    """

    def __init__(self, a: np.ndarray, stiffness: np.ndarray, modes: int, boundary: Boundary, threads: int):
        if not kernels.apply_cells.signatures:
            log.info("loading compiled kernels; the first use after an installation compiles them, 15 s on idle cores")
        self.cells, self.modes = a.shape, modes
        self.free = boundary.ranges(a.shape)
        self.workers = Workers(threads)
        # Scaled to a geometric mean of 1: float32 inverses of large and small coefficients stay in range.
        self.unit = float(np.sqrt(a.min()) * np.sqrt(a.max()))
        self.a = a / self.unit
        self.S = ReflectionBasis.of(stiffness, modes).blocks(stiffness)
        parts = vertex_parts(stiffness, modes)
        kinds = vertex_kinds(self.a, boundary)
        cross = CrossPoints.of(self.a, stiffness, modes, boundary)
        self.coarse = coarse_cycle(self.a, stiffness[-4:, -4:], boundary, self.workers, cross)
        self.cross = None if cross is None else _with_ring(cross, a.shape[1])
        self.coarse_factors = None if cross is None else cross.factors
        self.local = (
            PerVertexSolver(self.a, parts, boundary, self.workers)
            if kinds is None
            else PerKindSolver(kinds.kind, kinds.values, parts, boundary)
        )
        self._allocate()

    def _allocate(self) -> None:
        """Allocate the iteration's vectors and the work space of the kernels."""
        (my, mx), p = self.cells, self.modes
        _, self._x = _vector(self.cells, p, np.float64)
        _, self.r = _vector(self.cells, p, np.float64)
        self.q_flat, self.q = _vector(self.cells, p, np.float32)
        self.s_flat, self.s = flat_vector(self.cells, p)
        self.z_flat, self.z = flat_vector(self.cells, p)
        self.moments = (
            np.zeros((my + 1, p, mx)),
            np.zeros((my + 1, p, mx)),
            np.zeros((my, p, mx + 1)),
            np.zeros((my + 1, mx + 1)),
            np.zeros((my + 1, mx + 1)),
        )
        self.cell_rows, self.vertex_rows = self.workers.ranges(my), self.workers.ranges(my + 1)

    def _multiply(self, x: Parts) -> float:
        """Compute A x as moments; return x·Ax. Coefficients are in their unit."""
        return sum(self.workers.map(kernels.apply_cells, self.cell_rows, self.a, self.S, x, self.moments))

    def _moments(self) -> Parts:
        """Return A x of the last product, in the coefficients' unit, also at fixed unknowns."""
        above, below, V, C_above, C_below = self.moments
        return above + below, V, C_above + C_below

    def _clear_fixed(self, x: Parts) -> None:
        """Set fixed unknowns to zero, in place."""
        j0, j1, i0, i1 = self.free
        H, V, C = x
        H[:j0] = H[j1:] = C[:j0] = C[j1:] = 0
        V[..., :i0] = V[..., i1:] = 0
        C[:, :i0] = C[:, i1:] = 0

    def apply(self, x: TraceVector) -> TraceVector:
        """Return A x with zeros at fixed unknowns."""
        _, y = _vector(self.cells, self.modes, np.float64)
        _to_kernel_order(x, y)
        self._multiply(y)
        for to, v in zip(y, self._moments(), strict=True):
            np.multiply(v, self.unit, out=to)
        self._clear_fixed(y)
        return _from_kernel_order(y)

    def begin(self, b: TraceVector, start: TraceVector | None) -> None:
        """Set x to the start (None: zero) and r to b - A x."""
        _to_kernel_order(b, self.r)
        self._clear_fixed(self.r)
        self.b = None
        self.q_flat[:] = 0
        for v in self._x:
            v[:] = 0
        if start is not None:
            self.b = tuple(v.copy() for v in self.r)
            _to_kernel_order(start, self._x)
            self._clear_fixed(self._x)
            self._multiply(self._x)
            for r, v in zip(self.r, self._moments(), strict=True):
                r -= self.unit * v
            self._clear_fixed(self.r)
        largest = max(max(float(v.max()), -float(v.min())) for v in self.r if v.size)
        self.scale = 1 / largest if largest > 0 else 1.0
        for s, r in zip(self.s, self.r, strict=True):
            np.multiply(r.swapaxes(1, 2) if r.ndim == 3 else r, self.scale, out=s, casting="same_kind")

    def residual_product(self) -> np.ndarray:
        """Set z = B r and return r·z (1,), in the units of the problem."""
        together = self.workers.together
        first, second = (self.local.tasks(k, self.s_flat, self.z_flat, self.workers) for k in (0, 1))
        _, *products = together([self._coarse, *first])
        total = sum(products) + sum(together(second))
        u, right = self.coarse.result, self.coarse.right_side
        total += kernels.add_coarse(u, self.free, self.z[2], right)
        if self.cross is not None:
            kernels.add_crosspoints(self.cross, u.reshape(-1), self.z_flat)
        return np.array([total / self.scale / self.scale / self.unit])

    def _coarse(self) -> None:
        """Solve the coarse problem for the scaled residual."""
        right = self.coarse.right_side
        right[1:-1, 1:-1] = self.s[2]
        if self.cross is not None:
            kernels.gather_crosspoints(self.cross, self.s_flat, right.reshape(-1))
        if self.coarse_factors is None:
            self.coarse.cycle()
        else:
            self.coarse.iterate(self.coarse_factors)

    def direction(self, beta: np.ndarray) -> np.ndarray:
        """Set q = z + beta q and return q·Aq (1,); z and q are in units of 1 / (scale unit)."""
        self.workers.map(kernels.new_direction, self.vertex_rows, self.q, self.z, float(beta[0]))
        return np.array([self._multiply(self.q) / self.scale / self.scale / self.unit])

    def advance(self, alpha: np.ndarray) -> None:
        """Set x = x + alpha q and r = r - alpha A q."""
        # With q = q' / (scale unit): x changes by alpha q' / (scale unit), r by alpha A' q' / scale (A = unit A').
        step = float(alpha[0]) / self.scale
        self.workers.map(
            kernels.advance, self.vertex_rows, step, 1 / self.unit, self.scale,
            self.moments, self.free, self.q, self._x, self.r, self.s,
        )  # fmt: skip

    def work(self) -> np.ndarray:
        """Return b·x.

        Returns
        -------
        (1,) the product.

        Raises
        ------
        RuntimeError
            If the iteration began without a start: b is not kept then.
        """
        if self.b is None:
            raise RuntimeError("b is kept for solves with a start only.")
        return np.array([sum(float(np.vdot(v, w)) for v, w in zip(self.b, self._x, strict=True))])

    @property
    def x(self) -> TraceVector:
        """Solution, a copy."""
        return _from_kernel_order(self._x)
