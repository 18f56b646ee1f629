"""Media and figures of the independent reference codes; see the provenance in data/reference_errors.json."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from ngs_nhcsr.solvers.fine import fine_solve

FIGURES = json.loads((Path(__file__).parent / "data" / "reference_errors.json").read_text(encoding="utf-8"))
N, n = 32, 512


def medium(case):
    """Coefficient of a reference case, (128, 128)."""
    if case == "checker_1_10":
        return np.where(np.add.outer(np.arange(128), np.arange(128)) % 2 == 0, 1.0, 10.0)
    if case == "wave":
        y, x = (np.arange(128)[:, None] + 0.5) / 128, (np.arange(128) + 0.5) / 128
        return 1 + 0.45 * (np.sin(2 * np.pi * (13 * x - 3.8 * y)) + np.sin(2 * np.pi * (5.6 * x + 12 * y)))
    contrast = {"rand_1_10": 10.0, "rand_1_100": 100.0}[case]
    return np.where(np.random.default_rng(20261120).random((128, 128)) < 0.5, 1.0, contrast)


@lru_cache(maxsize=4)
def fine(case):
    """Fine solution of a reference case, (513, 513)."""
    return fine_solve(medium(case), n, method="multigrid", tolerance=1e-10)
