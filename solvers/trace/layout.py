"""Where the unknowns of the trace space live: trace vectors, boundary conditions, gather and scatter, sparse matrix.

Owns the arrays of unknowns on a raster (:class:`TraceVector`), which of them are free (:class:`Boundary`), and the maps
between them and the cells' degrees of freedom.

On ``my x mx`` cells every edge carries ``p`` coefficients and every vertex one. A cell sees ``n = 4p + 4`` of them, in
the order ``[bottom p | top p | left p | right p | corners (0,0), (0,1), (1,0), (1,1)]`` (corners as (iy, ix))::

        corners[j+1,i] --- level[j+1,i] --- corners[j+1,i+1]
               |                                  |
          upright[j,i]        cell (j,i)     upright[j,i+1]
               |                                  |
         corners[j,i] ----- level[j,i] ----- corners[j,i+1]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from ...errors import InvalidProblem
from ..space import SIDES


def _join(parts: list[Any]) -> Any:
    """Concatenate arrays or tensors along the last axis."""
    return torch.cat(parts, -1) if isinstance(parts[0], torch.Tensor) else np.concatenate(parts, -1)


def _zeros(like: Any, shape: tuple[int, ...]) -> Any:
    """Return zeros of a shape, of the kind, type and device of ``like``."""
    return like.new_zeros(shape) if isinstance(like, torch.Tensor) else np.zeros(shape, like.dtype)


def _copy(v: Any) -> Any:
    """Return a copy of an array or tensor."""
    return v.clone() if isinstance(v, torch.Tensor) else v.copy()


@dataclass(frozen=True, eq=False)
class TraceVector:
    """Coefficients of a function of the trace space, or moments with its basis; numpy arrays or torch tensors.

    Attributes
    ----------
    level : (..., my+1, mx, p) on horizontal edges, row 0 at the lowest y; leading dimensions are a batch.
    upright : (..., my, mx+1, p) on vertical edges.
    corners : (..., my+1, mx+1) at vertices.

    Examples
    --------
    >>> x = TraceVector.zeros((2, 3), 6)
    >>> x.level.shape, x.upright.shape, x.corners.shape, x.flat().size
    ((3, 3, 6), (2, 4, 6), (3, 4), 114)
    """

    level: Any
    upright: Any
    corners: Any

    @classmethod
    def zeros(cls, cells: tuple[int, int], modes: int, batch: tuple[int, ...] = (), like: Any = None) -> TraceVector:
        """Return the zero vector.

        Parameters
        ----------
        cells : (my, mx) cells of the raster.
        modes : functions per edge p.
        batch : leading dimensions.
        like : array or tensor whose type and device to take; None: numpy float64.

        Returns
        -------
        A vector with (*batch, my+1, mx, p), (*batch, my, mx+1, p) and (*batch, my+1, mx+1) entries.
        """
        my, mx = cells
        like = np.zeros(0) if like is None else like
        shapes = ((my + 1, mx, modes), (my, mx + 1, modes), (my + 1, mx + 1))
        return cls(*(_zeros(like, batch + shape) for shape in shapes))

    @classmethod
    def from_flat(cls, v: Any, cells: tuple[int, int], modes: int) -> TraceVector:
        """Split numbers in the order of :meth:`flat` into the three parts, without a copy.

        Parameters
        ----------
        v : (..., N) array or tensor.
        cells : (my, mx) cells of the raster.
        modes : functions per edge p.

        Returns
        -------
        A vector that shares memory with ``v``.
        """
        my, mx = cells
        first, second = (my + 1) * mx * modes, (my + 1) * mx * modes + my * (mx + 1) * modes
        batch = v.shape[:-1]
        return cls(
            v[..., :first].reshape(*batch, my + 1, mx, modes),
            v[..., first:second].reshape(*batch, my, mx + 1, modes),
            v[..., second:].reshape(*batch, my + 1, mx + 1),
        )

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells (my, mx)."""
        return self.upright.shape[-3], self.level.shape[-2]

    @property
    def modes(self) -> int:
        """Functions per edge p."""
        return self.level.shape[-1]

    def parts(self) -> tuple[Any, Any, Any]:
        """Return (level, upright, corners)."""
        return self.level, self.upright, self.corners

    def flat(self) -> Any:
        """Return all N numbers in one axis (..., N): horizontal edges, vertical edges, vertices, each row-major."""
        batch = self.corners.shape[:-2]
        return _join([v.reshape(*batch, -1) for v in self.parts()])

    def copy(self) -> TraceVector:
        """Return a copy that shares no memory."""
        return TraceVector(*map(_copy, self.parts()))

    def combine(self, factor: Any, other: TraceVector) -> TraceVector:
        """Return ``self + factor * other``, a new vector of the same shape.

        Parameters
        ----------
        factor : a number, or (B,) one per batch entry.
        other : vector of the same shape.

        Returns
        -------
        The sum.
        """
        if getattr(factor, "ndim", 0) == 0:
            return TraceVector(*(v + factor * w for v, w in zip(self.parts(), other.parts(), strict=True)))
        edge, vertex = factor.reshape(-1, 1, 1, 1), factor.reshape(-1, 1, 1)
        pairs = zip(self.parts(), other.parts(), (edge, edge, vertex), strict=True)
        return TraceVector(*(v + f * w for v, w, f in pairs))

    def masked(self, mask: TraceVector) -> TraceVector:
        """Return the vector with zeros where ``mask``, a vector without batch, is zero or False."""
        return TraceVector(*(v * m for v, m in zip(self.parts(), mask.parts(), strict=True)))

    def dot(self, other: TraceVector) -> Any:
        """Return the Euclidean inner product with a vector of the same shape, one number per batch entry."""
        return sum(
            (v * w).reshape(*v.shape[: v.ndim - k], -1).sum(-1)
            for v, w, k in zip(self.parts(), other.parts(), (3, 3, 2), strict=True)
        )


