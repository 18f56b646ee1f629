"""Cells of the paper's tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from .reproduce import Cell


def to_markdown(cells: Sequence[Cell], metrics: Sequence[str] = ("energy", "L2", "MSE", "MAE", "SSIM")) -> str:
    """Write one table per metric, mean ± spread over seeds, and one of the cost.

    Parameters
    ----------
    cells : of one or several tables, at least one.
    metrics : of ``metrics.field_metrics``.

    Returns
    -------
    Tables in Markdown; MSE in 1e-5, MAE in 1e-3 of max |u_h|.
    """
    factor = {"MSE": 1e5, "MAE": 1e3}
    rows = list(dict.fromkeys(c.row for c in cells))
    names = list(cells[0].metrics)
    out = []
    for metric in metrics:
        unit = {"MSE": " (1e-5)", "MAE": " (1e-3)"}.get(metric, "")
        out += [f"**{metric}{unit}**", "", "| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        for row in rows:
            texts = []
            for name in names:
                values = [c.metrics[name][metric] * factor.get(metric, 1.0) for c in cells if c.row == row]
                spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
                texts.append(f"{statistics.fmean(values):.3g}{spread}")
            out.append(f"| {row} | " + " | ".join(texts) + " |")
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


def _text(memory: float | None) -> str:
    return "?" if memory is None else f"{memory:.0f}"
