"""Seconds of the PDE's solution by trace spaces: set-up and solve, a further load, nodal values, bound; peak memory.

python examples/pde_times.py [--pixels 128 512] [--repeats 3]        # five seconds as it stands
"""

# %% A clock.

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ngs_nhcsr.solvers import solve_pde


def median(run: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """Last result and median of the seconds of some calls, after one that is not counted."""
    run()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - begin)
    return result, float(np.median(times))


# %% Two values at three contrasts, and values spread over two decades.
def main(pixels: Sequence[int] = (32,), repeats: int = 3, seed: int = 77) -> dict[tuple[int, str], float]:
    """Print a line per size and medium; f = 1, then f rising from below upwards. Returns the relative bounds."""
    bounds = {}
    titles = ("pixels", "medium", "modes", "steps", "solve", "further", "nodes", "bound", "its value")
    print("{:>7} {:12} {:>5} {:>5} {:>7} {:>8} {:>7} {:>7}  {}".format(*titles))
    for m in pixels:
        rng = np.random.default_rng(seed)
        two = rng.random((m, m)) < 0.5
        media = {f"1:{c:g}": np.where(two, 1.0, c) for c in (10.0, 100.0, 1000.0)}
        media["log-uniform"] = 100.0 ** rng.random((m, m))
        rising = np.linspace(1, 2, m)[:, None] * np.ones((1, m))
        for name, A in media.items():
            u, solve = median(lambda A=A: solve_pde(A, tolerance=1e-3), repeats)
            _, further = median(lambda u=u, f=rising: u.solve(f, tolerance=1e-3), repeats)
            _, nodes = median(lambda u=u, m=m: u.nodes(4 * m), repeats)
            begin = time.perf_counter()
            bound = bounds[m, name] = u.relative_error_bound
            bounded = time.perf_counter() - begin
            print(
                f"{m:>7} {name:12} {u.info.modes:>5} {u.info.steps:>5} {solve:7.4f} {further:8.4f} {nodes:7.4f} "
                f"{bounded:7.3f}  {bound:.2e}",
                flush=True,
            )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of the process {memory:.2f} GiB (on Linux)")
    return bounds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, nargs="*", default=[32], help="pixels a side")
    parser.add_argument("--repeats", type=int, default=3, help="calls a median is of")
    parser.add_argument("--seed", type=int, default=77, help="of the media")
    main(**vars(parser.parse_args()))
