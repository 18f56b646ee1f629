"""Fields of NGSolve, element by element, as PyVista grids: any space, any order, any CoefficientFunction."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import ngsolve as ngs
import numpy as np

from ..checks import described
from ..errors import InvalidProblem
from ..ngsolve_io.checks import SCALAR_H1
from ..ngsolve_io.meshes import vertices
from .backend import import_pyvista

if TYPE_CHECKING:
    import pyvista as pv

Array = np.ndarray


def check_drawable(u: Any, mesh: Any) -> ngs.Mesh:
    """Check that a field of NGSolve can be drawn.

    Parameters
    ----------
    u : GridFunction or CoefficientFunction.
    mesh : the mesh to draw it on; None: that of the GridFunction.

    Returns
    -------
    ngs.Mesh
        The mesh.

    Raises
    ------
    InvalidProblem
        If it is neither, is complex, has more than two components, or has no two-dimensional mesh.
    """
    if not isinstance(u, ngs.CoefficientFunction):
        raise InvalidProblem(f"a GridFunction, CoefficientFunction or array can be drawn, not {described(u)}.")
    if u.is_complex:
        raise InvalidProblem("complex fields are not drawn; take u.real, u.imag or ngsolve.Norm(u).")
    if u.dim > 2:
        raise InvalidProblem(f"a field with {u.dim} components is not drawn; take one of them or ngsolve.Norm(u).")
    if mesh is None and not isinstance(u, ngs.GridFunction):
        raise InvalidProblem("a CoefficientFunction is drawn on a mesh; give mesh=.")
    mesh = u.space.mesh if mesh is None else mesh  # type: ignore[attr-defined] - else it is a GridFunction
    if mesh.dim != 2:
        raise InvalidProblem(f"only two-dimensional meshes are drawn, not those of dimension {mesh.dim}.")
    return mesh


def is_nodal(u: Any) -> bool:
    """Whether the values at the vertices are all there is to know: H1 of order 1."""
    return isinstance(u, ngs.GridFunction) and u.space.type == SCALAR_H1 and u.dim == 1 and u.space.globalorder == 1


def is_cellwise(u: Any) -> bool:
    """Whether a field is drawn flat, cell by cell: L2 of order 0, and what may jump anywhere."""
    if isinstance(u, ngs.GridFunction):
        return u.space.type == "l2ho" and u.space.globalorder == 0
    return u.dim == 1


def to_pyvista(u: Any, name: str = "u", *, mesh: Any = None, subdivision: int | None = None) -> pv.UnstructuredGrid:
    """Convert a field of NGSolve to a PyVista grid, for one's own pictures or for files.

    Parameters
    ----------
    u : real GridFunction of any space, or CoefficientFunction, with one component or two.
    name : of the data.
    mesh : the mesh of a CoefficientFunction.
    subdivision : parts that a side of an element is cut into, ≥ 1; default: the order of the space.

    Returns
    -------
    pv.UnstructuredGrid
        H1 of order 1 undivided: the mesh itself, with the values at its vertices as point data. Else elements with
        points of their own, so that jumps stay: point data of spaces of order ≥ 1 and of vectors (three components,
        the last 0), cell data of L2 of order 0 and of CoefficientFunctions (values at the centres).

    Raises
    ------
    InvalidProblem
        If the field is complex, has more than two components, or lives on no two-dimensional mesh.
    DependencyMissing
        If PyVista is not installed.

    Examples
    --------
    >>> from ngsolve.meshes import MakeStructured2DMesh
    >>> from ngsolve import H1, L2, GridFunction
    >>> mesh = MakeStructured2DMesh(quads=True, nx=3, ny=3)
    >>> to_pyvista(GridFunction(H1(mesh))).n_points, to_pyvista(GridFunction(L2(mesh, order=2))).n_cells
    (16, 36)
    """
    import_pyvista()
    mesh = check_drawable(u, mesh)
    if is_nodal(u) and subdivision in (None, 1) and u.space.mesh is mesh:
        return _shared_vertices(u, mesh, name)
    if subdivision is None:
        subdivision = max(1, u.space.globalorder) if isinstance(u, ngs.GridFunction) else 1
    return _own_points(u, mesh, name, subdivision)


def _shared_vertices(u: ngs.GridFunction, mesh: ngs.Mesh, name: str) -> pv.UnstructuredGrid:
    """The mesh with values at its vertices."""
    pv = import_pyvista()
    nodes, corners = corner_numbers(mesh)
    cells, kinds = [], []
    for count, kind in ((3, pv.CellType.TRIANGLE), (4, pv.CellType.QUAD)):
        mine = nodes[corners == count][:, :count]
        cells.append(np.column_stack([np.full(len(mine), count), mine]).ravel())
        kinds.append(np.full(len(mine), kind, np.uint8))
    points = np.zeros((mesh.nv, 3))
    points[:, :2] = vertices(mesh)
    grid = pv.UnstructuredGrid(np.concatenate(cells), np.concatenate(kinds), points)
    grid.point_data[name] = u.vec.FV().NumPy()[: mesh.nv].copy()
    return grid


def _own_points(u: Any, mesh: ngs.Mesh, name: str, parts: int) -> pv.UnstructuredGrid:
    """Elements cut into parts² cells with points of their own; values at the points, or at the centres of the cells."""
    pv = import_pyvista()
    _, corners = corner_numbers(mesh)
    xy = _values(ngs.CoefficientFunction((ngs.x, ngs.y)), mesh, parts, False)
    points = np.zeros((len(xy), 3))
    points[:, :2] = xy
    per_element = np.where(corners == 4, (parts + 1) ** 2, (parts + 1) * (parts + 2) // 2)
    first = np.concatenate([[0], np.cumsum(per_element)[:-1]])
    cells, kinds, owners = [], [], []
    for count, kind in ((3, pv.CellType.TRIANGLE), (4, pv.CellType.QUAD)):
        local = _pattern(count, parts)[1]
        mine = np.flatnonzero(corners == count)
        corner_points = (first[mine, None, None] + local).reshape(-1, count)
        cells.append(np.column_stack([np.full(len(corner_points), count), corner_points]).ravel())
        kinds.append(np.full(len(corner_points), kind, np.uint8))
        owners.append((mine[:, None] * parts**2 + np.arange(parts**2)).ravel())
    grid = pv.UnstructuredGrid(np.concatenate(cells), np.concatenate(kinds), points)
    flat = is_cellwise(u)
    values = _values(u, mesh, parts, flat)
    values = np.pad(values, ((0, 0), (0, 1))) if values.shape[1] == 2 else values.ravel()
    if flat:
        grid.cell_data[name] = values[np.concatenate(owners)]
    else:
        grid.point_data[name] = values
    return grid


def corner_numbers(mesh: ngs.Mesh) -> tuple[Array, Array]:
    """Return the vertex numbers (ne, 3 or 4) of the elements, -1 for a triangle's fourth, and their counts (ne,)."""
    elements = mesh.ngmesh.Elements2D().NumPy()["nodes"]
    nodes = elements[:, :4].astype(np.int64) - 1
    return nodes, np.where((nodes >= 0).all(1), nodes.shape[1], 3)


