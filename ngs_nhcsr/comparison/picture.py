"""The time-accuracy picture of a comparison (matplotlib, without pyplot's global state)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidProblem
from ..visual.backend import new_figure
from .rows import Row, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Errors below and above are drawn at the edges: fine solves and breakdowns would squeeze everything else.
EXACT, USELESS = 1e-7, 10.0
#: Marker and colour by the beginning of a method's name; the first that fits.
STYLES: tuple[tuple[str, str, str], ...] = (
    ("network", "*", "#d62728"),
    ("lod", "s", "#1f77b4"),
    ("msfem", "D", "#17a2b8"),
    ("coarse+", "^", "#2ca02c"),
    ("zero+", "v", "#8c8c2c"),
    ("multigrid", "P", "#111111"),
    ("direct", "X", "#111111"),
    ("", "o", "#7f7f7f"),
)
#: Where a label may go, as distances (points) and angles (degrees) from its marker; the first free place is taken.
DISTANCES, ANGLES = (8, 16, 26, 38, 52, 68, 86), (0, 180, 40, 320, 140, 220, 90, 270, 65, 115, 295, 245)
FONT = 8.5

Box = tuple[float, float, float, float]


def draw_panels(results: Sequence[Summary], path: str | Path | None = None) -> Figure:
    """Draw the time-accuracy pictures of several comparisons below each other, on the same axes.

    Parameters
    ----------
    results : comparisons, from top to bottom.
    path : where to save the picture; the ending decides the format.

    Returns
    -------
    The figure.

    Raises
    ------
    DependencyMissing
        Without matplotlib.
    InvalidProblem
        If there is no comparison, or no method of one succeeded.
    """
    if not results:
        raise InvalidProblem("there is no comparison to draw.")
    figure = new_figure((10, 5.6 * len(results)))
    panels = figure.subplots(len(results), 1, squeeze=False)[:, 0]
    rows = [row for result in results for row in result.rows if row.seconds is not None]
    for axes, result in zip(panels, results, strict=True):
        draw(result, axes=axes, scope=rows)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def draw(
    result: Summary,
    path: str | Path | None = None,
    axes: Any = None,
    scope: Sequence[Row] = (),
) -> Figure:
    """Draw relative energy errors over total seconds (offline + one load), one marker per method.

    Parameters
    ----------
    result : a comparison.
    path : where to save the picture; the ending decides the format.
    axes : matplotlib Axes to draw into; default: those of a new figure.
    scope : rows that the axes have to reach as well, to share them with other pictures.

    Returns
    -------
    The figure.

    Raises
    ------
    DependencyMissing
        Without matplotlib.
    InvalidProblem
        If no method succeeded.
    """
    rows = [r for r in result.rows if r.seconds is not None and r.energy_error is not None]
    if not rows:
        raise InvalidProblem("no method of the comparison succeeded, so there is nothing to draw; see its rows.")
    if axes is None:
        axes = new_figure((10, 7)).add_subplot()
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = axes.figure
    if not hasattr(figure.canvas, "get_renderer"):  # a bare Figure; without a renderer texts have no extent
        FigureCanvasAgg(figure)
    points = _markers(axes, rows, scope or rows)
    axes.set_title(result.title, fontsize=10)
    axes.set_xlabel("seconds: offline + one load")
    axes.set_ylabel("relative energy error against the reference" + " (u_h)" * ("u_h" in result.reference))
    axes.grid(True, which="major", alpha=0.3)
    figure.draw_without_rendering()  # the layout decides where points are in pixels
    _labels(axes, rows, points)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def style(name: str) -> tuple[str, str]:
    """Choose the marker and the colour of a method by the beginning of its name.

    Parameters
    ----------
    name : of the method.

    Returns
    -------
    marker : of matplotlib.
    colour : hexadecimal.

    Examples
    --------
    >>> style("lod2-pg")[0], style("bicubic")[0]
    ('s', 'o')
    """
    return next((marker, colour) for start, marker, colour in STYLES if name.startswith(start))


def _numbers(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and energy errors, as far as they are drawn, of the rows that have both."""
    pairs = [(r.seconds, r.energy_error) for r in rows if r.seconds is not None and r.energy_error is not None]
    seconds, errors = np.array(pairs, dtype=float).T
    return seconds, np.minimum(errors, USELESS)


