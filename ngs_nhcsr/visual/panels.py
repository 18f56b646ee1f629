"""Panels of a picture: place of the map, axes, colour bar and titles, to the pixel."""

from __future__ import annotations

import math
import textwrap
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .backend import import_pyvista, label, ticks
from .field import Extent

#: Margins of a map in pixels: left (labels of y), right (bar), below (labels of x), above (name of the bar).
LEFT, RIGHT, BELOW, ABOVE = 62, 118, 44, 34
#: Distance of the bar from the map, its width, and length of ticks, in pixels.
GAP, BAR, TICK = 20, 18, 5
#: Least width and height of a map in pixels: room for a title, and for the labels of the bar.
NARROWEST, LOWEST = 110, 60
#: How much longer the maps of slender domains are, at most.
STRETCH = 1.8
#: Heights of letters at ticks and in titles; height of a line of a title, and mean width of its letters.
SMALL, LARGE, LINE, LETTER = 13, 15, 22, 8.6
#: Pixels between two ticks, at least.
SPACING = 70
#: Views in 3-D: azimuth of the eye and its height above the plane in degrees, margin of the scene in pixels.
AZIMUTH, ELEVATION, MARGIN = -60.0, 32.0, 40

Box = tuple[float, float, float, float, float, float]


def panel_size(extent: Extent, longer: int, lines: int = 1) -> tuple[int, int]:
    """Compute the size of a panel for a map.

    Parameters
    ----------
    extent : of the domain.
    longer : longer side of the map in pixels; up to 1.8 times of it for slender domains.
    lines : of its title.

    Returns
    -------
    (width, height) in pixels.
    """
    x0, x1, y0, y1 = extent
    aspect = max((x1 - x0) / (y1 - y0), (y1 - y0) / (x1 - x0))
    unit = max(x1 - x0, y1 - y0) / (longer * min(math.sqrt(aspect), STRETCH))
    width = max(round((x1 - x0) / unit), NARROWEST)
    height = max(round((y1 - y0) / unit), LOWEST)
    return LEFT + width + RIGHT, BELOW + height + ABOVE + LINE * lines


def wrapped(title: str, width: int) -> list[str]:
    """Wrap a title to a panel of a width in pixels; an empty one has no line."""
    return textwrap.wrap(title, max(12, int((width - LEFT - 8) / LETTER)))


def current_size(plotter: Any) -> tuple[int, int]:
    """(width, height) in pixels of the plotter's current panel."""
    left, bottom, right, top = plotter.renderer.GetViewport()
    width, height = plotter.window_size
    return round((right - left) * width), round((top - bottom) * height)


def place_map(plotter: Any, extent: Extent, lines: int) -> float:
    """Set the camera of the current panel so that a map fills it up to its margins.

    Parameters
    ----------
    plotter : with the panel.
    extent : of the map.
    lines : of the title above it.

    Returns
    -------
    float
        Length of a pixel.
    """
    x0, x1, y0, y1 = extent
    width, height = current_size(plotter)
    free = (max(width - LEFT - RIGHT, 1), max(height - BELOW - ABOVE - LINE * lines, 1))
    unit = max((x1 - x0) / free[0], (y1 - y0) / free[1])
    centre = (x0 + (width / 2 - LEFT) * unit, y0 + (height / 2 - BELOW) * unit)
    camera = plotter.renderer.camera
    camera.up = (0.0, 1.0, 0.0)
    camera.focal_point = (*centre, 0.0)
    camera.position = (*centre, _distance(camera, height * unit))
    plotter.enable_parallel_projection()
    camera.parallel_scale = height / 2 * unit
    plotter.renderer.camera_set = True
    plotter.renderer.reset_camera_clipping_range()
    return unit


def add_title(plotter: Any, lines: list[str]) -> None:
    """Write a title at the top left of the current panel."""
    height = current_size(plotter)[1]
    for k, line in enumerate(lines):
        _add_screen_text(plotter, line, (LEFT, height - 6 - LINE * k), LARGE, "left", "top")


def add_axes(plotter: Any, extent: Extent, unit: float) -> None:
    """Draw the frame of a map with round ticks and their labels.

    Parameters
    ----------
    plotter : with the panel.
    extent : of the map.
    unit : length of a pixel.
    """
    x0, x1, y0, y1 = extent
    lines = [((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))]
    for x in ticks(x0, x1, int((x1 - x0) / unit / SPACING)):
        lines.append(((x, y0), (x, y0 - TICK * unit)))
        add_label(plotter, label(x), (x, y0, 0.0), (0, -TICK - 4), "center", "top")
    for y in ticks(y0, y1, int((y1 - y0) / unit / SPACING)):
        lines.append(((x0, y), (x0 - TICK * unit, y)))
        add_label(plotter, label(y), (x0, y, 0.0), (-TICK - 4, 0), "right", "center")
    _add_lines(plotter, lines)


