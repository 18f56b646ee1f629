"""What can be drawn: arrays and fields of NGSolve, as grids with data and as values at points."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ngsolve as ngs
import numpy as np

from ..checks import described
from ..errors import InvalidProblem
from ..ngsolve_io.coarse_field import tensor_index
from ..ngsolve_io.evaluate import located
from ..ngsolve_io.meshes import vertices
from ..solvers.transfer import prolongate
from .backend import import_pyvista
from .elements import check_drawable, corner_numbers, is_cellwise, is_nodal, to_pyvista

if TYPE_CHECKING:
    import pyvista as pv

Array = np.ndarray
#: (lowest x, highest x, lowest y, highest y), as Matplotlib's.
Extent = tuple[float, float, float, float]
#: Cells along the longer side of a map, at least (bilinear functions are drawn as two triangles a cell) and at most.
FINE, FINEST = 256, 1024


class Field(ABC):
    """A field over a rectangle or a mesh.

    Attributes
    ----------
    extent : of the domain.
    cellwise : whether it is constant on cells and drawn flat.
    components : 1 or 2.
    what : its mesh or raster in words, for titles.
    corrected : title of what ``correct`` returned: what it approximates, on which mesh; else empty.
    """

    extent: Extent
    cellwise: bool = False
    components: int = 1
    what: str = ""
    corrected: str = ""

    @abstractmethod
    def grid(self, name: str) -> pv.DataSet:
        """Make a PyVista grid, fine enough for a map, with the values as point or cell data of that name."""

    @abstractmethod
    def at(self, points: Array) -> Array:
        """Evaluate at points (n, 2) as (x, y) of the domain: (n,) or (n, 2) values."""

    def raster(self, ny: int, nx: int, extent: Extent | None = None) -> Array:
        """Evaluate at the centres of ny x nx equal cells of the domain, or of a part of it.

        Parameters
        ----------
        ny : rows.
        nx : columns.
        extent : of the part.

        Returns
        -------
        Array
            (ny, nx), or (ny, nx, 2) of a vector.
        """
        x0, x1, y0, y1 = self.extent if extent is None else extent
        x = x0 + (x1 - x0) * (np.arange(nx) + 0.5) / nx
        y = y0 + (y1 - y0) * (np.arange(ny) + 0.5) / ny
        X, Y = np.meshgrid(x, y)
        values = self.at(np.stack([X.ravel(), Y.ravel()], 1))
        return values.reshape(ny, nx, *values.shape[1:])


@dataclass(eq=False)
class NodalField(Field):
    """Bilinear function of nodal values (ny+1, nx+1) on a uniform grid."""

    values: Array
    extent: Extent
    what: str = ""

    def grid(self, name: str) -> pv.DataSet:
        """Make a grid on which the triangles that VTK cuts quads into cannot be seen."""
        ny, nx = (n - 1 for n in self.values.shape)
        longer = max(ny, nx)
        factor = math.ceil(FINE / longer) if longer < FINE else min(1.0, FINEST / longer)
        cells = (max(1, round(ny * factor)), max(1, round(nx * factor)))
        values = self.values if cells == (ny, nx) else prolongate(self.values, cells)
        grid = _image(cells, self.extent)
        grid.point_data[name] = values.ravel()
        return grid

    def at(self, points: Array) -> Array:
        """Evaluate at points."""
        x0, x1, y0, y1 = self.extent
        yx = (points[:, ::-1] - (y0, x0)) / (y1 - y0, x1 - x0)
        return prolongate(self.values, np.clip(yx, 0.0, 1.0))


@dataclass(eq=False)
class CellField(Field):
    """Cell values (my, mx), or vectors (my, mx, 2), on a uniform raster."""

    values: Array
    extent: Extent
    what: str = ""

    def __post_init__(self) -> None:
        self.components = 1 if self.values.ndim == 2 else 2
        self.cellwise = self.components == 1

    def grid(self, name: str) -> pv.DataSet:
        """Make a grid of the cells; of very many every second, third … one."""
        values = self.values[tuple(slice(None, None, math.ceil(n / FINEST)) for n in self.values.shape[:2])]
        grid = _image((values.shape[0], values.shape[1]), self.extent)
        grid.cell_data[name] = values.ravel() if self.cellwise else np.pad(values.reshape(-1, 2), ((0, 0), (0, 1)))
        return grid

    def at(self, points: Array) -> Array:
        """Look up the values of the cells that points lie in."""
        x0, x1, y0, y1 = self.extent
        my, mx = self.values.shape[:2]
        ix = np.clip(((points[:, 0] - x0) / (x1 - x0) * mx).astype(int), 0, mx - 1)
        iy = np.clip(((points[:, 1] - y0) / (y1 - y0) * my).astype(int), 0, my - 1)
        return self.values[iy, ix]


@dataclass(eq=False)
class MeshField(Field):
    """Any field of NGSolve on a mesh of triangles and quads."""

    u: Any
    mesh: ngs.Mesh

    def __post_init__(self) -> None:
        coordinates = vertices(self.mesh)
        (x0, y0), (x1, y1) = coordinates.min(0).tolist(), coordinates.max(0).tolist()
        self.extent = (x0, x1, y0, y1)
        self.cellwise = is_cellwise(self.u)
        self.components = self.u.dim
        self.what = f"{self.mesh.ne} elements"

    def grid(self, name: str) -> pv.DataSet:
        """Make a grid of the elements, cut into as many as a map needs."""
        flat = isinstance(self.u, ngs.GridFunction) and self.cellwise
        parts = 1 if flat else max(1, math.ceil(FINE / math.sqrt(self.mesh.ne)))
        return to_pyvista(self.u, name, mesh=self.mesh, subdivision=parts)

    def at(self, points: Array) -> Array:
        """Evaluate at points; GridMismatch where one lies outside the mesh."""
        values = np.asarray(self.u(located(self.mesh, points[:, 1].copy(), points[:, 0].copy())), dtype=float)
        return values.reshape(len(points), -1).squeeze(1) if self.components == 1 else values.reshape(len(points), 2)


def as_field(u: Any, *, mesh: Any = None, on: str = "cells", extent: Extent | None = None) -> Field:
    """Read what a user wants to see.

    Parameters
    ----------
    u : GridFunction, CoefficientFunction, array ``[iy, ix]`` with row 0 at the lowest y: cell values (my, mx), cell
        vectors (my, mx, 2) as (x, y), or nodal values (ny+1, nx+1); or Correction.
    mesh : of a CoefficientFunction.
    on : what the entries of an array belong to, "cells" or "nodes".
    extent : of an array; default: its longer side has length 1.

    Returns
    -------
    Field
        The field.

    Raises
    ------
    InvalidProblem
        If it cannot be drawn.
    """
    if isinstance(u, Field):
        return u
    if field_of(u) is not u:
        field = as_field(field_of(u))
        field.corrected = f"corrected to {target_in_words(u.target)}, {field.what}"
        return field
    if isinstance(u, (list, tuple, np.ndarray)):
        return _array_field(np.asarray(u), on, extent)
    mesh = check_drawable(u, mesh)
    if u.dim == 1 and isinstance(u, ngs.GridFunction) and u.space.mesh is mesh:
        found = _tensor_field(u, mesh)
        if found is not None:
            return found
    return MeshField(u, mesh)


def field_of(u: Any) -> Any:
    """Return a Correction's GridFunction on the fine mesh, and anything else as it is."""
    return u.u_fine if hasattr(u, "u_fine") else u


