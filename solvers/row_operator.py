"""Nine-point operators of Q1 meshes, stored by kinds of rows: what the compiled multigrid works with.

Owns their assembly in both storages of ``kernels.rows``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .kernels import blackbox, rows
from .kernels.buffers import Buffers
from .medium import Medium, repeated
from .q1 import ENTRIES, SYMMETRIC_PAIRS, element_mass, element_matrices, mass_elements, reference_matrices
from .robin import Sides
from .smoothing import smoothing_bound
from .tensor_medium import entries_of

#: Largest eigenvalue of D⁻¹M for the mass matrix M of an edge, which Robin sides add, and its diagonal D.
EDGE_BOUND = 1.5
#: Couplings (5, kinds, nx+3); or coefficients (kinds, nx+3) and the entries of one element matrix.
Storage: TypeAlias = np.ndarray | tuple[np.ndarray, float, float, float, float]
Zeros: TypeAlias = Callable[[tuple[int, ...], type], np.ndarray]


@dataclass(frozen=True)
class Multiples:
    """Element matrices that are multiples of one matrix, as those of a scalar coefficient without reaction.

    Attributes
    ----------
    a : (my, mx) the factors.
    matrix : (10,) the matrix, in the order ``q1.SYMMETRIC_PAIRS``. In two dimensions that of a cell of twice the size
        is the same.
    """

    a: np.ndarray
    matrix: np.ndarray

    @property
    def bound(self) -> float:
        """Bound of the spectrum of D⁻¹A."""
        return smoothing_bound(self.matrix[ENTRIES])

    def written_out(self) -> np.ndarray:
        """Return the matrices, (10, my, mx)."""
        return self.matrix[:, None, None] * self.a


@dataclass(frozen=True)
class RowOperator:
    """An operator on (ny+1, nx+1) nodes; the order of its arrays is that of ``kernels.rows``.

    Attributes
    ----------
    S : couplings or coefficients.
    F : (kinds, nx+3) float32, 1 at free and 0 at fixed nodes.
    kind : (ny+3,) kind of every row of a field with ring.
    bound : of the spectrum of D⁻¹A, D its diagonal.
    """

    S: Storage
    F: np.ndarray
    kind: np.ndarray
    bound: float

    @property
    def cells(self) -> tuple[int, int]:
        """Cells (ny, nx) of the mesh."""
        return len(self.kind) - 3, self.F.shape[1] - 3

    @property
    def diagonal(self) -> np.ndarray:
        """What ``kernels.couplings.inverse_diagonal`` takes with S: (kinds, nx+3) float32."""
        if isinstance(self.S, tuple):
            return self.F
        return np.divide(self.F, self.S[0], out=np.zeros_like(self.F), where=self.F > 0, casting="same_kind")

    def stored(self, dtype: type, buffers: Buffers) -> Storage:
        """Return S in a precision, a copy in ``buffers`` unless it is.

        Parameters
        ----------
        dtype : float32 or float64.
        buffers : where the copy comes from.

        Returns
        -------
        Storage
        """
        values, rest = (self.S[0], self.S[1:]) if isinstance(self.S, tuple) else (self.S, None)
        if values.dtype != dtype:
            copy = buffers.zeros(values.shape, dtype)
            copy[:] = values
            values = copy
        return values if rest is None else _cells(values, *rest)

    @classmethod
    def of_raster(
        cls,
        elements: np.ndarray | Multiples,
        refinement: tuple[int, int],
        free: np.ndarray,
        dtype: type = np.float64,
        buffers: Buffers | None = None,
        sides: Sides | None = None,
    ) -> RowOperator:
        """Assemble the operator of a mesh whose cells divide those of a raster.

        Parameters
        ----------
        elements : (10, my, mx) matrices of a mesh cell inside each raster cell, in the order ``q1.SYMMETRIC_PAIRS``;
            or multiples of one matrix, which take less memory.
        refinement : (ky, kx) mesh cells per raster cell.
        free : (ny+1, nx+1) boolean mask of the free nodes.
        dtype : of the couplings.
        buffers : where its arrays come from.
        sides : weights of Robin sides on this mesh, as of ``robin.edge_weights``; ``None``: there are none.

        Returns
        -------
        RowOperator
        """
        zeros, bound = buffers.zeros if buffers else np.zeros, None
        if isinstance(elements, Multiples):
            if sides is None:
                return cls._of_multiples(elements, refinement, free, dtype, zeros)
            bound = max(elements.bound, EDGE_BOUND)
            elements = elements.written_out()
        my, mx = elements.shape[1:]
        nx = mx * refinement[1]
        kind, first, below, above = _kinds_of_rows(my, refinement[0], free, both=True)
        S = zeros((5, len(first) + 1, nx + 3), dtype)
        F = zeros((len(first) + 1, nx + 3), np.float32)
        rows.fill_kinds(elements, np.append(-1, below[first]), np.append(-1, above[first]), refinement[1], S)
        F[1:, 1:-1] = free[first]
        if sides is not None:
            _add_sides(S, above[first] >= 0, sides)
        return cls(S, F, kind, bound or _gershgorin(S, F, kind))

    @classmethod
    def _of_multiples(
        cls, elements: Multiples, refinement: tuple[int, int], free: np.ndarray, dtype: type, zeros: Zeros
    ) -> RowOperator:
        """Set up the storage by coefficients."""
        (my, mx), (ky, kx), matrix = elements.a.shape, refinement, elements.matrix
        kind, first, _, above = _kinds_of_rows(my, ky, free, both=False)
        shape = (len(first) + 1, mx * kx + 3)
        a, F = zeros(shape, dtype), zeros(shape, np.float32)
        row, inside = above[first], above[first] >= 0
        a[1:, 1:-2][inside] = elements.a[row[inside]].repeat(kx, 1)
        F[1:, 1:-1] = free[first]
        return cls(_cells(a, matrix[0], matrix[4], matrix[6], matrix[8]), F, kind, elements.bound)

    @classmethod
    def of_stencil(cls, S: np.ndarray, free: np.ndarray) -> RowOperator:
        """Take a stencil (5, ny+3, nx+3) with ``free`` (ny+1, nx+1): every row is a kind of its own."""
        F = np.zeros(S.shape[1:], np.float32)
        F[1:-1, 1:-1] = free
        kind = np.arange(len(F))
        return cls(S, F, kind, _gershgorin(S, F, kind))


def _gershgorin(S: np.ndarray, F: np.ndarray, kind: np.ndarray) -> float:
    """Bound the spectrum of D⁻¹A for couplings by the largest sum of a row, cut off at 2.5."""
    return min(2.5, rows.row_sum_bound(S, F, kind))


def _kinds_of_rows(
    my: int, ky: int, free: np.ndarray, *, both: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Number the kinds of rows of nodes.

    Rows are of one kind if they have the same mask of free nodes, the same cells above, and, if ``both``, below.
    Returns the kind (ny+3,) of every row of a field with ring, the first row of every kind, and the raster row (ny+1,)
    below and above each row of nodes, -1 outside.
    """
    row = np.arange(my * ky + 1)
    below, above = (row - 1) // ky, row // ky
    above[-1] = -1
    new = np.ones(len(row), bool)
    new[1:] = (above[1:] != above[:-1]) | (free[1:] != free[:-1]).any(1)
    if both:
        new[1:] |= below[1:] != below[:-1]
    kind = np.zeros(len(row) + 2, np.int64)
    kind[1:-1] = np.cumsum(new)
    return kind, np.flatnonzero(new), below, above


