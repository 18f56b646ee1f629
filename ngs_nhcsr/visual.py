"""Pictures with PyVista: maps, warped surfaces, and side-by-side comparisons; safe without a display."""

from __future__ import annotations

import ctypes.util
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

import ngsolve as ngs
import numpy as np

from .errors import DependencyMissing, InvalidProblem, NhcsrWarning
from .ngsolve_io.meshes import vertices

if TYPE_CHECKING:
    import pyvista as pv

#: Colour map of solutions and of errors.
FIELD_MAP, ERROR_MAP = "viridis", "magma"
#: Scalar bar, as PyVista's ``scalar_bar_args``.
BAR: dict[str, Any] = {"vertical": True, "title_font_size": 16, "label_font_size": 13, "height": 0.6, "position_y": 0.2}


def import_pyvista() -> Any:
    """Import PyVista, set up to render off screen where there is no display.

    VTK crashes the process instead of raising where neither a display nor EGL is there, so that is asked first.

    Returns
    -------
    module
        PyVista.

    Raises
    ------
    DependencyMissing
        If it is not installed, or there is nothing to render with.
    """
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        if ctypes.util.find_library("EGL") is None and ctypes.util.find_library("OSMesa") is None:
            raise DependencyMissing(
                "there is no display and no libEGL to render without one; install it (on Debian and Ubuntu: "
                "apt install libegl1) or set DISPLAY."
            )
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    try:
        import pyvista as pv
    except ImportError as error:
        raise DependencyMissing("pictures need PyVista: pip install 'ngs-nhcsr[viz]'.") from error
    return pv


def _off_screen() -> bool:
    """Whether there is no display."""
    return sys.platform.startswith("linux") and not os.environ.get("DISPLAY")


def to_pyvista(u: ngs.GridFunction, name: str = "u") -> pv.UnstructuredGrid:
    """Convert a scalar GridFunction to a PyVista grid; of higher orders only the vertex values are taken.

    Parameters
    ----------
    u : real scalar H1 function on a two-dimensional mesh of triangles and quads.
    name : of the point data.

    Returns
    -------
    pv.UnstructuredGrid
        With the values at the vertices as point data.

    Raises
    ------
    InvalidProblem
        If the field is not a real scalar H1 function on a two-dimensional mesh.
    DependencyMissing
        If PyVista is not installed.
    """
    pv = import_pyvista()
    mesh = u.space.mesh
    if u.space.type != "h1ho" or u.space.dim != 1 or u.space.is_complex or mesh.dim != 2:
        raise InvalidProblem("to_pyvista needs a real scalar H1 GridFunction on a two-dimensional mesh.")
    elements = mesh.ngmesh.Elements2D().NumPy()["nodes"]
    nodes = elements[:, :4].astype(np.int64) - 1 if elements.shape[1] >= 4 else elements.astype(np.int64) - 1
    corners = np.where((nodes >= 0).all(1), nodes.shape[1], 3)
    cells, kinds = [], []
    for count, kind in ((3, pv.CellType.TRIANGLE), (4, pv.CellType.QUAD)):
        mine = nodes[corners == count][:, :count]
        if len(mine):
            cells.append(np.column_stack([np.full(len(mine), count), mine]).ravel())
            kinds.append(np.full(len(mine), kind, np.uint8))
    points = np.zeros((mesh.nv, 3))
    points[:, :2] = vertices(mesh)
    grid = pv.UnstructuredGrid(np.concatenate(cells), np.concatenate(kinds), points)
    grid.point_data[name] = u.vec.FV().NumPy()[: mesh.nv].copy()
    return grid


