"""Coarse solutions on a uniform tensor grid."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import ngsolve as ngs
import numpy as np

from ..solvers.space import Space
from .checks import check_coarse_field
from .evaluate import evaluate
from .meshes import MeshCache, boundary_segments, vertices
from .quad_cells import QuadCells

log = logging.getLogger(__name__)

#: Vertices closer than this fraction of the domain are taken as one coordinate.
RESOLUTION = 2.0**-30

#: A divisor of the raster is near the cells wanted up to this factor, and if no cell has more pixels along an axis.
NEAR, PIXELS = 2.0, 8

_grids = MeshCache(4)


@dataclass(frozen=True, eq=False)
class CoarseField:
    """A coarse solution on a tensor grid.

    Attributes
    ----------
    space : Q1 space on the tensor grid, with its free nodes; the grid is the mesh's own if it is one, else one of
        matching size.
    U : (ny+1, nx+1) nodal values.
    vertices : (ny+1, nx+1) vertex number of each node, if the mesh is a uniform grid of quads; else ``None``.
    quads : its elements by their place on the grid, likewise.
    """

    space: Space
    U: np.ndarray
    vertices: np.ndarray | None
    quads: QuadCells | None = None


def read_coarse(u: ngs.GridFunction, raster: tuple[int, int] | None = None) -> CoarseField:
    """Read the nodal values of a coarse solution on a uniform tensor grid.

    On a uniform grid of quadrilaterals (any numbering) of any order these are the vertex values. On triangles,
    graded or unstructured meshes of a rectangle, ``u`` is evaluated on a grid with about as many nodes as the space
    has degrees of freedom, if possible on one that divides the coefficient's raster; a log line says which.

    Parameters
    ----------
    u : finite, real, scalar H1 GridFunction on a rectangle.
    raster : (my, mx) cells of the coefficient, if it is given on cells.

    Returns
    -------
    CoarseField
        The values and the mask of the free nodes, copied.

    Raises
    ------
    InvalidProblem, GridMismatch
        See :func:`ngs_nhcsr.ngsolve_io.checks.check_coarse_field`.
    """
    coordinates, free = check_coarse_field(u)
    mesh = u.space.mesh
    # Points can be moved and meshes deformed without a new time of change.
    key = (coordinates.tobytes(), mesh.deformation is None)
    found = _grids.get(mesh, key, lambda: _grid_of_quads(mesh, coordinates))
    if found is not None:
        grid, index, quads = found
        values = u.vec.FV().NumPy()[: mesh.nv]
        space = Space.with_free(grid.cells, grid.lower, grid.size, free[index])
        return CoarseField(space, values[index], index, quads)
    grid = _matching_grid(coordinates, u.space.ndof, raster)
    log.info("coarse solution on %d elements evaluated on a tensor grid of %d x %d cells", mesh.ne, *grid.cells[::-1])
    space = Space.with_free(grid.cells, grid.lower, grid.size, _free_nodes(u, grid, free))
    return CoarseField(space, evaluate(u, mesh, *grid.nodes()), None)


def _grid_of_quads(mesh: ngs.Mesh, coordinates: np.ndarray) -> tuple[Space, np.ndarray, QuadCells | None] | None:
    """Grid, vertex numbers and elements of a uniform mesh of quads; ``None`` if it is none."""
    found = tensor_index(coordinates)
    if found is None or found[0].cells[0] * found[0].cells[1] != mesh.ne:
        return None
    return *found, QuadCells.of(mesh, found[1])


def tensor_index(coordinates: np.ndarray) -> tuple[Space, np.ndarray] | None:
    """Recognise vertices that form a uniform tensor grid, in whatever order.

    Parameters
    ----------
    coordinates : (nv, 2) as (x, y).

    Returns
    -------
    tuple or None
        The grid and the vertex number of every node, (ny+1, nx+1); ``None`` if the vertices are no such grid.

    Examples
    --------
    >>> grid, index = tensor_index(np.array([[0, 0], [0, 1], [1, 1], [1, 0]]))
    >>> grid.cells, index.tolist()
    ((1, 1), [[0, 3], [1, 2]])
    """
    lower, upper = coordinates.min(0), coordinates.max(0)
    extent = float((upper - lower).max())
    key = np.round((coordinates - lower) / (extent * RESOLUTION)).astype(np.int64)
    xs, ix = np.unique(key[:, 0], return_inverse=True)
    ys, iy = np.unique(key[:, 1], return_inverse=True)
    if len(xs) * len(ys) != len(coordinates) or min(len(xs), len(ys)) < 2:
        return None
    index = np.full((len(ys), len(xs)), -1)
    index[iy, ix] = np.arange(len(coordinates))
    for k in (xs, ys):
        if np.abs(k - np.linspace(k[0], k[-1], len(k))).max() > 1e-6 / RESOLUTION / len(k):
            return None
    if (index < 0).any():
        return None
    return _box(coordinates, (len(ys) - 1, len(xs) - 1)), index


def matching_cells(wanted: tuple[float, float], raster: tuple[int, int] | None = None) -> tuple[int, int]:
    """Choose the cells of a tensor grid: divisors of the raster if there are any near, else multiples of four.

    Parameters
    ----------
    wanted : (ny, nx) cells it should have about, positive.
    raster : (my, mx) cells of the coefficient.

    Returns
    -------
    tuple[int, int]
        (ny, nx), at least 4 each.

    Examples
    --------
    >>> matching_cells((26.3, 26.3)), matching_cells((26.3, 26.3), (96, 96)), matching_cells((26.3, 26.3), (97, 61))
    ((28, 28), (24, 24), (28, 28))
    """
    free = (max(4, 4 * round(wanted[0] / 4)), max(4, 4 * round(wanted[1] / 4)))
    if raster is None:
        return free
    divisors = [
        [d for d in range(4, m + 1) if m % d == 0 and m <= PIXELS * d and max(d / w, w / d) <= NEAR]
        for m, w in zip(raster, wanted, strict=True)
    ]
    if not all(divisors):
        return free
    ny, nx = (min(ds, key=lambda d, w=w: abs(np.log(d / w))) for ds, w in zip(divisors, wanted, strict=True))
    return ny, nx


def _box(coordinates: np.ndarray, cells: tuple[int, int]) -> Space:
    """Tensor grid with ``cells`` on the bounding box of vertices (nv, 2)."""
    (x0, y0), (x1, y1) = coordinates.min(0), coordinates.max(0)
    return Space(cells, (float(x0), float(y0)), (float(y1 - y0), float(x1 - x0)))


def _matching_grid(coordinates: np.ndarray, ndof: int, raster: tuple[int, int] | None) -> Space:
    """Tensor grid on the bounding box of an unstructured mesh, with about ``ndof`` nodes."""
    Lx, Ly = np.ptp(coordinates, axis=0)
    density = np.sqrt(ndof / (Lx * Ly))
    return _box(coordinates, matching_cells((Ly * density - 1, Lx * density - 1), raster))


def _free_nodes(u: ngs.GridFunction, grid: Space, free_vertex: np.ndarray) -> np.ndarray:
    """Mask of free nodes of a tensor grid laid over an unstructured mesh, from the Dirichlet boundary segments."""
    coordinates = vertices(u.space.mesh)
    y, x = grid.nodes()
    free = np.ones(grid.shape, bool)
    tolerance = 1e-9 * max(grid.size)
    for ends in boundary_segments(u.space.mesh)[0]:
        if free_vertex[ends].any():
            continue
        (x0, y0), (x1, y1) = coordinates[ends]
        rows = (y >= min(y0, y1) - tolerance) & (y <= max(y0, y1) + tolerance)
        columns = (x >= min(x0, x1) - tolerance) & (x <= max(x0, x1) + tolerance)
        free[np.ix_(rows, columns)] = False
    return free
