"""Pictures by Matplotlib: profiles along a line, one coarse cell from near, and spectra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidProblem
from .backend import COEFFICIENT_MAP, FIGURES, check_picture, new_figure, save_figure
from .field import Extent, Field, as_field, field_of
from .maps import LOGARITHMIC

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Points of a profile, and of a raster along the longer side of a spectrum and of a zoom.
PROFILE, SPECTRUM, ZOOM = 1201, 512, 240
#: Colours and dashes in the order of the fields: one that hides another shows it between its dashes.
COLOURS = ("#1f77b4", "#d62728", "#111111", "#2ca02c", "#9467bd", "#8c564b")
DASHES = ("-", "-", "--", ":", "-.", "-")


def plot_slices(
    fields: Mapping[str, Any],
    *,
    y: float | None = None,
    x: float | None = None,
    coefficient: Any = None,
    mesh: Any = None,
    on: str = "nodes",
    extent: Extent | None = None,
    title: str = "",
    path: Any = None,
) -> Figure:
    """Draw profiles of fields along a line y = const or x = const, with the coefficient along it below.

    Parameters
    ----------
    fields : name -> field as for :func:`plot_field`, with one component.
    y : height of a horizontal line; or
    x : place of a vertical one. Default: the horizontal line through the middle.
    coefficient : GridFunction, CoefficientFunction or array (my, mx) of cell values.
    mesh : of CoefficientFunctions; default: that of the first GridFunction.
    on : what the entries of arrays of ``fields`` belong to, "nodes" or "cells".
    extent : of arrays, as for :func:`plot_field`; default: that of the first GridFunction.
    title : above the picture; default: the line.
    path : of a picture to save, .png, .svg or .pdf; an existing one is replaced.

    Returns
    -------
    Figure
        Of Matplotlib, without pyplot's global state.

    Raises
    ------
    InvalidProblem
        If a field cannot be drawn, the line misses the domain, or the picture cannot be written.
    DependencyMissing
        If Matplotlib is not installed.
    """
    check_picture(path, FIGURES)
    known, background = _read(fields, coefficient, mesh, on, extent)
    x0, x1, y0, y1 = next(iter(known.values())).extent
    if x is not None and y is not None:
        raise InvalidProblem("a profile runs along y = const or x = const; give one of them.")
    horizontal = x is None
    at = x if x is not None else (y0 + y1) / 2 if y is None else y
    (low, high), (first, last) = ((y0, y1), (x0, x1)) if horizontal else ((x0, x1), (y0, y1))
    if not low <= at <= high:
        raise InvalidProblem(f"the line {'y' if horizontal else 'x'} = {at:g} misses the domain, {low:g} … {high:g}.")
    along = np.linspace(first, last, PROFILE)
    points = np.stack([along, np.full(PROFILE, at)] if horizontal else [np.full(PROFILE, at), along], 1)
    figure = new_figure((8.0, 4.4))
    if background is None:
        axes = bottom = figure.add_subplot()
    else:
        axes, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(14, 1))
        strip = background.at((points[1:] + points[:-1]) / 2)[None]
        shown = bottom.imshow(
            strip,
            interpolation="nearest",
            aspect="auto",
            extent=(first, last, 0, 1),
            cmap=COEFFICIENT_MAP,
            norm=_norm(background, strip),
        )
        bottom.set_yticks([])
        figure.colorbar(shown, ax=[axes, bottom], label="a", aspect=35, pad=0.01)
    for (name, field), style in zip(known.items(), _styles(len(known)), strict=True):
        axes.plot(along, field.at(points), label=name, linewidth=1.4, **style)
    axes.set(xlim=(first, last), ylabel="u")
    axes.set_title(title or f"along {'y' if horizontal else 'x'} = {at:g}", fontsize=11, loc="left")
    bottom.set_xlabel("x" if horizontal else "y")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    return save_figure(figure, path)


def plot_zoom(
    fields: Mapping[str, Any],
    coefficient: Any,
    *,
    window: Extent | None = None,
    coarse: tuple[int, int] | None = None,
    cell: tuple[int, int] | None = None,
    mesh: Any = None,
    on: str = "nodes",
    extent: Extent | None = None,
    levels: int = 9,
    title: str = "",
    path: Any = None,
) -> Figure:
    """Draw one coarse cell from near: the coefficient behind contours of fields.

    Parameters
    ----------
    fields : name -> field as for :func:`plot_field`, with one component; contours have numbers, and levels per field.
    coefficient : GridFunction, CoefficientFunction or array (my, mx) of cell values.
    window : (lowest x, highest x, lowest y, highest y) of what is shown; or
    coarse : coarse cells (ny, nx) of the domain, and
    cell : (iy, ix) the one to show; default: that in the middle.
    mesh : of CoefficientFunctions; default: that of the first GridFunction.
    on : what the entries of arrays of ``fields`` belong to, "nodes" or "cells".
    extent : of arrays, as for :func:`plot_field`; default: that of the first GridFunction.
    levels : number of contours, about.
    title : above the picture; default: the window.
    path : of a picture to save, .png, .svg or .pdf; an existing one is replaced.

    Returns
    -------
    Figure
        Of Matplotlib, without pyplot's global state.

    Raises
    ------
    InvalidProblem
        If a field cannot be drawn, there is no such cell, or the picture cannot be written.
    DependencyMissing
        If Matplotlib is not installed.
    """
    check_picture(path, FIGURES)
    known, background = _read(fields, coefficient, mesh, on, extent)
    if background is None:
        raise InvalidProblem("plot_zoom needs the coefficient.")
    x0, x1, y0, y1 = shown = _window(next(iter(known.values())).extent, window, coarse, cell)
    figure = new_figure((6.4, 5.6))
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    ny, nx = _raster(shown, ZOOM)
    a = background.raster(4 * ny, 4 * nx, shown)
    image = axes.imshow(
        a,
        interpolation="nearest",
        origin="lower",
        extent=shown,
        cmap=COEFFICIENT_MAP,
        norm=_norm(background, a),
        alpha=0.5,
    )
    figure.colorbar(image, label="a", pad=0.02)
    x, y = (low + (high - low) * (np.arange(n) + 0.5) / n for low, high, n in ((x0, x1, nx), (y0, y1, ny)))
    sampled = {name: field.raster(ny, nx, shown) for name, field in known.items()}
    for k, ((name, values), style) in enumerate(zip(sampled.items(), _styles(len(known)), strict=True)):
        colour = "#08306b" if k == 0 else style["color"]
        if np.ptp(values) > 0:
            # Every field has levels of its own: corrected and coarse values seldom meet within one cell.
            at = MaxNLocator(levels).tick_values(float(values.min()), float(values.max()))
            lines = axes.contour(x, y, values, levels=at, colors=colour, linewidths=1.6 if k == 0 else 1.0)
            axes.clabel(lines, fontsize=8, fmt="%.6g")
        axes.plot([], [], color=colour, label=name)
    axes.set(xlim=(x0, x1), ylim=(y0, y1), xlabel="x", ylabel="y", aspect="equal")
    axes.set_title(title or f"contours on [{x0:.4g}, {x1:.4g}] x [{y0:.4g}, {y1:.4g}]", fontsize=11, loc="left")
    axes.locator_params(nbins=5)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, fontsize=9, frameon=False)
    return save_figure(figure, path)


def plot_spectrum(
    fields: Mapping[str, Any],
    *,
    marks: Mapping[str, float] | None = None,
    mesh: Any = None,
    on: str = "nodes",
    extent: Extent | None = None,
    title: str = "",
    path: Any = None,
) -> Figure:
    """Draw the radial Fourier spectra of fields: which of them have the fine scales, and how much of them.

    Parameters
    ----------
    fields : name -> field as for :func:`plot_field`, with one component.
    marks : name -> wave number in periods per unit of length, drawn as vertical line, e.g. ``{"1/(2H)": 16}``.
    mesh : of CoefficientFunctions; default: that of the first GridFunction.
    on : what the entries of arrays belong to, "nodes" or "cells".
    extent : of arrays, as for :func:`plot_field`; default: that of the first GridFunction.
    title : above the picture.
    path : of a picture to save, .png, .svg or .pdf; an existing one is replaced.

    Returns
    -------
    Figure
        Of Matplotlib, without pyplot's global state.

    Raises
    ------
    InvalidProblem
        If a field cannot be drawn or the picture not be written.
    DependencyMissing
        If Matplotlib is not installed.
    """
    check_picture(path, FIGURES)
    known, _ = _read(fields, None, mesh, on, extent)
    domain = next(iter(known.values())).extent
    figure = new_figure((7.0, 4.6))
    axes = figure.add_subplot()
    size = (domain[3] - domain[2], domain[1] - domain[0])
    for (name, field), style in zip(known.items(), _styles(len(known)), strict=True):
        k, amplitude = radial_spectrum(field.raster(*_raster(domain, SPECTRUM)), size)
        shown = amplitude > 0
        axes.loglog(k[shown], amplitude[shown], label=name, linewidth=1.4, **style)
    for name, wave_number in (marks or {}).items():
        axes.axvline(wave_number, color="gray", linewidth=0.8, linestyle="--")
        axes.annotate(
            name, (wave_number, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -3), textcoords="offset points",
            ha="left", va="top", fontsize=8, color="gray",
        )  # fmt: skip
    axes.set(xlabel="wave number, periods per unit of length", ylabel="amplitude")
    axes.set_title(title or "radial Fourier spectrum (Hann window)", fontsize=11, loc="left")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    return save_figure(figure, path)


def radial_spectrum(values: np.ndarray, size: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Compute root mean squares of Fourier coefficients over rings of wave numbers.

    Parameters
    ----------
    values : (ny, nx) at the centres of equal cells; their mean is taken off and a Hann window laid over them.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    k : np.ndarray
        (n,) wave numbers in periods per unit of length, up to the raster's.
    amplitude : np.ndarray
        (n,) root mean squares of the amplitudes in the ring about k.

    Examples
    --------
    >>> x = (np.arange(64) + 0.5) / 64
    >>> k, amplitude = radial_spectrum(np.ones((64, 1)) * np.sin(2 * np.pi * 8 * x), (1.0, 1.0))
    >>> float(k[amplitude.argmax()])
    8.0
    """
    ny, nx = values.shape
    window = np.hanning(ny + 2)[1:-1, None] * np.hanning(nx + 2)[None, 1:-1]
    # Four: of a Hann window squared, the mean is 1/4 in two dimensions.
    amplitudes = 4 * np.abs(np.fft.fft2((values - values.mean()) * window)) / values.size
    ky, kx = np.fft.fftfreq(ny, size[0] / ny), np.fft.fftfreq(nx, size[1] / nx)
    step = 1 / min(size)
    ring = np.rint(np.hypot(ky[:, None], kx) / step).astype(int).ravel()
    last = int(min(ny / size[0], nx / size[1]) / 2 / step)
    squares = np.bincount(ring, amplitudes.ravel() ** 2)[1 : last + 1]
    counts = np.bincount(ring)[1 : last + 1]
    return step * np.arange(1, len(squares) + 1), np.sqrt(squares / np.maximum(counts, 1))


