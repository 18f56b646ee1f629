"""NGSolve meshes: vertices, boundary segments and names of the user's, and fine tensor meshes made for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import ngsolve as ngs
import numpy as np
from netgen.meshing import Mesh as NetgenMesh  # type: ignore[attr-defined]

from ..solvers.space import SIDES, Space
from .evaluate import evaluate

T = TypeVar("T")


class MeshCache:
    """Cache of objects made for a mesh, least recently used first out; an entry is void when its mesh changes.

    The mesh is held, not weakly referenced: NGSolve's Python objects are wrappers that come and go
    (``u.space.mesh`` makes a new one unless one is alive), and holding one keeps its identity.

    Parameters
    ----------
    entries : number of objects kept.
    """

    def __init__(self, entries: int):
        self._entries: OrderedDict[tuple, tuple[ngs.Mesh, int, Any]] = OrderedDict()
        self._limit = entries

    def get(self, mesh: ngs.Mesh, key: tuple, make: Callable[[], T]) -> T:
        """Return the object for a mesh and a key, made on first use.

        Parameters
        ----------
        mesh : the mesh it belongs to, compared by identity and time of its last change.
        key : everything else it depends on, hashable.
        make : makes it.

        Returns
        -------
        T
            What ``make`` returned, now or at an earlier call.
        """
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


_fine_spaces = MeshCache(2)


def vertices(mesh: ngs.Mesh) -> np.ndarray:
    """Return the coordinates (nv, 2) of a mesh's vertices as (x, y)."""
    return np.array(mesh.ngmesh.Coordinates())[:, :2]


def free_dofs(space: ngs.FESpace) -> np.ndarray:
    """Return the mask (n,) of the free degrees of freedom of a space.

    To read NGSolve's BitArray one by one takes 0.1 s for 512² of them.
    """
    ones = ngs.BaseVector(space.ndof)
    ones[:] = 1.0
    ngs.Projector(space.FreeDofs(), True).Project(ones)
    return ones.FV().NumPy() != 0


def free_vertices(u: ngs.GridFunction) -> np.ndarray:
    """Return the mask (nv,) of the vertices whose degree of freedom in u's space is free."""
    return free_dofs(u.space)[: u.space.mesh.nv]


