"""Monte Carlo on random media: distribution of a mean of u, with a confidence interval, and the seconds per medium.

The media are drawn as they are needed; nothing but the quantity of interest is kept.
"""

# %% What is computed: the mean of u over the middle of the square, for iid cells with values 1 and 10.
from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np

from ngs_nhcsr import Problem, correct_many

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--media", type=int, default=40)
parser.add_argument("--pixels", type=int, default=64, help="a side")
parser.add_argument("--method", choices=("network", "multigrid"), default="multigrid")
options = parser.parse_args()


def problems(count: int) -> Iterator[Problem]:
    """Problems with f = 1 on 16 x 16 coarse cells."""
    for seed in range(count):
        draw = np.random.default_rng(seed).random((options.pixels, options.pixels))
        yield Problem.from_arrays(np.where(draw < 0.5, 1.0, 10.0), coarse=16)


def middle(outcome, problem) -> float:
    """Mean of u over the middle quarter."""
    n = outcome.values.shape[0] // 4
    return float(outcome.values[n:-n, n:-n].mean())


# %% Solve on 256 x 256 cells, as many media at a time as there are cores.
start = time.perf_counter()
values = np.array(correct_many(problems(options.media), scale=16, quantity=middle, method=options.method))
seconds = (time.perf_counter() - start) / options.media

# %% The mean with its 95 % confidence interval, and a histogram.
mean, error = values.mean(), 1.96 * values.std(ddof=1) / np.sqrt(len(values))
print(f"{options.media} media, {options.method}: {1e3 * seconds:.1f} ms each")
print(f"mean of u in the middle {mean:.5f} ± {error:.5f} (95 %), deviation of a medium {values.std(ddof=1):.5f}")
counts, edges = np.histogram(values, bins=8)
for count, low, high in zip(counts, edges, edges[1:], strict=False):
    print(f"{low:.5f} … {high:.5f} {'#' * count}")
assert 0.01 < mean < 0.03
