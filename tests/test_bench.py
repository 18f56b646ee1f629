"""The bench runs at its smallest effort and writes what it measured."""

import json

import numpy as np
import pytest

from ngs_nhcsr.bench.report import Report
from ngs_nhcsr.bench.run import EFFORTS, bench
from ngs_nhcsr.bench.timing import bandwidth, clocked


def test_the_smallest_bench(tmp_path):
    told = []
    report = bench(EFFORTS["tiny"], tell=told.append)
    assert told == report.timings
    assert report.sections == [
        "fine solvers", "NGSolve on the fine mesh", "correct", "classical correctors", "many media",
    ]  # fmt: skip
    assert all(0 < t.least <= t.seconds < 60 for t in report.timings)
    assert Report.of_json(report.to_json()) == report
    assert json.loads(report.to_json())["machine"]["cores"] >= 1
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
