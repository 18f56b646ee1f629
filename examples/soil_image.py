"""A binary micro-CT-like image of soil as coefficient: the image is an array, row 0 at the bottom."""

# %% A synthetic image shipped as a generator: thresholded correlated noise, grains conduct ten times better.
import sys
from pathlib import Path

import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, VoxelCoefficient, dx, grad
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import correct, plot_compare
from ngs_nhcsr.media.families import families
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.norms import relative_errors

image = families["soil"]((128, 128), np.random.default_rng(11), 10.0)
print(f"porosity {np.mean(image == 1):.2f}, {image.shape[1]} x {image.shape[0]} pixels")

# %% Coarse solve with a quarter of the pixels a side, correction with the array itself as coefficient.
mesh = MakeStructured2DMesh(quads=True, nx=32, ny=32)
fes = H1(mesh, order=1, dirichlet=".*")
u, v = fes.TnT()
a = VoxelCoefficient((0, 0), (1, 1), image, linear=False)
A = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
F = LinearForm(1 * v * dx).Assemble()
u_coarse = GridFunction(fes)
u_coarse.vec.data = A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec
result = correct(u_coarse, image, scale=16, full=True)
print("status:", result.status.name)

# %% Compare and draw.
reference = fine_solve(image, 512)
e = relative_errors(result.values, reference, image)
print(f"relative errors against the fine Q1 solution: energy {e['energy']:.2g}, L2 {e['L2']:.2g}")
u_reference = GridFunction(result.u_fine.space)
u_reference.vec.FV().NumPy()[:] = reference.ravel()
target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("soil.png")
plot_compare(u_coarse, result.u_fine, u_reference, warp=True, path=target, show=False).close()
print("picture:", target)
