"""Surfaces in 3-D, and their turns as animations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DependencyMissing, InvalidProblem
from .backend import FIELD_MAP, check_picture, checked_limits, colour_limits, finish, import_pyvista, make_plotter
from .field import Extent, Field, as_field
from .maps import Look
from .panels import AZIMUTH, Box, add_base, add_screen_bar, add_title, current_size, place_view, wrapped

if TYPE_CHECKING:
    import pyvista as pv

#: Size of a single view in pixels.
SIZE = (900, 640)
#: Fields that vary by less than this fraction of their size are drawn above their smallest value instead of zero.
FAR_FROM_ZERO = 0.3


def draw_surface(
    plotter: Any, field: Field, look: Look, height: float = 0.35, labelled: bool = True
) -> tuple[Box, int]:
    """Draw a surface into the current panel: values, the rectangle below, bar, title.

    Parameters
    ----------
    plotter : with the panel.
    field : to draw, with one component.
    look : of it; colours are never logarithmic.
    height : see :func:`plot_warp`.
    labelled : whether the rectangle has ticks and labels.

    Returns
    -------
    Box
        The box of the scene.
    int
        Lines of the title.

    Raises
    ------
    InvalidProblem
        If the field is a vector.
    """
    if field.components != 1:
        raise InvalidProblem("a surface is drawn of a field with one component; take one, or ngsolve.Norm(u).")
    name, cmap = look.name, look.cmap or FIELD_MAP
    grid = field.grid(name)
    if name in grid.cell_data:
        grid = grid.cell_data_to_point_data()
    values = np.asarray(grid.point_data[name], dtype=float)
    lo, hi = limits = colour_limits(values) if look.limits is None else checked_limits(look.limits)
    ground = 0.0 if lo <= 0 <= hi or hi - lo > FAR_FROM_ZERO * max(abs(lo), abs(hi)) else lo
    x0, x1, y0, y1 = field.extent
    factor = height * max(x1 - x0, y1 - y0) / (max(abs(lo - ground), abs(hi - ground)) or 1.0)
    points = np.array(grid.points)
    points[:, 2] = factor * (np.nan_to_num(values, nan=ground) - ground)
    surface: Any = grid.cast_to_structured_grid() if hasattr(grid, "cast_to_structured_grid") else grid.copy()
    surface.points = points
    shown = plotter.add_mesh(
        surface, scalars=name, cmap=cmap, clim=limits, smooth_shading=True, show_scalar_bar=False, nan_color="lightgray"
    )
    lines = wrapped(look.title, current_size(plotter)[0])
    bounds: Box = (x0, x1, y0, y1, min(0.0, factor * (lo - ground)), max(0.0, factor * (hi - ground)))
    add_base(plotter, field.extent, bounds[4], labelled)
    add_screen_bar(plotter, shown.mapper, limits, name, len(lines))
    add_title(plotter, lines)
    place_view(plotter, bounds, len(lines))
    return bounds, len(lines)


def plot_warp(
    u: Any,
    *,
    height: float = 0.35,
    mesh: Any = None,
    on: str = "nodes",
    extent: Extent | None = None,
    title: str = "",
    name: str = "u",
    cmap: str = FIELD_MAP,
    limits: tuple[float, float] | None = None,
    plotter: Any = None,
    path: Any = None,
    show: bool = True,
) -> pv.Plotter:
    """Draw a field as a surface in 3-D.

    Parameters
    ----------
    u : real field with one component, as for :func:`plot_field`.
    height : of the largest absolute value (of ``limits``, if given) in widths of the domain, so that surfaces with the
        same limits have the same scale; of the range of values where these lie far from zero.
    mesh : the mesh of a CoefficientFunction.
    on : what the entries of an array belong to, "nodes" or "cells".
    extent : of an array, as for :func:`plot_field`.
    title : above the picture.
    name : of the field, at its bar.
    cmap : colour map of Matplotlib.
    limits : (lowest, highest) value of the colour map; default: those of the field.
    plotter : to draw into, in its current panel; default: a new one.
    path : of a picture to save, .png or .html (to turn in a browser); an existing one is replaced.
    show : as for :func:`plot_field`.

    Returns
    -------
    pv.Plotter
        For more drawing; close it at the end.

    Raises
    ------
    InvalidProblem
        If the field cannot be drawn or the picture not be written.
    DependencyMissing
        If PyVista is not installed or cannot draw.
    """
    check_picture(path)
    import_pyvista()
    field = as_field(u, mesh=mesh, on=on, extent=extent)
    plotter = make_plotter(plotter, size=SIZE)
    draw_surface(plotter, field, Look(name, title or field.corrected, cmap, limits), height)
    return finish(plotter, path, show)


def orbit(
    u: Any,
    path: Any,
    *,
    frames: int = 36,
    seconds: float = 6.0,
    height: float = 0.35,
    mesh: Any = None,
    on: str = "nodes",
    extent: Extent | None = None,
    title: str = "",
    name: str = "u",
    cmap: str = FIELD_MAP,
    limits: tuple[float, float] | None = None,
    size: tuple[int, int] = (600, 430),
) -> None:
    """Write an animation of a surface that turns once around.

    Parameters
    ----------
    u : the field, as for :func:`plot_warp`.
    path : of the .gif file; an existing one is replaced.
    frames : number of pictures, ≥ 2.
    seconds : of one turn, > 0.
    height : see :func:`plot_warp`; likewise the following.
    mesh : the mesh of a CoefficientFunction.
    on : what the entries of an array belong to.
    extent : of an array.
    title : above the picture.
    name : at the bar.
    cmap : colour map of Matplotlib.
    limits : (lowest, highest) value of the colour map.
    size : (width, height) in pixels.

    Raises
    ------
    InvalidProblem
        If the field cannot be drawn or the file not be written.
    DependencyMissing
        If PyVista or imageio is not installed, or nothing can be drawn.
    """
    check_picture(path, (".gif",))
    try:
        import imageio.v3 as imageio
    except ImportError as error:
        raise DependencyMissing("animations need imageio: pip install 'ngs-nhcsr[viz]'.") from error
    if frames < 2 or not seconds > 0:
        raise InvalidProblem(f"an animation needs frames ≥ 2 and seconds > 0, not {frames} and {seconds}.")
    import_pyvista()
    field = as_field(u, mesh=mesh, on=on, extent=extent)
    plotter = make_plotter(None, size=size)
    try:
        bounds, lines = draw_surface(plotter, field, Look(name, title, cmap, limits), height, labelled=False)
        azimuths = tuple(AZIMUTH + 360.0 * k / frames for k in range(frames))
        pictures = []
        for k in range(frames):
            place_view(plotter, bounds, lines, azimuths[k:] + azimuths[:k])
            plotter.render()
            pictures.append(plotter.screenshot(None, return_img=True))
    finally:
        plotter.close()
    imageio.imwrite(path, pictures, extension=".gif", duration=1000 * seconds / frames, loop=0)
