"""A solution beside its coefficient, as the command line draws it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..solvers.space import Space
from .backend import finish, import_pyvista, make_plotter
from .field import CellField, NodalField, target_in_words
from .maps import Look, draw_map
from .panels import panel_size

#: Longer side of the maps in pixels; domains wider than this have them above each other.
LONGER, WIDE = 420, 1.6


def draw_pair(u: np.ndarray, a: np.ndarray, space: Space, path: Path, target: str = "") -> None:
    """Draw the coefficient beside the solution, for a wide domain above it, into a file.

    Parameters
    ----------
    u : (ny+1, nx+1) nodal values.
    a : (my, mx) cell values; of tensors (my, mx, 2, 2) half the trace is drawn.
    space : grid of ``u``.
    path : of the file, .png or .html.
    target : of the correction that made ``u``, if one did.

    Raises
    ------
    DependencyMissing
        If PyVista is not installed or cannot draw.
    """
    import_pyvista()
    (x0, y0), (Ly, Lx) = space.lower, space.size
    extent = (x0, x0 + Lx, y0, y0 + Ly)
    raster = a if a.ndim == 2 else np.trace(a, axis1=2, axis2=3) / 2
    my, mx = raster.shape
    wide = Lx > WIDE * Ly
    width, height = panel_size(extent, LONGER)
    shape, size = ((2, 1), (width, 2 * height)) if wide else ((1, 2), (2 * width, height))
    plotter = make_plotter(None, shape, size)
    plotter.subplot(0, 0)
    draw_map(plotter, CellField(raster, extent), Look("a", f"a on {mx} x {my} pixels"))
    plotter.subplot(*((1, 0) if wide else (0, 1)))
    draw_map(plotter, NodalField(u, extent), Look("u", f"{target_in_words(target) or 'u'} on {Lx:g} x {Ly:g}"))
    finish(plotter, path, show=False)
    plotter.close()
