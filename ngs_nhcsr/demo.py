"""The main job end to end, as ``ngs-nhcsr demo`` runs it: coarse solve, both targets, fine solves, errors, times."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import ngsolve as ngs
import numpy as np
from ngsolve.meshes import MakeStructured2DMesh

from .api import correct
from .corrector import Corrector
from .errors import InvalidProblem
from .media.families import families
from .ngsolve_io.fine_solve import ngsolve_solve
from .result import Correction
from .solvers.fine import fine_solve
from .solvers.load import Load
from .solvers.mass import best_multiple
from .solvers.norms import energy_distance, functional, relative_errors
from .solvers.pde import PDE
from .solvers.transfer import prolongate

T = TypeVar("T")
#: Cells of the coefficient per coarse cell and axis.
PIXELS = 4
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoRow:
    """One way to a field.

    Attributes
    ----------
    name : of the method.
    l2, energy : relative errors against u_h in the L2 and the energy norm; None: it does not approximate u_h.
    beyond : relative energy error against the PDE's solution u; of target "pde" its guaranteed bound.
    seconds : wall time.
    """

    name: str
    l2: float | None
    energy: float | None
    beyond: float
    seconds: float


@dataclass(frozen=True)
class DemoResult:
    """Fields and errors of the demo.

    Attributes
    ----------
    u_coarse : the coarse solution.
    correction : what ``correct`` made of it with target "fine".
    exact : what it made of it with target "pde".
    u_reference : u_h, the Q1 solution of the fine mesh, in the space of ``correction.u_fine``.
    rows : errors and times of every method.
    """

    u_coarse: ngs.GridFunction
    correction: Correction
    exact: Correction
    u_reference: ngs.GridFunction
    rows: list[DemoRow]


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
    model : name of the network; default: basis-hybrid.
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
    if result.problem is None:
        raise InvalidProblem("the coarse solution was not read.")
    log.info("demo: solving the PDE on the pixels")
    exact, t_exact_first = _timed(lambda: _with_bound(u_coarse, a, scale))
    exact, t_exact = _timed(lambda: _with_bound(u_coarse, a, scale))
    cells = (n * scale, n * scale)
    log.info("demo: solving on the fine mesh, %d x %d cells", *cells)
    reference, t_fine = _timed(lambda: ngsolve_solve(kappa, cells))
    by_multigrid, t_multigrid = _timed(lambda: fine_solve(kappa, cells, method="multigrid"))
    u_reference = ngs.GridFunction(result.u_fine.space)
    u_reference.vec.FV().NumPy()[:] = reference.ravel()

    medium, b = result.problem.medium, Load.of(1.0, cells).vector(cells)
    E_u = PDE().energy(exact.field, result.problem)
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
        beyond = energy_distance(functional(v, medium, b), E_u, exact.field.energy)
        rows.append(DemoRow(name, e["L2"], e["energy"], beyond, seconds))
    bound = exact.relative_error_bound
    rows[4:4] = [
        DemoRow('corrected, target="pde", and bound', None, None, bound, t_exact),
        DemoRow("the same, first call", None, None, bound, t_exact_first),
    ]
    return DemoResult(u_coarse, result, exact, u_reference, rows)


def _with_bound(u_coarse: ngs.GridFunction, a: ngs.CoefficientFunction, scale: float) -> Correction:
    """Correct to the PDE's own solution, and make its bound, which is kept."""
    exact = correct(u_coarse, a, scale, f=1.0, target="pde", full=True)
    log.info("demo: relative energy error at most %.1e, guaranteed", exact.relative_error_bound)
    return exact


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    """What an action returns, and the seconds it took."""
    start = time.perf_counter()
    return action(), time.perf_counter() - start
