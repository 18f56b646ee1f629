"""Maps: fields seen from above."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .backend import (
    COEFFICIENT_MAP,
    FIELD_MAP,
    check_picture,
    checked_limits,
    colour_limits,
    finish,
    import_pyvista,
    make_plotter,
)
from .field import Extent, Field, as_field
from .panels import add_axes, add_bar, add_title, current_size, panel_size, place_map, wrapped

if TYPE_CHECKING:
    import pyvista as pv

#: Longer side of a single map in pixels.
LONGER = 600
#: Contrast from which positive cell values are drawn on a logarithmic scale.
LOGARITHMIC = 20.0
#: Arrows along the longer side of a map.
ARROWS = 24
#: Values smaller than this fraction of the largest are rounding errors of zero.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Look:
    """How a field is drawn; None: as suits the field.

    Attributes
    ----------
    name : at the bar.
    title : above the picture.
    cmap : colour map of Matplotlib.
    limits : (lowest, highest) value of the colour map.
    log : whether colours follow the logarithm.
    """

    name: str = "u"
    title: str = ""
    cmap: str | None = None
    limits: tuple[float, float] | None = None
    log: bool | None = None

    def settled(self, values: np.ndarray, cellwise: bool) -> Look:
        """Choose what was left open.

        Parameters
        ----------
        values : that are drawn.
        cellwise : whether they are values of cells.

        Returns
        -------
        Look
            With colour map, limits and log set.
        """
        limits = colour_limits(values) if self.limits is None else checked_limits(self.limits)
        positive = limits[0] > 0
        log = cellwise and limits[1] > LOGARITHMIC * limits[0] if self.log is None else self.log
        cmap = self.cmap or (COEFFICIENT_MAP if cellwise and positive else FIELD_MAP)
        return replace(self, limits=limits, log=bool(log and positive), cmap=cmap)


def draw_map(plotter: Any, field: Field, look: Look) -> None:
    """Draw a map into the current panel: values, axes, bar, title; of a vector its length, and arrows.

    Parameters
    ----------
    plotter : with the panel.
    field : to draw.
    look : of it.
    """
    grid = field.grid(look.name)
    data = grid.cell_data if look.name in grid.cell_data else grid.point_data
    values = np.asarray(data[look.name], dtype=float)
    if field.components == 2:
        values = np.linalg.norm(values, axis=1)
    values = without_rounding(values)
    look = look.settled(values, field.cellwise)
    limits = look.limits or (0.0, 1.0)
    data.clear()
    data[look.name] = values
    lines = wrapped(look.title, current_size(plotter)[0])
    unit = place_map(plotter, field.extent, len(lines))
    plotter.add_mesh(
        grid,
        scalars=look.name,
        cmap=look.cmap,
        clim=limits,
        log_scale=look.log,
        lighting=False,
        show_scalar_bar=False,
        nan_color="lightgray",
        interpolate_before_map=not field.cellwise,
    )
    if field.components == 2:
        _add_arrows(plotter, field)
    add_axes(plotter, field.extent, unit)
    add_bar(plotter, field.extent, unit, limits, look.cmap or FIELD_MAP, bool(look.log), look.name)
    add_title(plotter, lines)
    place_map(plotter, field.extent, len(lines))


def without_rounding(values: np.ndarray) -> np.ndarray:
    """Replace what is rounding errors of zero by zero, which has a label of one digit."""
    return np.where(np.abs(values) < ROUNDING * np.nanmax(np.abs(values), initial=0.0), 0.0, values)


def plot_field(
    u: Any,
    *,
    mesh: Any = None,
    on: str = "cells",
    extent: Extent | None = None,
    title: str = "",
    name: str = "u",
    cmap: str | None = None,
    limits: tuple[float, float] | None = None,
    log: bool | None = None,
    plotter: Any = None,
    path: Any = None,
    show: bool = True,
) -> pv.Plotter:
    """Draw a map of a field, seen from above.

    Parameters
    ----------
    u : real GridFunction of any space (L2 of order 0 cell by cell; vectors by their length, with arrows), a
        CoefficientFunction, an array ``[iy, ix]``, row 0 at the lowest y: cell values (my, mx), cell vectors
        (my, mx, 2) or nodal values (ny+1, nx+1); or a :class:`Correction`.
    mesh : the mesh of a CoefficientFunction.
    on : what the entries of an array belong to, "cells" or "nodes".
    extent : (lowest x, highest x, lowest y, highest y) of an array; default: its longer side has length 1.
    title : above the picture; default: none, and of a :class:`Correction` what it approximates.
    name : of the field, at its bar.
    cmap : colour map of Matplotlib; default: "viridis", and "YlOrBr" for positive cell values.
    limits : (lowest, highest) value of the colour map; default: those of the field.
    log : colours by the logarithm; default: for positive cell values with a ratio above 20.
    plotter : to draw into, in its current panel; default: a new one.
    path : of a picture to save, .png or .html; an existing one is replaced.
    show : open a window if no picture is saved and there is a display; notebooks show the picture below a cell that
        ends with the call.

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
    title = title or field.corrected
    if plotter is None:
        size = panel_size(field.extent, LONGER)
        plotter = make_plotter(None, size=panel_size(field.extent, LONGER, len(wrapped(title, size[0]))))
    draw_map(plotter, field, Look(name, title, cmap, limits, log))
    return finish(plotter, path, show)


def _add_arrows(plotter: Any, field: Field) -> None:
    """Draw a vector's directions as arrows; lengths follow its size, up to that of the longest twentieth."""
    pv = import_pyvista()
    x0, x1, y0, y1 = field.extent
    step = max(x1 - x0, y1 - y0) / ARROWS
    nx, ny = max(1, round((x1 - x0) / step)), max(1, round((y1 - y0) / step))
    vectors = field.raster(ny, nx).reshape(-1, 2)
    lengths = np.linalg.norm(vectors, axis=1)
    reference = float(np.quantile(lengths, 0.95)) or float(lengths.max())
    shown = lengths > 0.02 * reference
    if not shown.any():
        return
    X, Y = np.meshgrid(x0 + (x1 - x0) * (np.arange(nx) + 0.5) / nx, y0 + (y1 - y0) * (np.arange(ny) + 0.5) / ny)
    at, v = np.stack([X.ravel(), Y.ravel()], 1)[shown], vectors[shown]
    along = v / lengths[shown, None] * (0.95 * step * np.clip(lengths[shown] / reference, 0.35, 1.0))[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], 1)
    # An arrow from its tail to its tip: (place along, place across) in lengths of the arrow.
    shape = np.array([[-0.5, 0.05], [0.1, 0.05], [0.1, 0.18], [0.5, 0.0], [0.1, -0.18], [0.1, -0.05], [-0.5, -0.05]])
    corners = at[:, None] + shape[:, :1] * along[:, None] + shape[:, 1:] * across[:, None]
    points = np.pad(corners.reshape(-1, 2), ((0, 0), (0, 1)), constant_values=1e-3 * step)
    faces = np.column_stack([np.full(len(at), 7), np.arange(len(points)).reshape(-1, 7)])
    arrows = pv.PolyData(points, faces=faces.ravel())
    plotter.add_mesh(arrows, color="white", show_edges=True, edge_color="black", line_width=1, lighting=False)
