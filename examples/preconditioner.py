"""Seconds and steps of NGSolve's solvers on a fine mesh, and of this package's multigrid inside NGSolve.

    python preconditioner.py [--n 128] [--pixels 32] [--contrast 1000] [--tolerance 1e-8] [--repeats 2] [--parallel]

Mesh and assembly are common to all but the last row, which needs no matrix. --n 512 --pixels 128 is an ordinary fine
solve. --parallel runs what is NGSolve's under its TaskManager; the multigrid has threads of its own.
"""

# %% A coefficient of random pixels, and an ordinary NGSolve script up to the matrix.
import argparse
import time
from contextlib import nullcontext

import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, Preconditioner, TaskManager, VoxelCoefficient, dx, grad
from ngsolve.krylovspace import CGSolver
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import PixelMultigrid, solve_fine

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=128, help="elements a side")
parser.add_argument("--pixels", type=int, default=32, help="pixels a side")
parser.add_argument("--contrast", type=float, default=1000.0)
parser.add_argument("--tolerance", type=float, default=1e-8, help="of all iterations, in the preconditioner's norm")
parser.add_argument("--repeats", type=int, default=2, help="runs that the shortest time is of")
parser.add_argument("--parallel", action="store_true", help="NGSolve's TaskManager for all that is NGSolve's")
options = parser.parse_args()
pixels = np.where(np.random.default_rng(1).random((options.pixels,) * 2) < 0.5, 1.0, options.contrast)


def timed(action, repeats=options.repeats, parallel=options.parallel):
    """What ``action`` returned last, and the seconds of its fastest run."""
    times = []
    with TaskManager() if parallel else nullcontext():
        for _ in range(repeats):
            start = time.perf_counter()
            result = action()
            times.append(time.perf_counter() - start)
    return result, min(times)


mesh, t_mesh = timed(lambda: MakeStructured2DMesh(quads=True, nx=options.n, ny=options.n), 1)
fes, t_space = timed(lambda: H1(mesh, order=1, dirichlet=".*"), 1)
u, v = fes.TnT()
a = VoxelCoefficient((0, 0), (1, 1), pixels, linear=False)
energy = a * grad(u) * grad(v) * dx
form, t_form = timed(lambda: BilinearForm(energy).Assemble())
load, t_load = timed(lambda: LinearForm(v * dx).Assemble())


# %% The solvers: each is set up, then solves.
def by_cholesky():
    """NGSolve's sparse factorisation."""
    inverse, setup = timed(lambda: form.mat.Inverse(fes.FreeDofs(), "sparsecholesky"))
    field, solve = timed(lambda: (inverse * load.vec).Evaluate())
    return field, setup, solve, 0


def by_cg(make, parallel=False):
    """NGSolve's conjugate gradients; the set-up of its own preconditioners is what assembly with them takes longer."""
    pre, setup = timed(make, parallel=parallel)
    solver = CGSolver(form.mat, pre=pre, tol=options.tolerance, maxiter=1000)
    field, solve = timed(lambda: solver.Solve(load.vec), parallel=parallel)
    return field, setup, solve, solver.iterations - 1  # it counts the first residual


def registered(name):
    """A preconditioner of NGSolve: it is set up while its form is assembled."""
    with_it = BilinearForm(energy)
    pre = Preconditioner(with_it, name)
    with_it.Assemble()
    return pre


def own():
    """Multigrid and conjugate gradients of this package, matrix-free: from arrays to a GridFunction."""
    multigrid, setup = timed(lambda: PixelMultigrid(pixels, fes), parallel=False)
    field, solve = timed(lambda: multigrid.solve(1.0, tolerance=options.tolerance), parallel=False)
    return field.vec, setup, solve, multigrid.solved.iterations


solve_fine(pixels, fes)  # compiles, once after installation, and finds the grid of the mesh
ways = {
    "sparsecholesky": by_cholesky,
    "bddc + CGSolver": lambda: by_cg(lambda: registered("bddc"), options.parallel),
    "h1amg + CGSolver": lambda: by_cg(lambda: registered("h1amg"), options.parallel),
    "PixelMultigrid(a) + CGSolver": lambda: by_cg(lambda: PixelMultigrid(a, fes)),
    "PixelMultigrid(array) + CGSolver": lambda: by_cg(lambda: PixelMultigrid(pixels, fes)),
    "solve_fine(array)": own,
}

# %% The table.
print(f"{options.n} x {options.n} elements, {options.pixels} x {options.pixels} pixels, 1:{options.contrast:g}")
print(f"mesh {t_mesh:.3f} s, space {t_space:.3f} s, assembly of the matrix {t_form:.3f} s, of the load {t_load:.3f} s")
print(f"{'':34s}{'set-up s':>10s}{'solve s':>10s}{'total s':>10s}{'steps':>8s}{'difference':>12s}")
exact = None
for name, way in ways.items():
    field, setup, solve, steps = way()
    if name in ("bddc + CGSolver", "h1amg + CGSolver"):
        setup = max(setup - t_form, 0.0)
    before = 0.0 if way is own else t_form + t_load
    exact = field if exact is None else exact
    difference = (field - exact).Evaluate().Norm() / exact.Norm()
    print(f"{name:34s}{setup:10.3f}{solve:10.3f}{before + setup + solve:10.3f}{steps or '':>8}{difference:12.1e}")
    assert difference < 1e-5
print("total: with the assembly of matrix and load where they are needed, without mesh and space")

# %% In a script of one's own it is one line.
gfu = GridFunction(fes)
gfu.vec.data = CGSolver(form.mat, pre=PixelMultigrid(a, fes), tol=options.tolerance) * load.vec
assert (gfu.vec - solve_fine(pixels, fes).vec).Evaluate().Norm() < 1e-5 * gfu.vec.Norm()
