"""Coarse, corrected and reference solution beside each other, with the coefficient and the differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidProblem
from .backend import DIFFERENCE_MAP, FIELD_MAP, check_picture, colour_limits, finish, import_pyvista, make_plotter
from .field import Extent, Field, NodalField, as_field
from .maps import Look, draw_map
from .panels import panel_size, place_view, wrapped
from .surfaces import draw_surface

if TYPE_CHECKING:
    import pyvista as pv

#: Longer side of the maps in pixels, and size of a panel with a surface.
LONGER, SURFACE = 420, (700, 500)
#: Width over height that a picture should have, about.
SHAPE = 1.6
#: Points along the longer side at which fields on different meshes are subtracted.
SAMPLES = 400


@dataclass(frozen=True, eq=False)
class Panel:
    """A field with its title and how to draw it; ``flat`` ones are maps among surfaces too."""

    field: Field
    look: Look
    flat: bool = False


def plot_compare(
    coarse: Any,
    corrected: Any,
    reference: Any = None,
    *,
    coefficient: Any = None,
    mesh: Any = None,
    on: str = "nodes",
    extent: Extent | None = None,
    warp: bool = False,
    path: Any = None,
    show: bool = True,
) -> pv.Plotter:
    """Draw coarse and corrected solution and their difference, with the coefficient and a reference if there are.

    Solutions have common colour limits; differences limits of their own, symmetric about zero. With a reference there
    are panels of it and of corrected − reference; without a coefficient, coarse − reference takes its place.

    Parameters
    ----------
    coarse : coarse solution, any field as for :func:`plot_field`.
    corrected : corrected field on the fine mesh, likewise; of a :class:`Correction` the title says what it
        approximates.
    reference : fine solution, likewise.
    coefficient : GridFunction, CoefficientFunction or array (my, mx) of cell values.
    mesh : of CoefficientFunctions; default: that of ``coarse``.
    on : what the entries of arrays of solutions belong to, "nodes" or "cells".
    extent : of arrays, as for :func:`plot_field`; default: that of ``coarse``.
    warp : draw surfaces in 3-D instead of maps; the coefficient stays a map.
    path : of a picture to save, .png or .html; an existing one is replaced.
    show : as for :func:`plot_field`.

    Returns
    -------
    pv.Plotter
        For more drawing; close it at the end.

    Raises
    ------
    InvalidProblem
        If a field cannot be drawn, the domains differ, or the picture cannot be written.
    DependencyMissing
        If PyVista is not installed or cannot draw.
    """
    check_picture(path)
    import_pyvista()
    if mesh is None and hasattr(coarse, "space"):
        mesh = coarse.space.mesh
    first = as_field(coarse, mesh=mesh, on=on, extent=extent)
    options = {"mesh": mesh, "extent": first.extent}
    solutions = {"coarse": first, "corrected": as_field(corrected, on=on, **_own(corrected, options))}
    if reference is not None:
        solutions["reference"] = as_field(reference, on=on, **_own(reference, options))
    raster = None if coefficient is None else as_field(coefficient, **_own(coefficient, options))
    for name, field in [*solutions.items(), *([("coefficient", raster)] if raster else [])]:
        if not np.allclose(field.extent, first.extent, rtol=1e-6):
            raise InvalidProblem(f"coarse covers {first.extent}, {name} {field.extent}; give fields of one domain.")
        if field.components != 1:
            raise InvalidProblem(f"{name} has {field.components} components; compare fields with one.")
    panels = _panels(solutions, raster)
    columns, sizes = _arrangement(panels, warp)
    rows = len(panels) // columns
    plotter = make_plotter(None, (rows, columns), (sizes[0] * columns, sizes[1] * rows))
    linked, boxes, lines = [], [], 0
    for k, panel in enumerate(panels):
        plotter.subplot(k // columns, k % columns)
        if warp and panel.flat:
            draw_map(plotter, panel.field, panel.look)
            continue
        linked.append(k)
        if warp:
            box, lines = draw_surface(plotter, panel.field, panel.look)
            boxes.append(box)
        else:
            draw_map(plotter, panel.field, panel.look)
    if boxes:  # one camera for all surfaces, which have to fit into their panels as they are
        plotter.subplot(linked[0] // columns, linked[0] % columns)
        low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
        place_view(plotter, (low[0], high[1], low[2], high[3], low[4], high[5]), lines)
    plotter.link_views(linked)
    for k in linked:
        plotter.renderers[k].camera_set = True
    return finish(plotter, path, show)


def _own(u: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Options without the mesh for a GridFunction, which has its own."""
    return {**options, "mesh": None} if hasattr(u, "space") else options


