"""What ``refine=k`` gives, from the network's field, from the coarse solution and from zero, and what a cycle costs.

    python examples/refine_table.py --full

Medians over fresh media of the relative energy error against u_h, f = 1. Without --full: one small medium each, for
some seconds.
"""

# %% Errors by start and number of cycles, and seconds.
import argparse
import time

import numpy as np

from ngs_nhcsr import Corrector, Problem
from ngs_nhcsr.refine import Refiner
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.hierarchy import hierarchy
from ngs_nhcsr.solvers.norms import relative_errors
from ngs_nhcsr.solvers.q1 import mass_apply
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.transfer import prolongate

STEPS = (0, 1, 2, 3)
FIRST_SEED = 5_100_000_000


def measure(contrast, N, n, count, corrector):
    """Median errors {start: [one per number of steps]}, and seconds {steps: (wall, CPU)} at n x n cells."""
    errors = {start: {k: [] for k in STEPS} for start in ("network", "coarse solution", "zero")}
    seconds = {k: [] for k in STEPS}
    for seed in range(count):
        A = np.where(np.random.default_rng(FIRST_SEED + seed).random((4 * N, 4 * N)) < 0.5, 1.0, contrast)
        problem = Problem.from_arrays(A, coarse=N)
        b, fine = mass_apply(np.ones((n + 1, n + 1))), problem.space.with_cells((n, n))
        reference = fine_solve(A, n, tolerance=1e-10)
        coarse = prolongate(problem.U, (n, n))
        starts = {
            "network": corrector.correct_problem(problem, n // N, refine=0).values,
            "coarse solution": coarse,
            "zero": np.zeros_like(coarse),
        }
        for name, start in starts.items():
            for k in STEPS:
                wall, cpu = time.perf_counter(), time.process_time()
                v = Refiner(problem.medium, fine).refine(start, b, steps=k).field if k else start
                seconds[k].append((time.perf_counter() - wall, time.process_time() - cpu))
                errors[name][k].append(relative_errors(v, reference, A)["energy"])
    medians = {name: [float(np.median(e)) for e in by.values()] for name, by in errors.items()}
    return medians, {k: np.median(s, axis=0) for k, s in seconds.items()}


def parts(N, n, count):
    """Median seconds of the parts of a refinement at n x n cells: set-up, one step, the estimate."""
    seconds = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        A = np.where(np.random.default_rng(seed).random((4 * N, 4 * N)) < 0.5, 1.0, 10.0)
        b = mass_apply(np.ones((n + 1, n + 1)))
        marks = [time.perf_counter()]
        mg = hierarchy(A, Space((n, n)))
        marks.append(time.perf_counter())
        u, _ = mg.solve(b, tolerance=0.0, max_iterations=1)
        marks.append(time.perf_counter())
        mg.relative_error(b, u)
        marks.append(time.perf_counter())
        seconds.append(np.diff(marks))
    return np.median(seconds, axis=0)


# %% Both contrasts.
def main(full: bool = False) -> dict[float, dict[str, list[float]]]:
    """Print the table; returns errors by contrast and start, one per number of cycles."""
    N, n, count = (32, 512, 5) if full else (8, 64, 1)
    corrector, found = Corrector(device="cpu"), {}
    print(f"iid cells, H = 1/{N}, h = 1/{n}: relative energy error against u_h after k cycles, median of {count}\n")
    print("| contrast | start | " + " | ".join(f"k = {k}" for k in STEPS) + " |\n|---|---|" + "---:|" * len(STEPS))
    for contrast in (10.0, 100.0):
        found[contrast], seconds = measure(contrast, N, n, count, corrector)
        for name, row in found[contrast].items():
            print(f"| {contrast:g} | {name} | " + " | ".join(f"{e:.2g}" for e in row) + " |")
    wall, cpu = (seconds[3] - seconds[1]) / 2
    print("\nmultigrid alone: set-up {:.3f} s, one step {:.3f} s, estimate {:.3f} s".format(*parts(N, n, 3 + count)))
    print(f"refine=1 with set-up, conversions and estimate {seconds[1][0]:.3f} s ({seconds[1][1]:.3f} s CPU)")
    print(f"each further {wall:.3f} s ({cpu:.3f} s CPU)")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="five media, H = 1/32, h = 1/512")
    main(**vars(parser.parse_args()))
