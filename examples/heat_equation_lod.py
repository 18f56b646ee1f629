"""Heat equation with a rough coefficient: implicit Euler in the LOD space against the fine mesh.

    python examples/heat_equation_lod.py [--n 16] [--scale 8] [--layers 2] [--steps 200] [--contrast 10]

The correctors do not know of time: one offline part serves all steps, and a step is a solve with as many unknowns as
the coarse mesh has nodes; five seconds (Målqvist & Persson, Numer. Math. 138 (2018) 191).
"""

# %% u_t − div(a∇u) = f, u = 0 at the start and on the boundary; a heater that walks in a circle.
from __future__ import annotations

import argparse
import time

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from ngs_nhcsr.solvers.lod.lod import LOD
from ngs_nhcsr.solvers.norms import relative_errors
from ngs_nhcsr.solvers.q1 import stiffness

END = 0.5


def heater(time, cells):
    """Nodal values, flat, on ``cells`` cells a side."""
    t = np.linspace(0, 1, cells + 1)
    px, py = 0.5 + 0.3 * np.cos(2 * np.pi * time / END), 0.5 + 0.3 * np.sin(2 * np.pi * time / END)
    return np.exp(-((t[None, :] - px) ** 2 + (t[:, None] - py) ** 2) / (2 * 0.1**2)).ravel()


def line_mass(cells):
    """Mass matrix of linear elements on the unit interval."""
    diagonal = np.full(cells + 1, 4.0)
    diagonal[[0, -1]] = 2.0
    return (sp.diags(diagonal) + sp.eye(cells + 1, k=1) + sp.eye(cells + 1, k=-1)) / (6 * cells)


def inner(cells):
    """Mask of the nodes off the boundary, flat."""
    return np.pad(np.ones((cells - 1, cells - 1), bool), 1).ravel()


def implicit_euler(M, K, load, steps):
    """States after every step of  M u' + K u = load(t),  from zero; the matrix is factorised once."""
    symmetric = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
    tau = END / steps
    factor = splu((M + tau * K).tocsc(), **symmetric)
    state, states = np.zeros(M.shape[0]), []
    for step in range(1, steps + 1):
        state = factor.solve(M @ state + tau * load(step * tau))
        states.append(state)
    return states


# %% The LOD space: basis B, stiffness B'KB, mass B'MB; loads from the coarse nodes, so that no step is of fine size.
def main(
    n: int = 16, scale: int = 8, layers: int = 2, steps: int = 200, contrast: float = 10.0
) -> dict[int, dict[str, float]]:
    """Take all steps both ways on n x n coarse cells of 4 x 4 pixels; returns relative errors at some of them."""
    N, n, tau = n, n * scale, END / steps
    A = np.where(np.random.default_rng(1).random((4 * N, 4 * N)) < 0.5, 1.0, contrast)
    start = time.perf_counter()
    lod = LOD(A, N, n, layers=layers).assemble()
    B = lod.basis[:, inner(N)]
    mass = sp.csr_matrix(sp.kron(line_mass(n), line_mass(n)))
    hats = np.stack([np.interp(np.arange(n + 1) / n, np.arange(N + 1) / N, e) for e in np.eye(N + 1)], 1)
    to_load = B.T @ (mass @ sp.csr_matrix(sp.kron(hats, hats)))
    M_lod, K_lod = B.T @ (mass @ B), lod.K[inner(N)][:, inner(N)]
    offline = time.perf_counter() - start
    start = time.perf_counter()
    coarse_states = implicit_euler(M_lod, K_lod, lambda t: to_load @ heater(t, N), steps)
    lod_seconds = time.perf_counter() - start

    # The fine mesh.
    start = time.perf_counter()
    free, K = inner(n), stiffness(A, (n, n))
    fine_states = implicit_euler(mass[free][:, free], K[free][:, free], lambda t: (mass @ heater(t, n))[free], steps)
    fine_seconds = time.perf_counter() - start

    # Errors at some steps.
    print(f"contrast 1:{contrast:g}, {N} x {N} coarse, {n} x {n} fine cells, {steps} steps of {tau:g}")
    print(f"fine mesh   {free.sum():7d} unknowns: {fine_seconds:.2f} s, {1e3 * fine_seconds / steps:.2f} ms per step")
    print(
        f"LOD         {B.shape[1]:7d} unknowns: {lod_seconds:.2f} s, {1e3 * lod_seconds / steps:.2f} ms per step, "
        f"after {offline:.2f} s offline"
    )
    found = {}
    for step in sorted({1, steps // 10, steps // 2, steps}):
        u = np.zeros((n + 1, n + 1))
        u.ravel()[free] = fine_states[step - 1]
        v = (B @ coarse_states[step - 1]).reshape(n + 1, n + 1)
        errors = relative_errors(v, u, A)
        found[step] = errors
        print(f"t = {step * tau:.4f}: relative error L2 {errors['L2']:.2e}, energy {errors['energy']:.2e}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=16, help="coarse cells a side")
    parser.add_argument("--scale", type=int, default=8, help="fine cells per coarse cell")
    parser.add_argument("--layers", type=int, default=2, help="of the LOD")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--contrast", type=float, default=10.0)
    main(**vars(parser.parse_args()))
