"""Uniform tensor grids on axis-parallel boxes with their boundary conditions: the one place for index conventions.

Arrays are ``[iy, ix]``, row 0 at the lowest y. Nodal fields have shape (ny+1, nx+1), cell fields (my, mx); nodes are
not pixels: node i of n cells lies at i/n. Sizes are (Ly, Lx), spacings (hy, hx), a point's coordinates (x, y).
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ..errors import GridMismatch, InvalidProblem
from ..number_checks import is_whole
from .transfer import prolongate

Condition = Literal["dirichlet", "natural"]
#: Dirichlet conditions at both ends of an axis.
DIRICHLET: tuple[Condition, Condition] = ("dirichlet", "dirichlet")
#: Names of the four sides of a rectangle, in the order of every tuple of sides.
SIDES = ("bottom", "right", "top", "left")
#: Nodes, or cells, of the four sides in fields (..., ny, nx), numpy or torch.
EDGES = {
    "bottom": np.s_[..., 0, :],
    "right": np.s_[..., :, -1],
    "top": np.s_[..., -1, :],
    "left": np.s_[..., :, 0],
}
#: (axis, end) of the four sides.
PLACES = ((0, 0), (1, 1), (0, 1), (1, 0))
Sides = tuple[bool, bool, bool, bool]
#: What users give as the cells of a grid: one number, or (ny, nx).
Cells = int | tuple[int, int]


def cell_aspect(cells: tuple[int, int], size: tuple[float, float]) -> float:
    """Return height over width of the cells of a grid (ny, nx) on a rectangle (Ly, Lx); matrices are kept by it."""
    return size[0] / cells[0] / (size[1] / cells[1])


def cell_pair(value: Cells, name: str) -> tuple[int, int]:
    """Read the cells of a grid from one number or a pair.

    Parameters
    ----------
    value : positive number of cells in both directions, or (ny, nx).
    name : of the argument, for the message.

    Returns
    -------
    (ny, nx)

    Raises
    ------
    InvalidProblem
        If it is neither, or not positive.

    Examples
    --------
    >>> cell_pair(8, "N"), cell_pair((8, 4), "N")
    ((8, 8), (8, 4))
    """
    pair: Any = tuple(value) if np.iterable(value) and not isinstance(value, str) else (value, value)
    if len(pair) != 2 or not all(is_whole(v) for v in pair):
        raise InvalidProblem(f"{name} must be a number of cells or a pair (ny, nx), not {reprlib.repr(value)}.")
    ny, nx = (int(v) for v in pair)
    if min(ny, nx) < 1:
        raise InvalidProblem(f"{name} must be positive in both directions, not {(ny, nx)}.")
    return ny, nx


@dataclass(frozen=True)
class Space:
    """Q1 space: equal cells on a box, and what holds on its sides.

    Attributes
    ----------
    cells : (ny, nx) cells.
    lower : (x0, y0) the lower corner.
    size : (Ly, Lx) lengths of the sides.
    boundary : per axis, the condition at its lower and its upper end; the default is Dirichlet everywhere.
    part : (ny+1, nx+1) mask of the free nodes, where a side carries Dirichlet conditions in part only; else ``None``.

    Examples
    --------
    >>> s = Space((2, 4), (0.0, 0.0), (1.0, 2.0))
    >>> s.spacing, s.shape, int(s.free.sum())
    ((0.5, 0.5), (3, 5), 3)
    >>> Space.with_sides((2, 2), natural=("left",)).free.astype(int).tolist()
    [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    """

    cells: tuple[int, int]
    lower: tuple[float, float] = (0.0, 0.0)
    size: tuple[float, float] = (1.0, 1.0)
    boundary: tuple[tuple[Condition, Condition], ...] = (DIRICHLET, DIRICHLET)
    part: np.ndarray | None = field(default=None, compare=False, repr=False)

    @classmethod
    def with_sides(
        cls,
        cells: tuple[int, int],
        size: tuple[float, float] = (1.0, 1.0),
        natural: str | Iterable[str] = (),
        lower: tuple[float, float] = (0.0, 0.0),
    ) -> Space:
        """Make a space from the names of its natural sides.

        Parameters
        ----------
        cells : (ny, nx).
        size : (Ly, Lx).
        natural : names among "bottom", "right", "top", "left"; the others are Dirichlet.
        lower : (x0, y0).

        Returns
        -------
        Space

        Raises
        ------
        InvalidProblem
            If there is no side of that name.
        """
        natural = (natural,) if isinstance(natural, str) else tuple(natural)
        if unknown := [name for name in natural if name not in SIDES]:
            raise InvalidProblem(f"natural names {unknown[0]!r}, but the sides are {', '.join(map(repr, SIDES))}.")
        conditions: list[list[Condition]] = [["dirichlet", "dirichlet"] for _ in cells]
        for name, (axis, end) in zip(SIDES, PLACES, strict=True):
            if name in natural:
                conditions[axis][end] = "natural"
        return cls(cells, lower, size, tuple((a, b) for a, b in conditions))

    @classmethod
    def with_free(
        cls,
        cells: tuple[int, int],
        lower: tuple[float, float],
        size: tuple[float, float],
        free: np.ndarray,
    ) -> Space:
        """Make a space from the mask of its free nodes.

        Parameters
        ----------
        cells : (ny, nx).
        lower : (x0, y0).
        size : (Ly, Lx).
        free : (ny+1, nx+1) boolean. A side is Dirichlet if any of its inner nodes is fixed; one without inner nodes, if
            both of its nodes are, but not by the sides that meet it.

        Returns
        -------
        Space whose ``free`` is that mask; ``part`` is set where whole sides do not explain it.

        Raises
        ------
        InvalidProblem
            If the nodes of a side of one cell are fixed by the two sides that meet it: nothing says what holds there.

        Examples
        --------
        >>> Space.with_free((4, 1), (0, 0), (1, 1), np.arange(5)[:, None] > [0, 0]).sides
        (True, False, False, False)
        """
        fixed = ~free
        nodes = (fixed[0], fixed[:, -1], fixed[-1], fixed[:, 0])
        inner = [bool(side[1:-1].any()) for side in nodes]
        natural = []
        for k, (name, side) in enumerate(zip(SIDES, nodes, strict=True)):
            dirichlet = inner[k] if side.size > 2 else bool(side.all())
            if dirichlet and side.size == 2 and inner[k - 3] and inner[k - 1]:
                raise InvalidProblem(
                    f"the {name} side is one cell long, and its two nodes are fixed by the sides that meet it. This "
                    "does not tell whether it is Dirichlet or natural: use two cells or more in both directions, or "
                    'target "pde".'
                )
            if not dirichlet:
                natural.append(name)
        whole = cls.with_sides(cells, size, tuple(natural), lower)
        return whole if (whole.free == free).all() else replace(whole, part=free)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (ny+1, nx+1) of nodal fields."""
        return (self.cells[0] + 1, self.cells[1] + 1)

    @property
    def spacing(self) -> tuple[float, float]:
        """Sides (hy, hx) of a cell."""
        return (self.size[0] / self.cells[0], self.size[1] / self.cells[1])

    @property
    def sides(self) -> Sides:
        """Whether bottom, right, top, left carry Dirichlet conditions (on any of their inner nodes)."""
        bottom, right, top, left = (self.boundary[axis][end] == "dirichlet" for axis, end in PLACES)
        return bottom, right, top, left

    @property
    def mixed_sides(self) -> tuple[str, ...]:
        """Names of the sides that are Dirichlet in part."""
        inner = {side: self.free[edge][1:-1] for side, edge in EDGES.items()}
        return tuple(side for side, free in inner.items() if free.any() and not free.all())

    @cached_property
    def free(self) -> np.ndarray:
        """Mask (ny+1, nx+1) of the nodes without Dirichlet values."""
        if self.part is not None:
            return self.part
        free = np.ones(self.shape, bool)
        for axis, conditions in enumerate(self.boundary):
            for end, condition in zip((0, -1), conditions, strict=True):
                if condition == "dirichlet":
                    np.moveaxis(free, axis, 0)[end] = False
        return free

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute the coordinates of the nodes: y (ny+1,), x (nx+1,)."""
        y = self.lower[1] + self.size[0] * (np.arange(self.cells[0] + 1) / self.cells[0])
        x = self.lower[0] + self.size[1] * (np.arange(self.cells[1] + 1) / self.cells[1])
        return y, x

    def with_cells(self, cells: tuple[int, int]) -> Space:
        """Return the space with other cells on the same box.

        Parameters
        ----------
        cells : (ny, nx). Where a side is Dirichlet in part, nodes between two fixed nodes are fixed.

        Returns
        -------
        Space
        """
        if self.part is None:
            return replace(self, cells=cells)
        return replace(self, cells=cells, part=prolongate(self.part.astype(float), cells) > 1e-12)

    def refined(self, scale: float) -> Space:
        """Return the space with ``scale`` fine cells per cell and axis.

        Parameters
        ----------
        scale : any number ≥ 1 / cells that gives whole cells.

        Returns
        -------
        Space

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
