"""NGSolve's viewer in notebooks, with scenes that a browser can carry."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import ngsolve as ngs
import numpy as np

from ..errors import DependencyMissing, GridMismatch
from ..ngsolve_io.meshes import structured_mesh
from ..solvers.space import Space
from .elements import check_drawable, is_nodal
from .field import Field, MeshField, as_field

if TYPE_CHECKING:
    from ..ngsolve_io.types import GridFunction

#: Bytes that the viewer takes per element (vertex values, order 1; measured in tests/test_visual.py), and per scene.
BYTES, LARGEST = 60, 10_000_000


def thinned(u: Any, mesh: Any = None) -> GridFunction | None:
    """Interpolate a field on a mesh that the viewer of notebooks can carry.

    Parameters
    ----------
    u : real field with one component, as for :func:`draw`.
    mesh : of a CoefficientFunction.

    Returns
    -------
    GridFunction or None
        H1 of order 1 on at most ``LARGEST / BYTES`` quads over the same rectangle; None where the field is
        small as it is.

    Raises
    ------
    GridMismatch
        If it is not, and its mesh does not fill a rectangle.
    InvalidProblem
        If it is no real field on a two-dimensional mesh.
    """
    mesh = check_drawable(u, mesh)
    limit = LARGEST // BYTES
    if mesh.ne <= limit and is_nodal(u):
        return None
    field: Field = as_field(u, mesh=mesh) if u.dim == 1 else MeshField(ngs.Norm(u), mesh)
    x0, x1, y0, y1 = field.extent
    finest = math.sqrt(min(limit, 4 * mesh.ne if not is_nodal(u) else mesh.ne))
    aspect = math.sqrt((x1 - x0) / (y1 - y0))
    ny, nx = max(1, int(finest / aspect)), max(1, int(finest * aspect))
    grid = Space((ny, nx), (x0, y0), (y1 - y0, x1 - x0))
    y, x = grid.nodes()
    X, Y = np.meshgrid(x, y)
    try:
        values = field.at(np.stack([X.ravel(), Y.ravel()], 1))
    except GridMismatch as error:
        raise GridMismatch("the mesh fills no rectangle and cannot be thinned; use ngsolve.webgui.Draw.") from error
    out = ngs.GridFunction(ngs.H1(structured_mesh(grid), order=1))
    out.vec.FV().NumPy()[:] = values
    return out


def draw(u: Any, mesh: Any = None, **options: Any) -> Any:
    """Draw a field in a notebook with NGSolve's viewer, on a thinned mesh: scenes of at most 10 MB.

    ``ngsolve.webgui.Draw`` makes 134 MB of a field on 512 x 512 quads. Elements that are too many are replaced by fewer
    quads with the values at their corners; of vectors the length is drawn.

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
    return Draw(u if small is None else small, order=1, nodal_p1=True, **options)