def _panels(solutions: dict[str, Field], raster: Field | None) -> list[Panel]:
    """What is drawn, in order."""
    coarse, corrected = solutions["coarse"], solutions["corrected"]
    reference = solutions.get("reference")
    limits = colour_limits(*(_values(field) for field in solutions.values()))
    panels = []
    if raster is not None:
        panels.append(Panel(raster, Look("a", f"coefficient, {raster.what}".rstrip(", ")), flat=True))
    for name, field in solutions.items():
        title = field.corrected or f"{name}, {field.what}".rstrip(", ")
        panels.append(Panel(field, Look("u", title, FIELD_MAP, limits, False)))
    pairs = [("corrected − coarse", corrected, coarse)]
    if reference is not None:
        if raster is None:
            pairs.append(("coarse − reference", coarse, reference))
        pairs.append(("corrected − reference", corrected, reference))
    for title, one, other in pairs:
        panels.append(_difference_panel(title, difference(one, other)))
    return panels


def _difference_panel(title: str, field: Field) -> Panel:
    """Panel of a difference, in colours symmetric about zero."""
    largest = float(np.nanmax(np.abs(_values(field)), initial=0.0)) or 1.0
    return Panel(field, Look("difference", title, DIFFERENCE_MAP, (-largest, largest), False))


def difference(one: Field, other: Field) -> NodalField:
    """Subtract fields on different meshes of one rectangle.

    Parameters
    ----------
    one : minuend.
    other : subtrahend.

    Returns
    -------
    NodalField
        At the nodes of the finer uniform grid if both have one, else at 400 points along the longer side.
    """
    x0, x1, y0, y1 = one.extent
    uniform = [field.values.shape for field in (one, other) if isinstance(field, NodalField)]
    if len(uniform) == 2:
        ny, nx = (max(n) - 1 for n in zip(*uniform, strict=True))
    else:
        longer = max(x1 - x0, y1 - y0)
        ny, nx = (max(1, round(SAMPLES * length / longer)) for length in (y1 - y0, x1 - x0))
    X, Y = np.meshgrid(np.linspace(x0, x1, nx + 1), np.linspace(y0, y1, ny + 1))
    points = np.stack([X.ravel(), Y.ravel()], 1)
    return NodalField((one.at(points) - other.at(points)).reshape(ny + 1, nx + 1), one.extent)


def _values(field: Field) -> np.ndarray:
    """Values that are drawn."""
    grid = field.grid("u")
    return np.asarray(grid.point_data["u"] if "u" in grid.point_data else grid.cell_data["u"])


def _arrangement(panels: list[Panel], warp: bool) -> tuple[int, tuple[int, int]]:
    """Columns without an empty place, and (width, height) of a panel, for a picture that is about as wide as a page."""
    extent = panels[0].field.extent
    width = SURFACE[0] if warp else panel_size(extent, LONGER)[0]
    lines = max(len(wrapped(panel.look.title, width)) for panel in panels)
    size = SURFACE if warp else panel_size(extent, LONGER, lines)
    count = len(panels)
    divisors = [c for c in range(1, count + 1) if count % c == 0]
    return min(divisors, key=lambda c: abs(math.log(c * size[0] / (count // c * size[1] * SHAPE)))), size
