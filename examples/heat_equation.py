"""Heat equation with a rough coefficient: every implicit Euler step is a coarse solve in NGSolve and a correction.

    python heat_equation.py [--n 16] [--scale 8] [--steps 20] [--contrast 10]

∂u/∂t − div(a∇u) = f, u = 0 at the start and on the boundary; the heater walks in a circle. A step of length τ is
−div(a∇u) + u/τ = f + u_old/τ: ``reaction=1/τ``, and the last corrected step is part of the load. The coefficient is
prepared once. Compared with the same steps on the fine mesh, in NGSolve.
"""

# %% Options: n coarse cells a side, n * scale fine ones; the coefficient has 4n cells a side.
import argparse
import time

import numpy as np
from ngsolve import (
    H1,
    BilinearForm,
    GridFunction,
    LinearForm,
    TaskManager,
    VoxelCoefficient,
    dx,
    grad,
    ngsglobals,
)
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import Corrector
from ngs_nhcsr.solvers.norms import relative_errors

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=16)
parser.add_argument("--scale", type=int, default=8)
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--contrast", type=float, default=10.0)
options = parser.parse_args()
ngsglobals.msg_level = 0
N, n, steps = options.n, options.n * options.scale, options.steps
end = 0.5
tau = end / steps
A = np.where(np.random.default_rng(1).random((4 * N, 4 * N)) < 0.5, 1.0, options.contrast)
a = VoxelCoefficient((0, 0), (1, 1), A, linear=False)


def heater(t):
    """Heat source at time t, at the nodes of the fine mesh."""
    nodes = np.linspace(0, 1, n + 1)
    px, py = 0.5 + 0.3 * np.cos(2 * np.pi * t / end), 0.5 + 0.3 * np.sin(2 * np.pi * t / end)
    return np.exp(-((nodes[None, :] - px) ** 2 + (nodes[:, None] - py) ** 2) / (2 * 0.1**2))


# %% One step's problem on a mesh of quads: its space and the inverse of its form.
def step_problem(cells):
    """Space, and inverse of ∫ a ∇u·∇v + u v / τ."""
    space = H1(MakeStructured2DMesh(quads=True, nx=cells, ny=cells), order=1, dirichlet=".*")
    u, v = space.TnT()
    form = BilinearForm((a * grad(u) * grad(v) + u * v / tau) * dx).Assemble()
    return space, form.mat.Inverse(space.FreeDofs(), "sparsecholesky")


def solve(space, inverse, f):
    """Solution of a step with the load f."""
    u = GridFunction(space)
    u.vec.data = inverse * LinearForm(f * space.TestFunction() * dx(bonus_intorder=4)).Assemble().vec
    return u


# %% Corrected steps. The load of a step, with the last corrected step in it, is handed on as nodal values.
space, inverse = step_problem(N)
start = time.perf_counter()
prepared = Corrector().prepare(a, space, options.scale, reaction=1 / tau)
offline = time.perf_counter() - start
values, corrected, seconds = np.zeros((n + 1, n + 1)), [], []
for k in range(1, steps + 1):
    start = time.perf_counter()
    f = heater(k * tau) + values / tau
    result = prepared(solve(space, inverse, VoxelCoefficient((0, 0), (1, 1), f, linear=True)), f=f)
    values = result.values
    seconds.append(time.perf_counter() - start)
    corrected.append(values)

# %% The same steps on the fine mesh; result.u_fine lives on one whose unknowns are numbered row by row.
fine_space = H1(result.u_fine.space.mesh, order=1, dirichlet=".*")
start = time.perf_counter()
with TaskManager():
    u, v = fine_space.TnT()
    form = BilinearForm((a * grad(u) * grad(v) + u * v / tau) * dx).Assemble()
    inverse = form.mat.Inverse(fine_space.FreeDofs(), "sparsecholesky")
    load, state, fine_states = GridFunction(fine_space), np.zeros((n + 1, n + 1)), []
    for k in range(1, steps + 1):
        load.vec.FV().NumPy()[:] = (heater(k * tau) + state / tau).ravel()
        state = solve(fine_space, inverse, load).vec.FV().NumPy().reshape(n + 1, n + 1).copy()
        fine_states.append(state)
fine_seconds = time.perf_counter() - start

# %% What came out.
errors = [relative_errors(v, u, A)["energy"] for v, u in zip(corrected, fine_states, strict=True)]
print(f"contrast 1:{options.contrast:g}, {N} x {N} coarse, {n} x {n} fine cells, {steps} steps of {tau:g}")
print(f"prepared in {offline:.2f} s; a step takes {1e3 * np.median(seconds):.0f} ms, on the fine mesh "
      f"{1e3 * fine_seconds / steps:.0f} ms")  # fmt: skip
print(f"relative energy error of u after the first, the middle and the last step: {errors[0]:.1e}, "
      f"{errors[steps // 2]:.1e}, {errors[-1]:.1e}; largest {max(errors):.1e}")  # fmt: skip
if max(errors) > 1e-3:
    raise SystemExit("the corrected steps are not those of the fine mesh.")
