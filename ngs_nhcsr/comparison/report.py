"""Rows of a comparison as terminal table, Markdown and JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ..errors import InvalidProblem
from .rows import Row, Summary

COLUMNS = ("method", "L2 error", "energy error", "offline s", "online s", "break-even loads", "MiB")


def cells(row: Row) -> tuple[str, ...]:
    """Write the texts of a row, one per column.

    Parameters
    ----------
    row : of a comparison.

    Returns
    -------
    Texts in the order of ``COLUMNS``.

    Examples
    --------
    >>> cells(Row("x", "a method", 0.01234, 0.25, 1.5, 0.0127, math.inf, 7.2))
    ('a method', '0.0123', '0.25', '1.50', '0.013', 'never', '7')
    """
    if row.message:
        return (f"{row.label} (failed: {row.message})", *["–"] * (len(COLUMNS) - 1))
    label = f"{row.label} ({row.remark})" if row.remark else row.label
    loads = "–" if row.break_even is None else "never" if math.isinf(row.break_even) else f"{row.break_even:.0f}"
    memory = "–" if row.memory is None else f"{row.memory:.0f}"
    numbers = (_digits(row.l2_error), _digits(row.energy_error), _seconds(row.offline), _seconds(row.online))
    return (label, *numbers, loads, memory)


def caption(result: Summary) -> str:
    """Explain how to read the table."""
    return (
        f"Errors are relative, against {result.reference}. Offline: once per coefficient; online: once per load. "
        f"Break-even: loads from which on a method has cost less than multigrid-CG to 1e-8. On {result.device}, "
        f"{result.threads} CPU thread{'s' * (result.threads > 1)} in torch. MiB: growth of resident memory."
    )


def rich_table(result: Summary) -> Table:
    """Make the table for a terminal of 80 columns: methods by their names; :func:`legend` says what they are."""
    table = Table(title=result.title, caption=caption(result), box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(COLUMNS[0], no_wrap=True)
    for column in COLUMNS[1:]:
        table.add_column(column.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in result.rows:
        numbers = ("failed", *["–"] * (len(COLUMNS) - 2)) if row.message else cells(row)[1:]
        table.add_row(row.name, *numbers)
    return table


def legend(result: Summary) -> list[str]:
    """Explain the names of the methods, one line each: what it is, and reservations or why it failed."""
    return [f"{row.name}: {cells(row)[0]}" for row in result.rows]


def markdown(result: Summary) -> str:
    """Write Markdown with one line before and one after the table."""
    rule = "|---|" + "---:|" * (len(COLUMNS) - 1)
    rows = [_line(cells(row)) for row in result.rows]
    return "\n".join([f"**{result.title}**", "", _line(COLUMNS), rule, *rows, "", caption(result)]) + "\n"


def side_by_side(results: Sequence[Summary]) -> str:
    """Write one Markdown table of several comparisons: a row per method, a column of errors per comparison.

    Errors are "energy / L2"; offline seconds the median, since they hardly depend on the contrast; online seconds and
    loads one number per comparison if they differ.

    Parameters
    ----------
    results : comparisons of the same methods, in the order of the columns.

    Returns
    -------
    The table, with a line break at its end.

    Raises
    ------
    InvalidProblem
        If there is none, or the methods differ.
    """
    names = [tuple(row.name for row in result.rows) for result in results]
    if not names or len(set(names)) > 1:
        raise InvalidProblem(f"a common table needs comparisons of the same methods, not {names}.")
    contrasts = [result.title.split(",")[0] for result in results]
    head = ("method", *contrasts, "offline s", "online s", "break-even loads")
    lines = [_line(head), "|---|" + "---:|" * (len(head) - 1)]
    for rows in zip(*(result.rows for result in results), strict=True):
        texts = [cells(row) for row in rows]
        errors = ["failed" if row.message else f"{text[2]} / {text[1]}" for row, text in zip(rows, texts, strict=True)]
        offline = [row.offline for row in rows if row.offline is not None]
        seconds = _seconds(statistics.median(offline) if offline else None)
        online, loads = (" / ".join(dict.fromkeys(text[k] for text in texts)) for k in (4, 5))
        lines.append(_line((f"`{rows[0].name}` {rows[0].label}", *errors, seconds, online, loads)))
    return "\n".join(lines) + "\n"


def _line(texts: Sequence[str]) -> str:
    """One row of a Markdown table."""
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"


def json_text(result: Summary) -> str:
    """Write JSON without infinities: ``break_even`` that is never reached is ``null``."""
    rows = [dataclasses.asdict(row) for row in result.rows]
    for row in rows:
        if row["break_even"] is not None and math.isinf(row["break_even"]):
            row["break_even"] = None
    content = {
        "title": result.title,
        "reference": result.reference,
        "device": result.device,
        "threads": result.threads,
        "notes": list(result.notes),
        "rows": rows,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def _digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
