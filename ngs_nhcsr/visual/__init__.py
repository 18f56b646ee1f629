"""Pictures: maps, surfaces, comparisons, profiles, spectra; of arrays and of any field of NGSolve."""

from .backend import import_pyvista
from .compare import plot_compare
from .elements import to_pyvista
from .lines import plot_slices, plot_spectrum, plot_zoom
from .maps import plot_field
from .notebook import draw
from .surfaces import orbit, plot_warp

__all__ = [
    "draw",
    "import_pyvista",
    "orbit",
    "plot_compare",
    "plot_field",
    "plot_slices",
    "plot_spectrum",
    "plot_warp",
    "plot_zoom",
    "to_pyvista",
]
