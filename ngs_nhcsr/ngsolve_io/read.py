"""Read a coarse problem from NGSolve: its solution, its coefficient and its load, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ngsolve as ngs
import numpy as np

from ..problem import MEAN, Problem
from ..solvers.direct_fine import check_constants
from ..solvers.load_error import load_uncertainty
from ..solvers.medium import Medium
from ..solvers.neumann import balanced, is_neumann, with_mean
from ..solvers.space import Space
from .boundary_data import dirichlet_samples
from .canonical import canonical
from .checks import check_kinds, check_neumann
from .coarse_field import CoarseField, read_coarse
from .coefficient import Raster, rasterise
from .load import Sources, load_grid
from .notes import doubts_about_load, mismatch_notes, other_data, raster_notes
from .quadrature import Rules, as_coefficient_function
from .reaction import Reaction
from .robin import read_robin, robin_function
from .tensor_coefficient import is_tensor
from .voxel_cache import is_voxels


@dataclass(frozen=True, eq=False)
class _Coefficient:
    """A coefficient as coarse solutions of one space need it: its raster, and their form by quadrature rules."""

    raster: Raster
    reaction: Reaction
    medium: Medium
    rules: Rules


class Reader:
    """Reads coarse solutions that have one coefficient, one reaction and one set of Robin sides.

    Parameters
    ----------
    a : coefficient: CoefficientFunction, number, or array ``[iy, ix]`` of cell values; tensors as 2 x 2
        CoefficientFunction or array (my, mx, 2, 2).
    reaction : c ≥ 0, likewise; arrays on rasters that divide that of ``a``. Default: none.
    robin : α ≥ 0 of natural sides, as for :func:`ngs_nhcsr.ngsolve_io.robin.read_robin`. Default: none.
    mesh : the mesh region-wise coefficients belong to, if another than that of the coarse solutions.
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
        reaction: Any = None,
        robin: Any = None,
        mesh: ngs.Mesh | None = None,
        cells_per_coarse: int | None = None,
        mean: str = MEAN,
    ):
        check_kinds(mesh=mesh)
        self._a, self._mesh, self._per, self._mean = a, mesh, cells_per_coarse, mean
        self._reaction, self._robin = reaction, robin
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
        found, coefficient = self._found(u)
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
        shape: Any = () if isinstance(self._a, ngs.CoefficientFunction) else np.shape(self._a)
        return read_coarse(u, (shape[0], shape[1]) if len(shape) in (2, 4) else None)

    def read(
        self,
        u: ngs.GridFunction,
        *,
        f: Any = None,
        form: ngs.BilinearForm | None = None,
        points: Sequence[tuple[float, float, float]] = (),
        flux: Any = None,
        g: Any = None,
        scale: float | None = None,
    ) -> Problem:
        """Read a coarse solution, its coefficient and its load.

        Parameters
        ----------
        u : coarse solution, a real scalar H1 GridFunction on a rectangle.
        f : load: number, CoefficientFunction, callable f(x, y), nodal values, or assembled LinearForm; default: that of
            ``form``, or recovered from the coarse solution.
        form : the assembled form that ``u`` was solved with.
        points : (x, y, weight) of point sources.
        flux : a∂u/∂n on natural sides, as for :class:`ngs_nhcsr.ngsolve_io.load.Sources`.
        g : Dirichlet data, as for :func:`ngs_nhcsr.ngsolve_io.boundary_data.dirichlet_samples`; default: u's own.
        scale : fine cells per coarse cell of the mesh on which moments of the load are to be exact; default: of a
            refined raster.

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
        found, coefficient = self._found(u)
        sources = Sources(f, points, flux)
        neumann = is_neumann(found.space, coefficient.medium)
        check_constants(coefficient.medium, found.space)
        if neumann:
            check_neumann(u.space.mesh, sources.given)
        reading, mismatch, said = canonical(u, found, coefficient.medium, coefficient.rules, sources, form, scale)
        doubts = doubts_about_load(reading, found, recovered=not sources.given and form is None)
        if neumann and reading.load is not None:
            balanced(reading.load.vector(found.space.cells))
        load_error = 0.0
        if reading.load is not None and reading.recovered:
            unsure = reading.other, reading.dropped
            medium = coefficient.medium
            fine = load_grid(found.space, medium, scale)
            refinement = min(n // m for n, m in zip(fine, medium.cells, strict=True))
            load_error = load_uncertainty(reading.load, medium, found.space, reading.U, *unsure, refinement)
        notes = (
            *raster_notes(coefficient.raster, self._mean, is_voxels(self._a)),
            *coefficient.reaction.notes,
            *mismatch_notes(mismatch, found.U, not sources.given, taken_as_zero=sources.given and f is None),
            *said,
            *doubts,
        )
        data = None
        if g is not None:
            data = dirichlet_samples(g, u.space.mesh, found.space, coefficient.medium.cells)
            off, said = other_data(data, found)
            notes, mismatch = notes + said, max(mismatch, off)
        return Problem(
            space=found.space,
            medium=coefficient.medium,
            load=reading.load,
            U=with_mean(reading.U) if neumann else reading.U,
            given=found.U,
            variation=coefficient.raster.variation,
            notes=notes,
            decided=not doubts,
            mismatch=mismatch,
            reading=reading,
            load_error=load_error,
            dirichlet=data,
        )

    def _found(self, u: ngs.GridFunction) -> tuple[CoarseField, _Coefficient]:
        """Read a coarse solution on its grid, and the coefficient; where the grid is free, pixels decide it."""
        found = self.grid_of(u)
        coefficient = self._coefficient(u, found)
        if found.vertices is None and not coefficient.medium.refines(found.space.cells):
            found = read_coarse(u, coefficient.medium.cells)
        return found, coefficient

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
        reaction = Reaction.of(self._reaction, mesh, grid, raster.cells, self._mesh, quads)
        medium = raster.medium(reaction.values).with_robin(read_robin(self._robin, mesh, grid))
        if medium.isotropic and is_tensor(a):  # a scalar, written as a multiple of the identity
            a = a[0, 0] if isinstance(a, ngs.CoefficientFunction) else medium.values
        certain = not isinstance(a, ngs.CoefficientFunction)
        function = as_coefficient_function(a, medium, grid)
        constant = raster.variation is None
        alpha = None if medium.robin is None else robin_function(medium.robin, grid)
        rules = Rules(u.space, function, medium, reaction.function, alpha, constant=constant, certain=certain)
        return _Coefficient(raster, reaction, medium, rules)
