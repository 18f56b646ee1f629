"""Medians: of the seconds of one call, and of the rows of several problems."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

#: Runs after a first one, of which the median counts; no more are begun after PATIENCE seconds.
REPEATS, PATIENCE = 3, 1.0

Row = TypeVar("Row")


def timed(call: Callable[[], Any], now: Callable[[], float] = time.perf_counter) -> tuple[Any, float]:
    """Call once, which may compile and allocate, then again for the seconds.

    Parameters
    ----------
    call : to be measured.
    now : clock in seconds.

    Returns
    -------
    out : Any
        What the last call returned.
    seconds : float
        Median of up to ``REPEATS`` calls after the first.

    Examples
    --------
    >>> times = iter([0.0, 2.0])
    >>> timed(lambda: "field", lambda: next(times))
    ('field', 2.0)
    """
    out, seconds = call(), []
    while len(seconds) < REPEATS and sum(seconds) < PATIENCE:
        start = now()
        out = call()
        seconds.append(now() - start)
    return out, statistics.median(seconds)


def median_row(rows: Sequence[Row], names: Sequence[str]) -> Row:
    """Make one row for several problems.

    Parameters
    ----------
    rows : dataclasses with the fields ``bound`` and ``problems``, at least one.
    names : fields of which the median is taken; None where one of them is None.

    Returns
    -------
    Row
        The first one with the medians, the largest bound, and the number of problems.
    """

    def middle(name: str) -> float | None:
        values = [getattr(row, name) for row in rows]
        return None if any(v is None for v in values) else statistics.median(values)

    bounds = [row.bound for row in rows if row.bound is not None]  # type: ignore[attr-defined] - see above
    return dataclasses.replace(
        rows[0],  # type: ignore[type-var] - see above
        **{name: middle(name) for name in names},
        bound=max(bounds, default=None),
        problems=len(rows),
    )