def _markers(axes: Any, rows: list[Row], scope: Sequence[Row]) -> np.ndarray:
    """Draw the markers; points (P, 2) as (seconds, error) in data coordinates. ``scope`` decides the limits."""
    every_second, every_error = _numbers(scope)
    shown = every_error[every_error >= EXACT]
    floor = (float(shown.min()) if shown.size else EXACT) / 2
    seconds, errors = _numbers(rows)
    points = np.stack([seconds, np.where(errors >= EXACT, errors, floor)], 1)
    axes.set(xscale="log", yscale="log")
    for row, (x, y) in zip(rows, points, strict=True):
        marker, colour = style(row.name)
        size = 13 if marker == "*" else 8
        axes.plot(x, y, marker, color=colour, markersize=size, markeredgecolor="white", markeredgewidth=0.6, zorder=3)
    axes.set_xlim(every_second.min() / 6, every_second.max() * 4)
    axes.set_ylim(floor / 1.6, max(float(every_error.max()), floor) * 1.6)
    return points


def _text(row: Row) -> str:
    if row.energy_error is None or EXACT <= row.energy_error <= USELESS:
        return row.name
    return f"{row.name} (error {row.energy_error:.2g}, drawn at the edge)"


def _labels(axes: Any, rows: list[Row], points: np.ndarray) -> None:
    """One label per marker, clear of markers and other labels; a thin line leads to those that lie far."""
    figure = axes.figure
    pixels = axes.transData.transform(points)
    per_point = figure.dpi / 72
    frame = axes.get_window_extent()
    bounds = (frame.x0, frame.y0, frame.x1, frame.y1)
    radius = 5 * per_point
    taken: list[Box] = [(x - radius, y - radius, x + radius, y + radius) for x, y in pixels]
    renderer = figure.canvas.get_renderer()
    for row, at in sorted(zip(rows, pixels, strict=True), key=lambda pair: (pair[1][0], pair[1][1])):
        text = _text(row)
        probe = axes.text(0, 0, text, fontsize=FONT)
        extent = probe.get_window_extent(renderer)
        probe.remove()
        (dx, dy), box = _place(at, (extent.width, extent.height), taken, bounds, per_point)
        taken.append(box)
        far = math.hypot(dx, dy) > DISTANCES[0] + 1
        axes.annotate(
            text,
            axes.transData.inverted().transform(at),
            xytext=(dx, dy),
            textcoords="offset points",
            fontsize=FONT,
            color=style(row.name)[1],
            ha=_align(dx, "left", "right"),
            va=_align(dy, "bottom", "top"),
            arrowprops={"arrowstyle": "-", "color": style(row.name)[1], "lw": 0.5, "alpha": 0.7} if far else None,
        )


def _align(offset: float, positive: str, negative: str) -> str:
    return "center" if abs(offset) < 1e-6 else positive if offset > 0 else negative


def _place(
    at: np.ndarray, extent: tuple[float, float], taken: list[Box], bounds: Box, per_point: float
) -> tuple[tuple[float, float], Box]:
    """Offset (points) and box (pixels) of the first free place, or of the place with the least overlap."""
    best: tuple[float, tuple[float, float], Box] | None = None
    for distance in DISTANCES:
        for angle in ANGLES:
            dx = round(distance * math.cos(math.radians(angle)), 6)
            dy = round(distance * math.sin(math.radians(angle)), 6)
            box = _box(at[0] + dx * per_point, at[1] + dy * per_point, dx, dy, extent)
            outside = max(bounds[0] - box[0], bounds[1] - box[1], box[2] - bounds[2], box[3] - bounds[3], 0.0)
            overlap = sum(_overlap(box, other) for other in taken) + 1e3 * outside
            if overlap == 0:
                return (dx, dy), box
            if best is None or overlap < best[0]:
                best = (overlap, (dx, dy), box)
    return best[1:] if best is not None else ((0.0, 0.0), bounds)


def _box(x: float, y: float, dx: float, dy: float, extent: tuple[float, float]) -> Box:
    """Box of a text anchored at pixel (x, y) and aligned away from its marker."""
    width, height = extent
    left = x - width / 2 if dx == 0 else x if dx > 0 else x - width
    low = y - height / 2 if dy == 0 else y if dy > 0 else y - height
    return (left, low, left + width, low + height)


def _overlap(p: Box, q: Box) -> float:
    """Area that two boxes share."""
    return max(0.0, min(p[2], q[2]) - max(p[0], q[0])) * max(0.0, min(p[3], q[3]) - max(p[1], q[1]))
