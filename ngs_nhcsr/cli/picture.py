"""Pictures of a solution on pixels beside its coefficient."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..visual import BAR, FIELD_MAP, colour_limits, finish, import_pyvista, make_plotter

if TYPE_CHECKING:
    from .output import Fields

#: Longer side of a map, and margins left, right (with the bar), below and above it, in pixels of the picture.
MAP, LEFT, RIGHT, BELOW, ABOVE = 560, 25, 115, 25, 50
#: Least width of a panel, for its title, and height, for its bar.
NARROWEST, LOWEST = 250, 160
#: Panels lower than this have bars with labels at the ends only.
LOW = 250
#: Domains wider than this have the maps above each other.
WIDE = 1.6
#: Contrast from which the coefficient is drawn on a logarithmic scale.
LOGARITHMIC = 100.0
#: Values smaller than this fraction of the largest are rounding errors of zero.
ROUNDING = 1e-12


def draw_fields(fields: Fields, path: Path) -> None:
    """Draw the coefficient beside the solution, for a wide domain above it, into a .png file.

    Parameters
    ----------
    fields : what to draw.
    path : of the file.

    Raises
    ------
    DependencyMissing
        If PyVista is not installed or cannot draw.
    """
    Ly, Lx = fields.size
    unit = max(Ly, Lx) / MAP  # length of one pixel of the picture
    panel = (max(LEFT + round(Lx / unit) + RIGHT, NARROWEST), max(BELOW + round(Ly / unit) + ABOVE, LOWEST))
    wide = Lx > WIDE * Ly
    shape, window = ((2, 1), (panel[0], 2 * panel[1])) if wide else ((1, 2), (2 * panel[0], panel[1]))
    plotter = make_plotter(None, shape, window)
    plotter.subplot(0, 0)
    _draw(plotter, fields, "a", "YlOrBr", panel, unit)
    plotter.subplot(*((1, 0) if wide else (0, 1)))
    _draw(plotter, fields, "u", FIELD_MAP, panel, unit)
    finish(plotter, path, show=False)
    plotter.close()


def _draw(plotter: Any, fields: Fields, name: str, cmap: str, panel: tuple[int, int], unit: float) -> None:
    """Draw one field into the current panel of (width, height) pixels, each ``unit`` long."""
    pv = import_pyvista()
    (Ly, Lx), nodal = fields.size, name == "u"
    data = fields.u if nodal else fields.a
    data = np.where(np.abs(data) < ROUNDING * np.abs(data).max(), 0.0, data)
    ny, nx = (n - nodal for n in data.shape)
    grid = pv.ImageData(dimensions=(nx + 1, ny + 1, 1), spacing=(Lx / nx, Ly / ny, 1.0))
    (grid.point_data if nodal else grid.cell_data)[name] = data.ravel()
    width, height = panel
    bar: dict[str, Any] = {
        **BAR,
        "title": " " * (1 + nodal),  # PyVista shares bars of equal titles between panels
        "color": "black",
        "fmt": "%.4g",
        "n_labels": 2 if height < LOW or (not nodal and len(np.unique(data)) == 2) else 5,
        "position_x": (LEFT + Lx / unit + 20) / width,
        "width": 25 / width * 1.6,
        "position_y": BELOW / height,
        "height": (height - BELOW - ABOVE) / height,
    }
    logarithmic = not nodal and bool(data.max() >= LOGARITHMIC * data.min())
    plotter.add_mesh(
        grid,
        scalars=name,
        cmap=cmap,
        clim=colour_limits(data),
        log_scale=logarithmic,
        scalar_bar_args=bar,
        lighting=False,
    )
    plotter.add_mesh(pv.Rectangle([[0, 0, 0], [Lx, 0, 0], [Lx, Ly, 0]]), style="wireframe", color="black")
    title = f"u on {Lx:g} x {Ly:g}" if nodal else f"a on {nx} x {ny} pixels"
    plotter.add_text(title, font_size=11, color="black", position=(LEFT, height - 35))
    plotter.view_xy()
    plotter.enable_parallel_projection()
    centre = ((width / 2 - LEFT) * unit, (height / 2 - BELOW) * unit)
    plotter.camera.focal_point = (*centre, 0.0)
    plotter.camera.position = (*centre, 1.0)
    plotter.camera.parallel_scale = height / 2 * unit
