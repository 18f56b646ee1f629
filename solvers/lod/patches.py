"""Element correctors of the LOD on patches of condensed coarse cells.

The patches of one row of coarse cells share their vertical strips (one cell wide, as high as the patch): a
strip is condensed to its left and right side and the multipliers there, once for all patches that contain it.
A patch is then a chain of strips, solved by :func:`ngs_nhcsr.solvers.saddle.solve_saddle`.

Vectors of a cell are ordered as in :mod:`ngs_nhcsr.solvers.substructuring.condensation`: q = boundary nodes, then four
multipliers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .saddle import backward, cholesky, forward, solve_saddle


@dataclass(frozen=True)
class StripLayout:
    """Numbering of a strip of ``cells`` coarse cells above each other.

    Attributes
    ----------
    places : (cells, q) strip number of every entry of every cell's vector.
    inner : numbers of the edges between the cells, which the strip eliminates.
    outer : left side, right side (without end nodes), multipliers left, multipliers right.
    side : nodes per side.
    size : numbers in all; those neither inner nor outer lie on the patch boundary and are zero.
    """

    places: np.ndarray
    inner: np.ndarray
    outer: np.ndarray
    side: int
    size: int


@lru_cache(maxsize=64)
def strip_layout(cells: int, r: tuple[int, int]) -> StripLayout:
    """Layout of a strip of ``cells`` coarse cells with ``r`` = (ry, rx) fine cells each.

    Examples
    --------
    >>> strip_layout(3, (4, 4)).side, len(strip_layout(3, (4, 4)).inner)
    (11, 6)
    """
    line, edge = cells * r[0] + 1, r[1] - 1
    edges = 2 * line
    left = edges + (cells + 1) * edge
    right = left + cells + 1
    places = []
    for j in range(cells):
        rows = j * r[0] + np.arange(r[0] + 1)
        bottom = edges + j * edge + np.arange(edge)
        multipliers = [left + j, right + j, left + j + 1, right + j + 1]
        vertices = [rows[0], line + rows[0], rows[-1], line + rows[-1]]
        between = [bottom, bottom + edge, rows[1:-1], line + rows[1:-1]]
        places.append(np.concatenate([*between, vertices, multipliers]))
    sides = np.concatenate([np.arange(1, line - 1), line + np.arange(1, line - 1)])
    return StripLayout(
        np.stack(places),
        np.arange(edges + edge, left - edge),
        np.concatenate([sides, np.arange(left, right + cells + 1)]),
        line - 2,
        right + cells + 1,
    )


@dataclass(frozen=True)
class Strip:
    """A condensed strip: ``matrix``, ``load`` of the outer; inner = ``inner_load`` − ``inner`` · outer."""

    matrix: np.ndarray
    load: np.ndarray
    inner: np.ndarray
    inner_load: np.ndarray


def condense_strip(cells: np.ndarray, load: np.ndarray, loaded: int, r: tuple[int, int]) -> Strip:
    """Condense one strip.

    Parameters
    ----------
    cells : (m, q, q) condensed matrices from bottom to top.
    load : (q, p) condensed loads of the cell number ``loaded``, where the strip is the middle of a patch.
    r : fine cells per coarse cell (ry, rx).
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
    """Corrector on one patch: cell vectors (p, m, number of strips, q).

    Parameters
    ----------
    strips : from left to right; only number ``centre`` has loads that count.
    m : cells per strip.
    r : fine cells per coarse cell (ry, rx).

    Raises
    ------
    SolverFailure
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
    """Patches of one row of coarse cells; picklable, for a process pool.

    Attributes
    ----------
    columns : coarse columns of the cells whose correctors are wanted.
    cells : (m, Nx, q, q) condensed matrices of the rows in the patches.
    loads : (Nx, q, p) condensed loads of the middle row.
    middle : number of the middle row among the m.
    layers : k.
    r : fine cells per coarse cell.
    """

    columns: tuple[int, ...]
    cells: np.ndarray
    loads: np.ndarray
    middle: int
    layers: int
    r: tuple[int, int]


def solve_row(task: RowTask) -> np.ndarray:
    """Correctors of a row, (columns, p, 2k+1, 2k+1, q); cells outside of the domain are zero.

    Raises
    ------
    SolverFailure
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
