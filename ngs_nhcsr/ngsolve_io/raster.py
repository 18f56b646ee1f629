"""NGSolve objects to arrays and back: coarse fields, coefficients, fine meshes."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import ngsolve as ngs
import numpy as np
from netgen.meshing import Mesh as NetgenMesh  # type: ignore[attr-defined]

from ..checks import (
    check_coarse_field,
    check_coefficient_function,
    check_coefficient_values,
    check_raster_shape,
    free_vertices,
)
from ..errors import GridMismatch, InvalidProblem
from ..solvers.space import Space, tensor_index

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Sample points per raster cell and axis, at the cell's sixths: the centre and the cell's outer parts.
SAMPLES = 3
#: A cell "varies" if its samples differ by more than this fraction of their mean.
VARIATION = 0.05
SIDES = ("bottom", "right", "top", "left")


class MeshCache:
    """Least-recently-used cache of objects made for a mesh; an entry is void when its mesh changes.

    The mesh is held, not weakly referenced: NGSolve's Python objects are wrappers that come and go
    (``u.space.mesh`` makes a new one unless one is alive), and holding one keeps its identity.
    """

    def __init__(self, entries: int):
        self._entries: OrderedDict[tuple, tuple[ngs.Mesh, int, Any]] = OrderedDict()
        self._limit = entries

    def get(self, mesh: ngs.Mesh, key: tuple, make: Callable[[], T]) -> T:
        """The object for (mesh, key), made on first use."""
        stamp = mesh.ngmesh._timestamp
        full = (id(mesh), *key)
        found = self._entries.get(full)
        if found is not None and found[0] is mesh and found[1] == stamp:
            self._entries.move_to_end(full)
            return found[2]
        value = make()
        self._entries[full] = (mesh, stamp, value)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)
        return value


_points_cache = MeshCache(4)
_fine_cache = MeshCache(2)


@dataclass(frozen=True)
class CoarseField:
    """A coarse solution on a tensor grid.

    Attributes
    ----------
    grid : the tensor grid; the mesh's own if it is one, else one of matching size.
    U : (ny+1, nx+1) nodal values.
    free : (ny+1, nx+1) mask of free nodes.
    vertices : vertex number of each node, if the mesh is a uniform grid of quads; else ``None``.
    """

    grid: Space
    U: np.ndarray
    free: np.ndarray
    vertices: np.ndarray | None

    @property
    def sides(self) -> tuple[bool, bool, bool, bool]:
        """Whether bottom, right, top, left carry Dirichlet conditions (on any of their inner nodes)."""
        fixed = ~self.free
        return (
            bool(fixed[0, 1:-1].any()),
            bool(fixed[1:-1, -1].any()),
            bool(fixed[-1, 1:-1].any()),
            bool(fixed[1:-1, 0].any()),
        )


def read_coarse(u: ngs.GridFunction, raster: tuple[int, int] | None = None) -> CoarseField:
    """Nodal values of a coarse solution on a uniform tensor grid.

    On a uniform grid of quadrilaterals (any numbering) of any order these are the vertex values. On triangles,
    graded or unstructured meshes of a rectangle, ``u`` is evaluated on a grid with about as many nodes as the mesh
    has degrees of freedom, or on one that divides the coefficient's ``raster`` (my, mx); a log line says which.

    Raises
    ------
    InvalidProblem, GridMismatch : see ``checks.check_coarse_field``.
    """
    check_coarse_field(u)
    mesh = u.space.mesh
    coordinates = np.array(mesh.ngmesh.Coordinates())[:, :2]
    found = tensor_index(coordinates)
    if found is not None and found[0].cells[0] * found[0].cells[1] == mesh.ne:
        grid, vertices = found
        free = free_vertices(u)
        values = u.vec.FV().NumPy()[: mesh.nv]
        return CoarseField(grid, values[vertices].copy(), free[vertices], vertices)
    lower, upper = coordinates.min(0), coordinates.max(0)
    size = (float(upper[1] - lower[1]), float(upper[0] - lower[0]))
    density = np.sqrt(u.space.ndof / (size[0] * size[1]))
    wanted = (size[0] * density - 1, size[1] * density - 1)
    cells = matching_cells(wanted, raster)
    grid = Space(cells, (float(lower[0]), float(lower[1])), size)
    log.info("coarse solution on %d elements evaluated on a tensor grid of %d x %d cells", mesh.ne, *cells[::-1])
    U = evaluate(u, mesh, *grid.nodes())
    free = _free_nodes(u, mesh, grid)
    return CoarseField(grid, U, free, None)


def matching_cells(wanted: tuple[float, float], raster: tuple[int, int] | None = None) -> tuple[int, int]:
    """Cells of a tensor grid nearest to ``wanted``: divisors of the raster if there is one, else multiples of four.

    Examples
    --------
    >>> matching_cells((26.3, 26.3)), matching_cells((26.3, 26.3), (96, 96))
    ((28, 28), (24, 24))
    """
    if raster is None:
        return (max(4, 4 * round(wanted[0] / 4)), max(4, 4 * round(wanted[1] / 4)))

    def nearest(k: int) -> int:
        divisors = [d for d in range(4, raster[k] + 1) if raster[k] % d == 0] or [raster[k]]
        return min(divisors, key=lambda d: abs(np.log(d / wanted[k])))

    return (nearest(0), nearest(1))


def _free_nodes(u: ngs.GridFunction, mesh: ngs.Mesh, grid: Space) -> np.ndarray:
    """Mask of free nodes of a tensor grid laid over an unstructured mesh, from the Dirichlet boundary segments."""
    vertex_free = free_vertices(u)
    coordinates = np.array(mesh.ngmesh.Coordinates())[:, :2]
    y, x = grid.nodes()
    free = np.ones(grid.shape, bool)
    tolerance = 1e-9 * max(grid.size)
    for nodes in _segments(mesh)[0]:
        if vertex_free[nodes].any():
            continue
        (x0, y0), (x1, y1) = coordinates[nodes]
        rows = (y >= min(y0, y1) - tolerance) & (y <= max(y0, y1) + tolerance)
        columns = (x >= min(x0, x1) - tolerance) & (x <= max(x0, x1) + tolerance)
        free[np.ix_(rows, columns)] = False
    return free


def _segments(mesh: ngs.Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Boundary segments: vertex pairs (ns, 2) and region numbers (ns,)."""
    pairs, regions = [], []
    for element in mesh.Elements(ngs.BND):
        pairs.append([v.nr for v in element.vertices])
        regions.append(element.index)
    return np.array(pairs, dtype=int).reshape(-1, 2), np.array(regions, dtype=int)