def colour_limits(*fields: np.ndarray) -> tuple[float, float]:
    """Compute common colour limits of fields.

    Parameters
    ----------
    *fields : arrays of any shape; values that are not finite are left out with a warning.

    Returns
    -------
    tuple[float, float]
        Smallest and largest value; for a constant field a small interval around it.
    """
    values = np.concatenate([f.ravel() for f in fields])
    finite = values[np.isfinite(values)]
    if len(finite) < len(values):
        warnings.warn(f"{len(values) - len(finite)} values are not finite and not drawn.", NhcsrWarning, stacklevel=4)
    if not len(finite):
        return (0.0, 1.0)
    lo, hi = float(finite.min()), float(finite.max())
    pad = 0.5 * (abs(lo) or 1.0) * 1e-3 if hi - lo <= 1e-12 * max(abs(hi), 1e-300) else 0.0
    return (lo - pad, hi + pad)


def make_plotter(plotter: Any, shape: tuple[int, int] = (1, 1), size: tuple[int, int] = (900, 750)) -> Any:
    """Make a plotter with white background, off screen where there is no display.

    Parameters
    ----------
    plotter : one to return as it is; None: make one.
    shape : (rows, columns) of panels.
    size : (width, height) in pixels.

    Returns
    -------
    pv.Plotter
        The plotter.

    Raises
    ------
    DependencyMissing
        If PyVista is not installed or cannot draw.
    """
    if plotter is not None:
        return plotter
    pv = import_pyvista()
    made = pv.Plotter(shape=shape, off_screen=_off_screen(), window_size=size, border=False)
    made.set_background("white")
    return made


def finish(plotter: Any, path: Any, show: bool) -> Any:
    """Save or show what was drawn.

    Parameters
    ----------
    plotter : with the drawing.
    path : of the picture to save; None: none.
    show : open a window if no picture is saved and there is a display.

    Returns
    -------
    pv.Plotter
        The plotter.
    """
    if path is not None:
        plotter.screenshot(str(path))
    elif show and not plotter.off_screen:
        plotter.show()
    return plotter


def _bar(title: str) -> dict[str, Any]:
    return {**BAR, "title": title + "\n", "position_x": 0.885, "width": 0.05, "color": "black", "fmt": "%.2g"}


def _flat(plotter: Any, grid: Any, name: str, title: str, limits: tuple[float, float], cmap: str) -> None:
    """Draw a map seen from above into the current panel."""
    plotter.add_mesh(grid, scalars=name, cmap=cmap, clim=limits, scalar_bar_args=_bar(name), lighting=False)
    plotter.add_text(title, font_size=11, color="black", position="upper_left")
    plotter.view_xy()
    plotter.enable_parallel_projection()
    plotter.camera.zoom(1.1)


def plot_field(
    u: ngs.GridFunction,
    *,
    title: str = "",
    name: str = "u",
    cmap: str = FIELD_MAP,
    limits: tuple[float, float] | None = None,
    plotter: Any = None,
    path: Any = None,
    show: bool = True,
) -> pv.Plotter:
    """Draw a map of a GridFunction, seen from above.

    Parameters
    ----------
    u : the field.
    title : above the picture.
    name : of the field, at its bar.
    cmap : colour map of Matplotlib.
    limits : (lowest, highest) value of the colour map; default: those of the field.
    plotter : to draw into; default: a new one.
    path : of a picture to save.
    show : open a window if no picture is saved; without a display nothing is shown.

    Returns
    -------
    pv.Plotter
        For more drawing; close it at the end.

    Raises
    ------
    InvalidProblem
        If the field is not a real scalar H1 function on a two-dimensional mesh.
    DependencyMissing
        If PyVista is not installed or cannot draw.
    """
    grid = to_pyvista(u, name)
    plotter = make_plotter(plotter)
    _flat(plotter, grid, name, title, limits or colour_limits(grid.point_data[name]), cmap)
    return finish(plotter, path, show)


