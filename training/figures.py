"""The NH-CSR paper's figures by one command, from the trained rows of its first table and one test problem.

``draw_figures`` loads what is trained, solves the problem on all meshes, evaluates every row at every scale, and
writes the pictures (``DRAWINGS``) and the table of errors between resolutions.
"""

from __future__ import annotations

import json
import logging
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import DependencyMissing
from ..solvers.positions import Nodes
from ..solvers.transfer import prolongate
from .evidence import (
    AFTER,
    ROWS,
    SHOWN,
    Evidence,
    between_resolutions,
    branch_fields,
    gather,
    ratios,
    to_markdown,
    trained_rows,
)
from .interpolation import Interpolation
from .protocols import Protocol
from .spectra import (
    Spectrum,
    fourier_power,
    fourier_spectrum,
    mod255,
    sine_spectrum,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

#: Side of the mod-255 pictures.
PIXELS = 512
#: Colour, line and width of the rows that matter; the others share colours in pairs, in the order of the table.
STYLES: dict[str, tuple[str, str, float]] = {
    "NH-CSR": ("#d62728", "-", 2.2),
    "basis-hybrid's recipe": ("#1f77b4", "--", 1.4),
    "basis-hybrid's recipe, no local solves": ("#1f77b4", "-", 2.2),
    "bicubic interpolation of U": ("#7f7f7f", ":", 1.8),
}
COLOURS = ("#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf", "#ff7f0e")


def style(row: str) -> dict[str, Any]:
    """Choose the line style of a row, the same in every figure.

    Parameters
    ----------
    row : name of the row.

    Returns
    -------
    Options of matplotlib's ``plot``.

    Examples
    --------
    >>> style("NH-CSR")["color"], style("LIIF")["color"] == style("IPE-LIIF")["color"]
    ('#d62728', True)
    """
    row = row.split(AFTER)[0]
    others = [r for r in ROWS if r not in STYLES]
    index = others.index(row) if row in others else 0
    colour, line, width = STYLES.get(row, (COLOURS[index // 2 % len(COLOURS)], ("-", "--")[index % 2], 1.1))
    return {"color": colour, "linestyle": line, "linewidth": width}


def draw_figures(
    protocol: Protocol, folder: Path, save: Path, *, only: Sequence[str] = (), device: str = "cpu"
) -> list[Path]:
    """Draw the figures from trained rows of table 1.

    Parameters
    ----------
    protocol : sizes of the experiment.
    folder : of the runs.
    save : folder that receives the pictures and the table of errors between resolutions.
    only : names of the rows that are wanted, or parts of names; default: all.
    device : on which fields are evaluated.

    Returns
    -------
    Paths of the files written.

    Raises
    ------
    DependencyMissing
        Without matplotlib.
    ValueError
        If no wanted row is trained.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise DependencyMissing("the figures need matplotlib: pip install 'ngs-nhcsr[viz]'.") from error
    networks = trained_rows(protocol, folder, only)
    if not networks:
        raise ValueError(f"no trained row of table1 in {folder}; train them with: ngs-nhcsr reproduce table1")
    evidence = gather(protocol, networks, tuple(ROWS) if only else SHOWN, device)
    save.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in DRAWINGS.items():
        figure = draw(evidence)
        if figure is not None:
            written.append(save / f"{name}.png")
            figure.savefig(written[-1], dpi=110)
    errors = between_resolutions(evidence)
    for suffix, text in ((".json", json.dumps(errors, indent=1) + "\n"), (".md", to_markdown(errors, evidence))):
        written.append(save / f"resolution{suffix}")
        written[-1].write_text(text, encoding="utf-8")
    return written


def _figure(width: float, height: float, title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure


def _wave_axis(axes: Any, marks: dict[str, int], most: float) -> None:
    """Logarithmic wave numbers up to ``most``, with vertical lines at what meshes resolve."""
    axes.set(xscale="log", yscale="log", xlim=(1, most), xlabel="wave number k, half-waves per side")
    axes.grid(True, which="major", alpha=0.3)
    for text, k in marks.items():
        axes.axvline(k, color="#999999", linewidth=0.8, zorder=0)
        axes.text(k, 0.95, f"{text} ", transform=axes.get_xaxis_transform(), ha="right", fontsize=9, color="#555555")


def draw_spectra(e: Evidence) -> Figure:
    """Draw the RAPSD of the fields and of their errors, at the largest trained scale and at the largest of all."""
    scales = (e.last, max(e.truths))
    figure = _figure(12, 9, "Radially averaged power spectral density (sine modes), one test problem")
    grid = figure.subplots(2, 2, squeeze=False)
    marks = {"H": e.protocol.coarse, "ε": e.A.shape[-1]}

    def line(axes: Any, spectrum: Spectrum, n: int, label: str, **look: Any) -> None:
        s = spectrum.grouped()
        visible = s.k <= n  # beyond, rings are cut by the corners of the square of modes
        axes.plot(s.k[visible], np.maximum(s.power[visible], 1e-300), label=label, **look)

    for column, scale in zip(grid.T, scales, strict=True):
        n = e.protocol.coarse * scale
        peak = e.truths[scale].abs().max()
        truth = sine_spectrum(e.truths[scale] / peak)
        for axes, name in zip(column, ("field", "error"), strict=True):
            line(axes, truth, n, "u_h", color="black", linewidth=1.6, zorder=4)
            _wave_axis(axes, marks, n)
            # Interpolated fields hold next to nothing at large k; without limits they would squeeze all the others.
            visible = truth.power[truth.k <= n]
            axes.set_ylim(visible.min() / 1e3, visible.max() * 5)
            kind = "trained" if scale in e.protocol.trained else "not trained"
            axes.set_title(f"{name}s at {scale}x ({kind})", fontsize=10)
            axes.set_ylabel(f"power of the {name} / max |u_h|²")
        for row in e.fields:
            line(column[0], sine_spectrum(e.fields[row][scale] / peak), n, row, **style(row))
            line(column[1], sine_spectrum(e.error(row, scale)), n, row, **style(row))
    _legend(figure, grid[0, 0])
    return figure


def draw_residuals(e: Evidence) -> Figure:
    """Draw error fields of the shown rows; each scale has colours of its own, made for the networks' errors."""
    from matplotlib.ticker import MaxNLocator

    scales = tuple(e.truths)
    height = 2.3 * len(e.shown) + 1.4
    figure = _figure(2.3 * len(scales) + 0.4, height, "Error (v − u_h) / max |u_h| on one test problem")
    grid = figure.subplots(len(e.shown), len(scales), squeeze=False)
    learned = [r for r in e.shown if not isinstance(e.networks[r], Interpolation)] or e.shown
    for scale, column in zip(scales, grid.T, strict=True):
        errors = {r: e.error(r, scale).numpy() for r in e.shown}
        limit = max(float(np.quantile(np.abs(errors[r]), 0.995)) for r in learned)
        for row, axes in zip(e.shown, column, strict=True):
            image = axes.imshow(
                errors[row], origin="lower", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
            )
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(f"rms {np.sqrt(np.mean(errors[row] ** 2)):.2g}", fontsize=8, labelpad=2)
        column[0].set_title(f"{scale}x" + ("" if scale in e.protocol.trained else ", not trained"), fontsize=10)
        bar = figure.colorbar(image, ax=column, location="bottom", extend="both", pad=0.01, aspect=16)
        bar.ax.tick_params(labelsize=8)
        bar.locator = MaxNLocator(3, symmetric=True)
        bar.update_ticks()
    for row, axes in zip(e.shown, grid[:, 0], strict=True):
        axes.set_ylabel(_wrapped(row), fontsize=9)
    return figure


def _wrapped(row: str) -> str:
    return "\n".join(textwrap.wrap(row, 18))


def draw_slices(e: Evidence) -> Figure:
    """Draw fields and errors of the shown rows along a horizontal and a vertical line, at the largest trained scale."""
    scale = e.last
    n = e.protocol.coarse * scale
    at = n // 2 + scale // 2  # through the middle of coarse cells: on their edges there is least to correct
    t = np.linspace(0, 1, n + 1)
    peak = float(e.truths[scale].abs().max())
    figure = _figure(13, 7.5, f"Slices at {scale}x, on one test problem")
    grid = figure.subplots(2, 2, sharex="col", squeeze=False)
    for column, (name, cut) in zip(
        grid.T, (("x", lambda v: v[at].numpy()), ("y", lambda v: v[:, at].numpy())), strict=True
    ):
        column[0].set_title(("horizontal, y" if name == "x" else "vertical, x") + f" = {at / n:.3f}", fontsize=10)
        column[0].plot(t, cut(e.truths[scale]) / peak, color="black", linewidth=1.6, label="u_h", zorder=1)
        column[1].axhline(0, color="black", linewidth=0.8)
        for row in e.shown:
            column[0].plot(t, cut(e.fields[row][scale]) / peak, label=row, **style(row) | {"linewidth": 1.1})
            column[1].plot(t, cut(e.error(row, scale)), label=row, **style(row) | {"linewidth": 1.1})
        column[0].set_ylabel("v / max |u_h|")
        column[1].set(xlabel=name, ylabel="(v − u_h) / max |u_h|", xlim=(0, 1))
        for axes in column:
            axes.grid(True, alpha=0.3)
    _legend(figure, grid[0, 0])
    return figure


def draw_mod255(e: Evidence) -> Figure:
    """Draw the paper's view: 0 … 255 over the range of u_h, times 8 and 64, modulo 255, in the colours jet.

    Between the nodes the fields are bilinear, and are drawn so: 64 colour cycles over a few nodes would look like
    noise. For the same reason the larger factor gets the middle of the domain only.
    """
    scale = e.last
    n = e.protocol.coarse * scale
    truth = e.truths[scale]
    columns = {"u_h": truth, **{r: e.fields[r][scale] for r in e.shown}}
    figure = _figure(
        2.5 * len(columns) + 0.5, 6.0, f"Fields at {scale}x, the range of u_h mapped to 0 … 255, × factor, modulo 255"
    )
    grid = figure.subplots(2, len(columns), squeeze=False)
    views = (("× 8", 8, slice(None)), ("× 64, middle, side 1/4", 64, slice(3 * n // 8, 5 * n // 8 + 1)))
    for (title, factor, part), line in zip(views, grid, strict=True):
        for v, axes in zip(columns.values(), line, strict=True):
            view = mod255(prolongate(v[part, part], Nodes((PIXELS, PIXELS))), truth, factor)
            axes.imshow(view, origin="lower", cmap="jet", vmin=0, vmax=255, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(title, fontsize=10)
    for name, axes in zip(columns, grid[0], strict=True):
        axes.set_title(_wrapped(name), fontsize=10)
    return figure


@torch.inference_mode()
def draw_branches(e: Evidence) -> Figure | None:
    """Draw the Fourier magnitude of the outputs of the coarse and the fine branch of NH-CSR, mean over channels."""
    found = [branch_fields(v, e, e.last) for v in e.networks.values()]
    powers = [fourier_power(f) for f in next((f for f in found if len(f) == 2), [])]
    if not powers:
        log.info("no trained row has an NH-CSR decoder with two branches: their spectra are left out")
        return None
    n, cells = powers[0].shape[-1], e.A.shape[-1]
    figure = _figure(14, 4.6, f"Fourier magnitude of NH-CSR's branch outputs on the {n} x {n} mesh, rms over channels")
    images = [0.5 * np.log10(np.maximum(p, 1e-300)) for p in powers]
    high = max(i.max() for i in images)
    low = max(min(float(np.quantile(i, 0.02)) for i in images), high - 6)
    grid = figure.subplots(1, 3, width_ratios=(1, 1, 1.25))
    image: Any = None
    for axes, picture, name in zip(grid, images, ("coarse branch", "fine branch"), strict=False):
        image = axes.imshow(
            picture, origin="lower", cmap="magma", vmin=low, vmax=high, extent=(-n, n, -n, n), interpolation="nearest"
        )
        axes.set_title(name, fontsize=10)
        axes.set(xlabel="kx, half-waves per side", ylabel="ky")
    figure.colorbar(image, ax=grid[:2], shrink=0.85, label="log₁₀ magnitude", location="left")
    for power, name, colour in zip(powers, ("coarse", "fine"), ("#1f77b4", "#d62728"), strict=True):
        s = fourier_spectrum(power)
        visible = (s.k > 0) & (s.k <= n)
        grid[2].plot(s.k[visible], np.sqrt(s.power[visible]), color=colour, label=f"{name} branch")
    _wave_axis(grid[2], {"H": e.protocol.coarse, "ε": cells, "ε/2": 2 * cells}, n)
    grid[2].set(xlim=(2, n), ylabel="magnitude, radial mean")
    grid[2].legend(fontsize=9)
    return figure


def draw_resolution(e: Evidence) -> Figure:
    """Draw errors against the solution on the finer mesh, by scale; the black line is u_h of the same mesh."""
    errors = between_resolutions(e)
    scales, ratio = tuple(e.truths), ratios(e)[0]
    text = f"Error against u on the {errors['reference cells']}² mesh, one test problem"
    figure = _figure(12, 6.5, text + f"; in brackets: energy and L2 error {ratio.replace('/', 'x over ')}x")
    grid = figure.subplots(1, 2)
    for axes, norm in zip(grid, ("energy", "L2"), strict=True):
        for row, found in errors["rows"].items():
            look = {"color": "black", "linestyle": "-.", "linewidth": 1.6} if row.startswith("u_h") else style(row)
            label = f"{row} ({found['energy']['ratios'][ratio]:.2f}, {found['L2']['ratios'][ratio]:.2f})"
            axes.plot(scales, [*found[norm]["errors"].values()], marker="o", markersize=4, label=label, **look)
        axes.axvspan(scales[0] / 1.2, e.last * 1.2, color="#000000", alpha=0.05, linewidth=0)
        axes.set(xscale="log", yscale="log", xlabel="scale H/h (shaded: trained)", ylabel=f"relative {norm} error")
        axes.set_xlim(scales[0] / 1.2, scales[-1] * 1.2)
        axes.set_xticks(scales, [f"{s}x" for s in scales])
        axes.set_xticks([], minor=True)
        axes.grid(True, which="both", alpha=0.3)
    _legend(figure, grid[0])
    return figure


def _legend(figure: Figure, axes: Any) -> None:
    """One legend below all panels."""
    handles, labels = axes.get_legend_handles_labels()
    columns = 3 if max(map(len, labels)) > 30 else 5
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9, frameon=False)


#: Name of the file -> what draws it; None: there is nothing to draw.
DRAWINGS: dict[str, Callable[[Evidence], Figure | None]] = {
    "spectra": draw_spectra,
    "residuals": draw_residuals,
    "slices": draw_slices,
    "mod255": draw_mod255,
    "branches": draw_branches,
    "resolution": draw_resolution,
}
