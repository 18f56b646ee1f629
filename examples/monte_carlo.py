"""Monte Carlo on random media: histogram, mean and confidence interval of a number, by threads or on a dask cluster.

    python examples/monte_carlo.py                                        # 40 media, about five seconds
    python examples/monte_carlo.py --media 400 --workers 2 --keep study   # two processes; every number is kept

Media are drawn as they are needed, and nothing but the number of interest is kept of each. With ``--keep`` it is
written as soon as it is known: stop the second line at any time, or kill one of its workers, and call it again; what
was known is read, the rest is solved.
"""

# %% What is asked: the mean of u over the middle of the square, f = 1, for iid pixels with values 1 and 10.
from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ngs_nhcsr import Problem, correct_many


def problems(count: int, pixels: int) -> Iterator[Problem]:
    """One problem per seed, on a quarter as many coarse cells as pixels."""
    for seed in range(count):
        draw = np.random.default_rng(seed).random((pixels, pixels))
        yield Problem.from_arrays(np.where(draw < 0.5, 1.0, 10.0), coarse=pixels // 4)


def middle(outcome: Any, problem: Problem) -> float:
    """Mean of u over the middle quarter of the square."""
    n = outcome.values.shape[0] // 4
    return float(outcome.values[n:-n, n:-n].mean())


# %% Where it is solved: by the threads of this process, or by processes of their own.
@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A dask client with some local workers of one thread each, or ``None``; any other dask cluster is used alike."""
    if not workers:
        yield None
        return
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as local,
        Client(local) as client,
    ):
        yield client


# %% The mean with its 95 % confidence interval, and a histogram.
def report(values: np.ndarray, bins: int = 8) -> tuple[float, float]:
    """Print them; returns mean and half the width of the interval."""
    deviation = float(values.std(ddof=1))
    mean, half = float(values.mean()), 1.96 * deviation / np.sqrt(len(values))
    print(f"mean of u in the middle {mean:.6f} ± {half:.6f} (95 %); of one medium ± {1.96 * deviation:.6f}")
    counts, edges = np.histogram(values, bins=bins)
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        print(f"{low:.5f} … {high:.5f} {'█' * round(40 * count / counts.max())} {count}")
    return mean, half


def main(
    media: int = 40, pixels: int = 64, method: Any = "multigrid", workers: int = 0, keep: Path | None = None
) -> np.ndarray:
    """Solve all media at scale 16; returns the number of interest of each, in the order of their seeds."""
    start = time.perf_counter()
    with cluster(workers) as client:
        values = np.array(
            correct_many(
                problems(media, pixels), 16, quantity=middle, method=method, client=client, keep=keep, progress=True
            )
        )
    seconds = time.perf_counter() - start
    where = f"{workers} workers" if workers else "threads"
    print(f"{media} media of {pixels} x {pixels} pixels, {method}, {where}: {1e3 * seconds / media:.0f} ms each")
    report(values)
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=int, default=40)
    parser.add_argument("--pixels", type=int, default=64, help="a side, a multiple of 4")
    parser.add_argument("--method", choices=("network", "multigrid"), default="multigrid")
    parser.add_argument("--workers", type=int, default=0, help="processes of a local dask cluster; 0: threads")
    parser.add_argument("--keep", type=Path, help="folder for the numbers")
    main(**vars(parser.parse_args()))
