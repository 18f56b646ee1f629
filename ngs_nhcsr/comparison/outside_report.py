"""The page on published benchmarks, made from their measurement: ``docs/benchmarks.md``."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from .outside import OutsideRow
from .outside_suites import SUITES, OutsideSuite

_HEAD = """# Published benchmarks

Made by

    ngs-nhcsr evaluate --suite outside --save docs/benchmarks

Coefficients and loads are made by the published formulas ({media}), not downloaded. Errors are relative. There are
three references, which differ: u_h, the Q1 solution on the fine mesh that is named; u, the PDE's solution on the
pixels, by twelve functions per edge; and the benchmark's labels, which for Darcy come from finite differences with a
coefficient that was interpolated by splines over its jumps.

The comparison is not one of equals, and says so: the published networks map a coefficient to a solution in one
evaluation, on coarser grids, and are measured against their own labels. `basis-hybrid` gets the coefficient on all
pixels and a coarse solution on a quarter of them a side; cells and edges are then solved exactly, and it has seen none
of these media in training. Multigrid, which needs no training, is the fair competitor, and it is faster.

A network that is trained for one of these benchmarks needs its labels first. Even if training and evaluation took no
time at all, it would pay only after as many solves as it has training pairs; how long these take is said below.

Seconds are wall clock on two cores, with everything that depends on the problem.
"""


def outside_page(rows: Sequence[OutsideRow]) -> str:
    """Write the page on published benchmarks.

    Parameters
    ----------
    rows : as ``outside.evaluate_outside`` returns them.

    Returns
    -------
    Markdown: published figures and measured ones, suite by suite.
    """
    head = _HEAD.format(media="`media/benchmarks.py`")
    parts = ["\n\n".join(_filled(paragraph) for paragraph in head.split("\n\n")).strip()]
    for name in dict.fromkeys(row.suite for row in rows):
        mine = {row.method: row for row in rows if row.suite == name}
        parts += _suite(SUITES[name], mine)
    return "\n\n".join(parts) + "\n"


def _suite(suite: OutsideSuite, rows: dict[str, OutsideRow]) -> list[str]:
    network, fine = rows["network"], rows["fine"]
    cells = suite.pixels // 4 * suite.scale
    parts = [f"## {suite.name}", _filled(f"{suite.title}. Fine mesh: {cells}² cells.")]
    if suite.published:
        against = "labels of the benchmark; networks get " + suite.given
        lines = [f"| {p.network} | {p.source} | {_exact(p.l2)} | {_exact(p.h1)} |" for p in suite.published]
        lines.append(f"| **`basis-hybrid`, against u_h** | this page | {_number(network.l2)} | {_number(network.h1)} |")
        table = ["| network | source | L2 | H1 |", "|---|---|---:|---:|", *lines]
        parts += [_filled(f"Published errors against the {against}:"), "\n".join(table), _factors(suite, network)]
    else:
        parts.append(_filled("No published figures are at hand; these are ours."))
    table = [
        "| method | L2 to u_h | H1 to u_h | L2 to u | energy to u | bound | L2 to labels | seconds |",
        "|---|" + "---:|" * 7,
        _line("`basis-hybrid`, corrected and checked", network),
        _line(f"fine Q1 solve u_h, {cells}² cells, by multigrid", fine, own=True),
        _line("PDE target", rows["pde"]),
    ]
    if "labels" in rows:
        table.append(_line("the labels themselves, at the pixels' centres", rows["labels"]))
    parts.append("\n".join(table))
    said = f"Medians over {network.problems} problem{'s' * (network.problems > 1)}."
    if suite.pairs is not None and fine.seconds is not None:
        said += (
            f" The {suite.pairs:,} training pairs of the benchmark are {suite.pairs * fine.seconds:.0f} s of multigrid."
        )
    if suite.name == "condiff":
        said += (
            " The load is noise: what it does inside a pixel is in the bound. No energy error against u is given: the"
            " trace space integrates such a load in its own way."
        )
    return [*parts, _filled(said)]


def _factors(suite: OutsideSuite, network: OutsideRow) -> str:
    """Tell how far below the best published figures ours are."""
    told = []
    for name, norm in (("l2", "L2"), ("h1", "H1")):
        best = min((v for p in suite.published if (v := getattr(p, name)) is not None), default=None)
        mine = getattr(network, name)
        if best is not None and mine:
            told.append(f"{norm} by a factor of {_rounded(best / mine):,}")
    return _filled(f"Below the best of them: {', '.join(told)}.")


def _rounded(value: float) -> int:
    """Round to one significant digit."""
    return int(float(f"{value:.0e}"))


def _line(label: str, row: OutsideRow, own: bool = False) -> str:
    found = [row.l2, row.h1, row.pde_l2, row.pde_energy, row.bound, row.label_l2]
    texts = [_number(v) for v in found]
    if own:
        texts[:2] = ["0", "0"]
    return f"| {label} | " + " | ".join([*texts, "–" if row.seconds is None else f"{row.seconds:.2f}"]) + " |"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"


def _exact(value: float | None) -> str:
    """Write a published figure with all its digits."""
    return "–" if value is None else f"{value:.3g}"


def _filled(paragraph: str) -> str:
    """Break a paragraph into lines of 120 characters; headings and code are left as they are."""
    if paragraph.startswith(("#", "    ")):
        return paragraph
    return "\n".join(textwrap.wrap(" ".join(paragraph.split()), 120, break_long_words=False, break_on_hyphens=False))
