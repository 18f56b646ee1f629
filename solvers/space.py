"""Uniform node-centred tensor grids on axis-parallel rectangles: the one place for index arithmetic (numpy).

Arrays are ``[iy, ix]``, row 0 at the lowest y. Nodal fields have shape (ny+1, nx+1), cell fields (my, mx).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..errors import GridMismatch

#: Vertices closer than this fraction of the domain are taken as one coordinate.
RESOLUTION = 2.0**-30


@dataclass(frozen=True)
class Space:
    """``cells`` = (ny, nx) equal cells on the rectangle with lower corner ``(x0, y0)`` and ``size`` = (Ly, Lx).

    Examples
    --------
    >>> g = Space((2, 4), (0.0, 0.0), (1.0, 2.0))
    >>> g.spacing, g.shape
    ((0.5, 0.5), (3, 5))
    """

    cells: tuple[int, int]
    lower: tuple[float, float] = (0.0, 0.0)
    size: tuple[float, float] = (1.0, 1.0)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of nodal fields."""
        return (self.cells[0] + 1, self.cells[1] + 1)

    @property
    def spacing(self) -> tuple[float, float]:
        """(hy, hx)."""
        return (self.size[0] / self.cells[0], self.size[1] / self.cells[1])

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of the nodes: y (ny+1,), x (nx+1,)."""
        y = self.lower[1] + self.size[0] * (np.arange(self.cells[0] + 1) / self.cells[0])
        x = self.lower[0] + self.size[1] * (np.arange(self.cells[1] + 1) / self.cells[1])
        return y, x

    def with_cells(self, cells: tuple[int, int]) -> Space:
        """Same rectangle, other cells."""
        return Space(cells, self.lower, self.size)

    def refined(self, scale: float) -> Space:
        """Grid with ``scale`` fine cells per coarse cell and axis.

        Raises
        ------
        GridMismatch
            If that is not a whole number of fine cells; the message names the nearest scale that is.

        Examples
        --------
        >>> Space((32, 32)).refined(2.5).cells
        (80, 80)
        """
        fine = tuple(n * Fraction(scale).limit_denominator(10_000) for n in self.cells)
        if all(f.denominator == 1 and f >= 1 for f in fine):
            return self.with_cells((int(fine[0]), int(fine[1])))
        step = np.gcd(*self.cells)
        nearest = max(1, round(scale * step)) / step
        raise GridMismatch(
            f"scale={scale} does not give whole fine cells on {self.cells[1]} x {self.cells[0]} coarse cells; "
            f"the nearest scale that does is {nearest:g}."
        )


def tensor_index(coordinates: np.ndarray) -> tuple[Space, np.ndarray] | None:
    """Recognise vertices (nv, 2) that form a uniform tensor grid, in whatever order.

    Returns
    -------
    The grid and the vertex number of every node, (ny+1, nx+1); ``None`` if the vertices are no such grid.
    """
    lower, upper = coordinates.min(0), coordinates.max(0)
    extent = float((upper - lower).max())
    key = np.round((coordinates - lower) / (extent * RESOLUTION)).astype(np.int64)
    xs, ix = np.unique(key[:, 0], return_inverse=True)
    ys, iy = np.unique(key[:, 1], return_inverse=True)
    if len(xs) * len(ys) != len(coordinates) or min(len(xs), len(ys)) < 2:
        return None
    index = np.full((len(ys), len(xs)), -1)
    index[iy, ix] = np.arange(len(coordinates))
    for k in (xs, ys):
        if np.abs(k - np.linspace(k[0], k[-1], len(k))).max() > 1e-6 / RESOLUTION / len(k):
            return None
    if (index < 0).any():
        return None
    cells = (len(ys) - 1, len(xs) - 1)
    size = (float(upper[1] - lower[1]), float(upper[0] - lower[0]))
    return Space(cells, (float(lower[0]), float(lower[1])), size), index
