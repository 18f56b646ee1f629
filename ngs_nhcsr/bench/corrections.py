"""Corrections through NGSolve: the first, repeated, prepared ones, both targets; LOD and MsFEM; many media."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..corrector import Corrector
from ..demo import coarse_problem
from ..many import correct_many
from ..problem import Problem
from ..result import Correction
from ..solvers.lod.lod import LOD
from ..solvers.msfem.msfem import MsFEM
from .fine import medium
from .timing import Timing, clocked

SECTION, CLASSICAL, MANY = "correct", "classical correctors", "many media"


def measure(
    cases: list[tuple[int, int, int]], contrasts: list[float], repeats: int, correctors: Callable[[], Corrector]
) -> Iterator[Timing]:
    """Measure corrections.

    Parameters
    ----------
    cases : (coarse cells a side, pixels a side, scale).
    contrasts : of the media.
    repeats : calls a median is of.
    correctors : makes the corrector.

    Yields
    ------
    Timing
    """
    corrector = correctors()
    for N, m, scale in cases:
        for contrast in contrasts:
            yield from _corrections(corrector, N, m, scale, contrast, repeats)


def _corrections(corrector: Corrector, N: int, m: int, scale: int, contrast: float, repeats: int) -> Iterator[Timing]:
    case = f"{N}² → {N * scale}², {m}² pixels, 1:{contrast:g}"
    u, a = coarse_problem(medium(m, contrast), N)

    def run() -> Correction:
        return corrector(u, a, scale, on_untrusted="return")

    yield clocked(run, 1, warm=False).timing(SECTION, "first", case)
    yield _repeated(run, "repeated", case, repeats)
    prepared = clocked(lambda: corrector.prepare(a, u.space, scale), min(3, repeats), warm=False)
    yield prepared.timing(SECTION, "prepared, offline", case)
    many = prepared.result
    yield _repeated(lambda: many(u, f=1, on_untrusted="return"), "prepared, a load", case, repeats)
    one = 1 + 0 * a  # a CoefficientFunction like any other
    yield _repeated(lambda: many(u, f=one, on_untrusted="return"), "prepared, a function as load", case, repeats)
    options: dict[str, Any] = {"target": "pde", "on_untrusted": "return"}
    yield _repeated(lambda: corrector(u, a, scale, f=1, **options), 'target="pde", f given', case, repeats)
    # A recovered load is not constant on pixels: the result is judged by its bound, which is part of the time.
    yield _repeated(lambda: corrector(u, a, scale, **options), 'target="pde", load recovered', case, repeats)


def _repeated(run: Callable[[], Any], name: str, case: str, repeats: int) -> Timing:
    done = clocked(run, repeats)
    parts = {f"{k}, ms": round(1e3 * v, 1) for k, v in done.result.timings.items()}
    return done.timing(SECTION, name, case, **parts)


def classical(N: int, n: int, m: int, contrast: float, repeats: int) -> Iterator[Timing]:
    """Measure LOD (k = 2) and MsFEM, before the first load and for another.

    Parameters
    ----------
    N : coarse cells a side.
    n : fine cells a side.
    m : pixels a side.
    contrast : of the medium.
    repeats : calls a median is of.

    Yields
    ------
    Timing
    """
    A, case = medium(m, contrast), f"{N}² → {n}², {m}² pixels, 1:{contrast:g}"
    methods: dict[str, Callable[[], Any]] = {
        "LOD, k = 2": lambda: LOD(A, N, n, layers=2).assemble(),
        "MsFEM": lambda: MsFEM(A, N, n),
    }
    for name, make in methods.items():
        offline = clocked(make, repeats, warm=False)
        yield offline.timing(CLASSICAL, f"{name}, offline", case)
        solver = offline.result
        f = np.ones((n + 1, n + 1))
        yield clocked(lambda solver=solver, f=f: solver.solve(f), repeats).timing(CLASSICAL, f"{name}, a load", case)


def many(count: int, N: int, m: int, scale: int, corrector: Corrector) -> Iterator[Timing]:
    """Measure a Monte Carlo of the mean of u: seconds per medium.

    Parameters
    ----------
    count : media.
    N : coarse cells a side.
    m : pixels a side.
    scale : fine cells per coarse cell.
    corrector : of the network.

    Yields
    ------
    Timing
    """
    case = f"{count} media, {N}² → {N * scale}², {m}² pixels, 1:10"
    for method in ("multigrid", "network"):
        options: dict[str, Any] = {"method": method, "corrector": corrector if method == "network" else None}

        def run(count: int = count, options: dict[str, Any] = options) -> list[float]:
            problems = (Problem.from_arrays(medium(m, 10.0, s), coarse=N) for s in range(count))
            return correct_many(problems, scale, quantity=lambda out, _: float(out.values.mean()), **options)

        run(4)
        done = clocked(run, 1, warm=False)
        values = done.result
        each, spread = done.times[0] / count, {"mean": float(np.mean(values)), "deviation": float(np.std(values))}
        yield Timing(MANY, f"{method}, per medium", case, each, each, count, spread)
