"""The PDE's own solution on a pixel medium, and everything that can be asked of it.

Owns :class:`TraceField`, which :func:`solve_pde` returns: energies, means and flows of the field itself, and guaranteed
bounds from the dual problem.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidProblem
from ..space import EDGES, SIDES
from .boundary import NEIGHBOURS, axis_of
from .function import TraceFunction
from .loads import CellLoad, Load, cell_load
from .problem import TraceProblem, apply_cells
from .schwarz import TraceSolved

if TYPE_CHECKING:
    from .bounds import Bounds
    from .dual import DualFlux

Array = np.ndarray


@dataclass(frozen=True)
class TraceInfo:
    """How a field was computed.

    Attributes
    ----------
    modes : functions per edge.
    steps : conjugate gradient steps.
    algebraic_error : estimated relative energy error against the best field of the space.
    seconds : wall time of set-up and solve.
    """

    modes: int
    steps: int
    algebraic_error: float
    seconds: float

    @classmethod
    def of(cls, modes: int, info: TraceSolved, seconds: float) -> TraceInfo:
        """Build from what the solver reports.

        Parameters
        ----------
        modes : functions per edge.
        info : steps and algebraic error.
        seconds : wall time of set-up and solve.

        Returns
        -------
        The record.
        """
        return cls(modes, info.steps, info.relative_error, seconds)


@dataclass(frozen=True, eq=False, repr=False)
class TraceField(TraceFunction):
    r"""Approximate solution of :math:`-\nabla\cdot(a\nabla u) = f` without a mesh below the pixels.

    Made by :func:`solve_pde`. Values, gradients and integrals come from the field itself; every error bound is
    guaranteed against the differential equation, computed from the dual problem when first asked for.

    Attributes
    ----------
    problem : medium and boundary conditions.
    source : the load, linear on every cell, and the norms of what the projection dropped.
    info : modes, steps, algebraic error, seconds.

    Examples
    --------
    >>> from ngs_nhcsr.solvers.trace import solve_pde
    >>> u = solve_pde(np.ones((4, 4)), modes=6, tolerance=1e-8)
    >>> u.nodes(8).shape, round(float(u.at(np.array([[0.5, 0.5]]))[0]), 4), round(u.energy, 5)
    ((9, 9), 0.0737, 0.03514)
    >>> round(u.mean(), 5), round(u.mean((0.25, 0.25, 0.75, 0.75)), 4), round(u.side_flux("left"), 4)
    (0.03514, 0.0634, -0.25)
    """

    problem: TraceProblem
    source: CellLoad
    info: TraceInfo

    @property
    def functional(self) -> float:
        """E(v) = ½ a(v, v) − f(v) of this field: differences from it are half of squared energy distances."""
        return 0.5 * self.energy - self.work

    @cached_property
    def energy(self) -> float:
        r""":math:`\int a|\nabla u|^2` of this field."""
        return float(np.sum(self.problem.a * self.dirichlet()))

    def mean(self, region: tuple[float, float, float, float] | None = None) -> float:
        """Return the mean value over the domain or over a rectangle of whole cells.

        Parameters
        ----------
        region : (x0, y0, x1, y1) in the plane, with sides on lines of the raster; None: the domain.

        Returns
        -------
        The integral over the region divided by its area.

        Raises
        ------
        InvalidProblem
            If the region is not made of whole cells.
        """
        rows, columns = self.cells_of(region)
        return float(self.integrals()[rows, columns].mean() / (self.sides[0] * self.sides[1]))

    def cells_of(self, region: tuple[float, float, float, float] | None) -> tuple[slice, slice]:
        """Return the rows and columns of the cells of a rectangle; arguments and errors as for :meth:`mean`."""
        (hy, hx), (my, mx) = self.sides, self.shape
        if region is None:
            return slice(0, my), slice(0, mx)
        if np.shape(region) != (4,):
            raise InvalidProblem(f"region must be (x0, y0, x1, y1), not {region!r}.")
        lines = (np.asarray(region, dtype=float) - np.tile(self.lower, 2)) / np.array([hx, hy, hx, hy])
        i0, j0, i1, j1 = np.round(lines).astype(int)
        if np.abs(lines - np.round(lines)).max() > 1e-9 or not (0 <= i0 < i1 <= mx and 0 <= j0 < j1 <= my):
            raise InvalidProblem(f"region {tuple(region)} is not made of whole cells ({hx:g} x {hy:g}) of the domain.")
        return slice(j0, j1), slice(i0, i1)

    @cached_property
    def work(self) -> float:
        r""":math:`\int f u` plus the work of the prescribed fluxes; equal to the energy for zero Dirichlet data."""
        f, particular = self.source.coefficients, self.cell.particular
        inner = np.einsum("mji,mn,nji->", f, particular, self.interior, optimize=True)
        return float(self.problem.moments(self.source).dot(self.vector)) + float(inner) * self.sides[1] ** 2

    @cached_property
    def reactions(self) -> Array:
        r"""Moments (my+1, mx+1) of :math:`a\,\partial_n u` with the vertex functions, zero at free vertices."""
        applied = apply_cells(self.problem.a, self.cell.stiffness, self.vector)
        r = applied.combine(-1.0, self.problem.moments(self.source)).corners
        j0, j1, i0, i1 = self.problem.data.boundary.ranges(self.shape)
        r[j0:j1, i0:i1] = 0.0
        return r

    def side_flux(self, side: str) -> float:
        r"""Return the total flux :math:`\int a\,\partial_n u` out of the domain through a side.

        Through natural sides it is what was prescribed. Through a Dirichlet side between two natural ones it is the
        reaction of the discrete equations, with an error of the order of the squared energy error. Where two
        Dirichlet sides meet, reactions do not say which of them the flux at their vertex belongs to, and it comes
        from the dual problem: :attr:`flux`. In both cases fluxes and load are in balance.

        Parameters
        ----------
        side : "bottom", "right", "top" or "left".

        Returns
        -------
        The integral over the side.

        Raises
        ------
        InvalidProblem
            If there is no such side.
        """
        if side not in SIDES:
            raise InvalidProblem(f"side {side!r} is unknown; choose among {SIDES}.")
        data, axis = self.problem.data, axis_of(side)
        if side in data.boundary.natural:
            return data.flux.get(side, 0.0) * self.size[1 - axis]
        if not set(NEIGHBOURS[side]) <= data.boundary.natural:
            return self.flux.through(side)
        return float(self.reactions[EDGES[side]].sum())

    def solve(self, f: Load = 1.0, *, tolerance: float | None = None) -> TraceField:
        """Solve for another load with the same medium and boundary data; the set-up is used again.

        Parameters
        ----------
        f : as in :func:`solve_pde`; a callable takes coordinates of the plane.
        tolerance : relative algebraic error in the energy norm; None: as in :func:`solve_pde`.

        Returns
        -------
        The field of that load.

        Raises
        ------
        InvalidProblem
            If the load or the tolerance is wrong.
        SolverFailure
            If the iteration does not reach its tolerance.
        """
        from .solve import solve_load

        load = cell_load(partial(_from_corner, f, self.lower) if callable(f) else f, self.shape, self.size)
        return solve_load(self.problem, load, tolerance)

    @cached_property
    def flux(self) -> DualFlux:
        """Flux with divergence -f exactly, from the dual problem: conservative on every part of the domain."""
        return self.problem.dual.solve(self.source, max(self.info.algebraic_error, 1e-8), self.energy)

    @cached_property
    def bounds(self) -> Bounds:
        """Guaranteed bounds from the pair of this field and :attr:`flux`."""
        from .bounds import bounds_of

        return bounds_of(self, self.flux)

    @property
    def error_bound(self) -> float:
        r"""Guaranteed upper bound of :math:`(\int a|\nabla(u - v)|^2)^{1/2}`, v this field and u the PDE's solution."""
        return self.bounds.error

    @property
    def relative_error_bound(self) -> float:
        r"""Guaranteed upper bound of that error over :math:`(\int a|\nabla u|^2)^{1/2}`; inf if nothing is known."""
        return self.bounds.relative_error

    @property
    def energy_bounds(self) -> tuple[float, float]:
        r"""Guaranteed lower and upper bound of :math:`\int a|\nabla u|^2`, u the PDE's solution.

        With zero boundary data this is the work f(u) of the load.
        """
        return self.bounds.energy

    def side_flux_bounds(self, side: str) -> tuple[float, float]:
        """Bound the flux of the PDE's solution out of the domain through a Dirichlet side between two natural ones.

        Parameters
        ----------
        side : "bottom", "right", "top" or "left".

        Returns
        -------
        (lower, upper), guaranteed; see ``goals``.

        Raises
        ------
        InvalidProblem
            If a side next to it is Dirichlet, or it is natural itself.
        """
        from .goals import side_flux_bounds

        return side_flux_bounds(self, side)

    def mean_bounds(self, region: tuple[float, float, float, float] | None = None) -> tuple[float, float]:
        """Bound the mean of the PDE's solution over the domain or over a rectangle of whole cells.

        Parameters
        ----------
        region : (x0, y0, x1, y1) in the plane, with sides on lines of the raster; None: the domain.

        Returns
        -------
        (lower, upper), guaranteed; see ``goals``.

        Raises
        ------
        InvalidProblem
            If the region is not made of whole cells.
        """
        from .goals import mean_bounds

        return mean_bounds(self, region)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the field and its problem to an .npz file, which :meth:`load` reads on any machine.

        Parameters
        ----------
        path : name of the file; an older one is replaced when the new one is complete.
        """
        from .storage import save_field

        save_field(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> TraceField:
        """Read a field written by :meth:`save`; nothing in the file is executed.

        Parameters
        ----------
        path : the file.

        Returns
        -------
        The field; its solver is set up again when needed.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        InvalidProblem
            If the file is not such a field.
        """
        from .storage import load_field

        return load_field(path)


def _from_corner(f: Callable[[Array, Array], Array], lower: tuple[float, float], x: Array, y: Array) -> Array:
    """Values of a function of the plane at coordinates that count from ``lower``."""
    return f(x + lower[0], y + lower[1])
