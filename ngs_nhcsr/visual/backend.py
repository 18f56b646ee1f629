"""PyVista and Matplotlib: imported when something is drawn, off screen where there is no display."""

from __future__ import annotations

import ctypes.util
import math
import os
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DependencyMissing, InvalidProblem, NhcsrWarning
from ..paths import check_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colour maps of solutions, of coefficients and other positive cell values, and of differences.
FIELD_MAP, COEFFICIENT_MAP, DIFFERENCE_MAP = "viridis", "YlOrBr", "RdBu_r"
#: Packages that draw and write pictures, and their names.
DRAWING = {"matplotlib": "Matplotlib", "PIL": "Pillow", "pyvista": "PyVista"}
#: Suffixes of pictures that PyVista and that Matplotlib writes.
SCENES, FIGURES = (".png", ".html"), (".png", ".svg", ".pdf")


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
        for package in DRAWING:  # all, so that none is missed after the work
            import_module(package)
    except ImportError as error:
        missing = DRAWING.get((error.name or "").split(".")[0], error.name)
        raise DependencyMissing(f"pictures need {missing}: pip install 'ngs-nhcsr[viz]'.") from error
    return import_module("pyvista")


def current_cell() -> int | None:
    """Return the number of the notebook's cell that runs this code; None outside of notebooks."""
    shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell.execution_count if hasattr(shell, "kernel") else None


def new_figure(size: tuple[float, float]) -> Figure:
    """Make a figure of Matplotlib without pyplot's global state, which notebooks show all the same.

    Parameters
    ----------
    size : (width, height) in inches.

    Returns
    -------
    Figure
        With a constrained layout.

    Raises
    ------
    DependencyMissing
        If Matplotlib is not installed.
    """
    try:
        from .figure import ShownFigure
    except ImportError as error:
        raise DependencyMissing("this picture needs Matplotlib: pip install 'ngs-nhcsr[viz]'.") from error
    return ShownFigure(figsize=size, layout="constrained", dpi=110)


def check_picture(path: Any, suffixes: tuple[str, ...] = SCENES) -> None:
    """Check before the work that a picture can be written; an existing one is replaced, as by ``savefig``.

    Parameters
    ----------
    path : of the picture; None: none is written.
    suffixes : those that can be written.

    Raises
    ------
    InvalidProblem
        See :func:`ngs_nhcsr.paths.check_path`.
    DependencyMissing
        If a package for the format is missing.
    """
    if path is not None and check_path(path, suffixes).suffix.lower() == ".html":
        from .html import import_serializers

        import_serializers()


def save_figure(figure: Figure, path: Any) -> Figure:
    """Save a figure if there is a path, and return it."""
    if path is not None:
        figure.savefig(path)
    return figure


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
    hidden = sys.platform.startswith("linux") and not os.environ.get("DISPLAY")
    made = pv.Plotter(shape=shape, off_screen=hidden, window_size=size, border=False)
    made.set_background("white")
    return made


def finish(plotter: Any, path: Any, show: bool) -> Any:
    """Save or show what was drawn.

    Parameters
    ----------
    plotter : with the drawing.
    path : of the picture to save, .png or .html; None: none.
    show : open a window if no picture is saved and there is a display; in a notebook, which shows a plotter by its
        last picture, take one.

    Returns
    -------
    pv.Plotter
        The plotter.
    """
    if path is None:
        if show and not plotter.off_screen:
            plotter.show()
        elif show and current_cell() is not None:
            plotter.last_image = plotter.screenshot(return_img=True)
    elif Path(path).suffix.lower() == ".html":
        from .html import save_html

        save_html(plotter, Path(path))
    else:
        plotter.last_image = plotter.screenshot(str(path), return_img=True)
    return plotter


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
        frame, levels = sys._getframe(1), 2  # the user's line is the first outside this folder
        while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith(__package__ or ""):
            frame, levels = frame.f_back, levels + 1
        message = f"{len(values) - len(finite)} values are not finite and not drawn."
        warnings.warn(message, NhcsrWarning, stacklevel=levels)
    if not len(finite):
        return (0.0, 1.0)
    lo, hi = float(finite.min()), float(finite.max())
    pad = 0.5 * (abs(lo) or 1.0) * 1e-3 if hi - lo <= 1e-12 * max(abs(hi), 1e-300) else 0.0
    return (lo - pad, hi + pad)


def checked_limits(limits: Any) -> tuple[float, float]:
    """Check colour limits that a user gave.

    Parameters
    ----------
    limits : (lowest, highest).

    Returns
    -------
    (lowest, highest) as floats.

    Raises
    ------
    InvalidProblem
        If they are not two numbers in ascending order.
    """
    try:
        lo, hi = (float(v) for v in limits)
    except (TypeError, ValueError) as error:
        raise InvalidProblem(f"limits must be (lowest, highest), not {limits!r}.") from error
    if not lo < hi:
        raise InvalidProblem(f"limits must be (lowest, highest) in ascending order, not {(lo, hi)}.")
    return lo, hi


def ticks(lo: float, hi: float, count: int, log: bool = False) -> list[float]:
    """Choose round numbers between two limits.

    Parameters
    ----------
    lo : lower limit.
    hi : upper limit.
    count : how many there may be, about.
    log : whether the axis is logarithmic: powers of ten where there are some.

    Returns
    -------
    list[float]
        In ascending order; at least one.

    Examples
    --------
    >>> ticks(0.0, 0.0737, 5)
    [0.0, 0.02, 0.04, 0.06]
    >>> ticks(1.0, 1000.0, 5, log=True)
    [1.0, 10.0, 100.0, 1000.0]
    >>> ticks(2.0, 50.0, 5, log=True)
    [2.0, 5.0, 10.0, 20.0, 50.0]
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    slack = 1e-9 * (hi - lo)
    if log and hi >= 10 * lo:
        # Powers of ten where there are three, else what is between them, as far as there is room.
        between = [(subs, 2, count) for subs in ((1.0, 2.0, 5.0), (1.0, 5.0))]
        for subs, least, most in (((1.0,), 3, math.inf), *between, ((1.0,), 2, math.inf)):
            found = LogLocator(subs=subs, numticks=max(count, 2)).tick_values(lo, hi)
            inside = [float(f"{v:.12g}") for v in found if lo * (1 - 1e-9) <= v <= hi * (1 + 1e-9)]
            if least <= len(inside) <= most:
                return inside
    found = MaxNLocator(nbins=max(count, 1), steps=[1, 2, 5, 10]).tick_values(lo, hi)
    inside = [float(f"{v:.12g}") if abs(v) > slack else 0.0 for v in found if lo - slack <= v <= hi + slack]
    return inside or [lo]


def label(value: float) -> str:
    """Write a number at a tick.

    Examples
    --------
    >>> label(0.02), label(1e5), label(-2e-7)
    ('0.02', '1e5', '−2e−7')
    """
    text = f"{value:.6g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    elif abs(value) >= 1e5 and len(text.lstrip("-").rstrip("0")) == 1:
        text = f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    return text.replace("-", "−")
