"""What users give as right-hand side: f, point sources and fluxes through natural sides, integrated on one grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ngsolve as ngs
import numpy as np

from ..checks import described, refuse_masked
from ..errors import InvalidProblem
from ..number_checks import is_number
from ..solvers.load import LOAD_NODES, Load
from ..solvers.medium import Medium
from ..solvers.moments import Sampler, function_moments, of_callable, point_moments
from ..solvers.nodal import refuse_cell_values
from ..solvers.space import Space
from ..solvers.target import FineQ1
from .coarse_field import CoarseField
from .flux import flux_form, flux_moments, flux_parts
from .linear_form import form_moments
from .samplers import of_coefficient, point_functionals

#: Load vectors of users' spaces are integrated with so much more than NGSolve's default order.
LOAD_BONUS = 6
#: … and users integrate them with so much more, by default none.
COARSE_BONUS = (0, 2, 4, 6, 8, 10, 12, 16, 20)


@dataclass(frozen=True, eq=False)
class Sources:
    """The right-hand side as a user gives it.

    Attributes
    ----------
    f : number, CoefficientFunction, callable f(x, y) of arrays, array of nodal values ``[iy, ix]`` of any grid, or an
        assembled LinearForm or its vector; ``None``: zero where there are points or a flux, else to be recovered.
    points : (x, y, weight) of point sources.
    flux : a∂u/∂n on natural sides: number, CoefficientFunction, callable g(x, y), or a dict of these by boundary name
        or side.
    """

    f: Any = None
    points: Sequence[tuple[float, float, float]] = ()
    flux: Any = None

    @property
    def given(self) -> bool:
        """Whether anything is given."""
        return self.f is not None or len(self.points) > 0 or self.flux is not None

    def read(
        self, u: ngs.GridFunction, found: CoarseField, cells: tuple[int, int]
    ) -> tuple[Load[np.ndarray], Iterator[np.ndarray], tuple[str, ...]]:
        """Integrate all of it.

        Parameters
        ----------
        u : coarse solution, whose mesh CoefficientFunctions are evaluated on.
        found : the same on a tensor grid.
        cells : (p, q) of the grid on which moments are to be exact, as of :func:`load_grid`.

        Returns
        -------
        load : Load
            On that grid; a number or nodal values alone are taken as they are.
        vectors : Iterator[np.ndarray]
            Load vectors (n,) of u's space that the user may have solved with: exact ones, those by NGSolve's default
            rule, and by better ones.
        notes : tuple[str, ...]
            What the user should know.

        Raises
        ------
        InvalidProblem
            If f, a point or a flux is none of what is allowed, or not finite.
        """
        mesh, space = u.space.mesh, found.space
        f, notes, dofs = 0.0 if self.f is None else self.f, (), None
        if isinstance(f, (ngs.LinearForm, ngs.BaseVector)):
            dofs, load, notes = form_moments(f, u, found, cells)
        else:
            load, notes = _load(f, mesh, found, cells)
        parts = () if self.flux is None else flux_parts(self.flux, mesh, space)
        alone = load
        if len(self.points) or parts:
            moments = load.vector(cells) + point_moments(self.points, cells, space.size, space.lower)
            load = Load.from_vector(moments + flux_moments(parts, mesh, space, cells), space.size)

        def vectors() -> Iterator[np.ndarray]:
            direct = dofs is None and found.vertices is not None and u.space.ndof == mesh.nv
            if direct:
                b = np.zeros(mesh.nv)
                b[found.vertices] = load.vector(space.cells)
                yield b
            rest = point_functionals(u.space, self.points) + flux_form(u.space, parts, space)
            if not direct:
                yield (integrated(u.space, as_function(f, alone, space)) if dofs is None else dofs) + rest
            if dofs is None:
                for bonus in COARSE_BONUS:
                    yield integrated(u.space, as_function(f, alone, space), bonus) + rest

        return load, vectors(), notes


def load_grid(space: Space, medium: Medium, scale: float | None) -> tuple[int, int]:
    """Choose the grid on which moments of a load are to be exact.

    Parameters
    ----------
    space : the coarse space.
    medium : the raster.
    scale : fine cells per coarse cell of the mesh that is to be solved on; ``None``: not known, or no mesh.

    Returns
    -------
    tuple[int, int]
        Cells (p, q) of the fine mesh, refined where the raster is finer; without a scale of a refined raster.

    Examples
    --------
    >>> space, medium = Space((16, 16)), Medium(np.ones((64, 64)))
    >>> load_grid(space, medium, 8), load_grid(space, medium, None)
    ((128, 128), (512, 512))
    """
    my, mx = medium.cells
    if scale is None:
        k = max(1, LOAD_NODES // max(my, mx))
        return k * my, k * mx
    ny, nx = FineQ1(scale).mesh(medium, space).cells
    return ny * -(-my // ny), nx * -(-mx // nx)


def nodal_load(f: Any, space: Space) -> Load[np.ndarray]:
    """Read a load from nodal values.

    Parameters
    ----------
    f : array of nodal values ``[iy, ix]`` of any grid.
    space : of the problem.

    Returns
    -------
    Load
        Bilinear between these nodes.

    Raises
    ------
    InvalidProblem
        If f is no such array, or not finite, or has one value per cell.
    """
    values = _as_nodal_values(f)
    refuse_cell_values(values.shape, space.cells, "f")
    return _finite(Load(values, space.size))


def as_function(f: Any, load: Load[np.ndarray], space: Space) -> ngs.CoefficientFunction:
    """Convert a load to a CoefficientFunction.

    Parameters
    ----------
    f : number, CoefficientFunction, callable or nodal values.
    load : the same as it was read.
    space : the coarse space.

    Returns
    -------
    ngs.CoefficientFunction
        f itself where it is one or a number; else the bilinear function of the nodal values.
    """
    if isinstance(f, ngs.CoefficientFunction):
        return f
    if is_number(f):
        return ngs.CoefficientFunction(float(f))
    upper = (space.lower[0] + space.size[1], space.lower[1] + space.size[0])
    return ngs.VoxelCoefficient(space.lower, upper, load.values, linear=True)


def integrated(space: ngs.FESpace, f: ngs.CoefficientFunction, bonus: int = LOAD_BONUS) -> np.ndarray:
    """Integrate a load over a user's space, by default with enough points for jumps inside elements.

    Parameters
    ----------
    space : scalar.
    f : the load.
    bonus : ``bonus_intorder`` of NGSolve's ``dx``.

    Returns
    -------
    np.ndarray
        (n,) load vector.
    """
    # NGSolve finds no test function in f v where f is the constant 0
    form = ngs.LinearForm((f + ngs.Parameter(0.0)) * space.TestFunction() * ngs.dx(bonus_intorder=bonus))
    return form.Assemble().vec.FV().NumPy().copy()


def _load(
    f: Any, mesh: ngs.Mesh, found: CoarseField, cells: tuple[int, int]
) -> tuple[Load[np.ndarray], tuple[str, ...]]:
    """Load of a function, with notes: numbers on the coarsest grid, nodal values on their own, others on ``cells``."""
    space = found.space
    if is_number(f):
        return _finite(Load(np.full(space.shape, float(f)), space.size)), ()
    sampler: Sampler | None = None
    if isinstance(f, ngs.CoefficientFunction):
        check_scalar(f)
        sampler = of_coefficient(f, mesh, space, found.quads)
    elif callable(f):
        sampler = of_callable(f)  # type: ignore[arg-type]
    if sampler is None:
        return nodal_load(f, space), ()
    integral = function_moments(sampler, cells, space.size, space.lower)
    return Load.from_vector(integral.vector, space.size), integral.notes


def check_scalar(f: ngs.CoefficientFunction) -> None:
    """Check that a load is real and scalar.

    Parameters
    ----------
    f : the load.

    Raises
    ------
    InvalidProblem
        If it is not.
    """
    if f.is_complex or f.dim != 1:
        raise InvalidProblem("f must be a real scalar.")


def _finite(load: Load[np.ndarray]) -> Load[np.ndarray]:
    if not np.isfinite(load.values).all():
        raise InvalidProblem("f has values that are not finite.")
    return load


def _as_nodal_values(f: Any) -> np.ndarray:
    refuse_masked(f, "load")
    try:
        values = np.asarray(f)
    except ValueError:  # lists of unequal lengths
        values = np.empty(0, object)
    if values.dtype.kind not in "fiub":
        raise InvalidProblem(
            "f must be a number, CoefficientFunction, callable f(x, y), nodal array or assembled LinearForm, not "
            f"{described(f)}."
        )
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or min(values.shape) < 2:
        raise InvalidProblem(f"f as an array must hold nodal values [iy, ix], not shape {values.shape}.")
    return values
