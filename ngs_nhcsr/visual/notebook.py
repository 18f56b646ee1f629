"""NGSolve's viewer in notebooks, with scenes that a browser can carry."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import ngsolve as ngs
import numpy as np

from ..errors import DependencyMissing, GridMismatch
from ..ngsolve_io.coarse_field import tensor_index
from ..ngsolve_io.meshes import field_on_grid, structured_mesh, vertices
from ..ngsolve_io.write_back import cell_field
from ..solvers.space import Space
from .elements import check_drawable
from .field import MeshField, as_field

if TYPE_CHECKING:
    from ..ngsolve_io.types import GridFunction

#: Bytes of the viewer's scene per quad at order 2, which shows bilinear functions exactly; and per scene.
BYTES, LARGEST = 530, 10_000_000


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
        return field_on_grid(grid, field.at(np.stack([X.ravel(), Y.ravel()], 1)).reshape(grid.shape))
    except GridMismatch as error:
        raise GridMismatch("the mesh fills no rectangle and cannot be thinned; use ngsolve.webgui.Draw.") from error


def draw(u: Any, mesh: Any = None, **options: Any) -> Any:
    """Draw a field in a notebook with NGSolve's viewer, on a thinned mesh: scenes of at most 10 MB.

    ``ngsolve.webgui.Draw`` makes 134 MB of a field on 512 x 512 quads. Elements that are too many are replaced by fewer
    quads; of vectors on them the length is drawn.

    Parameters
    ----------
    u : real GridFunction or CoefficientFunction.
    mesh : of a CoefficientFunction.
    **options : passed on to ``ngsolve.webgui.Draw``: ``deformation``, ``min``, ``max``, ``filename`` …

    Returns
    -------
    The scene of ``ngsolve.webgui``.

    Raises
    ------
    GridMismatch
        If a mesh that is too large fills no rectangle.
    InvalidProblem
        If the field cannot be drawn.
    DependencyMissing
        Without webgui_jupyter_widgets.
    """
    small = thinned(u, mesh)
    try:
        from ngsolve.webgui import Draw
        from webgui_jupyter_widgets import BaseWebGuiScene  # noqa: F401 - else Draw fails later and says less
    except ImportError as error:
        raise DependencyMissing("draw needs webgui_jupyter_widgets: pip install 'ngs-nhcsr[notebook]'.") from error
    # Not nodal_p1=True, which is smaller: of a mesh in the plane its viewer draws every other triangle.
    if small is None:
        return Draw(u, **{"order": 2, **options})
    # The thinned mesh is no mesh of the user's, and its lines would hide the colours.
    return Draw(small, **{"order": 2, "settings": {"Objects": {"Wireframe": False}}, **options})


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
