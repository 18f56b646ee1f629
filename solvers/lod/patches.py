"""Element correctors of the LOD on patches of condensed coarse cells.

The patches of one row of coarse cells share their vertical strips (one cell wide, as high as the patch): a
strip is condensed to its left and right side and the multipliers there, once for all patches that contain it.
A patch is then a chain of strips, solved by :func:`~ngs_nhcsr.solvers.lod.saddle.solve_saddle`.

The vector of a cell has q entries: its boundary nodes in the order of ``condensation.CellLayout``, then four
multipliers, one for each corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..substructuring.condensation import CellLayout
from .saddle import backward, cholesky, forward, solve_saddle


@dataclass(frozen=True)
class StripLayout:
    """Numbers of the unknowns of a strip; see :func:`strip_layout`.

    Attributes
    ----------
    places : (m, q) number in the strip of every entry of every cell's vector.
    inner : numbers of the inner nodes of the edges between the cells, which the strip eliminates.
    outer : left side and right side (without their end nodes), multipliers left, multipliers right. What is neither
        inner nor outer lies on the patch's boundary and is zero.
    side : nodes of each side in ``outer``.
    size : count of all numbers.
    """

    places: np.ndarray
    inner: np.ndarray
    outer: np.ndarray
    side: int
    size: int

    @property
    def order(self) -> np.ndarray:
        """``places`` with the unknowns in the order inner, outer; −1 for what lies on the patch's boundary: (m, q)."""
        order = np.full(self.size, -1)
        order[self.inner] = np.arange(len(self.inner))
        order[self.outer] = len(self.inner) + np.arange(len(self.outer))
        return order[self.places]


@lru_cache(maxsize=64)
def strip_layout(m: int, r: tuple[int, int]) -> StripLayout:
    """Number the unknowns of a strip of m coarse cells above each other.

    First the nodes of the left side (n = m ry + 1, upwards), then those of the right side, then the m + 1 edges from
    bottom to top (e = rx − 1 inner nodes each, rightwards), then the multipliers of the corners on the left and on the
    right, upwards::

          n−1 ●─ 2n+me … ─● 2n−1        2n+(m+1)e+m  ×        × 2n+(m+1)e+2m+1
              │  cell m−1 │
              ●───────────●                          ×        ×
              │    ...    │
           ry ●─ 2n+e … ──● n+ry        2n+(m+1)e+1  ×        ×
              │  cell 0   │
            0 ●─ 2n … ────● n           2n+(m+1)e    ×        × 2n+(m+1)e+m+1

    Parameters
    ----------
    m : cells of the strip.
    r : fine cells per coarse cell (ry, rx).

    Returns
    -------
    StripLayout

    Examples
    --------
    >>> layout = strip_layout(2, (2, 2))
    >>> layout.places[0].tolist()  # bottom, top, left, right, four corners, four multipliers
    [10, 11, 1, 6, 0, 5, 2, 7, 13, 16, 14, 17]
    >>> layout.inner.tolist(), layout.side, layout.size
    ([11], 3, 19)
    """
    (ry, rx), boundary = r, CellLayout(r).boundary
    n, e = m * ry + 1, rx - 1
    first = 2 * n + (m + 1) * e
    nodes = np.full((n, rx + 1), -1)  # nodes inside the cells have no number
    nodes[:, 0], nodes[:, -1] = np.arange(n), np.arange(n, 2 * n)
    nodes[::ry, 1:-1] = np.arange(2 * n, first).reshape(m + 1, e)
    multipliers = np.arange(first, first + 2 * (m + 1)).reshape(2, m + 1).T
    places = [
        np.concatenate([nodes[j * ry : (j + 1) * ry + 1].ravel()[boundary], multipliers[j : j + 2].ravel()])
        for j in range(m)
    ]
    return StripLayout(
        np.stack(places),
        nodes[ry:-1:ry, 1:-1].ravel(),
        np.concatenate([nodes[1:-1, 0], nodes[1:-1, -1], multipliers.T.ravel()]),
        n - 2,
        first + 2 * (m + 1),
    )


@dataclass(frozen=True)
class Strip:
    """A strip after static condensation to its o outer unknowns; the i inner ones are inner_load − inner · outer.

    Attributes
    ----------
    matrix : (o, o) Schur complement.
    load : (o, p) condensed load vectors.
    inner : (i, o) map from the outer unknowns to minus the inner ones.
    inner_load : (i, p) the inner unknowns for outer ones zero.
    """

    matrix: np.ndarray
    load: np.ndarray
    inner: np.ndarray
    inner_load: np.ndarray


