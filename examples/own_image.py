"""One's own image as coefficient: the PDE's own solution with guaranteed bounds, from a picture file."""

# %% An image as a microscope or a scanner gives it: grey levels, first row at the top.
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, Integrate, LinearForm, VoxelCoefficient, div, dx, grad
from ngsolve.meshes import MakeStructured2DMesh
from PIL import Image

from ngs_nhcsr import correct
from ngs_nhcsr.media.images import read_medium
from ngs_nhcsr.solvers.trace import effective_conductivity

noise = np.random.default_rng(5).normal(size=(64, 64))
smooth = sum(np.roll(noise, (j, i), (0, 1)) for j in range(-2, 3) for i in range(-2, 3))
grey = np.uint8(np.clip(128 + 12 * smooth, 0, 255))

# %% Read it: dark pixels conduct like 1, bright ones like 10; the rows are flipped, since y grows upwards.
with TemporaryDirectory() as folder:
    path = Path(folder) / "grains.png"
    Image.fromarray(grey).save(path)
    medium = read_medium(path, values=(1.0, 10.0))
print("; ".join(medium.notes))
print("phases:", ", ".join(f"{value:g} on {fraction:.0%}" for value, fraction in medium.phases))

# %% An ordinary NGSolve solve on a coarse mesh of 16 x 16 quads, and its correction.
mesh = MakeStructured2DMesh(quads=True, nx=16, ny=16)
fes = H1(mesh, order=1, dirichlet=".*")
u, v = fes.TnT()
a = VoxelCoefficient((0, 0), (1, 1), medium.a, linear=False)
A = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
F = LinearForm(1 * v * dx).Assemble()
u_coarse = GridFunction(fes)
u_coarse.vec.data = A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec
result = correct(u_coarse, medium.a, scale=16, target="pde", full=True)
print("status:", result.status.name, "on", result.u_fine.space.ndof, "nodes")
print(f"energy error against the PDE's solution: at most {result.relative_error_bound:.2%} of it, guaranteed")

# %% A velocity for transport codes: its divergence is the load on every cell, to round-off.
velocity = result.velocity()
print(f"div(velocity) integrates to {Integrate(div(velocity), velocity.space.mesh):.12f}, the load to 1")

# %% What the pixels conduct as a whole under the boundary values x and y, enclosed between two tensors.
sigma = effective_conductivity(medium.a, boundary="linear")
print("effective conductivity:", np.round(sigma.tensor, 4).tolist())
print(f"bounds apart by {np.linalg.norm(sigma.upper - sigma.lower, 2) / np.linalg.norm(sigma.tensor, 2):.1e} of it")