def evaluate(field: ngs.CoefficientFunction, mesh: ngs.Mesh, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values of a scalar field at the tensor product of coordinates: (len(y), len(x)).

    Raises
    ------
    GridMismatch
        If a point lies outside the mesh.
    """
    X, Y = np.meshgrid(x, y)
    points = mesh(X.ravel(), Y.ravel())
    if (points["nr"] < 0).any():
        k = int(np.argmax(points["nr"] < 0))
        raise GridMismatch(
            f"point ({X.ravel()[k]:.6g}, {Y.ravel()[k]:.6g}) of the raster lies outside the mesh of the "
            "coefficient; the meshes must cover the same rectangle."
        )
    return np.asarray(field(points), dtype=float).reshape(X.shape)


@dataclass(frozen=True)
class Raster:
    """A coefficient on cells.

    Attributes
    ----------
    values : (my, mx) one value per cell.
    varying : number of cells inside which it varies by more than ``VARIATION`` of its mean.
    variation : (my, mx) 1 − harmonic / arithmetic mean of its samples in a cell, in [0, 1): 0 where it is constant;
        ``None`` if it is constant in every cell.
    """

    values: np.ndarray
    varying: int = 0
    variation: np.ndarray | None = None


#: How a cell in which the coefficient varies gets its one value.
MEANS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "arithmetic": lambda s: s.mean((1, 3)),
    "geometric": lambda s: np.exp(np.log(s).mean((1, 3))),
    "harmonic": lambda s: 1 / (1 / s).mean((1, 3)),
}


def rasterise(
    a: Any,
    field_mesh: ngs.Mesh,
    grid: Space,
    *,
    cells_per_coarse: int | None = None,
    mesh: ngs.Mesh | None = None,
    mean: str = "arithmetic",
) -> Raster:
    """Cell values of a coefficient on a raster of ``cells_per_coarse`` (default 4) cells per coarse cell.

    Parameters
    ----------
    a : CoefficientFunction, GridFunction, number, or array ``[iy, ix]`` of cell values whose shape is a multiple of
        the coarse cells (and then decides the raster).
    field_mesh : mesh of the coarse solution.
    grid : coarse tensor grid.
    mesh : the mesh a region-wise coefficient belongs to, if another than ``field_mesh``.
    mean : ``MEANS`` entry for cells in which ``a`` varies.

    Raises
    ------
    InvalidProblem, NotCoercive, GridMismatch : see ``checks``.
    """
    ny, nx = grid.cells
    if isinstance(a, (int, float)) and not isinstance(a, bool):
        a = ngs.CoefficientFunction(float(a))
    if not isinstance(a, ngs.CoefficientFunction):
        values = check_coefficient_values(a)
        check_raster_shape(values.shape, grid.cells, cells_per_coarse)
        return Raster(values)
    per = 4 if cells_per_coarse is None else cells_per_coarse
    check_coefficient_function(a)
    if isinstance(per, bool) or not isinstance(per, (int, np.integer)) or per < 1:
        raise InvalidProblem(f"cells_per_coarse must be a whole number ≥ 1, not {per!r}.")
    home = mesh or (a.space.mesh if isinstance(a, ngs.GridFunction) else field_mesh)
    my, mx = ny * per, nx * per
    key = (grid, per)

    def locate() -> Any:
        fine = grid.with_cells((my * SAMPLES, mx * SAMPLES))
        (y, x), (hy, hx) = fine.nodes(), fine.spacing
        X, Y = np.meshgrid(x[:-1] + hx / 2, y[:-1] + hy / 2)
        points = home(X.ravel(), Y.ravel())
        if (points["nr"] < 0).any():
            k = int(np.argmax(points["nr"] < 0))
            raise GridMismatch(
                f"point ({X.ravel()[k]:.6g}, {Y.ravel()[k]:.6g}) of the coarse domain lies outside the coefficient's "
                "mesh; both must cover the same rectangle."
            )
        return points

    points = _points_cache.get(home, key, locate)
    samples = check_coefficient_values(np.asarray(a(points)).reshape(my * SAMPLES, mx * SAMPLES), sampled=SAMPLES)
    cells = samples.reshape(my, SAMPLES, mx, SAMPLES)
    spread = cells.max((1, 3)) - cells.min((1, 3))
    varying = int((spread > VARIATION * cells.mean((1, 3))).sum())
    if spread.any():
        variation = 1 - MEANS["harmonic"](cells) / MEANS["arithmetic"](cells)
        return Raster(MEANS[mean](cells), varying, variation.clip(0, 1))
    return Raster(np.ascontiguousarray(cells[:, 0, :, 0]), 0)


@dataclass(frozen=True)
class FineSpace:
    """H1 space of order 1 on a fine grid of quads, numbered row by row: dof ``iy*(nx+1)+ix``."""

    space: ngs.H1
    grid: Space

    def field(self, values: np.ndarray) -> ngs.GridFunction:
        """GridFunction with the nodal values (ny+1, nx+1)."""
        u = ngs.GridFunction(self.space)
        u.vec.FV().NumPy()[:] = values.ravel()
        return u


def fine_space(u: ngs.GridFunction, coarse: Space, fine: Space) -> FineSpace:
    """Fine mesh and H1 space over the coarse mesh's rectangle, with its boundary and material names; cached.

    The space has the same Dirichlet boundaries as the coarse one.
    """
    mesh = u.space.mesh
    dirichlet = _dirichlet_names(u)
    return _fine_cache.get(mesh, (coarse, fine, dirichlet), lambda: _build(mesh, fine, dirichlet))


def _dirichlet_names(u: ngs.GridFunction) -> str:
    """Regular expression of the boundaries without free vertices."""
    mesh = u.space.mesh
    free = free_vertices(u)
    pairs, regions = _segments(mesh)
    fixed = {int(r) for r in np.unique(regions)} - {int(r) for r in np.unique(regions[free[pairs].any(1)])}
    return "|".join(sorted({mesh.GetBoundaries()[r] for r in fixed}))


def structured_mesh(
    grid: Space,
    materials: tuple[str, ...] = ("dom",),
    owner: np.ndarray | None = None,
    boundaries: tuple[str, ...] = SIDES,
    labels: np.ndarray | None = None,
) -> ngs.Mesh:
    """Mesh of quads, vertices and elements numbered row by row, by netgen's bulk interface.

    Parameters
    ----------
    grid : the tensor grid.
    materials, owner : names, and the number of the material of every cell (row-major); default: all the first.
    boundaries, labels : names, and the number of the boundary of every segment, in the order bottom, right, top, left,
        each by growing coordinate; default: the four sides.
    """
    y, x = grid.nodes()
    ny, nx = grid.cells
    X, Y = np.meshgrid(x, y)
    made = NetgenMesh()
    made.dim = 2
    made.AddPoints(np.ascontiguousarray(np.stack([X.ravel(), Y.ravel(), np.zeros(X.size)], 1)))
    corner = (np.arange(ny)[:, None] * (nx + 1) + np.arange(nx)[None, :]).ravel()
    quads = np.stack([corner, corner + 1, corner + nx + 2, corner + nx + 1], 1).astype(np.int32)
    owner = np.zeros(len(quads), int) if owner is None else owner
    for k, name in enumerate(materials):
        region = made.AddRegion(name, dim=2)
        mine = np.ascontiguousarray(quads[owner == k])
        if len(mine):
            made.AddElements(dim=2, index=region, data=mine, base=0)
    index = np.arange((ny + 1) * (nx + 1)).reshape(ny + 1, nx + 1)
    segments = np.concatenate(
        [
            np.stack([index[0, :-1], index[0, 1:]], 1),
            np.stack([index[:-1, -1], index[1:, -1]], 1),
            np.stack([index[-1, 1:], index[-1, :-1]], 1),
            np.stack([index[1:, 0], index[:-1, 0]], 1),
        ]
    ).astype(np.int32)
    labels = np.repeat(np.arange(4), [nx, ny, nx, ny]) if labels is None else labels
    for k, name in enumerate(boundaries):
        region = made.AddRegion(name, dim=1)
        mine = np.ascontiguousarray(segments[labels == k])
        if len(mine):
            made.AddElements(dim=1, index=region, data=mine, base=0)
    return ngs.Mesh(made)


def _build(mesh: ngs.Mesh, fine: Space, dirichlet: str) -> FineSpace:
    made = structured_mesh(
        fine,
        tuple(mesh.GetMaterials()),
        _material_of_cells(mesh, fine),
        tuple(mesh.GetBoundaries()),
        _boundary_of_segments(mesh, fine),
    )
    return FineSpace(ngs.H1(made, order=1, dirichlet=dirichlet), fine)


def _material_of_cells(mesh: ngs.Mesh, fine: Space) -> np.ndarray:
    """Material number of every fine cell (row-major), by its centre."""
    names = mesh.GetMaterials()
    if len(names) == 1:
        return np.zeros(fine.cells[0] * fine.cells[1], int)
    index = ngs.CoefficientFunction([float(k) for k in range(len(names))])  # by number: names may repeat
    (y, x), (hy, hx) = fine.nodes(), fine.spacing
    return np.rint(evaluate(index, mesh, y[:-1] + hy / 2, x[:-1] + hx / 2)).astype(int).ravel()


def _boundary_of_segments(mesh: ngs.Mesh, fine: Space) -> np.ndarray:
    """Boundary number of every fine boundary segment (order of ``structured_mesh``), by its midpoint."""
    coordinates = np.array(mesh.ngmesh.Coordinates())[:, :2]
    pairs, regions = _segments(mesh)
    (y, x), (Ly, Lx) = fine.nodes(), fine.size
    x0, y0 = fine.lower
    tolerance = 1e-9 * max(Lx, Ly)
    labels = []
    # (axis along the side, axis across it, where the side lies, its nodes), 0 = x
    for along, across, at, nodes in ((0, 1, y0, x), (1, 0, x0 + Lx, y), (0, 1, y0 + Ly, x), (1, 0, x0, y)):
        on_side = (np.abs(coordinates[pairs][:, :, across] - at) <= tolerance).all(1)
        starts = coordinates[pairs[on_side]][:, :, along].min(1)
        order = np.argsort(starts)
        middle = (nodes[:-1] + nodes[1:]) / 2
        position = np.searchsorted(starts[order], middle, side="right") - 1
        labels.append(regions[on_side][order][np.clip(position, 0, None)])
    return np.concatenate(labels)
