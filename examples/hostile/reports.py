"""What a user sees besides the field: warnings, times, and what the other examples do."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ngs_nhcsr import Corrector, NhcsrWarning, correct, correct_many
from ngs_nhcsr.problem import Problem

from .pde import Pde, nodal, quads
from .registry import Row, Setting, case

EXAMPLES = Path(__file__).parent.parent


def seconds(call: Callable[[], object], repeats: int = 7) -> np.ndarray:
    """Time a call several times after one that is not counted."""
    call()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return np.array(found)


@case("Corrector() in a loop warns")
def loop(s: Setting) -> list[Row]:
    """Correct three times with a load that u_coarse was not solved with, and count warnings."""
    pde = Pde(pixels=s.pixels())
    u, _, _ = pde.coarse(quads(s.n))
    rows = []
    for name, one in (("Corrector()(…)", Corrector()), ("correct", correct)):
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(3):
                one(u, pde.a, 4, f=2)
        count = sum(issubclass(w.category, NhcsrWarning) for w in caught)
        here = all(w.filename == __file__ for w in caught)
        row = Row("", "", name, f"{count} warnings of 3", "at the user's line" if here else "at a line of the package")
        row.seconds = time.perf_counter() - start
        row.verdict = "right" if count == 3 and here else "SILENT" if not count else "vague"
        rows.append(row)
    return rows


@case("one coefficient, many loads", "2")
def prepared(s: Setting) -> list[Row]:
    """Compare a prepared call with a fresh one: the same field, in less time."""
    pde = Pde(pixels=s.pixels(), f=1.0)
    u, _, _ = pde.coarse(quads(s.n))
    many = Corrector().prepare(pde.a, u.space, s.scale)
    result = many(u, f=1)
    again = nodal(correct(u, pde.a, s.scale, f=1))
    apart = float(np.abs(nodal(result.u_fine) - again).max() / np.abs(again).max())
    reused, fresh = (
        seconds(lambda: many(u, f=1)).min(),
        seconds(lambda: correct(u, pde.a, s.scale, f=1, full=True)).min(),
    )
    row = Row("", "", "prepare", f"{reused / fresh:.2f} of the time", f"{fresh:.3f} s, prepared {reused:.3f} s")
    row.truth, row.estimate, row.seconds = pde.error(result.u_fine), result.estimate, reused
    row.verdict = "right" if row.truth <= 1e-3 and apart < 1e-5 and reused < 0.8 * fresh else "vague"
    return [row]


@case("fifty media", "2")
def batch(s: Setting) -> list[Row]:
    """Correct media side by side, and compare with one after the other."""
    rng = np.random.default_rng(s.seed)
    draw = lambda: np.where(rng.random((64, 64)) < 0.5, 1.0, 10.0)  # noqa: E731
    problems = [Problem.from_arrays(draw(), coarse=16) for _ in range(10)]
    one = Corrector()
    alone = seconds(lambda: [one.correct_problem(p, 8) for p in problems], 2).min()
    beside = seconds(lambda: correct_many(problems, 8, corrector=one), 2).min()
    row = Row("", "", "correct_many, 10 of 64²", f"{beside / alone:.2f} of the time")
    row.words, row.seconds = f"{alone / 10:.3f} s each alone, {beside / 10:.3f} s side by side", beside
    row.verdict = "right" if beside < alone else "vague"
    return [row]


@case("busy machine", "2")
def busy(s: Setting) -> list[Row]:
    """Time calls beside two foreign processes: with two cores they may take twice the time, not ten times."""
    pde = Pde(pixels=s.pixels())
    u, _, _ = pde.coarse(quads(s.n))
    call = lambda: correct(u, pde.a, s.scale, f=1, full=True)  # noqa: E731
    idle = float(np.median(seconds(call)))
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        loaded = seconds(call)
    finally:
        for other in others:
            other.kill()
            other.wait()
    row = Row("", "", "two foreign processes", f"{loaded.min():.2f} to {loaded.max():.2f} s", f"idle {idle:.2f} s")
    row.seconds = float(np.median(loaded))
    row.verdict = "right" if loaded.max() < 6 * idle else "vague"
    return [row]


@case("examples use the package", "2")
def examples(s: Setting) -> list[Row]:
    """Look for what many_loads, heat_equation and soil_image are about."""
    wanted = {
        "many_loads.py": ("ngsolve", "prepare("),
        "heat_equation.py": ("ngsolve", "ngs_nhcsr import"),
        "soil_image.py": ("read_medium", "ngsolve"),
    }
    rows = []
    for name, words in wanted.items():
        text = (EXAMPLES / name).read_text(encoding="utf-8")
        missing = [w for w in words if w not in text]
        said = "complete" if not missing else f"without {', '.join(missing)}"
        rows.append(Row("", "", name, said, verdict="vague" if missing else "right"))
    return rows
