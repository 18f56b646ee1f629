"""The sparsity pattern of nine-point matrices on a grid, kept for the next matrix on the same grid."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Grids of up to so many cells are kept.
KEPT = 128 * 128
Pattern = tuple[np.ndarray, np.ndarray, np.ndarray]


def pattern_of(ny: int, nx: int) -> Pattern:
    """Find where the entries of element matrices are in the matrix over all nodes of a grid.

    Neighbours of a node are in the order (-1, -1), (-1, 0), … (1, 1) of (dy, dx), without those outside.

    Parameters
    ----------
    ny : cells along y.
    nx : cells along x.

    Returns
    -------
    places : (16 ny nx,) number among the stored entries of the entries (i, j) of all cells, by i, j and cell.
    columns : int32 column of every stored entry.
    begins : ((ny+1)(nx+1)+1,) int32 begin of every row among them; all three belong to the cache.

    Examples
    --------
    >>> places, columns, begins = pattern_of(1, 2)
    >>> columns[begins[1] : begins[2]].tolist(), places[:4].tolist()
    ([0, 1, 2, 3, 4, 5], [0, 5, 1, 6])
    """
    return _kept(ny, nx) if ny * nx <= KEPT else _made(ny, nx)


def _made(ny: int, nx: int) -> Pattern:
    y, x = np.arange(ny + 1)[:, None], np.arange(nx + 1)
    above, left = np.minimum(y, 1), np.minimum(x, 1)  # 1 where there is a neighbour
    below, right = np.minimum(ny - y, 1), np.minimum(nx - x, 1)
    width = left + 1 + right
    begins = np.append(0, np.cumsum((above + 1 + below) * width))
    first = begins[:-1].reshape(ny + 1, nx + 1)

    def place(dy: int, dx: int) -> np.ndarray:  # of the neighbour in this direction, where there is one
        return first + (dy + above) * width + dx + left

    columns = np.empty(begins[-1], np.int32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            there = (y + dy >= 0) & (y + dy <= ny) & (x + dx >= 0) & (x + dx <= nx)
            columns[place(dy, dx)[there]] = ((y + dy) * (nx + 1) + x + dx)[there]
    corners = [divmod(k, 2) for k in range(4)]
    places = [place(jy - iy, jx - ix)[iy : iy + ny, ix : ix + nx].ravel() for iy, ix in corners for jy, jx in corners]
    return np.concatenate(places), columns, begins.astype(np.int32)


_kept = lru_cache(maxsize=16)(_made)
