r"""The right-hand side f of −div(a∇u) = f: the one place where loads are sampled, integrated, restricted and recovered.

A load is a piecewise bilinear function, given by nodal values on a grid of its own, which need not be the mesh of any
solution. Load vectors, its moments :math:`F_i = \int f \varphi_i` with the hats of a grid, are made from it where they
are needed. The way back, from moments to a function, is the L2 projection where the grid of the moments is fine enough
to describe f, and a spline with these moments where it is the coarse grid (``recovery``). A load that is no such
function (jumps, point sources, fluxes through sides) has its moments (``moments``) by its L2 projection on a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ..errors import InvalidProblem
from ..short_repr import ShortRepr
from .axes import along
from .backend import plain
from .mass import both_axes, mass_times, projected
from .nodal import Function, nodal_values
from .q1 import mixed_mass
from .recovery import spline_lift
from .transfer import prolongate, restrict

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .medium import Medium
    from .space import Space

Array = TypeVar("Array", np.ndarray, "Tensor")

#: Nodes a side that the description of a load needs at most, where the coarse grid allows.
LOAD_NODES = 512


@dataclass(frozen=True, eq=False, repr=False)
class Load(ShortRepr, Generic[Array]):
    """A piecewise bilinear f, numpy or torch, any number of them at once.

    Attributes
    ----------
    values : (..., p+1, q+1) nodal values of f.
    size : (Ly, Lx) of the rectangle.
    moments : (..., N+1, M+1) load vector on the coarse grid, where it is known better than from ``values``: read off a
        coarse solution, or integrated with the jumps of f.
    known : (N+1, M+1) mask of the nodes at which ``moments`` are known: the free ones.
    integrals : (..., p+1, q+1) load vector on the grid of the values, where these were made from it.

    Examples
    --------
    >>> f = Load.of(lambda x, y: x + y, (4, 4))
    >>> float(f.vector((2, 2)).sum().round(12)), f.at((2, 2))[1].round(12).tolist()
    (1.0, [0.5, 1.0, 1.5])
    """

    values: Array
    size: tuple[float, float] = (1.0, 1.0)
    moments: Array | None = None
    known: Array | None = None
    integrals: Array | None = None

    @staticmethod
    def of(f: Function, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> Load[np.ndarray]:
        """Sample a load at the nodes of a grid.

        Parameters
        ----------
        f : number, callable f(x, y) of arrays with x in [0, Lx] and y in [0, Ly], or nodal values of that grid.
        cells : (ny, nx).
        size : (Ly, Lx).

        Returns
        -------
        Load with nodal values (ny+1, nx+1).

        Raises
        ------
        InvalidProblem
            If an array has another shape.
        """
        return Load(nodal_values(f, cells, size), size)

    @staticmethod
    def from_vector(b: Array, size: tuple[float, float] = (1.0, 1.0)) -> Load[Array]:
        """Recover f from its load vector on a grid that describes it: the L2 projection on Q1.

        With lumping instead of the inverse mass matrix, narrow sources would be off by parts in a thousand.

        Parameters
        ----------
        b : (..., n+1, m+1) moments with the hats of a grid, all of them.
        size : (Ly, Lx).

        Returns
        -------
        Load with nodal values on the same grid.
        """
        return Load(projected(b, size), size, integrals=b)

    @staticmethod
    def from_moments(F: Array, space: Space, degree: int = 3) -> Load[Array]:
        """Recover f from its moments with the coarse hats of the interior nodes.

        f is the spline through values at the interior coarse nodes, extrapolated to the boundary, that has these
        moments, taken bilinear between the nodes of a refined grid: exact for linear f. Narrow sources need degree 3:
        bilinear interpolation between coarse nodes would be 1 % off for a Gaussian three cells wide.

        Parameters
        ----------
        F : (..., N+1, M+1) coarse load vectors.
        space : the coarse space; F counts at its free nodes.
        degree : of the spline, 3 or 1.

        Returns
        -------
        Load with nodal values on a grid half as fine as ``load_cells`` tells, and with these moments.

        Raises
        ------
        InvalidProblem
            If the coarse grid has no interior nodes.
        """
        if min(space.cells) < 2:
            raise InvalidProblem(
                "a coarse mesh with one cell in a direction has no interior nodes, from which the load could be "
                "recovered: pass f=."
            )
        per = load_cells(space.cells) // 2
        free = _mask(space.free, F)
        lift_y, lift_x = (spline_lift(n, per, degree) for n in space.cells)
        inner = (F * free)[..., 1:-1, 1:-1] / (space.spacing[0] * space.spacing[1])
        return Load(both_axes(lift_y, lift_x, inner), space.size, F, free)

    @staticmethod
    def from_solution(U: Tensor, medium: Medium, space: Space) -> Load[Tensor]:
        """Recover f from a coarse Galerkin solution: its moments are A_H U.

        Parameters
        ----------
        U : (B, K, N+1, M+1) K coarse solutions for each medium.
        medium : B media, torch.
        space : the coarse space.

        Returns
        -------
        Load as of :meth:`from_moments`.
        """
        from .stencil import Stencil, galerkin_elements

        operator = Stencil.from_elements(galerkin_elements(medium, space.cells, space.size)).for_several()
        return Load.from_moments(operator.apply(U), space)

    @property
    def cells(self) -> tuple[int, int]:
        """Cells (p, q) of the grid of the nodal values."""
        return int(self.values.shape[-2]) - 1, int(self.values.shape[-1]) - 1

    def at(self, cells: tuple[int, int]) -> Array:
        """Represent f by nodal values (..., ny+1, nx+1); those of its L2 projection on grids that its own refines."""
        if cells == self.cells:
            return self.values
        if (fast := self._in_numpy()) is not None:
            return _tensor(fast.at(cells))
        return projected(self.vector(cells), self.size) if self._refines(cells) else prolongate(self.values, cells)

    def vector(self, cells: tuple[int, int], *, matched: bool = False) -> Array:
        """Compute the load vector on a grid.

        Parameters
        ----------
        cells : (ny, nx).
        matched : change it at the coarse nodes so that its restriction to the coarse grid is ``moments`` where these
            are known; ``cells`` must refine the coarse grid then.

        Returns
        -------
        Load vectors (..., ny+1, nx+1): exact, whether the grid and that of the nodal values are nested or not.
        """
        if matched and self.moments is not None and cells == _cells(self.moments):
            return self.moments
        if (fast := self._in_numpy()) is not None:
            return _tensor(fast.vector(cells, matched=matched))
        constant = self._constant()
        if constant is not None:
            wy, wx = (_hat_integrals(n, w) for n, w in zip(cells, self.size, strict=True))
            b: Any = np.outer(constant * wy, wx)
        elif cells == self.cells or self._refines(cells):
            b = self._own()
            b = b if cells == self.cells else restrict(b, cells)
        elif isinstance(self.values, np.ndarray):
            My, Mx = (mixed_mass(n, p) * w for n, p, w in zip(cells, self.cells, self.size, strict=True))
            b = along(My, along(Mx, self.values, -1), -2)
        else:
            My, Mx = (mixed_mass(n, p).toarray() * w for n, p, w in zip(cells, self.cells, self.size, strict=True))
            b = both_axes(My, Mx, self.values)
        if not matched or self.moments is None:
            return b
        coarse = _cells(self.moments)
        sy, sx = cells[0] // coarse[0], cells[1] // coarse[1]
        moments: Any = self.moments
        b[..., ::sy, ::sx] += (moments - restrict(b, coarse)) * self.known
        return b

    def _own(self) -> Any:
        """Load vector on the grid of the values, in memory of its own."""
        if self.integrals is None:
            return mass_times(self.values, self.size)
        return self.integrals.copy() if isinstance(self.integrals, np.ndarray) else self.integrals.clone()

    def _in_numpy(self) -> Load[np.ndarray] | None:
        """View of tensors on whose memory numpy can work, whose matrices are sparse; else ``None``."""
        if isinstance(self.values, np.ndarray) or not plain(self.values):
            return None
        known = None if self.known is None else self.known.detach().numpy()  # type: ignore[union-attr]
        return replace(self.map(lambda t: t.detach().numpy()), known=known)  # type: ignore[return-value]

    def _constant(self) -> float | None:
        """Value of one load in numpy that is constant to the last digit; else ``None``."""
        values = self.values
        if not isinstance(values, np.ndarray) or values.ndim != 2 or values.min() != values.max():
            return None
        return float(values[0, 0])

    def _refines(self, cells: tuple[int, int]) -> bool:
        """Whether the grid of the nodal values refines another one."""
        return self.cells != cells and self.cells[0] % cells[0] == 0 and self.cells[1] % cells[1] == 0

    def tensors(self, device: torch.device | str = "cpu") -> Load[Tensor]:
        """Convert to torch, with a leading batch of one medium and one load.

        Parameters
        ----------
        device : where the tensors lie.

        Returns
        -------
        Load with values (1, 1, p+1, q+1) in float64.
        """
        import torch

        def batch(v: Any) -> Any:
            return None if v is None else torch.from_numpy(np.array(v, order="C"))[None, None].to(device)

        known = None if self.known is None else batch(self.known)[0, 0]
        return Load(batch(self.values), self.size, batch(self.moments), known, batch(self.integrals))

    def map(self, change: Callable[[Any], Any]) -> Load[Array]:
        """Apply a function to all arrays.

        Parameters
        ----------
        change : array -> array, such as a reshape of the batch; applied to values, moments and integrals, so it must be
            linear.

        Returns
        -------
        Load
        """
        moments, integrals = (None if v is None else change(v) for v in (self.moments, self.integrals))
        return replace(self, values=change(self.values), moments=moments, integrals=integrals)


def load_cells(coarse: tuple[int, int]) -> int:
    """Choose the cells per coarse cell of the grid on which a load is described; fewer on finer coarse grids.

    Parameters
    ----------
    coarse : cells (Ny, Nx) of the coarse grid.

    Returns
    -------
    16, 8 or 4.

    Examples
    --------
    >>> [load_cells((n, n)) for n in (8, 32, 64, 128)]
    [16, 16, 8, 4]
    """
    return next(k for k in (16, 8, 4) if k == 4 or k * max(coarse) <= LOAD_NODES)


def _cells(v: Any) -> tuple[int, int]:
    return int(v.shape[-2]) - 1, int(v.shape[-1]) - 1


def _hat_integrals(n: int, length: float) -> np.ndarray:
    """Integrals (n+1,) of the hats of n cells along a side."""
    w = np.full(n + 1, length / n)
    w[[0, -1]] /= 2
    return w


def _tensor(v: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(v)


def _mask(free: np.ndarray, like: Array) -> Array:
    if isinstance(like, np.ndarray):
        return free  # type: ignore[return-value]
    import torch

    return torch.from_numpy(np.ascontiguousarray(free)).to(like.device)
