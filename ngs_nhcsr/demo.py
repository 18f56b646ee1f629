"""The main job end to end, as ``ngs-nhcsr demo`` runs it: coarse solve, correction, fine reference, errors, times."""

from __future__ import annotations

import time
from dataclasses import dataclass

import ngsolve as ngs
import numpy as np
from ngsolve.meshes import MakeStructured2DMesh

from .corrector import Corrector
from .media.families import families
from .result import Correction
from .solvers.fine import fine_solve
from .solvers.q1 import relative_errors
from .solvers.transfer import prolongate


@dataclass(frozen=True)
class DemoResult:
    """Fields and rows (method, L2 error, energy error, seconds) of the demo; errors against the fine Q1 solution."""

    u_coarse: ngs.GridFunction
    correction: Correction
    u_reference: ngs.GridFunction
    rows: list[tuple[str, float, float, float]]


def coarse_problem(
    kappa: np.ndarray, n: int, f: ngs.CoefficientFunction | float = 1.0
) -> tuple[ngs.GridFunction, ngs.CoefficientFunction]:
    """What an ordinary NGSolve script does: Q1 on n x n quads, the coefficient from an array, plain ``dx``."""
    mesh = MakeStructured2DMesh(quads=True, nx=n, ny=n)
    fes = ngs.H1(mesh, order=1, dirichlet=".*")
    u, v = fes.TnT()
    a = ngs.VoxelCoefficient((0, 0), (1, 1), kappa, linear=False)
    A = ngs.BilinearForm(a * ngs.grad(u) * ngs.grad(v) * ngs.dx).Assemble()
    F = ngs.LinearForm(f * v * ngs.dx).Assemble()
    gfu = ngs.GridFunction(fes)
    gfu.vec.data = A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec
    return gfu, a


def run_demo(
    *,
    family: str = "iid",
    contrast: float = 10.0,
    n: int = 32,
    scale: int = 16,
    seed: int = 2_026,
    model: str | None = None,
    device: str = "auto",
) -> DemoResult:
    """Solve, correct and compare one random problem; ``family`` is one of ``media.families``."""
    kappa = families[family]((4 * n, 4 * n), np.random.default_rng(seed), contrast)

    def timed(action):
        start = time.perf_counter()
        return action(), time.perf_counter() - start

    (u_coarse, a), t_coarse = timed(lambda: coarse_problem(kappa, n))
    corrector = Corrector(model, device)
    result, t_first = timed(lambda: corrector(u_coarse, a, scale))
    result, t_again = timed(lambda: corrector(u_coarse, a, scale))
    cells = (n * scale, n * scale)
    reference, t_fine = timed(lambda: fine_solve(kappa, cells, method="ngsolve"))
    _, t_multigrid = timed(lambda: fine_solve(kappa, cells, method="multigrid"))
    u_reference = ngs.GridFunction(result.u_fine.space)
    u_reference.vec.FV().NumPy()[:] = reference.ravel()

    problem = result.problem
    if problem is None:
        raise ValueError("the demo needs scale > 1")
    mine = prolongate(problem.field.U, cells)
    best = float((mine * reference).sum() / (mine * mine).sum())
    rows = []
    for name, v, seconds in (
        ("coarse solution, as assembled (dx)", mine, t_coarse),
        ("its best multiple (needs the reference)", best * mine, t_coarse),
        (f"corrected by {result.model}", result.values, t_again),
        ("the same, first call", result.values, t_first),
        ("fine solve, multigrid", reference, t_multigrid),
        ("fine solve, NGSolve sparsecholesky", reference, t_fine),
    ):
        e = relative_errors(v, reference, kappa)
        rows.append((name, e["L2"], e["energy"], seconds))
    return DemoResult(u_coarse, result, u_reference, rows)
