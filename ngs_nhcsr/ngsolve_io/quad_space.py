"""H1 spaces of order 1 that users made on uniform meshes of quads: their dofs, coefficients and loads as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ngsolve as ngs
import numpy as np

from ..checks import check_coefficient_values, check_reaction_values, described
from ..errors import GridMismatch, InvalidProblem
from ..number_checks import is_number, is_whole
from ..solvers.load import Load
from ..solvers.medium import cell_values
from ..solvers.nodal import nodal_values, values_of
from ..solvers.space import Space
from .checks import SCALAR_H1, check_coefficient_function
from .coarse_field import tensor_index
from .coefficient import rasterise
from .evaluate import mesh_points
from .load import check_scalar, integrated, nodal_load
from .meshes import MeshCache, free_dofs, vertices
from .quad_cells import QuadCells

#: Places of the two Gauss points per axis of [0, 1]: those at which the plain ``dx`` samples a coefficient.
GAUSS = 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3.0)
#: Neighbouring cells whose values differ by less than this, relative to the larger, have one value.
SAME = 1e-12

_grids = MeshCache(4)


@dataclass(frozen=True, eq=False)
class QuadSpace:
    """A scalar H1 space of order 1 on a uniform mesh of quads, numbered in whatever way.

    Attributes
    ----------
    space : NGSolve's space.
    grid : the same with its free nodes, as the solvers take it.
    vertices : (ny+1, nx+1) dof of every node; ``None`` if they are numbered row by row.
    quads : its elements by their place on the grid.
    """

    space: ngs.FESpace
    grid: Space
    vertices: np.ndarray | None
    quads: QuadCells

    @classmethod
    def of(cls, fes: Any) -> QuadSpace:
        """Find the grid of a space.

        Parameters
        ----------
        fes : real, scalar H1 space of order 1 on a serial, straight, uniform mesh of quads of an axis-parallel
            rectangle, with any Dirichlet conditions.

        Returns
        -------
        QuadSpace

        Raises
        ------
        InvalidProblem
            If it is another space.
        GridMismatch
            If its mesh is another one.
        """
        check_space(fes)
        mesh = fes.mesh
        grid, index, quads = _grids.get(mesh, (), lambda: _grid(mesh))
        free = free_dofs(fes)[index]
        if not free.any():
            raise InvalidProblem("the space has no free dofs; there is nothing to solve for.")
        space = Space.with_free(grid.cells, grid.lower, grid.size, free)
        by_rows = (index.ravel() == np.arange(index.size)).all()
        return cls(fes, space, None if by_rows else index, quads)

    def nodes(self, vector: ngs.BaseVector) -> np.ndarray:
        """Return the nodal values (ny+1, nx+1) of a vector of the space; a view where dofs are numbered by rows."""
        return self._on_grid(self._values(vector))

    def _on_grid(self, values: np.ndarray) -> np.ndarray:
        """Order the values (n,) of dofs as nodal values (ny+1, nx+1)."""
        return values.reshape(self.grid.shape) if self.vertices is None else values.take(self.vertices)

    def write(self, values: np.ndarray, vector: ngs.BaseVector) -> None:
        """Set a vector of the space to nodal values (ny+1, nx+1)."""
        out = self._values(vector)
        if self.vertices is not None:
            out[self.vertices] = values
        elif not np.may_share_memory(values, out):  # else they lie there already
            out[:] = values.ravel()

    def raster(self, a: Any, cells_per_element: int = 1) -> np.ndarray:
        """Make cell values of a coefficient on the coarsest raster that has them.

        Parameters
        ----------
        a : array ``[iy, ix]`` of cell values of any raster, number, or CoefficientFunction. The last is averaged over
            the 2 x 2 Gauss points of every cell, so that an order-1 form with the plain ``dx`` has the same
            coefficient, as far as it is constant in the elements.
        cells_per_element : raster cells per element and axis at which a CoefficientFunction is taken.

        Returns
        -------
        np.ndarray
            (my, mx) finite positive values.

        Raises
        ------
        InvalidProblem, NotCoercive, GridMismatch
            See ``checks.check_coefficient_values``; also where the mesh of a GridFunction does not cover the grid.
        """
        per = _checked_cells(cells_per_element)
        if is_number(a):
            a = [[a]]
        if not isinstance(a, ngs.CoefficientFunction):
            return coarsest_raster(check_coefficient_values(cell_values(a)))
        if isinstance(a, ngs.GridFunction) and a.space.mesh is not self.space.mesh:
            raster = rasterise(a, self.space.mesh, self.grid, cells_per_coarse=per, mean="arithmetic")  # as below
            return coarsest_raster(raster.values)
        check_coefficient_function(a)
        samples = self.quads.values(a, _gauss_places(per))
        if not (samples.min() > 0 and samples.max() < np.inf):
            check_coefficient_values(samples, sampled=2)  # says what is wrong, and where
        return check_coefficient_values(coarsest_raster(_means(samples)))

    def reaction(self, c: Any, cells_per_element: int = 1) -> np.ndarray | None:
        """Make cell values of a reaction on the coarsest raster that has them.

        Parameters
        ----------
        c : array ``[iy, ix]`` of cell values of any raster, number, CoefficientFunction (averaged as in :meth:`raster`)
            or ``None``.
        cells_per_element : as for :meth:`raster`.

        Returns
        -------
        np.ndarray or None
            (py, px) finite values ≥ 0; ``None`` where there is no reaction.

        Raises
        ------
        InvalidProblem, NotCoercive
            See ``checks.check_reaction_values``.
        """
        if isinstance(c, ngs.CoefficientFunction):
            check_coefficient_function(c)
            c = _means(self._samples(c, _checked_cells(cells_per_element)))
        values = check_reaction_values(c)
        return None if values is None else coarsest_raster(values)

    def _samples(self, c: ngs.CoefficientFunction, per: int) -> np.ndarray:
        """Values at the 2 x 2 Gauss points of every cell; a GridFunction may live on another mesh."""
        at = _gauss_places(per)
        if isinstance(c, ngs.GridFunction) and c.space.mesh is not self.space.mesh:
            (ny, nx), (y, x), (hy, hx) = self.grid.cells, self.grid.nodes(), self.grid.spacing
            places = [(v[:-1, None] + h * at).ravel() for v, h in ((y, hy), (x, hx))]
            return np.asarray(c(mesh_points(c.space.mesh, *places))).reshape(ny * len(at), nx * len(at))
        return self.quads.values(c, at)

    def load_vector(self, f: Any) -> np.ndarray:
        """Integrate a load with the hats of the grid.

        Parameters
        ----------
        f : number, CoefficientFunction (integrated by NGSolve), callable f(x, y) of arrays or nodal values ``[iy, ix]``
            (taken bilinear), or the load vector itself: an assembled LinearForm or its vector.

        Returns
        -------
        np.ndarray
            (ny+1, nx+1) moments.

        Raises
        ------
        InvalidProblem
            If f is none of these, not real and scalar, or not finite.
        """
        cells, size = self.grid.cells, self.grid.size
        if isinstance(f, (ngs.LinearForm, ngs.BaseVector)):
            b = self.nodes(f.vec if isinstance(f, ngs.LinearForm) else f)
        elif isinstance(f, ngs.CoefficientFunction):
            check_scalar(f)
            b = self._on_grid(integrated(self.space, f, 0))
        elif is_number(f):
            b = Load.of(float(f), cells, size).vector(cells)
        elif callable(f):
            b = Load(self._called(f, "f"), size).vector(cells)
        else:
            b = nodal_load(f, self.grid).vector(cells)
        if not np.isfinite(b).all():
            raise InvalidProblem("f has values that are not finite.")
        return b

    def boundary_values(self, g: Any) -> np.ndarray:
        """Make Dirichlet values.

        Parameters
        ----------
        g : number, CoefficientFunction (set by NGSolve, so that ``mesh.BoundaryCF`` works), callable g(x, y) of arrays,
            or nodal values (ny+1, nx+1); what counts are the values at fixed nodes.

        Returns
        -------
        np.ndarray
            (ny+1, nx+1), zero at free nodes.

        Raises
        ------
        InvalidProblem
            If g is none of these, not real and scalar, of another shape, or not finite.
        """
        if isinstance(g, ngs.CoefficientFunction):
            if g.is_complex or g.dim != 1:
                raise InvalidProblem("g must be a real scalar.")
            lift = ngs.GridFunction(self.space)
            lift.Set(g, ngs.BND)
            values = self.nodes(lift.vec)
        elif callable(g):
            values = self._called(g, "g")
        else:
            values = nodal_values(g, self.grid.cells, self.grid.size, "g")
        values = np.where(self.grid.free, 0.0, values)
        if not np.isfinite(values).all():
            raise InvalidProblem("g has values that are not finite.")
        return values

    def _called(self, function: Any, name: str) -> np.ndarray:
        """Values of a function of (x, y), by its name in messages, at the nodes."""
        y, x = self.grid.nodes()
        return values_of(function, x[None, :], y[:, None], name)

    def _values(self, vector: ngs.BaseVector) -> np.ndarray:
        """Entries of a real vector of the space."""
        if vector.is_complex or len(vector) != self.space.ndof:
            raise InvalidProblem(
                f"a {'complex' if vector.is_complex else 'real'} vector of {len(vector)} entries does not belong to a "
                f"real space of {self.space.ndof} dofs."
            )
        return vector.FV().NumPy()


def check_space(fes: Any) -> None:
    """Check that the dofs of a space are the vertices of its mesh.

    Parameters
    ----------
    fes : must be a real scalar H1 space of order 1 on a serial, straight, two-dimensional mesh.

    Raises
    ------
    InvalidProblem
        If it is not.
    """
    if not isinstance(fes, ngs.FESpace):
        raise InvalidProblem(f"fes must be an NGSolve FESpace, not {described(fes)}.")
    mesh = fes.mesh
    if fes.is_complex:
        raise InvalidProblem("the space is complex; a real H1(mesh, order=1) is needed.")
    if fes.type != SCALAR_H1 or fes.dim != 1:
        raise InvalidProblem(
            f"the space is of type {fes.type!r} and dimension {fes.dim}; a scalar H1(mesh, order=1) is needed."
        )
    if fes.globalorder != 1:
        raise InvalidProblem(f"the space has order {fes.globalorder}; H1(mesh, order=1) is needed.")
    if mesh.comm.size > 1 or mesh.dim != 2 or mesh.GetCurveOrder() > 1:
        raise InvalidProblem(
            f"the mesh is {mesh.dim}-dimensional, of order {mesh.GetCurveOrder()}, on {mesh.comm.size} process(es); a "
            "two-dimensional straight mesh on one process is needed."
        )
    if fes.ndof != mesh.nv:
        raise InvalidProblem(
            f"the space has {fes.ndof} dofs and its mesh {mesh.nv} vertices; call fes.Update() after a refinement."
        )
    if fes.GetDefinedOnRegion().Mask().NumSet() not in (0, len(mesh.GetMaterials())):
        raise InvalidProblem("the space is defined on a part of the mesh only (definedon=); the whole mesh is needed.")


def coarsest_raster(values: np.ndarray) -> np.ndarray:
    """Merge cells of a raster to the largest rectangles of equal shape that have one value each.

    Multigrid needs its special transfers below the raster only, so a mesh should not be taken for a raster of pixels.

    Parameters
    ----------
    values : (ny, nx) cell values.

    Returns
    -------
    np.ndarray
        (my, mx) values on the coarsest raster that divides the given one and has the same values.

    Examples
    --------
    >>> coarsest_raster(np.array([[1.0, 2.0], [3.0, 4.0]]).repeat(6, 0).repeat(3, 1))
    array([[1., 2.],
           [3., 4.]])
    """
    steps = []
    for v in (values, values.T):
        jumps = np.abs(np.diff(v, axis=0)) > SAME * np.maximum(v[1:], v[:-1])
        steps.append(int(np.gcd.reduce(np.append(np.flatnonzero(jumps.any(1)) + 1, len(v)))))
    return np.ascontiguousarray(values[:: steps[0], :: steps[1]])


def _checked_cells(per: Any) -> int:
    """Raster cells per element, checked."""
    if not is_whole(per) or per < 1:
        raise InvalidProblem(f"cells_per_element must be a whole number ≥ 1, not {per!r}.")
    return int(per)


def _gauss_places(per: int) -> np.ndarray:
    """Places of the Gauss points of ``per`` cells in an element [0, 1]."""
    return ((np.arange(per)[:, None] + GAUSS) / per).ravel()


def _means(samples: np.ndarray) -> np.ndarray:
    """Means over blocks of 2 x 2, without round-off where all four are equal."""
    pairs = samples[::2] + samples[1::2]
    return 0.25 * (pairs[:, ::2] + pairs[:, 1::2])


def _grid(mesh: ngs.Mesh) -> tuple[Space, np.ndarray, QuadCells]:
    """Grid of a mesh, the vertex number of every node, and the elements."""
    found = tensor_index(vertices(mesh))
    quads = None if found is None else QuadCells.of(mesh, found[1])
    if found is None or quads is None:
        raise GridMismatch(
            f"the mesh of {mesh.ne} elements is no uniform grid of quads on an axis-parallel rectangle; make one with "
            "MakeStructured2DMesh(quads=True, nx=..., ny=...)."
        )
    return *found, quads
