"""The main job end to end, as ``ngs-nhcsr demo`` runs it: coarse solve, correction, fine reference, errors, times."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import ngsolve as ngs
import numpy as np
from ngsolve.meshes import MakeStructured2DMesh

from .comparison.methods.interpolation import best_multiple
from .corrector import Corrector
from .errors import InvalidProblem
from .media.families import families
from .ngsolve_io.fine_solve import ngsolve_solve
from .result import Correction
from .solvers.fine import fine_solve
from .solvers.norms import relative_errors
from .solvers.transfer import prolongate

T = TypeVar("T")
#: Cells of the coefficient per coarse cell and axis.
PIXELS = 4
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoResult:
    """Fields and errors of the demo.

    Attributes
    ----------
    u_coarse : the coarse solution.
    correction : what ``correct`` made of it.
    u_reference : u_h, the Q1 solution of the fine mesh, in the space of ``correction.u_fine``.
    rows : (method, relative L2 error, relative energy error, seconds); errors against u_h.
    """

    u_coarse: ngs.GridFunction
    correction: Correction
    u_reference: ngs.GridFunction
    rows: list[tuple[str, float, float, float]]


def coarse_problem(
    kappa: np.ndarray, n: int, f: ngs.CoefficientFunction | float = 1.0
) -> tuple[ngs.GridFunction, ngs.CoefficientFunction]:
    """Solve −div(a∇u) = f with zero boundary values on the unit square as an ordinary NGSolve script does it.

    Q1 on n x n quads with a plain ``dx``, which only samples a coefficient that the mesh does not resolve.

    Parameters
    ----------
    kappa : (my, mx) cell values of a.
    n : coarse cells a side.
    f : the load.

    Returns
    -------
    u : the coarse solution.
    a : the coefficient.
    """
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
    """Solve, correct and compare one random problem with f = 1 on the unit square.

    Parameters
    ----------
    family : of the coefficient, one of ``media.families``; it has 4n cells a side.
    contrast : largest over smallest coefficient.
    n : coarse cells a side.
    scale : fine cells per coarse cell and axis, a multiple of 4.
    seed : of the coefficient.
    model : name of the network; default: the best for the device.
    device : "auto", "cpu", "cuda", ….

    Returns
    -------
    DemoResult

    Raises
    ------
    InvalidProblem
        If ``scale`` is no multiple of 4, so that fine cells would cut those of the coefficient.
    """
    if scale < PIXELS or scale % PIXELS:
        raise InvalidProblem(
            f"the demo has {PIXELS} x {PIXELS} coefficient cells in a coarse one; take a scale of {PIXELS}, "
            f"{2 * PIXELS}, {3 * PIXELS} …, not {scale}."
        )
    kappa = families[family]((PIXELS * n, PIXELS * n), np.random.default_rng(seed), contrast)
    (u_coarse, a), t_coarse = _timed(lambda: coarse_problem(kappa, n))
    log.info("demo: correcting")
    corrector = Corrector(model, device)
    result, t_first = _timed(lambda: corrector(u_coarse, a, scale))
    result, t_again = _timed(lambda: corrector(u_coarse, a, scale))
    if result.problem is None or result.problem.given is None:
        raise InvalidProblem("the coarse solution was not read.")
    cells = (n * scale, n * scale)
    log.info("demo: solving on the fine mesh, %d x %d cells", *cells)
    reference, t_fine = _timed(lambda: ngsolve_solve(kappa, cells))
    by_multigrid, t_multigrid = _timed(lambda: fine_solve(kappa, cells, method="multigrid"))
    u_reference = ngs.GridFunction(result.u_fine.space)
    u_reference.vec.FV().NumPy()[:] = reference.ravel()

    prolonged = prolongate(result.problem.given, cells)
    rows = []
    for name, v, seconds in (
        ("coarse solution, as assembled (dx)", prolonged, t_coarse),
        ("its best multiple in L2 (needs u_h)", best_multiple(prolonged, reference, (1.0, 1.0)), t_coarse),
        (f"corrected by {result.model}", result.values, t_again),
        ("the same, first call", result.values, t_first),
        ("fine solve, multigrid", by_multigrid, t_multigrid),
        ("fine solve, NGSolve sparsecholesky", reference, t_fine),
    ):
        e = relative_errors(v, reference, kappa)
        rows.append((name, e["L2"], e["energy"], seconds))
    return DemoResult(u_coarse, result, u_reference, rows)


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    """What an action returns, and the seconds it took."""
    start = time.perf_counter()
    return action(), time.perf_counter() - start
