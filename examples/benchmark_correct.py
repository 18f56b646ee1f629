"""Time of the first and of repeated corrections, 32² -> 512²; with --large other sizes too."""

import sys
import time

import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, VoxelCoefficient, dx, grad
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import Corrector


def coarse(n):
    """An ordinary coarse solve on n x n quads with four random coefficient cells per coarse cell and axis."""
    kappa = np.where(np.random.default_rng(n).random((4 * n, 4 * n)) < 0.5, 1.0, 10.0)
    fes = H1(MakeStructured2DMesh(quads=True, nx=n, ny=n), order=1, dirichlet=".*")
    u, v = fes.TnT()
    a = VoxelCoefficient((0, 0), (1, 1), kappa, linear=False)
    A = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
    F = LinearForm(1 * v * dx).Assemble()
    gfu = GridFunction(fes)
    gfu.vec.data = A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec
    return gfu, a


start = time.perf_counter()
corrector = Corrector()
print(f"model loaded in {time.perf_counter() - start:.2f} s")
cases = [(32, 16)] + [(8, 16), (128, 4), (128, 16)] * ("--large" in sys.argv)
for n, scale in cases:
    u_coarse, a = coarse(n)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        result = corrector(u_coarse, a, scale)
        times.append(time.perf_counter() - start)
    parts = ", ".join(f"{k} {v:.3f}" for k, v in result.timings.items())
    print(
        f"{n}² -> {n * scale}²: first {times[0]:.2f} s, repeated median {np.median(times[1:]):.3f} s "
        f"(last: {parts}), {result.status.name}"
    )