def _read(
    fields: Mapping[str, Any], coefficient: Any, mesh: Any, on: str, extent: Extent | None
) -> tuple[dict[str, Field], Field | None]:
    """Fields with one component, all on the domain of the first GridFunction, and the coefficient."""
    if not isinstance(fields, Mapping) or not fields:
        raise InvalidProblem('fields must be a mapping from names to fields, e.g. {"corrected": u_fine}.')
    fields = {name: field_of(u) for name, u in fields.items()}
    first = next((u for u in fields.values() if hasattr(u, "space")), None)
    if first is not None:
        mesh = first.space.mesh if mesh is None else mesh
        extent = as_field(first).extent if extent is None else extent
    known = {
        name: as_field(u, mesh=None if hasattr(u, "space") else mesh, on=on, extent=extent)
        for name, u in fields.items()
    }
    for name, field in known.items():
        if field.components != 1:
            raise InvalidProblem(f"{name} has {field.components} components; take one, or ngsolve.Norm(u).")
    if coefficient is None:
        return known, None
    extent = next(iter(known.values())).extent
    return known, as_field(coefficient, mesh=None if hasattr(coefficient, "space") else mesh, extent=extent)


def _window(
    extent: Extent, window: Extent | None, coarse: tuple[int, int] | None, cell: tuple[int, int] | None
) -> Extent:
    """The part of the domain to show."""
    x0, x1, y0, y1 = extent
    if window is not None:
        left, right, low, high = map(float, window)
        if not (x0 <= left < right <= x1 and y0 <= low < high <= y1):
            raise InvalidProblem(f"window {window} does not lie in the domain {extent}.")
        return left, right, low, high
    if coarse is None:
        raise InvalidProblem("plot_zoom needs window=, or coarse= (ny, nx) with cell= (iy, ix).")
    ny, nx = coarse
    iy, ix = (ny // 2, nx // 2) if cell is None else cell
    if not (0 <= iy < ny and 0 <= ix < nx):
        raise InvalidProblem(f"there is no cell {(iy, ix)} among {ny} x {nx}.")
    h, w = (y1 - y0) / ny, (x1 - x0) / nx
    return x0 + ix * w, x0 + (ix + 1) * w, y0 + iy * h, y0 + (iy + 1) * h


def _raster(extent: Extent, longer: int) -> tuple[int, int]:
    """Rows and columns of square cells."""
    x0, x1, y0, y1 = extent
    unit = max(x1 - x0, y1 - y0) / longer
    return max(4, round((y1 - y0) / unit)), max(4, round((x1 - x0) / unit))


def _norm(field: Field, values: np.ndarray) -> Any:
    """Logarithmic colours for positive values of high contrast."""
    from matplotlib.colors import LogNorm, Normalize

    lo, hi = float(values.min()), float(values.max())
    return LogNorm(lo, hi) if field.cellwise and lo > 0 and hi > LOGARITHMIC * lo else Normalize(lo, hi)


def _styles(count: int) -> list[dict[str, Any]]:
    return [{"color": COLOURS[k % len(COLOURS)], "linestyle": DASHES[k % len(DASHES)]} for k in range(count)]
