"""Cells of the paper's tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from .pde_errors import ENERGY, L2, OF_UH
from .reproduce import Cell

#: Tables in this order, the first two against the PDE's solution; MSE in 1e-5, MAE in 1e-3 of max |u_h|.
METRICS = (ENERGY, L2, "energy", "L2", "MSE", "MAE", "SSIM")
TITLES = {
    ENERGY: "energy error against the PDE's solution u",
    L2: "L2 error against u, at the nodes",
    "energy": "energy error against u_h",
    "L2": "L2 error against u_h",
    "MSE": "MSE (1e-5)",
    "MAE": "MAE (1e-3)",
}
FACTORS = {"MSE": 1e5, "MAE": 1e3}


def to_markdown(cells: Sequence[Cell], metrics: Sequence[str] = METRICS) -> str:
    """Write one table per metric, mean ± spread over seeds, and one of the cost.

    Parameters
    ----------
    cells : of one or several tables, at least one.
    metrics : of ``metrics.field_metrics`` and ``pde_errors.Exact``; those that no cell has are left out.

    Returns
    -------
    Tables in Markdown.
    """
    rows = list(dict.fromkeys(c.row for c in cells))
    names = list(cells[0].metrics)

    def line(row: str, of: Sequence[Cell], metric: str) -> str:
        texts = (_mean([c.metrics[name][metric] for c in of if metric in c.metrics[name]], metric) for name in names)
        return f"| {row} | " + " | ".join(texts) + " |"

    out = []
    for metric in metrics:
        measured = [c for c in cells if metric in c.metrics[names[0]]]
        if not measured:
            continue
        title = TITLES.get(metric, metric)
        out += [f"**{title}**", "", "| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        if metric == ENERGY:  # the same in every cell
            out.append(line("u_h of the same mesh", measured[:1], OF_UH))
        out += [line(row, [c for c in cells if c.row == row], metric) for row in rows]
        out.append("")
    out += [
        "**cost of one correction**",
        "",
        "| | parameters | 1e9 multiply-adds | seconds | MiB | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        own = [c for c in cells if c.row == row]
        c = own[0].cost
        out.append(f"| {row} | {c.parameters:,} | {c.gmac:.3g} | {c.seconds:.3g} | {_text(c.memory)} | {len(own)} |")
    return "\n".join(out) + "\n"


def _mean(values: Sequence[float], metric: str) -> str:
    """Write mean ± spread; a dash where nothing was measured."""
    if not values:
        return "–"
    values = [v * FACTORS.get(metric, 1.0) for v in values]
    spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3g}{spread}"


def _text(memory: float | None) -> str:
    return "?" if memory is None else f"{memory:.0f}"
