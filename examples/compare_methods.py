"""Time against accuracy of every method on random media: what the network is worth next to LOD, MsFEM and multigrid.

    python compare_methods.py [--n 16] [--scale 16] [--contrasts 10 100]

prints one table per contrast and saves compare_methods.png.
"""

# %% Options: n coarse cells a side, n * scale fine ones; the coefficient has 4n cells a side.
import argparse

import numpy as np
from matplotlib.figure import Figure
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, VoxelCoefficient, dx, grad
from ngsolve.meshes import MakeStructured2DMesh

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=16)
parser.add_argument("--scale", type=int, default=16)
parser.add_argument("--contrasts", type=float, nargs="+", default=[10.0, 100.0])
options = parser.parse_args()

# %% An ordinary NGSolve script for every contrast, then all methods on it.
from ngs_nhcsr import compare  # noqa: E402

mesh = MakeStructured2DMesh(quads=True, nx=options.n, ny=options.n)
fes = H1(mesh, order=1, dirichlet=".*")
u, v = fes.TnT()
load = LinearForm(1 * v * dx).Assemble()
heavy = np.random.default_rng(1).random((4 * options.n, 4 * options.n)) < 0.5
count = len(options.contrasts)
figure = Figure(figsize=(9.5 * count, 7), layout="constrained")
for axes, contrast in zip(np.ravel(figure.subplots(1, count)), options.contrasts, strict=True):
    a = VoxelCoefficient((0, 0), (1, 1), np.where(heavy, contrast, 1.0), linear=False)
    form = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
    u_coarse = GridFunction(fes)
    u_coarse.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load.vec
    result = compare(u_coarse, a, options.scale, f=1.0)
    print(result.to_markdown())
    result.plot(axes=axes)

# %% Down and to the left is better. The fine solve by multigrid is the one to beat.
figure.savefig("compare_methods.png", dpi=110)
print("picture: compare_methods.png")
