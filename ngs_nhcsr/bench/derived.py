"""What follows from timings: how they grow with the problem, and after how many loads a preparation has paid."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from ..comparison.measure import break_even
from .timing import Timing

#: "512², 128² pixels, 1:10" or "32² → 512², 128² pixels, 1:10": fine cells a side, and the rest.
_CASE = re.compile(r"^(?:\d+² → )?(\d+)², (.*)$")


def growth(timings: Iterable[Timing]) -> Iterator[Timing]:
    """Fit seconds = C · cells^p, for everything that was measured on three meshes or more.

    Parameters
    ----------
    timings : as measured. Rows of one section, name, pixels and contrast belong together.

    Yields
    ------
    Timing
        That of the largest mesh, with the ``exponent`` p and the ``cells`` a side it was fitted over.

    Examples
    --------
    >>> rows = [Timing("s", "multigrid", f"{n}², 64² pixels, 1:10", 1e-7 * n**2, 0, 1) for n in (64, 128, 256)]
    >>> [round(row.details["exponent"], 3) for row in growth(rows)]
    [1.0]
    """
    groups: dict[tuple[str, str, str], list[tuple[int, Timing]]] = defaultdict(list)
    for t in timings:
        found = _CASE.match(t.case)
        if found:
            groups[t.section, t.name, found[2]].append((int(found[1]), t))
    for (_, name, problem), rows in groups.items():
        rows.sort(key=lambda row: row[0])
        sizes = [n for n, _ in rows]
        if len(set(sizes)) >= 3:
            exponent = np.polyfit(np.log(np.square(sizes, dtype=float)), np.log([t.seconds for _, t in rows]), 1)[0]
            last, sides = rows[-1][1], {"cells_from": float(sizes[0]), "cells_to": float(sizes[-1])}
            yield Timing(
                "growth", name, problem, last.seconds, last.least, last.calls, {"exponent": float(exponent), **sides}
            )


def break_evens(timings: Iterable[Timing]) -> Iterator[Timing]:
    """Count from how many loads of one medium LOD, MsFEM and prepared corrections are faster than multigrid.

    Parameters
    ----------
    timings : as measured; those of multigrid on the same mesh and medium must be among them.

    Yields
    ------
    Timing
        Of a load, with ``loads``, the break-even number.
    """
    by_name: dict[tuple[str, str], Timing] = {}
    for t in timings:
        found = _CASE.match(t.case)
        if found:
            by_name[t.name, f"{found[1]}², {found[2]}"] = t
    for (name, problem), t in list(by_name.items()):
        method, comma, what = name.rpartition(", ")
        if what != "a load" or not comma:
            continue
        times = [by_name.get(key) for key in _keys(method, problem)]
        if None in times:
            continue
        before, set_up, load = (t.seconds for t in times if t is not None)
        loads = break_even(before, t.seconds, set_up, load)
        told = f"{method}: faster from" if math.isfinite(loads) else f"{method}: never faster"
        details = {"loads": loads} if math.isfinite(loads) else {}
        yield Timing("break-even with multigrid", told, t.case, t.seconds, t.least, t.calls, details)


def _keys(method: str, problem: str) -> tuple[tuple[str, str], ...]:
    """Of the preparation of a method, and of set-up and another load of multigrid."""
    return (f"{method}, offline", problem), ("multigrid, set-up", problem), ("multigrid, another load", problem)