@dataclass(frozen=True)
class Boundary:
    """Which unknowns are free: Dirichlet, natural and periodic sides.

    Attributes
    ----------
    natural : sides with a natural condition; all others are Dirichlet sides. A vertex is fixed if one of its sides is.
    periodic : opposite sides are one (``natural`` is empty then). Row ``my`` of ``level`` and ``corners`` and column
        ``mx`` of ``upright`` and ``corners`` repeat row and column 0 in a function and are zero in a vector of moments.

    Raises
    ------
    InvalidProblem
        For an unknown side, or natural sides of a periodic problem.

    Examples
    --------
    >>> free = Boundary.of(["bottom", "top"]).free((1, 2), 3)
    >>> free.corners.astype(int).tolist(), free.level[0, 0].tolist(), free.upright[0, 0].tolist()
    ([[0, 1, 0], [0, 1, 0]], [True, True, True], [False, False, False])
    """

    natural: frozenset[str] = frozenset()
    periodic: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.natural) - set(SIDES))
        if unknown:
            raise InvalidProblem(f"natural sides {unknown} are unknown; choose among {SIDES}.")
        if self.periodic and self.natural:
            raise InvalidProblem("a periodic problem has no sides: leave natural empty.")

    @classmethod
    def of(cls, natural: Iterable[str] = (), periodic: bool = False) -> Boundary:
        """Build from any iterable of natural sides; arguments as the attributes."""
        return cls(frozenset(natural), periodic)

    @property
    def singular(self) -> bool:
        """Whether constants are free: then solutions are determined up to a constant."""
        return self.periodic or len(self.natural) == 4

    def ranges(self, cells: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return (j0, j1, i0, i1) for (my, mx) cells: vertices in rows [j0, j1) and columns [i0, i1) are free."""
        my, mx = cells
        if self.periodic:
            return 0, my, 0, mx
        return (
            0 if "bottom" in self.natural else 1,
            my + 1 if "top" in self.natural else my,
            0 if "left" in self.natural else 1,
            mx + 1 if "right" in self.natural else mx,
        )

    def free(self, cells: tuple[int, int], modes: int) -> TraceVector:
        """Return the masks of the free unknowns; in a periodic problem the repeated ones are not free.

        Parameters
        ----------
        cells : (my, mx) cells of the raster.
        modes : functions per edge p.

        Returns
        -------
        A vector of booleans.
        """
        j0, j1, i0, i1 = self.ranges(cells)
        mask = TraceVector.zeros(cells, modes, like=np.zeros(0, bool))
        mask.level[j0:j1] = True
        mask.upright[:, i0:i1] = True
        mask.corners[j0:j1, i0:i1] = True
        return mask

    def repeat(self, x: TraceVector) -> TraceVector:
        """Copy a periodic function's first row and column to the last ones, in place; return ``x``."""
        if self.periodic:
            x.level[..., -1, :, :] = x.level[..., 0, :, :]
            x.upright[..., :, -1, :] = x.upright[..., :, 0, :]
            x.corners[..., -1, :] = x.corners[..., 0, :]
            x.corners[..., :, -1] = x.corners[..., :, 0]
        return x

    def fold(self, b: TraceVector) -> TraceVector:
        """Add periodic moments of the last row and column to the first ones, in place; return ``b``."""
        if self.periodic:
            b.level[..., 0, :, :] += b.level[..., -1, :, :]
            b.upright[..., :, 0, :] += b.upright[..., :, -1, :]
            b.corners[..., 0, :] += b.corners[..., -1, :]
            b.corners[..., :, 0] += b.corners[..., :, -1]
            for v in (b.level[..., -1, :, :], b.upright[..., :, -1, :], b.corners[..., -1, :], b.corners[..., :, -1]):
                v[...] = 0
        return b


def gather(x: TraceVector) -> Any:
    """Return every cell's coefficients, in the cell's order.

    Parameters
    ----------
    x : coefficients on my x mx cells.

    Returns
    -------
    (..., my, mx, n) array or tensor.
    """
    C = x.corners[..., None]
    return _join(
        [
            x.level[..., :-1, :, :],
            x.level[..., 1:, :, :],
            x.upright[..., :-1, :],
            x.upright[..., 1:, :],
            C[..., :-1, :-1, :],
            C[..., :-1, 1:, :],
            C[..., 1:, :-1, :],
            C[..., 1:, 1:, :],
        ]
    )


def scatter(y: Any) -> TraceVector:
    """Sum cell moments ``y`` (..., my, mx, n) into a trace vector: the transpose of :func:`gather`."""
    *batch, my, mx, n = y.shape
    p = n // 4 - 1
    b = TraceVector.zeros((my, mx), p, tuple(batch), like=y)
    b.level[..., :-1, :, :] += y[..., :p]
    b.level[..., 1:, :, :] += y[..., p : 2 * p]
    b.upright[..., :-1, :] += y[..., 2 * p : 3 * p]
    b.upright[..., 1:, :] += y[..., 3 * p : 4 * p]
    b.corners[..., :-1, :-1] += y[..., 4 * p]
    b.corners[..., :-1, 1:] += y[..., 4 * p + 1]
    b.corners[..., 1:, :-1] += y[..., 4 * p + 2]
    b.corners[..., 1:, 1:] += y[..., 4 * p + 3]
    return b


def cell_dofs(cells: tuple[int, int], modes: int, boundary: Boundary | None = None) -> np.ndarray:
    """Number the unknowns of every cell.

    Parameters
    ----------
    cells : (my, mx) cells of the raster.
    modes : functions per edge p.
    boundary : if periodic, repeated unknowns have the number of the first; otherwise not used.

    Returns
    -------
    (my, mx, n) positions in :meth:`TraceVector.flat`.

    Examples
    --------
    >>> cell_dofs((1, 1), 1)[0, 0].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    count = TraceVector.zeros(cells, modes).flat().size
    numbers = TraceVector.from_flat(np.arange(count), cells, modes)
    return gather((boundary or Boundary()).repeat(numbers.copy()))


def sparse_matrix(
    a: np.ndarray | float, stiffness: np.ndarray, modes: int, boundary: Boundary | None = None
) -> sp.csr_matrix:
    """Assemble the stiffness matrix on all unknowns of :meth:`TraceVector.flat`, fixed ones included.

    For tests and small problems: rows and columns of ``boundary.free(cells, modes).flat()`` make the system to solve.

    Parameters
    ----------
    a : (my, mx) coefficient of every cell; 1 with matrices of their own.
    stiffness : (n, n) matrix of a cell with a = 1, or (my, mx, n, n) of every cell.
    modes : functions per edge p.
    boundary : joins the repeated unknowns if periodic; otherwise not used.

    Returns
    -------
    (N, N) symmetric matrix.
    """
    matrices = np.asarray(a)[..., None, None] * stiffness
    my, mx, n, _ = matrices.shape
    dofs = cell_dofs((my, mx), modes, boundary).reshape(-1, n)
    values = matrices.ravel()
    rows, columns = np.repeat(dofs, n, 1).ravel(), np.tile(dofs, (1, n)).ravel()
    count = TraceVector.zeros((my, mx), modes).flat().size
    return sp.csr_matrix((values, (rows, columns)), shape=(count, count))
