"""Timings as tables, JSON and a picture."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .timing import Timing


@dataclass(frozen=True)
class Report:
    """What a bench measured.

    Attributes
    ----------
    machine : from :func:`timing.machine`.
    timings : all of them.
    """

    machine: dict[str, Any]
    timings: list[Timing]

    @property
    def sections(self) -> list[str]:
        """Names of the tables, in their order."""
        return list(dict.fromkeys(t.section for t in self.timings))

    def to_json(self) -> str:
        """Write everything as JSON."""
        rows = [t.as_dict() for t in self.timings]
        return json.dumps({"machine": self.machine, "timings": rows}, indent=1, ensure_ascii=False)

    def to_markdown(self) -> str:
        """Write a table per section; times are medians in milliseconds.

        Returns
        -------
        Markdown.

        Examples
        --------
        >>> row = Timing("fine solvers", "multigrid", "512²", 0.015, 0.014, 9, {"steps": 8})
        >>> print(Report({"cores": 2}, [row]).to_markdown())
        cores: 2
        <BLANKLINE>
        ### fine solvers
        <BLANKLINE>
        | problem | what | ms | calls | |
        |---|---|---:|---:|---|
        | 512² | multigrid | 15 | 9 | steps 8 |
        """
        lines = ["; ".join(f"{k}: {v}" for k, v in self.machine.items())]
        for section in self.sections:
            lines += ["", f"### {section}", "", "| problem | what | ms | calls | |", "|---|---|---:|---:|---|"]
            for t in (t for t in self.timings if t.section == section):
                details = ", ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in t.details.items())
                lines.append(f"| {t.case} | {t.name} | {1e3 * t.seconds:.3g} | {t.calls} | {details} |")
        return "\n".join(lines)

    def plot(self, path: str | Path) -> None:
        """Draw the seconds of every section on a logarithmic axis.

        Parameters
        ----------
        path : of the picture, .png, .svg or .pdf.
        """
        from matplotlib.figure import Figure

        heights = [1 + 0.22 * sum(t.section == s for t in self.timings) for s in self.sections]
        figure = Figure(figsize=(9, sum(heights)), layout="constrained")
        axes = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axis, section in zip(axes[:, 0], self.sections, strict=True):
            rows = [t for t in self.timings if t.section == section][::-1]
            axis.barh([f"{t.name}: {t.case}" for t in rows], [t.seconds for t in rows], color="tab:blue", height=0.7)
            axis.set_xscale("log")
            decades = [math.log10(t.seconds) for t in rows]
            # a bar needs a beginning
            axis.set_xlim(10 ** math.floor(min(decades) - 0.1), 10 ** math.ceil(max(decades)))
            axis.set_title(section, fontsize=10)
            axis.tick_params(labelsize=7)
            axis.set_xlabel("seconds, median", fontsize=8)
            axis.grid(axis="x", alpha=0.3)
        figure.savefig(path, dpi=150)