def plot_warp(
    u: ngs.GridFunction,
    *,
    height: float = 0.35,
    title: str = "",
    name: str = "u",
    cmap: str = FIELD_MAP,
    limits: tuple[float, float] | None = None,
    plotter: Any = None,
    path: Any = None,
    show: bool = True,
) -> pv.Plotter:
    """Draw a GridFunction as a surface in 3-D.

    Parameters
    ----------
    u : the field.
    height : of the largest absolute value (of ``limits``, if given) in widths of the domain, so that surfaces with the
        same limits have the same scale.
    title : above the picture.
    name : of the field, at its bar.
    cmap : colour map of Matplotlib.
    limits : (lowest, highest) value of the colour map; default: those of the field.
    plotter : to draw into; default: a new one.
    path : of a picture to save.
    show : open a window if no picture is saved; without a display nothing is shown.

    Returns
    -------
    pv.Plotter
        For more drawing; close it at the end.

    Raises
    ------
    InvalidProblem
        If the field is not a real scalar H1 function on a two-dimensional mesh.
    DependencyMissing
        If PyVista is not installed or cannot draw.
    """
    grid = to_pyvista(u, name)
    values = grid.point_data[name]
    width = max(grid.bounds[1] - grid.bounds[0], grid.bounds[3] - grid.bounds[2])
    limits = limits or colour_limits(values)
    peak = max(map(abs, limits)) or 1.0
    plotter = make_plotter(plotter)
    surface = grid.warp_by_scalar(name, factor=height * width / peak)
    plotter.add_mesh(
        surface,
        scalars=name,
        cmap=cmap,
        clim=limits,
        smooth_shading=True,
        scalar_bar_args=_bar(name),
    )
    plotter.add_text(title, font_size=11, color="black", position="upper_left")
    plotter.view_isometric()
    plotter.camera.zoom(0.95)
    return finish(plotter, path, show)


def plot_compare(
    coarse: ngs.GridFunction,
    corrected: ngs.GridFunction,
    reference: ngs.GridFunction | None = None,
    *,
    warp: bool = False,
    path: Any = None,
    show: bool = True,
) -> pv.Plotter:
    """Draw coarse, corrected and reference solution side by side, with linked views and shared colour limits.

    Parameters
    ----------
    coarse : coarse solution.
    corrected : corrected field on the fine mesh.
    reference : fine solution on the same mesh; with it there are two more panels, itself and |corrected − reference|
        with limits of its own.
    warp : draw surfaces in 3-D instead of maps.
    path : of a picture to save.
    show : open a window if no picture is saved; without a display nothing is shown.

    Returns
    -------
    pv.Plotter
        For more drawing; close it at the end.

    Raises
    ------
    InvalidProblem
        If corrected and reference have different numbers of degrees of freedom.
    DependencyMissing
        If PyVista is not installed or cannot draw.
    """
    panels = [("coarse", coarse), ("corrected", corrected)]
    error = None
    if reference is not None:
        if reference.space.ndof != corrected.space.ndof:
            raise InvalidProblem(
                f"corrected has {corrected.space.ndof} degrees of freedom, reference {reference.space.ndof}; give both "
                "on the same fine mesh."
            )
        panels.append(("fine reference", reference))
        error = ngs.GridFunction(corrected.space)
        error.vec.FV().NumPy()[:] = np.abs(corrected.vec.FV().NumPy() - reference.vec.FV().NumPy())
    limits = colour_limits(*(u.vec.FV().NumPy()[: u.space.mesh.nv] for _, u in panels))
    count = len(panels) + (error is not None)
    rows, columns = (2, 2) if count == 4 else (1, count)
    plotter = make_plotter(None, (rows, columns), (620 * columns, 540 * rows))
    draw = plot_warp if warp else plot_field
    for k, (title, u) in enumerate(panels):
        plotter.subplot(k // columns, k % columns)
        # PyVista names scalar bars by their title and shares equal ones between panels; blanks keep them apart.
        draw(u, title=title, name="u" + " " * k, limits=limits, plotter=plotter, show=False)
    if error is not None:
        plotter.subplot(rows - 1, columns - 1)
        # VTK reads bars "|" in a title as markup and drops them.
        draw(
            error, title="error: abs(corrected - reference)", name="error", cmap=ERROR_MAP, plotter=plotter, show=False
        )
    plotter.link_views()
    return finish(plotter, path, show)
