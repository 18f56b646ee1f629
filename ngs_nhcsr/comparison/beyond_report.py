"""Tables and the picture of the suite "beyond"."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidProblem
from ..visual.backend import new_figure
from .beyond import BeyondResult, BeyondRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Media of the picture's panels.
PANELS = ("random 1:10", "random 1:100", "random 1:1000")
#: Method, name in the legend, marker, colour.
STYLES = (
    ("prolongation", "coarse Q1 (4 pixels per cell)", "o", "#7f7f7f"),
    ("msfem-averaged", "MsFEM, oversampling", "D", "#17a2b8"),
    ("lod2", "LOD, k = 2", "s", "#1f77b4"),
    ("network", "network (target u_h)", "*", "#d62728"),
    ("trace6", "PDE, 6 functions (bar: bound)", "P", "#2ca02c"),
    ("trace8", "PDE, 8 functions (bar: bound)", "X", "#9467bd"),
)


def to_markdown(result: BeyondResult) -> str:
    """Write three tables with a row per medium and a column per method: energy errors, L2 errors, seconds."""
    worst = max(result.reference_bounds.values(), default=math.nan)
    parts = [
        "Errors against u, the solution of the PDE on the pixels, f = 1, zero boundary values; u by twelve functions "
        f"per edge, itself within {worst:.0e} in relative energy (guaranteed). Medians over the media of a row. "
        "Fine solves and traces stop at an algebraic error of about 1e-3 in energy, which dominates small L2 errors.",
        "**Relative energy error**; for `trace`, in brackets, the largest guaranteed bound",
        _table(result, _energy),
        "**Relative L2 error at the pixels' vertices**",
        _table(result, lambda row: _percent(row.l2)),
        "**Seconds** of processor time: set-up and one load, without what is kept for any medium (weights, reference "
        "cell)",
        _table(result, lambda row: "–" if row.seconds is None else f"{row.seconds:.2g}"),
        "\n".join(f"`{row.method}`: {row.label}  " for row in _one_each(result)),
        *(f"Skipped: {name}: {reason}" for name, reason in result.skipped.items()),
        *(f"{row.medium}, `{row.method}` failed: {row.message}" for row in result.rows if row.message),
    ]
    return "\n\n".join(parts) + "\n"


def draw(result: BeyondResult, path: str | Path | None = None) -> Figure:
    """Draw energy errors against the PDE's solution over seconds, a panel per contrast of the random media.

    Parameters
    ----------
    result : of the suite.
    path : where to save the picture; the ending decides the format.

    Returns
    -------
    The figure.

    Raises
    ------
    DependencyMissing
        Without matplotlib.
    InvalidProblem
        If the result holds none of the random media.
    """
    media = [name for name in PANELS if any(row.medium == name for row in result.rows)]
    if not media:
        raise InvalidProblem(f"the picture shows {', '.join(PANELS)}; the result has none of them.")
    figure = new_figure((9, 4.6))
    panels = figure.subplots(1, len(media), sharex=True, sharey=True, squeeze=False)[0]
    for axes, medium in zip(panels, media, strict=True):
        rows = {r.method: r for r in result.rows if r.medium == medium and r.energy is not None}
        _panel(axes, medium, rows)
    panels[0].set_ylabel("relative energy error against the PDE")
    panels[len(panels) // 2].set_xlabel("processor seconds: set-up and one load")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8.5, frameon=False)
    if path is not None:
        figure.savefig(path, dpi=200)
    return figure


def _panel(axes: Any, medium: str, rows: dict[str, BeyondRow]) -> None:
    axes.set(xscale="log", yscale="log", title=medium)
    axes.grid(True, which="major", alpha=0.3)
    fine = sorted((int(name[4:]), row) for name, row in rows.items() if name.startswith("fine"))
    points = [(n, row.seconds, row.energy) for n, row in fine if row.seconds is not None and row.energy is not None]
    axes.plot(
        [t for _, t, _ in points],
        [e for *_, e in points],
        "-o",
        color="black",
        markersize=4,
        label="fine Q1, 1–16 cells per pixel",
    )
    for n, seconds, energy in points:
        axes.annotate(str(n), (seconds, energy), (0, -11), textcoords="offset points", ha="center", fontsize=8.5)
    for name, label, marker, colour in STYLES:
        row = rows.get(name)
        if row is None or row.seconds is None or row.energy is None:
            continue
        size = 11 if marker == "*" else 7
        look = {"markersize": size, "markeredgecolor": "white", "markeredgewidth": 0.5, "zorder": 3}
        axes.plot(row.seconds, row.energy, marker, color=colour, label=label, **look)
        if row.bound is not None:  # from the error to what is guaranteed
            axes.plot([row.seconds, row.seconds], [row.energy, row.bound], "-_", color=colour, lw=1, zorder=1)


def _one_each(result: BeyondResult) -> Sequence[BeyondRow]:
    """One row of every method, in the order of the columns."""
    first: dict[str, BeyondRow] = {}
    for row in result.rows:
        first.setdefault(row.method, row)
    return list(first.values())


def _table(result: BeyondResult, text: Callable[[BeyondRow], str]) -> str:
    names = list(dict.fromkeys(row.method for row in result.rows))
    lines = ["| medium | " + " | ".join(f"`{name}`" for name in names) + " |", "|---|" + "---:|" * len(names)]
    for medium in dict.fromkeys(row.medium for row in result.rows):
        by_name = {row.method: row for row in result.rows if row.medium == medium}
        cells = ["–" if n not in by_name else "failed" if by_name[n].message else text(by_name[n]) for n in names]
        lines.append(f"| {medium} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _energy(row: BeyondRow) -> str:
    return _percent(row.energy) + ("" if row.bound is None else f" (≤ {_percent(row.bound)})")


def _percent(value: float | None) -> str:
    """Write a number as percent with two digits.

    Parameters
    ----------
    value : a ratio ≥ 0, or ``None``.

    Returns
    -------
    The text; a dash for ``None``.

    Examples
    --------
    >>> _percent(0.1234), _percent(1.2e-5), _percent(None)
    ('12 %', '0.0012 %', '–')
    """
    if value is None:
        return "–"
    digits = max(0, 1 - math.floor(math.log10(abs(100 * value)))) if value else 0
    return f"{100 * value:.{digits}f} %"
