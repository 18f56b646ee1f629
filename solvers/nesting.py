"""A coarse Q1 space nested in a fine one, and what lives on the fine cells sorted by coarse cell (numpy).

LOD and MsFEM work on every coarse cell by itself: here are its cell values, its nodal values, its load vectors and the
boundary data on its edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..checks import check_coefficient_values
from ..errors import GridMismatch
from ..number_checks import check_size
from .medium import Medium
from .nodal import Function, boundary_values
from .q1 import mass_apply
from .space import Cells, Space, cell_pair
from .substructuring.condensation import CellLayout
from .transfer import prolongate

#: Boundary data whose remainder is below this fraction of them are linear on the coarse edges.
LINEAR = 1e-12


@dataclass(frozen=True)
class Nesting:
    """A coarse and a fine Q1 space of one rectangle; a coarse cell consists of r = (ry, rx) fine cells.

    Attributes
    ----------
    coarse : N = (Ny, Nx) cells.
    fine : n = (ny, nx) cells, on the same rectangle and with the same boundary conditions.

    Raises
    ------
    GridMismatch
        If the rectangles or boundary conditions differ, or n is no multiple of N.

    Examples
    --------
    >>> g = Nesting.of((2, 4), (8, 8))
    >>> g.ratio, g.fine.spacing, g.coarse.free.shape
    ((4, 2), (0.125, 0.125), (3, 5))
    """

    coarse: Space
    fine: Space

    @classmethod
    def of(cls, N: Cells, n: Cells, size: tuple[float, float] = (1.0, 1.0)) -> Nesting:
        """Make the pair with Dirichlet conditions on all sides.

        Parameters
        ----------
        N : coarse cells, a number or (Ny, Nx).
        n : fine cells, a number or (ny, nx); a multiple of N.
        size : (Ly, Lx) of the rectangle.

        Returns
        -------
        Nesting

        Raises
        ------
        GridMismatch
            If n is no multiple of N; the message names one that is.
        InvalidProblem
            If N or n is neither a number nor a pair, or a cell number or length is not positive.
        """
        coarse = Space(cell_pair(N, "N"), size=check_size(size))
        return cls(coarse, coarse.with_cells(cell_pair(n, "n")))

    def __post_init__(self) -> None:
        N, n = self.coarse.cells, self.fine.cells
        if self.coarse.with_cells(n) != self.fine:
            raise GridMismatch("coarse and fine space differ in more than their cells; use coarse.with_cells(n).")
        if n[0] % N[0] or n[1] % N[1]:
            nearest = tuple(max(1, round(f / c)) * c for f, c in zip(n, N, strict=True))
            raise GridMismatch(
                f"the fine cells n={n} are no multiple of the coarse cells N={N}; take, say, n={nearest}."
            )

    @property
    def ratio(self) -> tuple[int, int]:
        """Fine cells per coarse cell (ry, rx)."""
        return self.fine.cells[0] // self.coarse.cells[0], self.fine.cells[1] // self.coarse.cells[1]

    def fine_coefficient(self, A: np.ndarray) -> np.ndarray:
        """Check a coefficient and repeat it on the fine cells.

        Parameters
        ----------
        A : (my, mx) positive cell values; n must be a multiple of (my, mx).

        Returns
        -------
        Cell values (ny, nx), a new array.

        Raises
        ------
        GridMismatch
            If a would jump inside a fine cell.
        InvalidProblem, NotCoercive
            If A is not two-dimensional, not finite, or not positive.
        """
        return np.asarray(Medium(check_coefficient_values(A)).on(self.fine.cells))

    def blocks(self, a: np.ndarray) -> np.ndarray:
        """Sort fine cell values (ny, nx) by coarse cell: (Ny, Nx, ry, rx)."""
        (Ny, Nx), (ry, rx) = self.coarse.cells, self.ratio
        return np.ascontiguousarray(a.reshape(Ny, ry, Nx, rx).transpose(0, 2, 1, 3))

    def node_blocks(self, v: np.ndarray) -> np.ndarray:
        """Sort fine nodal values (ny+1, nx+1) by coarse cell: (Ny, Nx, ry+1, rx+1); shared nodes are repeated."""
        ry, rx = self.ratio
        windows = np.lib.stride_tricks.sliding_window_view(v, (ry + 1, rx + 1))
        return np.ascontiguousarray(windows[::ry, ::rx])

    def boundary_blocks(self, v: np.ndarray) -> np.ndarray:
        """Sort fine nodal values (ny+1, nx+1) on the edges of the coarse cells: (Ny, Nx, 2 (ry + rx)).

        Parameters
        ----------
        v : (ny+1, nx+1) nodal values.

        Returns
        -------
        Values at the boundary nodes of every coarse cell, in the order of ``CellLayout``.
        """
        return self.node_blocks(v).reshape(*self.coarse.cells, -1)[..., CellLayout(self.ratio).boundary]

    def cell_loads(self, fields: np.ndarray) -> np.ndarray:
        r"""Compute the load vectors :math:`(f, \varphi_i)_T` of Q1 functions f on single coarse cells T.

        Parameters
        ----------
        fields : (..., ry+1, rx+1) fine nodal values of f on a coarse cell.

        Returns
        -------
        (..., (ry+1)(rx+1)) moments with the fine hats cut off at the cell, row-major.

        Examples
        --------
        >>> Nesting.of(2, 4).cell_loads(np.ones((1, 3, 3))).sum().round(12)  # the area of a coarse cell
        np.float64(0.25)
        """
        flat = fields.reshape(-1, *fields.shape[-2:])
        return np.stack([mass_apply(v, self.coarse.spacing).ravel() for v in flat]).reshape(*fields.shape[:-2], -1)

    def split_boundary(self, g: Function) -> tuple[np.ndarray, np.ndarray]:
        """Split Dirichlet data into their values at the coarse nodes and a remainder on the coarse edges.

        Parameters
        ----------
        g : number, callable g(x, y) of arrays, or fine nodal values of which those on the boundary count.

        Returns
        -------
        coarse : (Ny+1, Nx+1) values, zero inside.
        remainder : (ny+1, nx+1) the data minus their piecewise linear interpolant at the coarse nodes; zero inside, and
            everywhere if the data are linear on every coarse edge.

        Raises
        ------
        InvalidProblem
            If nodal values have another shape.

        Examples
        --------
        >>> coarse, remainder = Nesting.of(2, 4).split_boundary(lambda x, y: x**2 + 0 * y)
        >>> coarse[0].tolist(), remainder[0].tolist()
        ([0.0, 0.25, 1.0], [0.0, -0.0625, 0.0, -0.0625, 0.0])
        """
        n = self.fine.cells
        values = boundary_values(g, n, self.fine.size)
        ry, rx = self.ratio
        coarse = values[::ry, ::rx].copy()
        remainder = values - boundary_values(prolongate(coarse, n), n)
        if np.abs(remainder).max() <= LINEAR * np.abs(values).max():
            remainder[:] = 0.0
        return coarse, remainder