def boundary_segments(mesh: ngs.Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Read the boundary segments of a mesh.

    Parameters
    ----------
    mesh : two-dimensional mesh.

    Returns
    -------
    ends : np.ndarray
        (ns, 2) vertex numbers.
    regions : np.ndarray
        (ns,) numbers of the boundaries they belong to, as in ``mesh.GetBoundaries()``.
    """
    pairs, regions = [], []
    for element in mesh.Elements(ngs.BND):
        pairs.append([v.nr for v in element.vertices])
        regions.append(element.index)
    return np.array(pairs, dtype=int).reshape(-1, 2), np.array(regions, dtype=int)


@dataclass(frozen=True)
class FineSpace:
    """H1 space of order 1 on a tensor mesh of quads, numbered row by row: dof ``iy*(nx+1)+ix``.

    Attributes
    ----------
    space : NGSolve's space.
    grid : the tensor grid of its mesh.
    """

    space: ngs.H1
    grid: Space

    def field(self, values: np.ndarray) -> ngs.GridFunction:
        """Make a GridFunction of nodal values.

        Parameters
        ----------
        values : (ny+1, nx+1) nodal values.

        Returns
        -------
        ngs.GridFunction
            A new one in ``space``.
        """
        u = ngs.GridFunction(self.space)
        u.vec.FV().NumPy()[:] = values.ravel()
        return u


def fine_space(u: ngs.GridFunction, fine: Space) -> FineSpace:
    """Make the fine mesh and H1 space over the coarse mesh's rectangle; the last two are kept.

    Parameters
    ----------
    u : coarse solution; the fine mesh has the material and boundary names of its mesh, the fine space the same
        Dirichlet boundaries.
    fine : the fine tensor grid.

    Returns
    -------
    FineSpace
        Shared between calls: do not change its mesh.
    """
    return fine_space_on(u.space.mesh, dirichlet_names(u), fine)


def fine_space_on(mesh: ngs.Mesh, dirichlet: str, fine: Space) -> FineSpace:
    """Make the fine mesh and H1 space as :func:`fine_space` does, without the coarse solution.

    Parameters
    ----------
    mesh : coarse mesh.
    dirichlet : regular expression of the Dirichlet boundaries, see :func:`dirichlet_names`.
    fine : the fine tensor grid.

    Returns
    -------
    FineSpace
    """
    return _fine_spaces.get(mesh, (fine, dirichlet), lambda: _named_space(mesh, fine, dirichlet))


def structured_mesh(
    grid: Space,
    materials: tuple[str, ...] = ("dom",),
    owner: np.ndarray | None = None,
    boundaries: tuple[str, ...] = SIDES,
    labels: np.ndarray | None = None,
) -> ngs.Mesh:
    """Make a mesh of quads, vertices and elements numbered row by row, by netgen's bulk interface.

    Parameters
    ----------
    grid : the tensor grid, (ny, nx) cells.
    materials : names of the materials.
    owner : (ny nx,) number of the material of every cell, row by row; default: all the first.
    boundaries : names of the boundaries.
    labels : (2 ny + 2 nx,) number of the boundary of every segment, in the order bottom, right, top, left, each by
        growing coordinate; default: the four sides.

    Returns
    -------
    ngs.Mesh
        The mesh.
    """
    y, x = grid.nodes()
    ny, nx = grid.cells
    X, Y = np.meshgrid(x, y)
    made = NetgenMesh()
    made.dim = 2
    made.AddPoints(np.ascontiguousarray(np.stack([X.ravel(), Y.ravel(), np.zeros(X.size)], 1)))
    index = np.arange((ny + 1) * (nx + 1), dtype=np.int32).reshape(ny + 1, nx + 1)
    quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], -1).reshape(-1, 4)
    segments = np.concatenate(
        [
            np.stack([index[0, :-1], index[0, 1:]], 1),
            np.stack([index[:-1, -1], index[1:, -1]], 1),
            np.stack([index[-1, 1:], index[-1, :-1]], 1),
            np.stack([index[1:, 0], index[:-1, 0]], 1),
        ]
    )
    owner = np.zeros(len(quads), int) if owner is None else owner
    labels = np.repeat(np.arange(4), [nx, ny, nx, ny]) if labels is None else labels
    for dim, names, elements, numbers in ((2, materials, quads, owner), (1, boundaries, segments, labels)):
        for k, name in enumerate(names):
            region = made.AddRegion(name, dim=dim)
            mine = np.ascontiguousarray(elements[numbers == k], dtype=np.int32)
            if len(mine):
                made.AddElements(dim=dim, index=region, data=mine, base=0)
    return ngs.Mesh(made)


def field_on_grid(grid: Space, values: np.ndarray) -> ngs.GridFunction:
    """Make a GridFunction of nodal values on a mesh of its own.

    Parameters
    ----------
    grid : the tensor grid; its Dirichlet sides are those of the space.
    values : (ny+1, nx+1) nodal values.

    Returns
    -------
    ngs.GridFunction
        H1 of order 1; the sides are called bottom, right, top, left.
    """
    fixed = "|".join(name for name, is_fixed in zip(SIDES, grid.sides, strict=True) if is_fixed)
    return FineSpace(ngs.H1(structured_mesh(grid), order=1, dirichlet=fixed), grid).field(values)


def dirichlet_names(u: ngs.GridFunction) -> str:
    """Return the regular expression of the boundaries of u's mesh that have no free vertex."""
    mesh = u.space.mesh
    pairs, regions = boundary_segments(mesh)
    fixed = set(regions.tolist()) - set(regions[free_vertices(u)[pairs].any(1)].tolist())
    return "|".join(sorted({mesh.GetBoundaries()[r] for r in fixed}))


def _named_space(mesh: ngs.Mesh, fine: Space, dirichlet: str) -> FineSpace:
    """Fine space whose mesh has the names of ``mesh``."""
    made = structured_mesh(
        fine,
        tuple(mesh.GetMaterials()),
        _material_of_cells(mesh, fine),
        tuple(mesh.GetBoundaries()),
        _boundary_of_segments(mesh, fine),
    )
    return FineSpace(ngs.H1(made, order=1, dirichlet=dirichlet), fine)


def _material_of_cells(mesh: ngs.Mesh, fine: Space) -> np.ndarray:
    """Material number of every fine cell (row by row), by its centre."""
    names = mesh.GetMaterials()
    if len(names) == 1:
        return np.zeros(fine.cells[0] * fine.cells[1], int)
    index = ngs.CoefficientFunction([float(k) for k in range(len(names))])  # by number: names may repeat
    (y, x), (hy, hx) = fine.nodes(), fine.spacing
    return np.rint(evaluate(index, mesh, y[:-1] + hy / 2, x[:-1] + hx / 2)).astype(int).ravel()


def _boundary_of_segments(mesh: ngs.Mesh, fine: Space) -> np.ndarray:
    """Boundary number of every fine boundary segment (order of ``structured_mesh``), by its midpoint."""
    coordinates = vertices(mesh)
    pairs, regions = boundary_segments(mesh)
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
