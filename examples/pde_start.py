"""What a start is worth to the solver of the PDE: steps and seconds from zero, from plain Q1, from the network.

python examples/pde_start.py [--coarse 32] [--tolerance 1e-3]        # ten seconds as it stands
"""

# %% A clock.

from __future__ import annotations

import argparse
import time

import numpy as np

from ngs_nhcsr import Problem, load_model
from ngs_nhcsr.solvers import fine_solve
from ngs_nhcsr.solvers.trace import solve_pde


def median_seconds(run, repeats: int = 5):
    """Last result and median of the seconds of some calls, after one that is not counted."""
    run()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - begin)
    return result, float(np.median(times))


# %% Three starts at three contrasts.
def main(seed: int = 7_000_000_000, coarse: int = 8, tolerance: float = 1e-3) -> dict[tuple[float, str], int]:
    """Print a table for random pixels at three contrasts, f = 1; returns the steps by contrast and start."""
    steps = {}
    network = load_model("basis-hybrid", "cpu")
    m = 4 * coarse
    print(f"{m} x {m} random pixels, f = 1, tolerance {tolerance:g}; the start's own seconds apart")
    print(f"{'contrast':>9} {'start':22} {'made in':>8} {'steps':>6} {'solve':>8}")
    for contrast in (10.0, 100.0, 1000.0):
        A = np.where(np.random.default_rng(seed).random((m, m)) < 0.5, 1.0, contrast)
        problem = Problem.from_arrays(A, coarse=coarse)

        starts = {
            "zero": lambda: None,
            "Q1 on the pixels": lambda A=A: fine_solve(A, m),
            "basis-hybrid, scale 16": lambda problem=problem: network.solve(problem, 16),
        }
        for name, make in starts.items():
            start, made = median_seconds(make, 3)
            u, seconds = median_seconds(lambda A=A, start=start: solve_pde(A, tolerance=tolerance, start=start))
            steps[contrast, name] = u.info.steps
            print(f"{contrast:>9g} {name:22} {made:8.3f} {u.info.steps:6d} {seconds:8.3f}", flush=True)
    return steps


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7_000_000_000, help="of the medium")
    parser.add_argument("--coarse", type=int, default=8, help="coarse cells a side, four pixels each (32: 128 pixels)")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="relative algebraic energy error")
    main(**vars(parser.parse_args()))