def _values(cf: Any, mesh: ngs.Mesh, parts: int, centres: bool) -> Array:
    """Values (n, components), element by element, at the points of a pattern or at the centres of its cells."""
    rules = {}
    for count, kind in ((3, ngs.ET.TRIG), (4, ngs.ET.QUAD)):
        points, cells = _pattern(count, parts)
        at = points[cells].mean(1) if centres else points
        rules[kind] = ngs.IntegrationRule([tuple(p) for p in at.tolist()], [0.0] * len(at))
    values = np.asarray(cf(mesh.MapToAllElements(rules, ngs.VOL)), dtype=float)
    return values.reshape(len(values), -1)


@lru_cache(maxsize=32)
def _pattern(count: int, parts: int) -> tuple[Array, Array]:
    """Points (n, 2) of the reference element cut into parts² cells, and the corners (parts², count) of these."""
    number = np.full((parts + 1, parts + 1), -1)
    points = []
    for i in range(parts + 1):
        for j in range(parts + 1 - (i if count == 3 else 0)):
            number[i, j] = len(points)
            points.append((j / parts, i / parts))
    cells = []
    for i in range(parts):
        for j in range(parts - (i if count == 3 else 0)):
            if count == 4:
                cells.append((number[i, j], number[i, j + 1], number[i + 1, j + 1], number[i + 1, j]))
                continue
            cells.append((number[i, j], number[i, j + 1], number[i + 1, j]))
            if i + j + 2 <= parts:
                cells.append((number[i, j + 1], number[i + 1, j + 1], number[i + 1, j]))
    return np.array(points), np.array(cells)
