"""Nested coarse and fine tensor grids with a coefficient raster that divides the fine one (numpy)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import GridMismatch, InvalidProblem, NotCoercive

Cells = int | tuple[int, int]


def cell_pair(value: Cells, name: str) -> tuple[int, int]:
    """Cells as ``(ny, nx)`` from one number or a pair.

    Raises
    ------
    InvalidProblem
        If it is neither, or not positive.

    Examples
    --------
    >>> cell_pair(8, "N"), cell_pair((8, 4), "N")
    ((8, 8), (8, 4))
    """
    pair: Any = (value, value) if isinstance(value, (int, np.integer)) else value
    try:
        ny, nx = (int(v) for v in pair)
    except (TypeError, ValueError) as error:
        raise InvalidProblem(f"{name} must be a number of cells or a pair (ny, nx), not {value!r}.") from error
    if min(ny, nx) < 1:
        raise InvalidProblem(f"{name} must be positive in both directions, not {(ny, nx)}.")
    return ny, nx


def raster_values(A: Any) -> np.ndarray:
    """Coefficient as a float64 array (my, mx), finite and positive.

    Raises
    ------
    InvalidProblem, NotCoercive
    """
    values = np.ascontiguousarray(A, dtype=float)
    if values.ndim != 2:
        raise InvalidProblem(f"the coefficient must be two-dimensional [iy, ix], not of shape {values.shape}.")
    if not np.isfinite(values).all():
        raise InvalidProblem("the coefficient has values that are not finite; replace them.")
    if values.min() <= 0:
        iy, ix = np.unravel_index(int(values.argmin()), values.shape)
        raise NotCoercive(
            f"the coefficient is {values.min():.3g} in cell (iy={iy}, ix={ix}); it must be positive "
            "everywhere, give voids a small positive value."
        )
    return values


@dataclass(frozen=True)
class Nesting:
    """Coarse cells ``N`` = (Ny, Nx), fine cells ``n`` = (ny, nx), rectangle ``size`` = (Ly, Lx).

    Raises
    ------
    GridMismatch
        If ``n`` is no multiple of ``N``.

    Examples
    --------
    >>> g = Nesting((2, 4), (8, 8))
    >>> g.ratio, g.spacing
    ((4, 2), (0.125, 0.125))
    """

    N: tuple[int, int]
    n: tuple[int, int]
    size: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if self.n[0] % self.N[0] or self.n[1] % self.N[1]:
            nearest = tuple(max(1, round(f / c)) * c for f, c in zip(self.n, self.N, strict=True))
            raise GridMismatch(
                f"the fine cells n={self.n} are no multiple of the coarse cells N={self.N}; take, say, n={nearest}."
            )

    @property
    def ratio(self) -> tuple[int, int]:
        """Fine cells per coarse cell (ry, rx)."""
        return self.n[0] // self.N[0], self.n[1] // self.N[1]

    @property
    def spacing(self) -> tuple[float, float]:
        """Fine cell sides (hy, hx)."""
        return self.size[0] / self.n[0], self.size[1] / self.n[1]

    @cached_property
    def free(self) -> np.ndarray:
        """Coarse nodes off the boundary, boolean (Ny+1, Nx+1)."""
        inside = np.zeros((self.N[0] + 1, self.N[1] + 1), bool)
        inside[1:-1, 1:-1] = True
        return inside

    def fine_coefficient(self, A: np.ndarray) -> np.ndarray:
        """Coefficient on the fine cells (ny, nx).

        Raises
        ------
        GridMismatch
            If the raster does not divide the fine grid.
        """
        A = raster_values(A)
        if self.n[0] % A.shape[0] or self.n[1] % A.shape[1]:
            raise GridMismatch(
                f"the coefficient raster {A.shape} does not divide the fine cells {self.n}; choose n as a "
                "common multiple of the raster and of the coarse cells."
            )
        return A.repeat(self.n[0] // A.shape[0], 0).repeat(self.n[1] // A.shape[1], 1)

    def blocks(self, a: np.ndarray) -> np.ndarray:
        """Fine cell values (ny, nx) by coarse cell: (Ny, Nx, ry, rx)."""
        ry, rx = self.ratio
        return np.ascontiguousarray(a.reshape(self.N[0], ry, self.N[1], rx).transpose(0, 2, 1, 3))

    def node_blocks(self, v: np.ndarray) -> np.ndarray:
        """Fine nodal values (ny+1, nx+1) by coarse cell: (Ny, Nx, ry+1, rx+1); shared nodes are repeated."""
        ry, rx = self.ratio
        windows = np.lib.stride_tricks.sliding_window_view(v, (ry + 1, rx + 1))
        return np.ascontiguousarray(windows[::ry, ::rx])
