"""The Schwarz solver's operations in compiled kernels (numba): CPU, one coefficient at a time.

Owns the state of the iteration in the kernels' order of axes, ``H (my+1, p, mx)``, ``V (my, p, mx+1)``,
``C (my+1, mx+1)``, and the set-up of the local problems.

Solution, residual and products with the matrix are float64. The preconditioner works in float32 on the residual divided
by the largest entry of the load, and directions are float32: that costs no steps and halves their memory traffic, and
since solution and residual move along the same rounded direction they stay consistent.
"""

from __future__ import annotations

import logging
from functools import partial

import numpy as np

from ..blackbox import CoarseSolver
from ..kernels.workers import Workers
from . import kernels, vertex_kernels
from .layout import Boundary, TraceVector
from .vertices import cells_at_vertices, fixed_or_missing, vertex_inverses, vertex_kinds, vertex_parts, with_ring

log = logging.getLogger(__name__)

#: Rows of vertices whose vertices are sorted by kind together.
SORTED_ROWS = 16

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def _parts(flat: np.ndarray, cells: tuple[int, int], modes: int) -> Parts:
    """Return views H (my+1, p, mx), V (my, p, mx+1), C (my+1, mx+1) of a flat vector."""
    my, mx = cells
    first, second = (my + 1) * modes * mx, (my + 1) * modes * mx + my * modes * (mx + 1)
    return (
        flat[:first].reshape(my + 1, modes, mx),
        flat[first:second].reshape(my, modes, mx + 1),
        flat[second:].reshape(my + 1, mx + 1),
    )


def _vector(cells: tuple[int, int], modes: int, dtype: type) -> tuple[np.ndarray, Parts]:
    """Return a flat vector of zeros and its parts."""
    my, mx = cells
    flat = np.zeros((my + 1) * modes * mx + my * modes * (mx + 1) + (my + 1) * (mx + 1), dtype)
    return flat, _parts(flat, cells, modes)


def _to_kernel_order(x: TraceVector, to: Parts) -> None:
    """Copy a trace vector into the kernels' order of axes."""
    to[0][:], to[1][:], to[2][:] = x.level.transpose(0, 2, 1), x.upright.transpose(0, 2, 1), x.corners


def _from_kernel_order(x: Parts) -> TraceVector:
    """Copy from the kernels' order of axes to a trace vector."""
    return TraceVector(x[0].transpose(0, 2, 1).copy(), x[1].transpose(0, 2, 1).copy(), x[2].copy())


