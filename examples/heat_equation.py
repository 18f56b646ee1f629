"""Heat equation with a rough coefficient: every implicit Euler step is a coarse solve in NGSolve and a correction.

    python examples/heat_equation.py [--n 16] [--scale 8] [--steps 20] [--contrast 10]       # ten seconds

∂u/∂t − div(a∇u) = f, u = 0 at the start and on the boundary; the heater walks in a circle. A step of length τ is
−div(a∇u) + u/τ = f + u_old/τ: ``reaction=1/τ``, and the last corrected step is part of the load. The coefficient is
prepared once. Compared with the same steps on the fine mesh, in NGSolve: expect 1e-5 or less at every step.
"""

# %% The medium, four pixels a coarse cell and axis, and a heater.
from __future__ import annotations

import argparse
import time

import numpy as np
from ngsolve import (
    H1,
    BaseMatrix,
    BilinearForm,
    CoefficientFunction,
    GridFunction,
    LinearForm,
    Mesh,
    TaskManager,
    VoxelCoefficient,
    dx,
    grad,
)
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import Corrector
from ngs_nhcsr.solvers.norms import relative_errors

END = 0.5


def heater(t: float, n: int) -> np.ndarray:
    """Heat source at time t, at the nodes of n x n cells."""
    nodes = np.linspace(0, 1, n + 1)
    px, py = 0.5 + 0.3 * np.cos(2 * np.pi * t / END), 0.5 + 0.3 * np.sin(2 * np.pi * t / END)
    return np.exp(-((nodes[None, :] - px) ** 2 + (nodes[:, None] - py) ** 2) / (2 * 0.1**2))


# %% One step's problem on a mesh of quads: its space and the inverse of its form; and a step.
def step_problem(a: CoefficientFunction, mesh: Mesh, tau: float) -> tuple[H1, BaseMatrix]:
    """Space, and inverse of ∫ a ∇u·∇v + u v / τ."""
    space = H1(mesh, order=1, dirichlet=".*")
    u, v = space.TnT()
    form = BilinearForm((a * grad(u) * grad(v) + u * v / tau) * dx).Assemble()
    return space, form.mat.Inverse(space.FreeDofs(), "sparsecholesky")


def solve(space: H1, inverse: BaseMatrix, f: CoefficientFunction) -> GridFunction:
    """Solution of a step with the load f."""
    u = GridFunction(space)
    u.vec.data = inverse * LinearForm(f * space.TestFunction() * dx(bonus_intorder=4)).Assemble().vec
    return u


# %% Corrected steps. The load of a step, with the last corrected step in it, is handed on as nodal values.
def main(n: int = 16, scale: int = 8, steps: int = 20, contrast: float = 10.0) -> np.ndarray:
    """Take all steps both ways; returns the relative energy error of each."""
    N, n, tau = n, n * scale, END / steps
    A = np.where(np.random.default_rng(1).random((4 * N, 4 * N)) < 0.5, 1.0, contrast)
    a = VoxelCoefficient((0, 0), (1, 1), A, linear=False)
    space, inverse = step_problem(a, MakeStructured2DMesh(quads=True, nx=N, ny=N), tau)
    start = time.perf_counter()
    prepared = Corrector().prepare(a, space, scale, reaction=1 / tau)
    offline = time.perf_counter() - start
    values, results, seconds = np.zeros((n + 1, n + 1)), [], []
    for k in range(1, steps + 1):
        start = time.perf_counter()
        f = heater(k * tau, n) + values / tau
        results.append(prepared(solve(space, inverse, VoxelCoefficient((0, 0), (1, 1), f, linear=True)), f=f))
        values = results[-1].values
        seconds.append(time.perf_counter() - start)

    # The same steps on the fine mesh; that of u_fine is one whose unknowns are numbered row by row.
    start = time.perf_counter()
    with TaskManager():
        space, inverse = step_problem(a, results[-1].u_fine.space.mesh, tau)
        load, state, fine = GridFunction(space), np.zeros((n + 1, n + 1)), []
        for k in range(1, steps + 1):
            load.vec.FV().NumPy()[:] = (heater(k * tau, n) + state / tau).ravel()
            state = solve(space, inverse, load).vec.FV().NumPy().reshape(n + 1, n + 1).copy()
            fine.append(state)
    fine_seconds = time.perf_counter() - start

    errors = np.array([relative_errors(r.values, u, A)["energy"] for r, u in zip(results, fine, strict=True)])
    print(f"contrast 1:{contrast:g}, {N} x {N} coarse, {n} x {n} fine cells, {steps} steps of {tau:g}")
    print(f"prepared in {offline:.2f} s; a step takes {1e3 * np.median(seconds):.0f} ms, on the fine mesh "
          f"{1e3 * fine_seconds / steps:.0f} ms")  # fmt: skip
    print(f"relative energy error against u_h: first step {errors[0]:.1e}, last {errors[-1]:.1e},\n"
          f"  largest {errors.max():.1e}")  # fmt: skip
    return errors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=16, help="coarse cells a side")
    parser.add_argument("--scale", type=int, default=8, help="fine cells per coarse cell")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--contrast", type=float, default=10.0)
    main(**vars(parser.parse_args()))
