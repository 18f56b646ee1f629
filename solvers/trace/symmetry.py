"""Reflections of a cell: its matrix falls into four blocks of a quarter of its size.

Owns the basis in which it does, and the blocks in the order of the compiled product.

Functions of an edge are even or odd about its middle. So sums and differences over opposite edges, and the four sums of
the corners with signs, are even or odd in x and in y, and the matrix of a cell couples only functions of the same kind:
a product takes a quarter of the multiplications. The four classes are (even, even), (even, odd), (odd, even) and
(odd, odd) in (x, y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Array = np.ndarray

#: Signs of the corners (0,0), (0,1), (1,0), (1,1) in the four classes.
CORNERS = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
#: Columns that the compiled product takes at once last, and before.
LAST, STEP = 8, 4


class ReflectionBlocks(NamedTuple):
    """The matrix of a cell in sums and differences, as the compiled product takes it.

    Attributes
    ----------
    blocks : (4, R, W) one block per class, padded with zeros; W is 8 or more, a multiple of 4.
    classes : (4, p) class of every function of an edge: of the sum over the horizontal edges, of bottom minus top, of
        the sum over the vertical edges, of left minus right.
    rows : (4, p) its row in the class.
    corners : (4,) row of the corners in every class.
    """

    blocks: Array
    classes: Array
    rows: Array
    corners: Array


@dataclass(frozen=True)
class ReflectionBasis:
    """Orthonormal basis of a cell's degrees of freedom that are even or odd in x and in y.

    Attributes
    ----------
    vectors : four arrays (n_k, n), the basis of every class; the corners come last.
    classes : (4, p) see :class:`ReflectionBlocks`.
    rows : (4, p) see :class:`ReflectionBlocks`.
    """

    vectors: tuple[Array, ...]
    classes: Array
    rows: Array

    @classmethod
    def of(cls, S: Array, modes: int) -> ReflectionBasis:
        """Sort the functions of a cell with a given matrix.

        Parameters
        ----------
        S : (n, n) matrix of a cell, n = 4 modes + 4; it tells which functions of an edge are even.
        modes : functions per edge.

        Returns
        -------
        The basis.
        """
        level, upright = parities(S, modes)
        classes = np.stack(
            [np.where(level, 0, 2), np.where(level, 1, 3), np.where(upright, 0, 1), np.where(upright, 2, 3)]
        )
        units, found = np.eye(len(S)), [[] for _ in range(4)]
        rows = np.empty_like(classes)
        for kind in range(4):
            first, sign = 2 * modes * (kind // 2), (1.0, -1.0)[kind % 2]
            for k in range(modes):
                vectors = found[classes[kind, k]]
                rows[kind, k] = len(vectors)
                vectors.append(np.sqrt(0.5) * (units[first + k] + sign * units[first + modes + k]))
        for vectors, signs in zip(found, CORNERS, strict=True):
            vectors.append(0.5 * signs @ units[-4:])
        return cls(tuple(np.array(v) for v in found), classes, rows)

    def symmetrised(self, S: Array) -> Array:
        """Return the part of a symmetric matrix (n, n) that has the symmetries of a rectangle."""
        return np.sum([Q.T @ (Q @ S @ Q.T) @ Q for Q in self.vectors], axis=0)

    def blocks(self, S: Array) -> ReflectionBlocks:
        """Return the blocks of a symmetric matrix (n, n) for sums and differences that are not normalised."""
        sizes = [len(Q) for Q in self.vectors]
        height = max(sizes)
        out = np.zeros((4, height, max(LAST, -(-height // STEP) * STEP)))
        for B, Q in zip(out, self.vectors, strict=True):
            scale = np.full(len(Q), np.sqrt(0.5))
            scale[-1] = 0.5
            B[: len(Q), : len(Q)] = scale[:, None] * (Q @ S @ Q.T) * scale
        return ReflectionBlocks(out, self.classes, self.rows, np.array(sizes) - 1)


def parities(S: Array, modes: int) -> tuple[Array, Array]:
    """Find out which functions of an edge are even about its middle, from how they couple to what a reflection swaps.

    Parameters
    ----------
    S : (n, n) matrix of a cell.
    modes : functions per edge p.

    Returns
    -------
    (p,) booleans for horizontal and for vertical edges.

    Examples
    --------
    >>> from ngs_nhcsr.solvers.trace.cell import trace_cell
    >>> level, upright = parities(trace_cell((0.4, 1.6), 4).stiffness, 4)
    >>> sorted(level.tolist()), (level == upright).all()
    ([False, False, True, True], np.True_)
    """
    p, corners = modes, 4 * modes + np.arange(4)
    bottom, top, left, right = (np.arange(k * p, (k + 1) * p) for k in range(4))
    swapped = (
        (bottom, (left, right, corners), (right, left, corners[[1, 0, 3, 2]])),
        (left, (bottom, top, corners), (top, bottom, corners[[2, 3, 0, 1]])),
    )
    level, upright = (
        (S[np.ix_(own, np.concatenate(one))] * S[np.ix_(own, np.concatenate(other))]).sum(1) >= 0
        for own, one, other in swapped
    )
    return level, upright
