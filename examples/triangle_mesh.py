"""A coarse solution on triangles: it is brought to a tensor grid, corrected there, and written where you want it.

    python examples/triangle_mesh.py        # ten seconds

Expect the mean of the corrected field to agree with that of a fine solution to three digits.
"""

# %% Coarse problem on an unstructured triangle mesh.
import numpy as np
from netgen.geom2d import unit_square
from ngsolve import H1, BilinearForm, GridFunction, Integrate, LinearForm, Mesh, VoxelCoefficient, dx, grad

from ngs_nhcsr import correct
from ngs_nhcsr.solvers.fine import fine_solve

kappa = np.where(np.random.default_rng(3).random((96, 96)) < 0.5, 1.0, 10.0)
a = VoxelCoefficient((0, 0), (1, 1), kappa, linear=False)
mesh = Mesh(unit_square.GenerateMesh(maxh=1 / 24))
fes = H1(mesh, order=1, dirichlet=".*")
u, v = fes.TnT()
A = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
F = LinearForm(1 * v * dx).Assemble()
u_coarse = GridFunction(fes)
u_coarse.vec.data = A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec

# %% The correction, into a finer triangle space of our own. The array decides the raster: 24 x 24 coarse cells.
finer = H1(Mesh(unit_square.GenerateMesh(maxh=1 / 200)), order=1, dirichlet=".*")
result = correct(u_coarse, kappa, scale=16, fes=finer, full=True, on_untrusted="return")
print("status:", result.status.name)
for note in result.notes:
    print("  ", note)
ny, nx = result.problem.space.cells
print(f"{mesh.ne} triangles were read as {nx} x {ny} cells")

# %% Its mean beside that of the fine Q1 solution on 384 x 384 quads, which is zero at the sides.
mean, mean_fine = Integrate(result.u_fine, finer.mesh), fine_solve(kappa, 384).sum() / 384**2
print(f"mean: coarse {Integrate(u_coarse, mesh):.6f}, corrected {mean:.6f}, fine {mean_fine:.6f}")