def add_bar(
    plotter: Any, extent: Extent, unit: float, limits: tuple[float, float], cmap: str, log: bool, name: str
) -> None:
    """Draw a colour bar to the right of a map, as high as the map and with round numbers.

    Parameters
    ----------
    plotter : with the panel.
    extent : of the map.
    unit : length of a pixel.
    limits : lowest and highest value.
    cmap : colour map of Matplotlib.
    log : whether colours follow the logarithm.
    name : above the bar.
    """
    pv = import_pyvista()
    _, x1, y0, y1 = extent
    left, right = x1 + GAP * unit, x1 + (GAP + BAR) * unit
    top = max(y1, y0 + LOWEST * unit)
    scale = np.log10 if log else np.asarray
    lo, hi = (float(scale(v)) for v in limits)
    # vtk.js draws no bar of its own size and place, so the bar is part of the scene.
    strip = pv.ImageData(dimensions=(2, 257, 1), spacing=(right - left, (top - y0) / 256, 1.0), origin=(left, y0, 0.0))
    strip.cell_data["bar"] = np.linspace(lo, hi, 256)
    plotter.add_mesh(strip, scalars="bar", cmap=cmap, clim=(lo, hi), lighting=False, show_scalar_bar=False)
    lines = [
        ((left, y0), (right, y0)),
        ((right, y0), (right, top)),
        ((right, top), (left, top)),
        ((left, top), (left, y0)),
    ]
    for value in ticks(*limits, min(int((top - y0) / unit / 45), 9), log):
        y = y0 + (float(scale(value)) - lo) / (hi - lo) * (top - y0)
        lines.append(((right, y), (right + TICK * unit, y)))
        add_label(plotter, label(value), (right, y, 0.0), (TICK + 4, 0), "left", "center")
    _add_lines(plotter, lines)
    add_label(plotter, name, (left, top, 0.0), (0, 9), "left", "bottom")


def add_screen_bar(plotter: Any, mapper: Any, limits: tuple[float, float], name: str, lines: int) -> None:
    """Draw a colour bar with round numbers at the right of a panel in 3-D, where it does not turn with the scene.

    Parameters
    ----------
    plotter : with the panel.
    mapper : of the surface, for its colours.
    limits : lowest and highest value.
    name : above the bar.
    lines : of the title.
    """
    from vtkmodules.vtkCommonCore import vtkDoubleArray
    from vtkmodules.vtkRenderingAnnotation import vtkScalarBarActor

    width, height = current_size(plotter)
    bottom, top = BELOW, height - ABOVE - LINE * lines
    values = vtkDoubleArray()
    for value in ticks(*limits, min(int((top - bottom) / 45), 9)):
        values.InsertNextValue(value)
    bar = vtkScalarBarActor()
    bar.SetLookupTable(mapper.lookup_table)
    bar.SetUseCustomLabels(True)
    bar.SetCustomLabels(values)
    bar.SetLabelFormat("{:.6g}")
    bar.SetUnconstrainedFontSize(True)
    bar.SetBarRatio(BAR / (RIGHT - GAP))
    bar.SetTextPad(TICK + 4)
    _set_font(bar.GetLabelTextProperty(), SMALL)
    _set_font(bar.GetTitleTextProperty(), SMALL)  # of which vtk.js takes the colour
    bar.SetPosition((width - RIGHT + GAP) / width, bottom / height)
    bar.SetWidth((RIGHT - GAP) / width)
    bar.SetHeight((top - bottom) / height)
    plotter.renderer.AddViewProp(bar)
    _add_screen_text(plotter, name, (width - RIGHT + GAP, top + 9), SMALL, "left", "bottom")


def place_view(plotter: Any, bounds: Box, lines: int, azimuths: tuple[float, ...] = (AZIMUTH,)) -> None:
    """Set the camera of the current panel so that a box in space, seen from the first azimuth, fills it.

    Parameters
    ----------
    plotter : with the panel.
    bounds : (x0, x1, y0, y1, z0, z1) of the box.
    lines : of the title above it.
    azimuths : in degrees; from all of them the box has to fit.
    """
    width, height = current_size(plotter)
    corners = np.array([(x, y, z) for x in bounds[:2] for y in bounds[2:4] for z in bounds[4:]])
    middle = corners.mean(0)
    spans = []
    for azimuth in azimuths:
        right, up, _ = _directions(azimuth)
        spans.append([(w.min(), w.max()) for w in ((corners - middle) @ right, (corners - middle) @ up)])
    (left, end), (low, high) = ((min(v[0] for v in axis), max(v[1] for v in axis)) for axis in zip(*spans, strict=True))
    free = (max(width - RIGHT - 2 * MARGIN, 1), max(height - 1.4 * MARGIN - LINE * lines - 8, 1))
    unit = max((end - left) / free[0], (high - low) / free[1])
    right, up, towards = _directions(azimuths[0])
    # Where the middle of the panel lies, seen from that of the box.
    shift_right = (left + end) / 2 + (width / 2 - MARGIN - free[0] / 2) * unit
    shift_up = (low + high) / 2 + (height / 2 - MARGIN - free[1] / 2) * unit
    camera = plotter.renderer.camera
    focus = middle + shift_right * right + shift_up * up
    camera.up = (0.0, 0.0, 1.0)
    camera.focal_point = tuple(focus)
    camera.position = tuple(focus + 1.25 * _distance(camera, height * unit) * towards)
    plotter.enable_parallel_projection()
    camera.parallel_scale = height / 2 * unit
    plotter.renderer.camera_set = True
    plotter.renderer.reset_camera_clipping_range()


