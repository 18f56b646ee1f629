"""One coefficient, many loads: what is prepared once, and what a load costs then, for the correction and its rivals.

    python examples/many_loads.py                                      # 30 loads on 128 x 128 cells, ten seconds
    python examples/many_loads.py --n 32 --scale 16 --loads 100        # the table of docs/comparison.md

Prints seconds, relative energy errors against u_h, and from how many loads on the LOD has cost less. All keep what they
can: the correction its encoding and multigrid, LOD its basis, SuperLU its factor, multigrid its hierarchy. Fine solves
pay for one load; for many, it is a question of numbers, which this answers.
"""

# %% The medium and the loads: heaps of source and sink anywhere, from as wide as the domain down to two coarse cells.
from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, VoxelCoefficient, dx, grad
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import Corrector
from ngs_nhcsr.comparison.measure import break_even
from ngs_nhcsr.solvers.direct import DirichletSystem
from ngs_nhcsr.solvers.hierarchy import hierarchy
from ngs_nhcsr.solvers.lod.lod import LOD
from ngs_nhcsr.solvers.norms import relative_errors
from ngs_nhcsr.solvers.q1 import mass_apply, stiffness
from ngs_nhcsr.solvers.space import Space


def heaps(n: int, widest: float, rng: np.random.Generator) -> np.ndarray:
    """Five Gaussian heaps of random place, width and sign at the nodes of n x n cells."""
    t = np.linspace(0, 1, n + 1)
    total = np.zeros((n + 1, n + 1))
    for _ in range(5):
        strength, (px, py), width = rng.standard_normal(), rng.random(2), rng.uniform(widest, 1)
        total += strength * np.exp(-((t[None, :] - px) ** 2 + (t[:, None] - py) ** 2) / (2 * width**2))
    return total


# %% With the plugin: the coarse problem in NGSolve and the correction, both prepared; then load by load.
def corrected(A: np.ndarray, N: int, scale: int) -> Callable[[np.ndarray], np.ndarray]:
    """Prepare; what comes back takes nodal values of a load to those of the corrected solution."""
    fes = H1(MakeStructured2DMesh(quads=True, nx=N, ny=N), order=1, dirichlet=".*")
    u, v = fes.TnT()
    a = VoxelCoefficient((0, 0), (1, 1), A, linear=False)
    inverse = BilinearForm(a * grad(u) * grad(v) * dx).Assemble().mat.Inverse(fes.FreeDofs(), "sparsecholesky")
    prepared = Corrector().prepare(a, fes, scale)

    def solve(f: np.ndarray) -> np.ndarray:
        load = VoxelCoefficient((0, 0), (1, 1), f, linear=True)
        u_coarse = GridFunction(fes)
        u_coarse.vec.data = inverse * LinearForm(load * v * dx(bonus_intorder=4)).Assemble().vec
        return prepared(u_coarse, f=f).values

    return solve


# %% The rivals, on arrays.
def by_lod(A: np.ndarray, N: int, n: int, layers: int) -> Callable[[np.ndarray], np.ndarray]:
    """Localised orthogonal decomposition; its offline part is its basis."""
    return LOD(A, N, n, layers=layers).assemble().solve


def by_multigrid(A: np.ndarray, n: int) -> Callable[[np.ndarray], np.ndarray]:
    """Fine solution to a relative residual of 1e-8."""
    multigrid = hierarchy(A, Space((n, n)))
    return lambda f: multigrid.solve(mass_apply(f), tolerance=1e-8)[0]


def by_factor(A: np.ndarray, n: int) -> Callable[[np.ndarray], np.ndarray]:
    """Fine solution by a sparse factorisation that is kept."""
    direct = DirichletSystem(stiffness(A, (n, n)), Space((n, n)).free).factorise()
    return lambda f: direct.solve(mass_apply(f))


# %% Every one: an offline part, once, and an online part per load.
@dataclass(frozen=True)
class Row:
    """Seconds of a method, and its relative energy errors against u_h, one per load."""

    offline: float
    per_load: float
    errors: np.ndarray


def measure(prepare: Callable[[], Callable[[Any], Any]], loads: list, reference: list, A: np.ndarray) -> Row:
    """Prepare a method and solve all loads with it."""
    start = time.perf_counter()
    solve = prepare()
    ready = time.perf_counter()
    fields = [solve(f) for f in loads]
    per_load = (time.perf_counter() - ready) / len(loads)
    errors = [relative_errors(v, u, A)["energy"] for v, u in zip(fields, reference, strict=True)]
    return Row(ready - start, per_load, np.array(errors))


def main(n: int = 16, scale: int = 8, layers: int = 2, loads: int = 30, contrast: float = 10.0) -> dict[str, Row]:
    """Solve all loads with every method on n x n coarse cells of 4 x 4 pixels, and print a table."""
    N, n = n, n * scale
    rng = np.random.default_rng(1)
    A = np.where(rng.random((4 * N, 4 * N)) < 0.5, 1.0, contrast)
    given = [heaps(n, 2 / N, rng) for _ in range(loads)]
    corrected(A, N, scale)(given[0])  # uncounted: the model is read, kernels are loaded
    exact = by_factor(A, n)
    reference = [exact(f) for f in given]
    methods = {
        "correction": lambda: corrected(A, N, scale),
        f"LOD, {layers} layers": lambda: by_lod(A, N, n, layers),
        "multigrid to 1e-8": lambda: by_multigrid(A, n),
        "SuperLU": lambda: by_factor(A, n),
    }
    rows = {name: measure(prepare, given, reference, A) for name, prepare in methods.items()}
    lod = rows[f"LOD, {layers} layers"]
    print(f"contrast 1:{contrast:g}, {N} x {N} coarse, {n} x {n} fine cells, {loads} loads")
    print(f"{'':18}{'offline s':>11}{'s per load':>12}{'all s':>9}{'error median':>14}{'worst':>10}{'LOD pays':>14}")
    for name, row in rows.items():
        pays = "" if row is lod else f"{break_even(lod.offline, lod.per_load, row.offline, row.per_load):.0f} loads"
        print(f"{name:18}{row.offline:11.3f}{row.per_load:12.4f}{row.offline + loads * row.per_load:9.2f}"
              f"{np.median(row.errors):14.1e}{row.errors.max():10.1e}{pays:>14}")  # fmt: skip
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=16, help="coarse cells a side, four pixels each")
    parser.add_argument("--scale", type=int, default=8, help="fine cells per coarse cell")
    parser.add_argument("--layers", type=int, default=2, help="of the LOD")
    parser.add_argument("--loads", type=int, default=30)
    parser.add_argument("--contrast", type=float, default=10.0)
    main(**vars(parser.parse_args()))
