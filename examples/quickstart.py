"""Ten lines of NGSolve, two of ngs_nhcsr: correct a coarse solution of a problem with a random coefficient.

    python examples/quickstart.py        # ten seconds

Expect a mean that is a third off in the coarse solution, and energy errors of 1e-5 to 1e-4 in the corrected one.
"""

# %% An ordinary NGSolve script. The coefficient lives on 128 x 128 cells, the mesh has 32 x 32.
import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, Integrate, LinearForm, VoxelCoefficient, dx, grad
from ngsolve.meshes import MakeStructured2DMesh

kappa = np.where(np.random.default_rng(1).random((128, 128)) < 0.5, 1.0, 10.0)
mesh = MakeStructured2DMesh(quads=True, nx=32, ny=32)
fes = H1(mesh, order=1, dirichlet=".*")
u, v = fes.TnT()
a = VoxelCoefficient((0, 0), (1, 1), kappa, linear=False)  # linear=True would blur the jumps
A = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
F = LinearForm(1 * v * dx).Assemble()
u_coarse = GridFunction(fes)
u_coarse.vec.data = A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec

# %% The correction: a GridFunction on 512 x 512 quads with the same boundary and material names.
from ngs_nhcsr import correct  # noqa: E402

u_fine = correct(u_coarse, a, scale=16)

# %% Everything NGSolve works on it.
print(f"mean of the coarse solution     {Integrate(u_coarse, mesh):.6f}")
print(f"mean of the corrected solution  {Integrate(u_fine, u_fine.space.mesh):.6f}")

# %% How good is it? Here one can afford to ask.
from ngs_nhcsr.solvers.fine import fine_solve  # noqa: E402
from ngs_nhcsr.solvers.norms import relative_errors  # noqa: E402

reference = fine_solve(kappa, 512)
values = u_fine.vec.FV().NumPy().reshape(513, 513)
errors = relative_errors(values, reference, kappa)
print(f"relative errors against the fine Q1 solution: energy {errors['energy']:.2g}, L2 {errors['L2']:.2g}")