def add_base(plotter: Any, extent: Extent, z: float, labelled: bool) -> None:
    """Draw the rectangle below a surface; with ticks and labels on the edges in front, unless it is to turn."""
    x0, x1, y0, y1 = extent
    tick = 0.02 * max(x1 - x0, y1 - y0)
    corners = [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]
    lines = list(zip(corners, corners[1:] + corners[:1], strict=True))
    if not labelled:
        _add_lines(plotter, lines)
        return
    for x in ticks(x0, x1, 4 if x1 - x0 > 0.5 * (y1 - y0) else 2):
        lines.append(((x, y0, z), (x, y0 - tick, z)))
        add_label(plotter, label(x), (x, y0 - tick, z), (-3, -4), "right", "top")
    for y in ticks(y0, y1, 4 if y1 - y0 > 0.5 * (x1 - x0) else 2):
        lines.append(((x1, y, z), (x1 + tick, y, z)))
        add_label(plotter, label(y), (x1 + tick, y, z), (4, -3), "left", "top")
    _add_lines(plotter, lines)


def _distance(camera: Any, height: float) -> float:
    """Distance from which perspective shows the same height as parallel projection: vtk.js knows perspective only."""
    return height / 2 / math.tan(math.radians(camera.view_angle / 2))


def _directions(azimuth: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors to the right, up, and towards the eye that looks from an azimuth."""
    a, e = np.radians(azimuth), np.radians(ELEVATION)
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    up = np.array([-np.sin(e) * np.cos(a), -np.sin(e) * np.sin(a), np.cos(e)])
    return right, up, np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])


def add_label(
    plotter: Any, text: str, at: tuple[float, float, float], offset: tuple[int, int], across: str, along: str
) -> None:
    """Write text at a point of the scene; it keeps its size and its distance in pixels.

    Parameters
    ----------
    plotter : with the panel.
    text : to write.
    at : the point.
    offset : (right, up) from the point in pixels.
    across : side of the text that is there: "left", "center", "right".
    along : "top", "center", "bottom".
    """
    from vtkmodules.vtkRenderingCore import vtkBillboardTextActor3D

    actor = vtkBillboardTextActor3D()
    actor.SetPosition(*at)
    actor.SetDisplayOffset(*offset)
    actor.SetUseBounds(False)
    _style(actor, text, SMALL, across, along)
    plotter.renderer.AddActor(actor)


def _add_screen_text(plotter: Any, text: str, at: tuple[float, float], size: int, across: str, along: str) -> None:
    """Write text at a pixel of the current panel."""
    from vtkmodules.vtkRenderingCore import vtkTextActor

    actor = vtkTextActor()
    width, height = current_size(plotter)
    actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
    actor.SetPosition(at[0] / width, at[1] / height)
    _style(actor, text, size, across, along)
    plotter.renderer.AddActor(actor)


def _style(actor: Any, text: str, size: int, across: str, along: str) -> None:
    """Set text, letters and alignment of a text of VTK."""
    actor.SetInput(text.replace("|", "\u2223"))  # VTK reads | as the end of a cell
    style = actor.GetTextProperty()
    _set_font(style, size)
    {
        "left": style.SetJustificationToLeft,
        "center": style.SetJustificationToCentered,
        "right": style.SetJustificationToRight,
    }[across]()
    {
        "top": style.SetVerticalJustificationToTop,
        "center": style.SetVerticalJustificationToCentered,
        "bottom": style.SetVerticalJustificationToBottom,
    }[along]()


def _set_font(style: Any, size: int) -> None:
    """Set black letters of a size."""
    style.SetFontSize(size)
    style.SetColor(0.0, 0.0, 0.0)
    style.SetBold(False)
    style.SetItalic(False)
    style.SetShadow(False)
    style.SetFontFamily(4)  # VTK_FONT_FILE
    style.SetFontFile(_font())


@lru_cache(maxsize=1)
def _font() -> str:
    """File of a font with mathematical symbols; VTK's own has none."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


def _add_lines(plotter: Any, lines: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> None:
    """Draw black line segments, in the plane z = 0 or in space."""
    pv = import_pyvista()
    ends = np.array([np.pad(np.array(pair), ((0, 0), (0, 3 - len(pair[0])))) for pair in lines]).reshape(-1, 3)
    cells = np.column_stack([np.full(len(lines), 2), np.arange(2 * len(lines)).reshape(-1, 2)])
    plotter.add_mesh(pv.PolyData(ends, lines=cells.ravel()), color="black", line_width=1.2, lighting=False)
