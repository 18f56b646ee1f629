"""Do the guaranteed bounds hold, and how sharp are they? All methods, one equilibrated flux per medium.

    python examples/error_bounds.py --full

The bound is for the error against the differential equation. The truth is the energy of the solution, extrapolated
(Richardson) from Q1 solutions on meshes up to four times finer. Columns: relative energy error against u_h and against
the solution u, relative bound, efficiency index bound / error. Then what the flux costs: made once for a medium and a
load, it serves every further field. Without --full: one small case, some seconds.

Ends with exit code 1 if a bound is below the true error.
"""

# %% Media, and their exact energies.
import argparse
import sys
import time
from itertools import pairwise

import numpy as np

from ngs_nhcsr import Corrector, Problem
from ngs_nhcsr.result import BOUND_CYCLES
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.flux.flux import EquilibratedFlux
from ngs_nhcsr.solvers.lod.lod import LOD
from ngs_nhcsr.solvers.msfem.msfem import MsFEM
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.q1 import mass_apply
from ngs_nhcsr.solvers.transfer import prolongate

CASES = ("iid 1:10", "iid 1:100", "checkerboard 1:10", "wave 1:19")


def medium(case, m):
    """The reference media: iid cells, a checkerboard, and two crossed waves."""
    if case.startswith("wave"):
        y, x = (np.arange(m)[:, None] + 0.5) / m, (np.arange(m) + 0.5) / m
        return 1 + 0.45 * (np.sin(2 * np.pi * (13 * x - 3.8 * y)) + np.sin(2 * np.pi * (5.6 * x + 12 * y)))
    if case.startswith("checkerboard"):
        return np.where(np.indices((m, m)).sum(0) % 2 == 0, 1.0, 10.0)
    return np.where(np.random.default_rng(20261120).random((m, m)) < 0.5, 1.0, float(case.rsplit(":")[-1]))


def exact_energy(A, n):
    """|||u|||² extrapolated from the energies on n, 2n and 4n cells a side, with the rate they show themselves."""
    energies = [energy_norm(fine_solve(A, k * n), A) ** 2 for k in (1, 2, 4)]
    first, second = (b - a for a, b in pairwise(energies))
    rate = second / first
    return energies[2] + second * rate / (1 - rate)


# %% The fields of all methods, and their bounds.
def fields(A, N, n, corrector):
    """Fields of all methods on n x n cells by name."""
    problem, cells = Problem.from_arrays(A, coarse=N), (n, n)
    return {
        "prolongation": prolongate(problem.U, cells),
        "MsFEM, linear": MsFEM(A, (N, N), cells, 0, "galerkin").solve(1.0),
        "MsFEM, oversampled": MsFEM(A, (N, N), cells, 1, "petrov-galerkin").solve(1.0),
        "LOD, k = 2": LOD(A, (N, N), cells, 2).solve(1.0),
        "network": corrector.correct_problem(problem, n // N, refine=0).values,
        "network, refine=1": corrector.correct_problem(problem, n // N, refine=1).values,
        "u_h": fine_solve(A, cells, tolerance=1e-10),
    }


def measure(case, N, n, corrector):
    """Rows (method, error against u_h, error, bound, index) of one case, and the seconds (wall, CPU) of the flux."""
    A, cells = medium(case, 4 * N), (n, n)
    exact = exact_energy(A, n)
    found = fields(A, N, n, corrector)
    f = np.ones((n + 1, n + 1))
    b = mass_apply(f)
    seconds = [stopwatch()]
    flux = EquilibratedFlux(A, cells, f, cycles=BOUND_CYCLES)
    flux.bound(found["network"])
    seconds.append(stopwatch())
    for v in found.values():
        flux.bound(v)
    seconds.append(stopwatch())
    rows = []
    for name, v in found.items():
        error = np.sqrt(exact - 2 * float(np.sum(b * v)) + energy_norm(v, A) ** 2)
        against = energy_norm(v - found["u_h"], A) / energy_norm(found["u_h"], A)
        rows.append((name, against, error / np.sqrt(exact), flux.relative_bound(v), flux.bound(v) / error))
    first, further = (y - x for x, y in pairwise(seconds))
    return rows, first, further / len(found)


def stopwatch():
    """Seconds of wall time and of CPU time."""
    return np.array([time.perf_counter(), time.process_time()])


# %% All cases.
def main(full: bool = False) -> float:
    """Print a table per case; returns the least efficiency index, which is at least 1 where all bounds hold."""
    corrector, least = Corrector(device="cpu"), np.inf
    for case in CASES if full else CASES[:1]:
        N, n = (32, 512) if full else (8, 64)
        rows, first, further = measure(case, N, n, corrector)
        print(f"\n{case}, H = 1/{N}, h = 1/{n}, f = 1, {BOUND_CYCLES} cycles")
        print("| field | error against u_h | error against u | bound | index |\n|---|---:|---:|---:|---:|")
        for name, against, error, bound, index in rows:
            least = min(least, index)
            print(f"| {name} | {against:.2g} | {error:.3f} | {bound:.3f} | {index:.2f} |")
        print(f"first field {first[0]:.3f} s ({first[1]:.3f} s CPU), further ones {further[0]:.3f} s each")
    return float(least)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the reference cases, H = 1/32, h = 1/512")
    sys.exit(int(main(**vars(parser.parse_args())) < 1))