class PerKindSolver:
    """Local problems of few kinds of vertices: one small matrix product per kind and block of rows.

    Parameters
    ----------
    kind : (my+1, mx+1) number of every vertex's kind.
    values : (kinds, 4) coefficients of the cells SW, SE, NW, NE around a vertex of each kind.
    parts : (4, m, m) what these cells contribute for a = 1, see :func:`vertex_parts`.
    boundary : which unknowns are free.
    """

    def __init__(self, kind: np.ndarray, values: np.ndarray, parts: np.ndarray, boundary: Boundary):
        self.B = vertex_inverses(values, parts, boundary).astype(np.float32)
        kinds = len(values)
        key = (np.arange(kind.shape[0])[:, None] // SORTED_ROWS * kinds + kind).ravel()
        if key.max() < 2**16:
            key = key.astype(np.uint16)  # sorted in linear time
        order = np.argsort(key, kind="stable")
        self.places = self._places(order, (kind.shape[0] - 1, kind.shape[1] - 1), (parts.shape[1] - 1) // 4)
        self.strides = (np.uint64(kind.shape[1] - 1), np.uint64(kind.shape[1]))
        counts = np.bincount(key)
        found = np.flatnonzero(counts)
        pieces = -(-counts[found] // kernels.SEGMENT)
        begin = np.repeat(np.cumsum(counts)[found] - counts[found], pieces)
        number = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        first = begin + number * kernels.SEGMENT
        last = np.minimum(first + kernels.SEGMENT, np.repeat(np.cumsum(counts)[found], pieces))
        self.segments = np.stack([first, last, np.repeat(found % kinds, pieces)], -1).astype(np.int64)

    @staticmethod
    def _places(order: np.ndarray, cells: tuple[int, int], p: int) -> np.ndarray:
        """Return where the unknowns of the vertices ``order`` are in flat vectors; see ``kernels.solve_kinds``."""
        my, mx = cells
        j, i = np.divmod(order, mx + 1)
        upright, corners = (my + 1) * p * mx, (my + 1) * p * mx + my * p * (mx + 1)
        # At a side another edge is read, and multiplied by zero.
        left, right = np.maximum(i - 1, 0), np.minimum(i, mx - 1)
        lower, upper = np.maximum(j - 1, 0), np.minimum(j, my - 1)
        row = j * (p * mx)
        places = [
            row + left,
            row + right,
            upright + lower * (p * (mx + 1)) + i,
            upright + upper * (p * (mx + 1)) + i,
            corners + order,
            j * ((4 * p + 1) * (mx + 1)) + i,
        ]
        return np.stack(places).astype(np.uint64)

    def tasks(self, s: np.ndarray, Z: np.ndarray, workers: Workers) -> list[partial]:
        """Return calls that solve all local problems, for ``Workers.together``.

        Parameters
        ----------
        s : flat float32 residual in the kernels' order of axes.
        Z : (my+1, m, mx+1) float32, where the local solutions are written.
        workers : for whose threads the work is split.

        Returns
        -------
        Calls without arguments that may run side by side.
        """
        arguments = (self.B, self.places, self.segments, self.strides, s, Z.reshape(-1))
        return [partial(kernels.solve_kinds, *arguments, *r) for r in workers.ranges(len(self.segments))]


class PerVertexSolver:
    """Local problems where every vertex has its own matrix: factorised side by side in lanes.

    Parameters
    ----------
    a : (my, mx) coefficients.
    parts : (4, m, m) what the cells SW, SE, NW, NE contribute for a = 1, see :func:`vertex_parts`.
    boundary : which unknowns are free.
    workers : factorise the matrices.
    """

    def __init__(self, a: np.ndarray, parts: np.ndarray, boundary: Boundary, workers: Workers):
        ringed = with_ring(a, boundary)
        fixed = fixed_or_missing(cells_at_vertices(ringed) > 0, boundary, 1).reshape(-1, 5)
        self.codes = (fixed @ (1 << np.arange(5))).astype(np.int64)
        m = parts.shape[1]
        rows, columns = np.tril_indices(m)
        packed = np.ascontiguousarray(parts[:, rows, columns])
        blocks = -(-self.codes.size // vertex_kernels.LANES)
        self.B = np.empty((blocks, rows.size, vertex_kernels.LANES), np.float32)
        workers.map(vertex_kernels.factorise_vertices, workers.ranges(blocks), ringed, packed, self.codes, self.B)

    def tasks(self, s: np.ndarray, Z: np.ndarray, workers: Workers) -> list[partial]:
        """Return calls that solve all local problems, for ``Workers.together``.

        Parameters
        ----------
        s : flat float32 residual in the kernels' order of axes.
        Z : (my+1, m, mx+1) float32, where the local solutions are written.
        workers : for whose threads the work is split.

        Returns
        -------
        Calls without arguments that may run side by side.
        """
        cells, modes = (Z.shape[0] - 1, Z.shape[2] - 1), (Z.shape[1] - 1) // 4
        arguments = (self.B, self.codes, _parts(s, cells, modes), Z)
        return [partial(vertex_kernels.solve_vertices, *arguments, *r) for r in workers.ranges(len(self.B))]


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
            log.info("loading compiled kernels; the first use after an installation compiles them, about 15 s")
        self.cells, self.modes = a.shape, modes
        self.free = boundary.ranges(a.shape)
        self.workers = Workers(threads)
        # Scaled to a geometric mean of 1: float32 inverses of large and small coefficients stay in range.
        self.unit = float(np.sqrt(a.min()) * np.sqrt(a.max()))
        self.a = a / self.unit
        self.S = stiffness
        parts = vertex_parts(stiffness, modes)
        kinds = vertex_kinds(self.a, boundary)
        self.coarse = CoarseSolver(self.a, stiffness[-4:, -4:], boundary, self.workers)
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
        self.s_flat, self.s = _vector(self.cells, p, np.float32)
        self.z_flat, self.z = _vector(self.cells, p, np.float32)
        self.moments = (
            np.zeros((my + 1, p, mx)),
            np.zeros((my + 1, p, mx)),
            np.zeros((my, p, mx + 1)),
            np.zeros((my + 1, mx + 1)),
            np.zeros((my + 1, mx + 1)),
        )
        self.Z = np.zeros((my + 1, 4 * p + 1, mx + 1), np.float32)
        self.cell_rows, self.vertex_rows = self.workers.ranges(my), self.workers.ranges(my + 1)
        self.pieces = self.workers.ranges(self.q_flat.size)

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
            np.multiply(r, self.scale, out=s, casting="same_kind")

    def residual_product(self) -> np.ndarray:
        """Set z = B r and return r·z (1,), in the units of the problem."""
        right = self.coarse.right_side
        right[1:-1, 1:-1] = self.s[2]
        coarse, *_ = self.workers.together([self.coarse.cycle, *self.local.tasks(self.s_flat, self.Z, self.workers)])
        parts = self.workers.map(kernels.collect_vertices, self.vertex_rows, self.Z, coarse, self.free, self.z, self.s)
        return np.array([sum(parts) / self.scale / self.scale / self.unit])

    def direction(self, beta: np.ndarray) -> np.ndarray:
        """Set q = z + beta q and return q·Aq (1,); z and q are in units of 1 / (scale unit)."""
        self.workers.map(kernels.new_direction, self.pieces, self.q_flat, self.z_flat, float(beta[0]))
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
