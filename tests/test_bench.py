"""The bench runs at its smallest effort and writes what it measured."""

import json
import math

import numpy as np
import pytest

from ngs_nhcsr.bench.derived import break_evens, growth
from ngs_nhcsr.bench.run import EFFORTS, bench
from ngs_nhcsr.bench.timing import Timing, bandwidth, clocked
from ngs_nhcsr.comparison.measure import break_even


def test_the_smallest_bench(tmp_path):
    told = []
    report = bench(EFFORTS["tiny"], tell=told.append)
    assert told == report.timings
    assert report.sections == [
        "fine solvers", "NGSolve on the fine mesh", "correct", "classical correctors", "many media",
    ]  # fmt: skip
    assert all(0 < t.least <= t.seconds < math.inf for t in report.timings)
    stored = json.loads(report.to_json())
    assert [Timing(**row) for row in stored["timings"]] == report.timings
    assert stored["machine"]["cores"] >= 1
    assert report.to_markdown().count("### ") == 5
    report.plot(tmp_path / "bench.png")
    assert (tmp_path / "bench.png").stat().st_size > 10_000


def test_medians_are_of_the_calls_that_fit_into_the_budget():
    calls = []
    done = clocked(lambda: calls.append(1), 5)
    assert len(done.times) == 5
    assert len(calls) == 6  # one before, uncounted
    assert len(clocked(lambda: np.linalg.inv(np.eye(300)), 10_000, budget=0.02).times) < 10_000
    assert done.timing("s", "n", "c").seconds == pytest.approx(np.median(done.times))


def test_bandwidth_is_that_of_a_memory():
    assert 0.5 < bandwidth(16, 2) < 2000


def test_a_known_growth_is_found():
    rows = [Timing("s", "m", f"4² → {n}², 8² pixels, 1:10", 3e-8 * n**2.2, 0.0, 1) for n in (64, 512, 128)]
    rows += [Timing("s", "other", f"{n}², 8² pixels, 1:10", 1.0, 0.0, 1) for n in (64, 128)]  # two meshes tell nothing
    (found,) = growth(rows)
    assert found.details == pytest.approx({"exponent": 1.1, "cells_from": 64, "cells_to": 512})
    assert found.seconds == rows[1].seconds


@pytest.mark.parametrize("seed", range(20))
def test_at_the_break_even_number_of_loads_a_method_becomes_faster(seed):
    prepare, other_prepare, load, other_load = np.random.default_rng(seed).random(4)
    loads = break_even(prepare, load, other_prepare, other_load)
    if np.isinf(loads):
        assert load >= other_load
    else:
        assert prepare + loads * load < other_prepare + loads * other_load
        assert loads == 1 or prepare + (loads - 1) * load >= other_prepare + (loads - 1) * other_load


def test_break_evens_compare_with_multigrid_on_the_same_problem():
    def row(name, seconds, case):
        return Timing("s", name, case, seconds, seconds, 1)

    case, fine = "32² → 512², 128² pixels, 1:10", "512², 128² pixels, 1:10"
    rows = [row("LOD, offline", 1.0, case), row("LOD, a load", 0.02, case), row("slow, offline", 0.0, case)]
    rows += [row("slow, a load", 1.0, case), row("multigrid, set-up", 0.02, fine)]
    rows += [row("multigrid, another load", 0.03, fine), row("multigrid, another load", 9.0, "64², 8² pixels, 1:10")]
    found = {t.name: t.details for t in break_evens(rows)}
    assert found == {"LOD: faster from": {"loads": 99}, "slow: never faster": {}}