def condense_strip(cells: np.ndarray, load: np.ndarray, loaded: int, r: tuple[int, int]) -> Strip:
    """Eliminate the edges between the cells of a strip.

    Parameters
    ----------
    cells : (m, q, q) condensed matrices of the cells from bottom to top.
    load : (q, p) condensed load vectors of one cell; they count where the strip is the middle of a patch.
    loaded : number of that cell in the strip.
    r : fine cells per coarse cell (ry, rx).

    Returns
    -------
    Strip

    Raises
    ------
    SolverFailure
        If the matrix of the edges is not positive definite in double precision.
    """
    layout = strip_layout(len(cells), r)
    full = np.zeros((layout.size, layout.size + load.shape[1]))
    for place, matrix in zip(layout.places, cells, strict=True):
        full[place[:, None], place] += matrix
    full[layout.places[loaded], layout.size :] = load
    outer, columns = layout.outer, np.concatenate([layout.outer, np.arange(layout.size, full.shape[1])])
    rows = full[outer][:, columns]
    count = len(outer)
    if not len(layout.inner):
        return Strip(rows[:, :count], rows[:, count:], np.zeros((0, count)), np.zeros((0, load.shape[1])))
    L = cholesky(full[layout.inner][:, layout.inner])
    half = forward(L, full[layout.inner][:, columns])
    rows -= half[:, :count].T @ half
    whole = backward(L, half)
    return Strip(rows[:, :count], rows[:, count:], whole[:, :count], whole[:, count:])


def _chain(strips: Sequence[Strip], centre: int, side: int) -> tuple:
    """Blocks of the patch system, in the order of the arguments of ``solve_saddle``."""
    corners = (strips[0].matrix.shape[0] - 2 * side) // 2
    p, count = strips[0].load.shape[1], corners * (len(strips) + 1)
    lines = len(strips) - 1
    diagonals = [np.zeros((side, side)) for _ in range(lines)]
    couplings: list[np.ndarray] = []
    right = [np.zeros((side, count + p)) for _ in range(lines)]
    H, c = np.zeros((count, count)), np.zeros((count, p))
    L, R, M = slice(0, side), slice(side, 2 * side), slice(2 * side, None)
    for i, strip in enumerate(strips):
        S, own = strip.matrix, slice(i * corners, (i + 2) * corners)
        H[own, own] += S[M, M]
        for line, block in ((i - 1, L), (i, R)):
            if 0 <= line < lines:
                diagonals[line] += S[block, block]
                right[line][:, own] += S[block, M]
                if i == centre:
                    right[line][:, count:] += strip.load[block]
        if 0 < i < lines:
            couplings.append(S[L, R])
        if i == centre:
            c[own] += strip.load[M]
    return diagonals, couplings, right, H, c


def solve_patch(strips: Sequence[Strip], centre: int, m: int, r: tuple[int, int]) -> np.ndarray:
    """Compute p element correctors on one patch.

    Parameters
    ----------
    strips : the patch's strips from left to right.
    centre : number of the strip whose load vectors count.
    m : cells per strip.
    r : fine cells per coarse cell (ry, rx).

    Returns
    -------
    (p, m, number of strips, q) vectors of the patch's cells.

    Raises
    ------
    SolverFailure
        If the patch's matrix is not positive definite in double precision.
    """
    layout, p = strip_layout(m, r), strips[0].load.shape[1]
    x, multipliers = solve_saddle(*_chain(strips, centre, layout.side))
    zero = np.zeros((layout.side, p))
    lines = [zero, *x, zero]
    out = np.empty((p, m, len(strips), layout.places.shape[1]))
    for i, strip in enumerate(strips):
        outer = np.concatenate([lines[i], lines[i + 1], multipliers[i * (m + 1) : (i + 2) * (m + 1)]])
        full = np.zeros((layout.size, p))
        full[layout.outer] = outer
        full[layout.inner] = -strip.inner @ outer
        if i == centre:
            full[layout.inner] += strip.inner_load
        out[:, :, i] = full[layout.places].transpose(2, 0, 1)
    return out


@dataclass(frozen=True)
class RowTask:
    """Patches around one row of coarse cells.

    Attributes
    ----------
    columns : columns of the cells whose correctors are wanted, ascending.
    cells : (m, Nx, q, q) condensed matrices of the m rows in the patches.
    loads : (Nx, q, p) condensed load vectors of the middle row.
    middle : number of the middle row among the m.
    layers : k, coarse layers around the cell in the middle.
    r : fine cells per coarse cell (ry, rx).
    """

    columns: tuple[int, ...]
    cells: np.ndarray
    loads: np.ndarray
    middle: int
    layers: int
    r: tuple[int, int]


def solve_row(task: RowTask) -> np.ndarray:
    """Compute the element correctors of a row of coarse cells.

    Parameters
    ----------
    task : the row.

    Returns
    -------
    (columns, p, 2k+1, 2k+1, q) vectors of the patches' cells; those of cells outside the domain are zero.

    Raises
    ------
    SolverFailure
        If a patch cannot be solved.
    """
    m, Nx, q = task.cells.shape[:3]
    k, p = task.layers, task.loads.shape[2]
    out = np.zeros((len(task.columns), p, 2 * k + 1, 2 * k + 1, q))
    strips: dict[int, Strip] = {}
    low = k - task.middle
    for number, x in enumerate(task.columns):
        x0, x1 = max(0, x - k), min(Nx, x + k + 1)
        for i in range(x0, x1):
            if i not in strips:
                strips[i] = condense_strip(task.cells[:, i], task.loads[i], task.middle, task.r)
        chain = [strips[i] for i in range(x0, x1)]
        out[number, :, low : low + m, x0 - x + k : x1 - x + k] = solve_patch(chain, x - x0, m, task.r)
        for i in [i for i in strips if i < x0]:  # columns ascend: strips to the left are done
            del strips[i]
    return out
