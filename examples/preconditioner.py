"""Seconds and steps of NGSolve's solvers on a fine mesh, and of this package's multigrid inside NGSolve.

    python examples/preconditioner.py [--n 128] [--pixels 32] [--contrast 1000] [--tolerance 1e-8] [--parallel]

Mesh and assembly are common to all but the last row, which needs no matrix. ``--n 512 --pixels 128`` is an ordinary
fine solve. ``--parallel`` runs what is NGSolve's under its TaskManager; the multigrid has threads of its own. As it
stands ten seconds.
"""

# %% A clock: the fastest of some runs.
from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, Preconditioner, TaskManager, VoxelCoefficient, dx, grad
from ngsolve.krylovspace import CGSolver
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import PixelMultigrid, solve_fine


def timed(action: Callable[[], Any], repeats: int = 1, parallel: bool = False) -> tuple[Any, float]:
    """What ``action`` returned last, and the seconds of its fastest run."""
    times = []
    with TaskManager() if parallel else nullcontext():
        for _ in range(repeats):
            start = time.perf_counter()
            result = action()
            times.append(time.perf_counter() - start)
    return result, min(times)


# %% Every way to solve one problem.
def main(
    n: int = 128,
    pixels: int = 32,
    contrast: float = 1000.0,
    tolerance: float = 1e-8,
    repeats: int = 2,
    parallel: bool = False,
) -> dict[str, tuple[float, int, float]]:
    """Solve with f = 1 in every way; returns by name seconds, steps, and the relative distance from the first way.

    ``tolerance`` is that of all iterations, in the preconditioner's norm; ``parallel`` is for what is NGSolve's.
    """
    # An ordinary NGSolve script up to the matrix.
    image = np.where(np.random.default_rng(1).random((pixels, pixels)) < 0.5, 1.0, contrast)
    clock = partial(timed, repeats=repeats)
    mesh, t_mesh = timed(lambda: MakeStructured2DMesh(quads=True, nx=n, ny=n))
    fes, t_space = timed(lambda: H1(mesh, order=1, dirichlet=".*"))
    u, v = fes.TnT()
    a = VoxelCoefficient((0, 0), (1, 1), image, linear=False)
    energy = a * grad(u) * grad(v) * dx
    form, t_form = clock(lambda: BilinearForm(energy).Assemble(), parallel=parallel)
    load, t_load = clock(lambda: LinearForm(v * dx).Assemble(), parallel=parallel)

    # The solvers: each is set up, then solves.
    def by_cholesky():
        """NGSolve's sparse factorisation."""
        inverse, setup = clock(lambda: form.mat.Inverse(fes.FreeDofs(), "sparsecholesky"), parallel=parallel)
        field, solve = clock(lambda: (inverse * load.vec).Evaluate(), parallel=parallel)
        return field, setup, solve, 0

    def by_cg(make, parallel=False, assembled=0.0):
        """NGSolve's conjugate gradients; the set-up of its own preconditioners is what assembly takes more."""
        pre, setup = clock(make, parallel=parallel)
        solver = CGSolver(form.mat, pre=pre, tol=tolerance, maxiter=1000)
        field, solve = clock(lambda: solver.Solve(load.vec), parallel=parallel)
        return field, max(setup - assembled, 0.0), solve, solver.iterations - 1  # it counts the first residual

    def registered(name):
        """A preconditioner of NGSolve: it is set up while its form is assembled."""
        with_it = BilinearForm(energy)
        pre = Preconditioner(with_it, name)
        with_it.Assemble()
        return pre

    def own():
        """Multigrid and conjugate gradients of this package, matrix-free: from arrays to a GridFunction."""
        multigrid, setup = clock(lambda: PixelMultigrid(image, fes))
        field, solve = clock(lambda: multigrid.solve(1.0, tolerance=tolerance))
        return field.vec, setup, solve, multigrid.solved.iterations

    solve_fine(image, fes)  # compiles, once after installation, and finds the grid of the mesh
    ways = {
        "sparsecholesky": by_cholesky,
        "bddc + CGSolver": lambda: by_cg(lambda: registered("bddc"), parallel, t_form),
        "h1amg + CGSolver": lambda: by_cg(lambda: registered("h1amg"), parallel, t_form),
        "PixelMultigrid(a) + CGSolver": lambda: by_cg(lambda: PixelMultigrid(a, fes)),
        "PixelMultigrid(array) + CGSolver": lambda: by_cg(lambda: PixelMultigrid(image, fes)),
        "solve_fine(array)": own,
    }
    print(f"{n} x {n} elements, {pixels} x {pixels} pixels, 1:{contrast:g}")
    print(f"mesh {t_mesh:.3f} s, space {t_space:.3f} s, assembly of matrix {t_form:.3f} s, of load {t_load:.3f} s")
    print(f"{'':32}{'set-up s':>9}{'solve s':>9}{'total s':>9}{'steps':>7}{'difference':>12}")
    exact, found = None, {}
    for name, way in ways.items():
        field, setup, solve, steps = way()
        total = setup + solve + (0.0 if way is own else t_form + t_load)
        exact = field if exact is None else exact
        difference = (field - exact).Evaluate().Norm() / exact.Norm()
        found[name] = total, steps, difference
        print(f"{name:32}{setup:9.3f}{solve:9.3f}{total:9.3f}{steps or '':>7}{difference:12.1e}")
    print("total: with assembly of matrix and load where they are needed, without the mesh")

    # In a script of one's own it is one line.
    gfu = GridFunction(fes)
    gfu.vec.data = CGSolver(form.mat, pre=PixelMultigrid(a, fes), tol=tolerance) * load.vec
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=128, help="elements a side")
    parser.add_argument("--pixels", type=int, default=32, help="pixels a side")
    parser.add_argument("--contrast", type=float, default=1000.0)
    parser.add_argument("--tolerance", type=float, default=1e-8, help="of all iterations, in the preconditioner's norm")
    parser.add_argument("--repeats", type=int, default=2, help="runs that the shortest time is of")
    parser.add_argument("--parallel", action="store_true", help="NGSolve's TaskManager for all that is NGSolve's")
    main(**vars(parser.parse_args()))