def _cells(a: np.ndarray, *entries: float) -> tuple[np.ndarray, float, float, float, float]:
    """Storage by coefficients, with the entries of the element matrix in the precision of the coefficients."""
    same, along, across, diagonal = (a.dtype.type(v) for v in entries)
    return a, same, along, across, diagonal


def raster_elements(
    medium: Medium, cells: tuple[int, int], size: tuple[float, float]
) -> tuple[np.ndarray | Multiples, tuple[int, int], np.ndarray | None]:
    """Return element matrices of a mesh, as few as there are, without Robin sides.

    Parameters
    ----------
    medium : the coefficient, numpy, scalar or a tensor.
    cells : (ny, nx) cells of the mesh.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    elements : (10, my, mx) those of a mesh cell in each raster cell if the mesh divides the raster, of a scalar
        coefficient without reaction as multiples of one matrix; else (10, ny, nx).
        With a reaction the raster is the coarsest that divides the two. Robin sides are left out: they are no matter of
        the raster.
    refinement : mesh cells per cell of ``elements``.
    reaction : the reaction's part of ``elements``; ``None`` where there is none.

    Examples
    --------
    >>> elements, refinement, _ = raster_elements(Medium(np.ones((2, 3))), (4, 9), (1.0, 1.0))
    >>> elements.a.shape, refinement
    ((2, 3), (2, 3))
    """
    medium = medium.with_robin(None)
    (xx, yy, xy), c = entries_of(medium), None if medium.reaction is None else np.asarray(medium.reaction, dtype=float)
    (my, mx), (ny, nx) = medium.cells, cells
    if c is not None:
        my, mx = np.lcm(my, c.shape[0]), np.lcm(mx, c.shape[1])
    if ny % my or nx % mx:
        part = None if c is None else mass_elements(c, cells, size)
        return element_matrices(medium, cells, size), (1, 1), part
    Kxx, Kyy, Kxy = reference_matrices(size[0] / ny, size[1] / nx)
    refinement = (int(ny // my), int(nx // mx))
    if xy is None:
        multiples = Multiples(np.asarray(xx, dtype=float), _entries(Kxx + Kyy).ravel())
        if c is None:
            return multiples, refinement, None
        elements = multiples.written_out()
    else:
        elements = _entries(Kxx) * xx + _entries(Kyy) * yy + _entries(Kxy) * xy
    if c is None:
        return elements, refinement, None
    part = _entries(element_mass(size[0] / ny, size[1] / nx)) * repeated(c, (my, mx))
    return repeated(elements, (my, mx)) + part, refinement, part


def _add_sides(S: np.ndarray, above: np.ndarray, sides: Sides) -> None:
    """Add the boundary mass matrix to couplings S (5, kinds, nx+3).

    The first and the last row of nodes are kinds of their own. ``above`` (kinds-1,) tells which kinds of rows have
    cells over them: all but the last.
    """
    bottom, right, top, left = sides
    for kind, weight in ((1, bottom), (-1, top)):
        S[0, kind, 1:-2] += 2 * weight
        S[0, kind, 2:-1] += 2 * weight
        S[1, kind, 1:-2] += weight
    edges = above * 1 + np.append(0, np.ones(len(above) - 1, int))  # vertical ones that meet in a node
    for column, weight in ((1, left), (-2, right)):
        S[0, 1:, column] += 2 * weight * edges
        S[2, 1:, column] += weight * above


def _entries(matrix: np.ndarray) -> np.ndarray:
    """Distinct entries (10, 1, 1) of an element matrix."""
    return np.array([matrix[i, j] for i, j in SYMMETRIC_PAIRS])[:, None, None]


def full_elements(elements: np.ndarray | Multiples, buffers: Buffers) -> np.ndarray:
    """Write element matrices (10, ny, nx) out as (ny, nx, 4, 4), in ``buffers``."""
    if isinstance(elements, Multiples):
        K = buffers.zeros((elements.a.size, 16))
        np.outer(elements.a, elements.matrix[ENTRIES], out=K)
        return K.reshape(*elements.a.shape, 4, 4)
    K = buffers.zeros((*elements.shape[1:], 4, 4))
    blackbox.full_elements(elements, ENTRIES, K)
    return K
