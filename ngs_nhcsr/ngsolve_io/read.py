"""Read a coarse problem from NGSolve: its solution, its coefficient and its load, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ngsolve as ngs
import numpy as np

from ..problem import Problem
from ..solvers.medium import Medium
from ..solvers.space import Space
from .canonical import canonical
from .checks import check_kinds
from .coarse_field import CoarseField, read_coarse
from .coefficient import Raster, rasterise
from .notes import doubts_about_load, mismatch_notes, raster_notes
from .quadrature import Rules, as_coefficient_function


@dataclass(frozen=True, eq=False)
class _Coefficient:
    """A coefficient as coarse solutions of one space need it: its raster, and their form by quadrature rules."""

    raster: Raster
    medium: Medium
    rules: Rules


class Reader:
    """Reads coarse solutions that have one coefficient.

    Parameters
    ----------
    a : coefficient: CoefficientFunction, number, or array ``[iy, ix]`` of cell values.
    mesh : the mesh a region-wise coefficient belongs to, if another than that of the coarse solutions.
    cells_per_coarse : raster cells per coarse cell and axis, where ``a`` is no array; default 4.
    mean : how a raster cell in which ``a`` varies gets its value: "arithmetic", "geometric" or "harmonic".

    Raises
    ------
    InvalidProblem
        If ``mesh`` is no mesh.
    """

    def __init__(
        self,
        a: Any,
        *,
        mesh: ngs.Mesh | None = None,
        cells_per_coarse: int | None = None,
        mean: str = "arithmetic",
    ):
        check_kinds(mesh=mesh)
        self._a, self._mesh, self._per, self._mean = a, mesh, cells_per_coarse, mean
        self._prepared: tuple[ngs.FESpace, int, _Coefficient] | None = None

    def prepare(self, coarse_space: ngs.FESpace) -> tuple[Space, Medium]:
        """Rasterise the coefficient once for all coarse solutions of a space.

        Parameters
        ----------
        coarse_space : scalar H1 space on a rectangle. Later changes of the coefficient are not seen in it.

        Returns
        -------
        space : Space
            The tensor grid with its boundary conditions.
        medium : Medium
            The raster; problems that :meth:`read` makes of solutions in ``coarse_space`` have this same object.

        Raises
        ------
        InvalidProblem, NotCoercive, GridMismatch
            As for :meth:`read`.
        """
        check_kinds(coarse_space=coarse_space)
        u = ngs.GridFunction(coarse_space)
        found = self.grid_of(u)
        coefficient = self._coefficient(u, found)
        self._prepared = (u.space, u.space.mesh.ngmesh._timestamp, coefficient)
        return found.space, coefficient.medium

    def grid_of(self, u: ngs.GridFunction) -> CoarseField:
        """Read a coarse solution on its tensor grid; see :func:`ngs_nhcsr.ngsolve_io.coarse_field.read_coarse`.

        Parameters
        ----------
        u : coarse solution.

        Returns
        -------
        CoarseField
            Its values as they are.

        Raises
        ------
        InvalidProblem, GridMismatch
            If it breaks a rule.
        """
        cells = () if isinstance(self._a, (ngs.CoefficientFunction, int, float)) else np.shape(self._a)
        return read_coarse(u, (cells[0], cells[1]) if len(cells) == 2 else None)

    def read(self, u: ngs.GridFunction, *, f: Any = None, form: ngs.BilinearForm | None = None) -> Problem:
        """Read a coarse solution, its coefficient and its load.

        Parameters
        ----------
        u : coarse solution, a real scalar H1 GridFunction on a rectangle.
        f : load: number, CoefficientFunction, callable f(x, y), or nodal values; default: that of ``form``, or
            recovered from the coarse solution.
        form : the assembled form that ``u`` was solved with.

        Returns
        -------
        Problem
            With the canonical coarse solution, and notes on all that is in doubt.

        Raises
        ------
        InvalidProblem, NotCoercive, GridMismatch
            If something breaks a rule; see ``ngsolve_io.checks`` and ``checks``.
        """
        check_kinds(form=form)
        found = self.grid_of(u)
        coefficient = self._coefficient(u, found)
        A = coefficient.medium.values
        reading, mismatch = canonical(u, found, A, coefficient.rules, f, form)  # type: ignore[arg-type]
        doubts = doubts_about_load(reading, found, recovered=f is None and form is None)
        notes = (
            *raster_notes(coefficient.raster, self._mean),
            *mismatch_notes(mismatch, found.U, from_form=f is None),
            *doubts,
        )
        return Problem(
            space=found.space,
            medium=coefficient.medium,
            load=reading.load,
            U=reading.U,
            given=found.U,
            variation=coefficient.raster.variation,
            notes=notes,
            decided=not doubts,
            mismatch=mismatch,
            reading=reading,
        )

    def _coefficient(self, u: ngs.GridFunction, found: CoarseField) -> _Coefficient:
        """Raster and rules for u's space: those prepared, or new ones."""
        mesh, grid = u.space.mesh, found.space
        if self._prepared is not None:
            fes, stamp, prepared = self._prepared
            if fes is u.space and stamp == mesh.ngmesh._timestamp:
                return prepared
        per, quads = self._per, found.quads
        raster = rasterise(self._a, mesh, grid, cells_per_coarse=per, mesh=self._mesh, mean=self._mean, quads=quads)
        # A region-wise coefficient of another mesh cannot be assembled on the user's: its raster stands for it.
        a = self._a if self._mesh is None else raster.values
        constant = raster.values if raster.variation is None else None
        certain = not isinstance(a, ngs.CoefficientFunction)
        rules = Rules(u.space, as_coefficient_function(a, raster.values, grid), constant, certain)
        return _Coefficient(raster, Medium(raster.values), rules)


def read_problem(
    u_coarse: ngs.GridFunction,
    a: Any,
    *,
    f: Any = None,
    form: ngs.BilinearForm | None = None,
    mesh: ngs.Mesh | None = None,
    cells_per_coarse: int | None = None,
    mean: str = "arithmetic",
) -> Problem:
    """Read one coarse problem.

    Parameters
    ----------
    u_coarse : coarse solution, a real scalar H1 GridFunction on a rectangle.
    a : coefficient, as for :class:`Reader`.
    f : load, as for :meth:`Reader.read`.
    form : the assembled form that ``u_coarse`` was solved with.
    mesh : the mesh a region-wise coefficient belongs to, if another than that of ``u_coarse``.
    cells_per_coarse : raster cells per coarse cell and axis, where ``a`` is no array; default 4.
    mean : how a raster cell in which ``a`` varies gets its value.

    Returns
    -------
    Problem
        With the canonical coarse solution, and notes on all that is in doubt.

    Raises
    ------
    InvalidProblem, NotCoercive, GridMismatch
        If something breaks a rule.
    """
    reader = Reader(a, mesh=mesh, cells_per_coarse=cells_per_coarse, mean=mean)
    return reader.read(u_coarse, f=f, form=form)
