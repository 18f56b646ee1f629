"""Time of the first and of repeated corrections, 32² -> 512²; also larger ones, and with busy processes beside it.

python examples/benchmark_correct.py [--large] [--busy 2] [--contrast 10 1000]     # ten seconds as it stands
"""

# %% An ordinary coarse solve, and processes that keep the cores busy.

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, VoxelCoefficient, dx, grad
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import Corrector


def coarse(n: int, contrast: float) -> tuple[GridFunction, VoxelCoefficient]:
    """An ordinary coarse solve on n x n quads with four random coefficient cells per coarse cell and axis."""
    kappa = np.where(np.random.default_rng(n).random((4 * n, 4 * n)) < 0.5, 1.0, contrast)
    fes = H1(MakeStructured2DMesh(quads=True, nx=n, ny=n), order=1, dirichlet=".*")
    u, v = fes.TnT()
    a = VoxelCoefficient((0, 0), (1, 1), kappa, linear=False)
    A = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
    F = LinearForm(1 * v * dx).Assemble()
    gfu = GridFunction(fes)
    gfu.vec.data = A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec
    return gfu, a


@contextmanager
def beside(count: int) -> Iterator[None]:
    """Other processes that compute all the time, five minutes at most."""
    loop = "import time\nend = time.time() + 300\nwhile time.time() < end: pass"
    others = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(count)]
    time.sleep(0.5 * bool(count))
    try:
        yield
    finally:
        for other in others:
            other.kill()


# %% The first correction, then further ones of the same problem.
def measure(corrector: Corrector, n: int, scale: int, contrast: float, tries: int) -> list[float]:
    """Print the time of the first correction, and of some more; returns their seconds."""
    u_coarse, a = coarse(n, contrast)
    times = []
    for _ in range(tries + 1):
        start = time.perf_counter()
        result = corrector(u_coarse, a, scale)
        times.append(time.perf_counter() - start)
    parts = ", ".join(f"{k} {v:.3f}" for k, v in result.timings.items())
    print(f"{n}² -> {n * scale}² at 1:{contrast:g}, {result.status.name}: first {times[0]:.2f} s, "
          f"then median {np.median(times[1:]):.3f} s,")  # fmt: skip
    print(f"  longest {max(times[1:]):.3f} s\n  last: {parts}", flush=True)
    return times


def main(
    sizes: Sequence[tuple[int, int]] = ((32, 16),), contrasts: Sequence[float] = (10.0,), busy: int = 0, tries: int = 10
) -> list[list[float]]:
    """Measure for coarse cells a side and scales, with some busy processes beside it."""
    start = time.perf_counter()
    corrector = Corrector()
    print(f"model loaded in {time.perf_counter() - start:.2f} s")
    with beside(busy):
        return [measure(corrector, n, scale, contrast, tries) for contrast in contrasts for n, scale in sizes]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="8², 128² coarse cells and 2048² fine ones too")
    parser.add_argument("--busy", type=int, default=0, help="number of busy processes beside it")
    parser.add_argument("--contrast", type=float, nargs="*", default=[10.0], help="contrasts of the medium")
    arguments = parser.parse_args()
    sizes = [(32, 16), *[(8, 16), (128, 4), (128, 16)] * arguments.large]
    main(sizes, arguments.contrast, arguments.busy)