def target_in_words(target: str) -> str:
    """Say what a correction approximates.

    Examples
    --------
    >>> target_in_words("fine"), target_in_words("pde")
    ('u_h', "the PDE's u")
    """
    return {"fine": "u_h", "pde": "the PDE's u"}.get(target, target)


def _array_field(values: Array, on: str, extent: Extent | None) -> Field:
    if on not in ("cells", "nodes"):
        raise InvalidProblem(f'on must be "cells" or "nodes", not {on!r}.')
    vector = values.ndim == 3 and values.shape[2] == 2 and on == "cells"
    if not (values.ndim == 2 or vector) or values.dtype.kind not in "biuf" or min(values.shape) < (on == "nodes") + 1:
        raise InvalidProblem(
            f"an array to draw has the shape (my, mx) or (my, mx, 2) and real values, not {described(values)}."
        )
    ny, nx = (n - (on == "nodes") for n in values.shape[:2])
    x0, x1, y0, y1 = (0.0, nx / max(ny, nx), 0.0, ny / max(ny, nx)) if extent is None else map(float, extent)
    if not (x0 < x1 and y0 < y1):
        raise InvalidProblem(f"extent must be (lowest x, highest x, lowest y, highest y), not {(x0, x1, y0, y1)}.")
    kind = NodalField if on == "nodes" else CellField
    return kind(values.astype(float), (x0, x1, y0, y1), f"{nx} x {ny} cells")


def _tensor_field(u: ngs.GridFunction, mesh: ngs.Mesh) -> Field | None:
    """The field as an array, where its mesh is a uniform grid of quads and its space H1 of order 1."""
    if not is_nodal(u) or not (corner_numbers(mesh)[1] == 4).all():
        return None
    found = tensor_index(vertices(mesh))
    if found is None or mesh.ne != found[0].cells[0] * found[0].cells[1]:
        return None
    grid, index = found
    (x0, y0), (Ly, Lx), (ny, nx) = grid.lower, grid.size, grid.cells
    return NodalField(u.vec.FV().NumPy()[: mesh.nv][index], (x0, x0 + Lx, y0, y0 + Ly), f"{nx} x {ny} cells")


def _image(cells: tuple[int, int], extent: Extent) -> Any:
    """PyVista's grid of ny x nx equal cells."""
    pv = import_pyvista()
    (ny, nx), (x0, x1, y0, y1) = cells, extent
    return pv.ImageData(
        dimensions=(nx + 1, ny + 1, 1), spacing=((x1 - x0) / nx, (y1 - y0) / ny, 1.0), origin=(x0, y0, 0.0)
    )
