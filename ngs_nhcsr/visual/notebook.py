"""NGSolve's viewer in notebooks, with scenes that a browser can carry."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import ngsolve as ngs
import numpy as np

from ..errors import GridMismatch
from ..ngsolve_io.coarse_field import tensor_index
from ..ngsolve_io.meshes import field_on_grid, structured_mesh, vertices
from ..ngsolve_io.write_back import cell_field
from ..solvers.space import Space
from .backend import current_cell
from .elements import check_drawable
from .field import MeshField, as_field, field_of
from .maps import without_rounding
from .scene import Scene, import_viewer

if TYPE_CHECKING:
    from ..ngsolve_io.types import GridFunction

#: Bytes of the viewer's scene per quad at order 2, which shows bilinear functions exactly, and per scene; both before
#: it is compressed.
BYTES, LARGEST = 530, 10_000_000
#: Elements up to which the lines of the mesh are drawn; of more they hide the colours.
LINED = 2000
#: Height of a scene in a notebook.
HEIGHT = "26rem"


def thinned(u: Any, mesh: Any = None) -> GridFunction | None:
    """Sample a field on a mesh that the viewer of notebooks can carry.

    Parameters
    ----------
    u : real field, as for :func:`draw`; of vectors the length is sampled.
    mesh : of a CoefficientFunction.

    Returns
    -------
    GridFunction or None
        On at most ``LARGEST / BYTES`` quads over the same rectangle: H1 of order 1, and L2 of order 0 for what is
        constant on cells or may jump anywhere; None where the field is a GridFunction on so few elements.

    Raises
    ------
    GridMismatch
        If there are more, and the mesh does not fill a rectangle.
    InvalidProblem
        If it is no real field on a two-dimensional mesh.
    """
    mesh = check_drawable(u, mesh)
    limit = LARGEST // BYTES
    if isinstance(u, ngs.GridFunction) and mesh.ne <= limit:
        return None
    field = as_field(u, mesh=mesh) if u.dim == 1 else MeshField(ngs.Norm(u), mesh)
    grid = _grid(field.extent, mesh, limit)
    try:
        if field.cellwise:
            return cell_field(structured_mesh(grid), field.raster(*grid.cells))
        y, x = grid.nodes()
        X, Y = np.meshgrid(x, y)
        values = field.at(np.stack([X.ravel(), Y.ravel()], 1)).reshape(grid.shape)
        return field_on_grid(grid, without_rounding(values))
    except GridMismatch as error:
        raise GridMismatch("the mesh fills no rectangle and cannot be thinned; use ngsolve.webgui.Draw.") from error


def draw(u: Any, mesh: Any = None, **options: Any) -> Scene:
    """Draw a field in a notebook with NGSolve's viewer, to turn and to zoom; saved notebooks keep the scene.

    ``ngsolve.webgui.Draw`` makes 134 MB of a field on 512 x 512 quads, and loads its viewer from the internet whenever
    the notebook is looked at. Here elements that are too many are replaced by fewer quads (of vectors on them the
    length is drawn), scenes are compressed, and the viewer is inside: 0.3 MB and some 2 MB of data.

    Parameters
    ----------
    u : real GridFunction or CoefficientFunction, or a :class:`Correction`.
    mesh : of a CoefficientFunction.
    **options : passed on to ``ngsolve.webgui.Draw``: ``deformation``, ``min``, ``max``, ``width``, ``height`` …;
        ``filename`` of a page to write, which a browser shows without a network; ``show=False`` to draw nothing now.

    Returns
    -------
    Scene
        What was drawn; ``save("u.html")`` writes a page. It stays as it is when the field changes.

    Raises
    ------
    GridMismatch
        If a mesh that is too large fills no rectangle.
    InvalidProblem
        If the field cannot be drawn.
    DependencyMissing
        Without webgui_jupyter_widgets.
    """
    u = field_of(u)
    small = thinned(u, mesh)
    import_viewer()
    from ngsolve.webgui import Draw

    filename, show = options.pop("filename", None), options.pop("show", True)
    width, height = options.pop("width", "100%"), options.pop("height", HEIGHT)
    # Not nodal_p1=True, which is smaller: of a mesh in the plane its viewer draws every other triangle.
    options = {"order": 2, "show": False, **options}
    drawn = [u] + [mesh] * (mesh is not None) if small is None else [small]
    if small is not None or u.space.mesh.ne > LINED:  # a thinned mesh is no mesh of the user's
        options = {"settings": {"Objects": {"Wireframe": False}}, **options}
    data = Draw(*drawn, **options).GetData()
    if options.get("settings", {}).get("Objects", {}).get("Wireframe") is False:
        data |= {"show_wireframe": False, "Bezier_points": []}
    made = Scene(data, *(f"{length}px" if isinstance(length, int) else str(length) for length in (width, height)))
    if filename is not None:
        made.save(filename)
    if show and current_cell() is not None:
        made.show_now()
    return made


def _grid(extent: tuple[float, float, float, float], mesh: ngs.Mesh, limit: int) -> Space:
    """Grid of at most ``limit`` cells: cells of a uniform mesh halved or merged, so that pixels stay whole."""
    x0, x1, y0, y1 = extent
    found = tensor_index(vertices(mesh))
    if found is not None:
        ny, nx = found[0].cells
        power = math.floor(math.log2(limit / (ny * nx)) / 2)
        cells = tuple(max(1, math.floor(n * 2.0**power)) for n in (ny, nx))
    else:
        aspect = math.sqrt((x1 - x0) / (y1 - y0))
        cells = (max(1, int(math.sqrt(limit) / aspect)), max(1, int(math.sqrt(limit) * aspect)))
    return Space((cells[0], cells[1]), (x0, y0), (y1 - y0, x1 - x0))
