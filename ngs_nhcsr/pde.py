"""The PDE's own solution of a problem that was read: the bridge to ``solvers.trace``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ngsolve as ngs
import numpy as np

from .checks import described
from .errors import InvalidProblem
from .guard import functional
from .ngsolve_io.raster import SIDES, evaluate
from .problem import Problem
from .solvers.transfer import prolongate

if TYPE_CHECKING:
    from .solvers.trace import TraceField


#: Algebraic tolerance: the discretisation's L2 error at the nodes is 1e-5, that of a solve to 1e-3 up to 6e-5.
TOLERANCE = 1e-4
#: Samples of given Dirichlet data to a pixel.
SAMPLES = 16
#: Boundary values that differ by less than this part of their size are constant.
CONSTANT = 1e-12


def solve_problem(
    problem: Problem,
    *,
    tolerance: float = TOLERANCE,
    accuracy: float | None = None,
    g: dict[str, np.ndarray] | None = None,
) -> TraceField:
    """Solve −div(a∇u) = f for the raster, the load and the boundary data of a problem.

    Parameters
    ----------
    problem : with a known load; every side either Dirichlet as a whole or natural.
    tolerance, accuracy : see ``solvers.trace.solve_pde``; where the accuracy is not reached, the best field.
    g : Dirichlet data by side, as from :func:`dirichlet_samples`; default: the coarse solution's.

    Returns
    -------
    The field; its origin is the lower left corner of the problem's rectangle.

    Raises
    ------
    InvalidProblem
        If the load is not known, or a side is Dirichlet in part only.
    SolverFailure
        If the iteration does not converge.
    """
    from .solvers.trace.solve import solve_with

    if problem.f is None:
        raise InvalidProblem("the solution of the PDE needs the load; pass f= or form= to correct().")
    shape = (problem.A.shape[0], problem.A.shape[1])
    natural = natural_sides(problem.field.free)
    U = prolongate(problem.field.U, shape)
    traces = g or {"bottom": U[0], "right": U[:, -1], "top": U[-1], "left": U[:, 0]}
    data = {side: _constant_or_all(v) for side, v in traces.items() if side not in natural}
    return solve_with(
        problem.A,
        _nested(problem.f, shape),
        g=data,
        natural=natural,
        size=problem.grid.size,
        tolerance=tolerance,
        accuracy=accuracy,
    )


def dirichlet_samples(g: Any, mesh: ngs.Mesh, problem: Problem) -> dict[str, np.ndarray]:
    """Nodal values by side of Dirichlet data, ``SAMPLES`` to a pixel.

    Parameters
    ----------
    g : number, CoefficientFunction or callable g(x, y) of arrays.
    mesh : of the coarse solution, on which a CoefficientFunction is evaluated.
    problem : with the grid and the raster.

    Raises
    ------
    InvalidProblem
        If g is none of these, or not finite.
    """
    fine = problem.grid.with_cells((SAMPLES * problem.A.shape[0], SAMPLES * problem.A.shape[1]))
    y, x = fine.nodes()
    sides = {"bottom": (y[:1], x), "right": (y, x[-1:]), "top": (y[-1:], x), "left": (y, x[:1])}
    out = {}
    for name, (along_y, along_x) in sides.items():
        if isinstance(g, (int, float)) and not isinstance(g, bool):
            values = np.full((len(along_y), len(along_x)), float(g))
        elif isinstance(g, ngs.CoefficientFunction):
            values = evaluate(g, mesh, along_y, along_x)
        elif callable(g):
            at = np.asarray(g(along_x[None, :], along_y[:, None]), dtype=float)
            values = np.broadcast_to(at, (len(along_y), len(along_x)))
        else:
            raise InvalidProblem(f"g must be a number, CoefficientFunction or callable g(x, y), not {described(g)}.")
        if not np.isfinite(values).all():
            raise InvalidProblem(f"g has values that are not finite on the {name} side.")
        out[name] = np.array(values, dtype=float).ravel()
    return out


def _constant_or_all(values: np.ndarray) -> float | np.ndarray:
    """Dirichlet values of a side as one number where they are constant: bounds of its flux need to know."""
    return float(values.mean()) if np.ptp(values) <= CONSTANT * np.abs(values).max() else values


def natural_sides(free: np.ndarray) -> tuple[str, ...]:
    """Names of the sides whose inner nodes are all free.

    Parameters
    ----------
    free : (N+1, M+1) mask of the free coarse nodes.

    Raises
    ------
    InvalidProblem
        If a side has both kinds of nodes: the solution then has a singularity that is not in the trace space.

    Examples
    --------
    >>> free = np.pad(np.ones((3, 3), bool), 1)
    >>> free[1:-1, 0] = True
    >>> natural_sides(free)
    ('left',)
    """
    inner = {"bottom": free[0, 1:-1], "right": free[1:-1, -1], "top": free[-1, 1:-1], "left": free[1:-1, 0]}
    mixed = [side for side in SIDES if inner[side].any() and not inner[side].all()]
    if mixed:
        raise InvalidProblem(
            f'the {mixed[0]} side is Dirichlet in part only, which target="pde" cannot solve: make it Dirichlet or '
            'natural as a whole, or use target="fine".'
        )
    return tuple(side for side in SIDES if inner[side].all())


def energy_distance(v: np.ndarray, A: np.ndarray, b: np.ndarray, size: tuple[float, float], field: TraceField) -> float:
    """Relative energy distance |||u − v||| / |||u||| of a Q1 field from the PDE's solution u.

    For fields with the same boundary values E(v) − E(u) = ½ |||u − v|||², E(w) = ½ a(w, w) − f(w).

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values.
    A : (my, mx) cell values.
    b : (ny+1, nx+1) load vector on the grid of v.
    size : (Ly, Lx) of the rectangle.
    field : the PDE's solution of the same problem, with homogeneous natural conditions if any.
    """
    exact = 0.5 * field.energy - field.work
    return float(np.sqrt(max(0.0, 2 * (functional(v, A, b, size) - exact)) / field.energy))


def _nested(f: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Nodal values of a load on a grid that refines the raster: its own, or the next finer one that does."""
    cells = [n - 1 for n in f.shape]
    target = tuple(m * -(-n // m) for n, m in zip(cells, shape, strict=True))
    return f if target == tuple(cells) else prolongate(f, target)
