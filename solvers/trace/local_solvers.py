"""The local problems of the Schwarz method in compiled kernels: their set-up, and flat vectors.

Owns the order in which vertices are worked on, and where the unknowns around them are in the kernels' vectors.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..kernels.workers import Workers
from . import local_kernels, vertex_kernels
from .layout import Boundary, TraceVector
from .vertices import cells_at_vertices, fixed_or_missing, vertex_inverses, with_ring

#: Rows of vertices whose vertices are sorted by kind together: what they need stays in a core's second cache.
SORTED_ROWS = 32

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def starts(cells: tuple[int, int], modes: int) -> tuple[int, int, int]:
    """Return where vertical edges, vertices, and what stands for edges outside the domain begin in a flat vector."""
    my, mx = cells
    upright = (my + 1) * mx * modes
    corners = upright + my * (mx + 1) * modes
    return upright, corners, corners + (my + 1) * (mx + 1)


def flat_vector(cells: tuple[int, int], modes: int) -> tuple[np.ndarray, Parts]:
    """Return a flat float32 vector of zeros as ``local_kernels`` takes it, and its parts.

    Parameters
    ----------
    cells : (my, mx) cells of the raster.
    modes : functions per edge p.

    Returns
    -------
    The vector, with p numbers at its end that stand for edges outside the domain; views (my+1, mx, p), (my, mx+1, p)
    and (my+1, mx+1) of its coefficients.
    """
    outside = starts(cells, modes)[2]
    flat = np.zeros(outside + modes, np.float32)
    return flat, TraceVector.from_flat(flat[:outside], cells, modes).parts()


def places_of(order: np.ndarray, cells: tuple[int, int], modes: int) -> np.ndarray:
    """Find the unknowns around vertices in flat vectors.

    Parameters
    ----------
    order : (vertices,) numbers j (mx + 1) + i of the vertices, in the order in which they are worked on.
    cells : (my, mx) cells of the raster.
    modes : functions per edge.

    Returns
    -------
    (5, vertices) uint64, see ``local_kernels.solve_kinds``.
    """
    my, mx = cells
    j, i = np.divmod(order, mx + 1)
    upright, corners, outside = starts(cells, modes)
    places = [
        np.where(i > 0, (j * mx + i - 1) * modes, outside),
        np.where(i < mx, (j * mx + i) * modes, outside),
        np.where(j > 0, upright + (order - mx - 1) * modes, outside),
        np.where(j < my, upright + order * modes, outside),
        corners + order,
    ]
    return np.stack(places).astype(np.uint64)


def _sorted_vertices(keys: np.ndarray, count: int, size: int) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Sort the vertices by colour, then by keys in [0, count), and cut equal ones into segments.

    Parameters
    ----------
    keys : (my+1, mx+1) integers.
    count : number of keys.
    size : length of the longest segment.

    Returns
    -------
    (vertices,) numbers of the vertices in order, and for each colour (K, 3) first and last position and the key.
    """
    colour = np.indices(keys.shape).sum(0) % 2
    key = (colour * count + keys).ravel()
    if key.max() < 2**16:
        key = key.astype(np.uint16)  # sorted in linear time
    counts = np.bincount(key, minlength=2 * count)
    found = np.flatnonzero(counts)
    pieces = -(-counts[found] // size)
    begin = np.repeat(np.cumsum(counts)[found] - counts[found], pieces)
    number = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = begin + number * size
    last = np.minimum(first + size, np.repeat(np.cumsum(counts)[found], pieces))
    segments = np.stack([first, last, np.repeat(found, pieces)], -1).astype(np.int64)
    second = segments[:, 2] >= count
    segments[:, 2] %= count
    return np.argsort(key, kind="stable"), (segments[~second], segments[second])


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
        m, kinds = parts.shape[1], len(values)
        self.B = np.zeros((kinds, m + 3, m + 3), np.float32)  # m = 4p + 1, padded to a multiple of four
        self.B[:, :m, :m] = 0.5 * vertex_inverses(values, parts, boundary)
        blocks = np.arange(kind.shape[0])[:, None] // SORTED_ROWS
        order, self.segments = _sorted_vertices(
            blocks * kinds + kind, (int(blocks.max()) + 1) * kinds, local_kernels.SEGMENT
        )
        for segments in self.segments:
            segments[:, 2] %= kinds
        self.places = places_of(order, (kind.shape[0] - 1, kind.shape[1] - 1), (m - 1) // 4)

    def tasks(self, colour: int, s: np.ndarray, z: np.ndarray, workers: Workers) -> list[partial]:
        """Return calls that solve the local problems of one colour, for ``Workers.together``.

        Parameters
        ----------
        colour : 0, then 1: solutions of the first are written to z, those of the second added to them.
        s : flat float32 residual, see :func:`flat_vector`; zero at fixed unknowns.
        z : flat float32, half the sum of the local solutions when both colours are done.
        workers : for whose threads the work is split.

        Returns
        -------
        Calls without arguments that may run side by side; the sum of all results is z·s.
        """
        segments = self.segments[colour]
        arguments = (self.B, self.places, segments, bool(colour), s, z)
        return [partial(local_kernels.solve_kinds, *arguments, *r) for r in workers.ranges(len(segments))]


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
        fixed = fixed_or_missing(cells_at_vertices(ringed) > 0, boundary, 1)
        codes = (fixed.reshape(-1, 5) @ (1 << np.arange(5))).astype(np.int64)
        m = parts.shape[1]
        rows, columns = np.tril_indices(m)
        packed = np.ascontiguousarray(parts[:, rows, columns])
        order, found = _sorted_vertices(np.zeros(fixed.shape[:2], np.int64), 1, vertex_kernels.LANES)
        self.places = places_of(order, a.shape, (m - 1) // 4)
        self.blocks, self.B = [np.ascontiguousarray(v[:, :2]) for v in found], []
        for blocks in self.blocks:
            B = np.empty((len(blocks), rows.size, vertex_kernels.LANES), np.float32)
            workers.map(
                vertex_kernels.factorise_vertices, workers.ranges(len(B)), ringed, packed, codes, order, blocks, B
            )
            self.B.append(B)

    def tasks(self, colour: int, s: np.ndarray, z: np.ndarray, workers: Workers) -> list[partial]:
        """Return calls that solve the local problems of one colour, for ``Workers.together``.

        Parameters
        ----------
        colour : 0, then 1: solutions of the first are written to z, those of the second added to them.
        s : flat float32 residual, see :func:`flat_vector`; zero at fixed unknowns.
        z : flat float32, half the sum of the local solutions when both colours are done.
        workers : for whose threads the work is split.

        Returns
        -------
        Calls without arguments that may run side by side; the sum of all results is z·s.
        """
        B, blocks = self.B[colour], self.blocks[colour]
        arguments = (B, self.places, blocks, bool(colour), s, z)
        return [partial(vertex_kernels.solve_vertices, *arguments, *r) for r in workers.ranges(len(blocks))]
