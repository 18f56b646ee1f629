"""Q1 prolongation between tensor grids and its transpose: the one place for transfers (numpy and torch)."""

from __future__ import annotations

import numpy as np


def prolongate(U: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """Bilinear (Q1) interpolation of nodal values to the nodes of a grid with ``cells`` = (ny, nx) cells.

    Examples
    --------
    >>> prolongate(np.array([[0.0, 1.0], [0.0, 1.0]]), (1, 4))[0]
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """

    def along(V: np.ndarray, n: int) -> np.ndarray:
        N = V.shape[0] - 1
        base = np.minimum(np.arange(n + 1) * N // n, N - 1)
        frac = ((np.arange(n + 1) * N - base * n) / n).reshape(-1, *[1] * (V.ndim - 1))
        return V[base] * (1 - frac) + V[base + 1] * frac

    U = np.asarray(U, dtype=float)
    return along(along(U, cells[0]).T, cells[1]).T


def restrict(b: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """Transpose of :func:`prolongate`: fine load vector to the load of the grid with ``cells``."""

    def along(v: np.ndarray, N: int) -> np.ndarray:
        n = v.shape[0] - 1
        base = np.minimum(np.arange(n + 1) * N // n, N - 1)
        frac = ((np.arange(n + 1) * N - base * n) / n)[:, None]
        out = np.zeros((N + 1, v.shape[1]))
        np.add.at(out, base, v * (1 - frac))
        np.add.at(out, base + 1, v * frac)
        return out

    return along(along(np.asarray(b, dtype=float), cells[0]).T, cells[1]).T
