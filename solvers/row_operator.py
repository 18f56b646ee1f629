"""Nine-point operators of Q1 meshes, stored by kinds of rows: what the compiled multigrid works with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .kernels import blackbox, rows
from .kernels.buffers import Buffers
from .medium import Medium, repeated
from .q1 import ENTRIES, SYMMETRIC_PAIRS, element_mass, element_matrices, mass_elements, reference_matrices
from .robin import Sides
from .tensor_medium import entries_of


@dataclass(frozen=True)
class RowOperator:
    """An operator on (ny+1, nx+1) nodes; the order of its arrays is that of ``kernels.rows``.

    Attributes
    ----------
    S : (5, kinds, nx+3) couplings.
    F : (kinds, nx+3) float32, 1 at free and 0 at fixed nodes.
    kind : (ny+3,) kind of every row of a field with ring.
    """

    S: np.ndarray
    F: np.ndarray
    kind: np.ndarray

    @property
    def cells(self) -> tuple[int, int]:
        """Cells (ny, nx) of the mesh."""
        return len(self.kind) - 3, self.S.shape[2] - 3

    @property
    def inverse_diagonal(self) -> np.ndarray:
        """Reciprocals of the diagonal by kinds of rows, zero at fixed nodes, float32."""
        return np.divide(self.F, self.S[0], out=np.zeros_like(self.F), where=self.F > 0, casting="same_kind")

    @classmethod
    def of_raster(
        cls,
        elements: np.ndarray,
        refinement: tuple[int, int],
        free: np.ndarray,
        dtype: type = np.float64,
        buffers: Buffers | None = None,
        sides: Sides | None = None,
    ) -> RowOperator:
        """Assemble the operator of a mesh whose cells divide those of a raster.

        Parameters
        ----------
        elements : (10, my, mx) matrices of a mesh cell inside each raster cell, in the order ``q1.SYMMETRIC_PAIRS``.
        refinement : (ky, kx) mesh cells per raster cell.
        free : (ny+1, nx+1) boolean mask of the free nodes.
        dtype : of the couplings.
        buffers : where its arrays come from.
        sides : weights of Robin sides on this mesh, as of ``robin.edge_weights``; ``None``: there are none.

        Returns
        -------
        RowOperator
        """
        my, mx = elements.shape[1:]
        ny, nx = my * refinement[0], mx * refinement[1]
        row = np.arange(ny + 1)
        below, above = (row - 1) // refinement[0], row // refinement[0]
        above[-1] = -1
        new = np.ones(ny + 1, bool)
        new[1:] = (below[1:] != below[:-1]) | (above[1:] != above[:-1]) | (free[1:] != free[:-1]).any(1)
        first = np.flatnonzero(new)
        kind = np.zeros(ny + 3, np.int64)
        kind[1:-1] = np.cumsum(new)
        zeros = buffers.zeros if buffers else np.zeros
        S = zeros((5, len(first) + 1, nx + 3), dtype)
        F = zeros((len(first) + 1, nx + 3), np.float32)
        rows.fill_kinds(elements, np.append(-1, below[first]), np.append(-1, above[first]), refinement[1], S)
        F[1:, 1:-1] = free[first]
        if sides is not None:
            _add_sides(S, above[first] >= 0, sides)
        return cls(S, F, kind)

    @classmethod
    def of_elements(cls, K: np.ndarray, free: np.ndarray) -> RowOperator:
        """Assemble element matrices (ny, nx, 4, 4), every row a kind of its own, with ``free`` (ny+1, nx+1)."""
        F = np.zeros((free.shape[0] + 2, free.shape[1] + 2), np.float32)
        F[1:-1, 1:-1] = free
        return cls(blackbox.stencil(K), F, np.arange(len(F)))


def raster_elements(
    medium: Medium, cells: tuple[int, int], size: tuple[float, float]
) -> tuple[np.ndarray, tuple[int, int], np.ndarray | None]:
    """Return element matrices of a mesh, as few as there are, without Robin sides.

    Parameters
    ----------
    medium : the coefficient, numpy, scalar or a tensor.
    cells : (ny, nx) cells of the mesh.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    elements : (10, my, mx) those of a mesh cell in each raster cell if the mesh divides the raster; else (10, ny, nx).
        With a reaction the raster is the coarsest that divides the two. Robin sides are left out: they are no matter of
        the raster.
    refinement : mesh cells per cell of ``elements``.
    reaction : the reaction's part of ``elements``; ``None`` where there is none.

    Examples
    --------
    >>> elements, refinement, _ = raster_elements(Medium(np.ones((2, 3))), (4, 9), (1.0, 1.0))
    >>> elements.shape, refinement
    ((10, 2, 3), (2, 3))
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
        elements = _entries(Kxx + Kyy) * np.asarray(xx, dtype=float)
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


def full_elements(elements: np.ndarray) -> np.ndarray:
    """Write element matrices (10, ny, nx) out as (ny, nx, 4, 4)."""
    return blackbox.full_elements(elements, ENTRIES)
