"""One coefficient, many loads: one LOD offline part against as many fine solves.

    python many_loads.py [--n 16] [--scale 8] [--layers 2] [--loads 100] [--contrast 10]

prints times, errors, and from how many loads on the LOD has cost less. The fine solvers keep what they can as well:
SuperLU its factor, multigrid its hierarchy (timed on the first ten loads).
"""

# %% Options: n coarse cells a side, n * scale fine ones; the coefficient has 4n cells a side.
import argparse
import time

import numpy as np

from ngs_nhcsr.comparison.measure import break_even
from ngs_nhcsr.solvers.direct import DirichletSystem
from ngs_nhcsr.solvers.hierarchy import hierarchy
from ngs_nhcsr.solvers.lod.lod import LOD
from ngs_nhcsr.solvers.norms import relative_errors
from ngs_nhcsr.solvers.q1 import mass_apply, stiffness
from ngs_nhcsr.solvers.space import Space

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=16)
parser.add_argument("--scale", type=int, default=8)
parser.add_argument("--layers", type=int, default=2)
parser.add_argument("--loads", type=int, default=100)
parser.add_argument("--contrast", type=float, default=10.0)
options = parser.parse_args()
N, n = options.n, options.n * options.scale
rng = np.random.default_rng(1)
A = np.where(rng.random((4 * N, 4 * N)) < 0.5, 1.0, options.contrast)


# %% The loads: heaps of source and sink anywhere, from as wide as the domain down to two coarse cells.
def heaps(x, y):
    """Five Gaussian heaps of random place, width and sign."""
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    for _ in range(5):
        strength, (px, py), width = rng.standard_normal(), rng.random(2), rng.uniform(2 / N, 1)
        total += strength * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * width**2))
    return total


t = np.linspace(0, 1, n + 1)
loads = [heaps(t[None, :], t[:, None]) for _ in range(options.loads)]


# %% Every solver: an offline part, once, and an online part per load.
def timed(action):
    """What ``action`` returns, and the seconds it took."""
    start = time.perf_counter()
    return action(), time.perf_counter() - start


def solve_all(solve, loads):
    """Fields of the loads and the mean seconds per load."""
    fields, seconds = timed(lambda: [solve(f) for f in loads])
    return fields, seconds / len(loads)


def by_multigrid(f):
    """Fine solution to a relative residual of 1e-8."""
    u, _ = multigrid.solve(mass_apply(f), tolerance=1e-8)
    return u


lod, lod_offline = timed(LOD(A, N, n, layers=options.layers).assemble)
lod_fields, lod_online = solve_all(lod.solve, loads)
direct, direct_offline = timed(lambda: DirichletSystem(stiffness(A, (n, n)), Space((n, n)).free).factorise())
fine_fields, direct_online = solve_all(lambda f: direct.solve(mass_apply(f)), loads)
multigrid, mg_offline = timed(lambda: hierarchy(A, Space((n, n))))
_, mg_online = solve_all(by_multigrid, loads[:10])

# %% What came out.
errors = [relative_errors(u, v, A) for u, v in zip(lod_fields, fine_fields, strict=True)]
print(f"contrast 1:{options.contrast:g}, {N} x {N} coarse, {n} x {n} fine cells, {len(loads)} loads")
print(f"{'':12s}{'offline s':>12s}{'s per load':>12s}{'all loads s':>12s}{'LOD pays from':>16s}")
rows = (
    ("LOD", lod_offline, lod_online),
    ("multigrid", mg_offline, mg_online),
    ("SuperLU", direct_offline, direct_online),
)
for name, offline, online in rows:
    pays = "" if name == "LOD" else f"{break_even(lod_offline, lod_online, offline, online):.0f} loads"
    print(f"{name:12s}{offline:12.3f}{online:12.4f}{offline + len(loads) * online:12.2f}{pays:>16s}")
for norm in ("L2", "energy"):
    values = [e[norm] for e in errors]
    print(f"relative {norm} error of the LOD: median {np.median(values):.2e}, worst {max(values):.2e}")
assert max(e["energy"] for e in errors) < 0.5
