"""What surrounds every solver: read, solve, write, report; and the way of targets that need no network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .budget import ACCEPTED_UP_TO, Budget, budget_of
from .checks import check_memory
from .clock import Clock
from .errors import InvalidProblem
from .guard import Status, Verdict
from .number_checks import check_scale
from .options import Request
from .refine import Refinement
from .result import Correction, report
from .short_repr import ShortRepr
from .solvers.target import FineQ1, Target
from .solvers.threads import suited_threads
from .solvers.transfer import prolongate

if TYPE_CHECKING:
    from .ngsolve_io.read import Reader
    from .ngsolve_io.types import GridFunction
    from .problem import Problem
    from .solvers.load import Load
    from .solvers.space import Space

#: Called with the name of a stage when it is done.
Lap = Callable[[str], None]
Solve = Callable[["Problem", "Space", Lap], "Outcome"]


@dataclass(frozen=True, repr=False)
class Outcome(ShortRepr):
    """A solution on arrays, before anything is written back to NGSolve.

    Attributes
    ----------
    values, status, notes, refinement, budget : see :class:`Correction`.
    verdict : of the guard; ``None`` for other targets than u_h.
    target : name of the target.
    solution : what another target's ``solve`` returned.
    aligned : values on the mesh that was solved on, where it is another than that of ``values``.
    start : what multigrid steps began with, where it is not a network's field.
    remarks : those of the notes that only say how the values were made.
    """

    values: np.ndarray
    status: Status
    notes: tuple[str, ...]
    verdict: Verdict | None = None
    refinement: Refinement | None = None
    budget: Budget | None = None
    target: str = "fine"
    solution: Any = None
    aligned: np.ndarray | None = None
    start: str = ""
    remarks: tuple[str, ...] = ()

    def evaluated(self, cells: tuple[int, int], note: str) -> Outcome:
        """Take the values at the nodes of another mesh.

        Parameters
        ----------
        cells : (ny, nx) of the mesh.
        note : what the user is told.

        Returns
        -------
        Outcome whose ``aligned`` are the values of this one.
        """
        values = prolongate(self.values, cells)
        return replace(self.remarked(note), values=values, aligned=self.values)

    def remarked(self, note: str) -> Outcome:
        """Add a note on how the values were made, which is no reason to doubt them."""
        return replace(self, notes=(note, *self.notes), remarks=(note, *self.remarks))

    @property
    def estimate(self) -> float | None:
        """Estimated relative energy error against the target, for the load and the raster as they were read."""
        return None if self.budget is None else self.budget.fine_scales


def run(
    u_coarse: GridFunction,
    reader: Reader,
    scale: float,
    request: Request,
    solve: Solve,
    model: str,
) -> Correction:
    """Read, solve, write back, report.

    Parameters
    ----------
    u_coarse : coarse solution.
    reader : of its coefficient.
    scale : fine cells per coarse cell.
    request : the options.
    solve : problem, fine space and a function to be called with the name of each stage done -> outcome.
    model : name of the model; empty where no network takes part.

    Returns
    -------
    Correction

    Raises
    ------
    InvalidProblem, NotCoercive, GridMismatch, UntrustedResult
    """
    from .ngsolve_io.write_back import check_space, copy_of, write_later

    clock, scale = Clock(), check_scale(scale)
    check_space(request.fes)
    if scale == 1 and request.fine:
        values = reader.grid_of(u_coarse).U
        write = partial(copy_of, copy_of(u_coarse))
        return Correction(write=write, values=values, status=Status.ACCEPTED, problem=None, model=model)
    with suited_threads():
        problem = reader.read(u_coarse, scale=scale if request.fine else None, **request.reading)
        fine = problem.space.refined(scale)
        check_memory(fine.cells)
        clock.lap("read")
        out = solve(problem, fine, clock.lap)
    if out.status is Status.REJECTED and not problem.decided:
        out = _as_given(out, u_coarse, fine)
    write = write_later(u_coarse, fine, out.values, request.fes)
    clock.lap("write")
    verdict = out.verdict
    result = Correction(
        write=write,
        values=out.values,
        status=out.status,
        problem=problem,
        notes=out.notes,
        remarks=out.remarks,
        timings=clock.laps,
        model=out.start or model,
        energy=None if verdict is None else verdict.energy,
        coarse_energy=None if verdict is None else verdict.coarse_energy,
        damping=1.0 if verdict is None else verdict.damping,
        refinement=out.refinement,
        budget=out.budget,
        aligned=out.aligned,
        target=out.target,
        solution=out.solution,
    )
    report(result, request.on_untrusted)
    return result


def _as_given(out: Outcome, u_coarse: GridFunction, fine: Space) -> Outcome:
    """Take u_coarse itself, on its own mesh: a canonical coarse solution for a load that is not known may be worse."""
    from .ngsolve_io.evaluate import evaluate

    def at(cells: tuple[int, int]) -> np.ndarray:
        return evaluate(u_coarse, u_coarse.space.mesh, *fine.with_cells(cells).nodes())

    aligned = None if out.aligned is None else at((out.aligned.shape[0] - 1, out.aligned.shape[1] - 1))
    return replace(out, values=at(fine.cells), aligned=aligned)


def make_reader(a: Any, request: Request, mean: str) -> Reader:
    """Make the reader of a, c and α; ``mean`` is how raster cells get their value in which a varies."""
    from .ngsolve_io.read import Reader

    return Reader(
        a,
        reaction=request.reaction,
        robin=request.robin,
        mesh=request.mesh,
        cells_per_coarse=request.cells_per_coarse,
        mean=mean,
    )


def run_with_target(u_coarse: GridFunction, reader: Reader, scale: float, request: Request) -> Correction:
    """Correct towards another target than u_h; no network takes part.

    Parameters
    ----------
    u_coarse : coarse solution.
    reader : of its coefficient.
    scale : fine cells per coarse cell, of the mesh that gets the nodal values.
    request : the options.

    Returns
    -------
    Correction

    Raises
    ------
    InvalidProblem, NotCoercive, GridMismatch, SolverFailure, UntrustedResult
    """

    def solve(problem: Problem, fine: Space, lap: Lap) -> Outcome:
        return solve_target(request.other_target, problem, fine, lap)

    return run(u_coarse, reader, scale, request, solve, "")


def solve_target(target: Target, problem: Problem, fine: Space, lap: Lap) -> Outcome:
    """Solve a problem for another target than u_h.

    Parameters
    ----------
    target : what the solution approximates.
    problem : in numpy.
    fine : the fine space.
    lap : called with "solve" and "nodes" when these are done.

    Returns
    -------
    Outcome with the target's solution.

    Raises
    ------
    InvalidProblem
        If the load is not known.
    """
    if not problem.decided:
        raise InvalidProblem(f'target="{target.name}" needs the load; pass f= or form= to correct().')
    solution = target.solve(problem, fine)
    lap("solve")
    values = target.nodes(solution, fine)
    lap("nodes")
    status = Status.ACCEPTED if problem.consistent else Status.INCONSISTENT
    budget = budget_of(values, problem, None)
    if target.accuracy is not None or not _constant(problem.known_load):
        bound = target.bound(solution)
        lap("bound")
        limit = ACCEPTED_UP_TO if target.accuracy is None else target.accuracy
        if bound is not None and not bound <= limit and status is Status.ACCEPTED:
            status = Status.INACCURATE
    notes = (*problem.notes, *target.notes(solution, problem))
    status, notes = budget.judge(status, notes)
    return Outcome(values, status, notes, budget=budget, target=target.name, solution=solution)


def _constant(load: Load) -> bool:
    """Whether f is a constant: then the bound is small, and found when it is asked for."""
    return bool(np.ptp(load.values) <= 1e-12 * np.abs(load.values).max())


def without_cuts(problem: Problem, fine: Space, solve: Callable[[Space], Outcome]) -> Outcome:
    """Find u_h on a mesh that cuts no pixels: the one asked for, or the nearest one, evaluated at the former's nodes.

    Parameters
    ----------
    problem : in numpy.
    fine : the fine space that was asked for.
    solve : space to solve in -> outcome.

    Returns
    -------
    Outcome with values on the mesh of ``fine``.
    """
    target = FineQ1(fine.cells[0] / problem.space.cells[0])
    mesh = target.mesh(problem.medium, problem.space)
    check_memory(mesh.cells)
    out = solve(mesh)
    return out if mesh.cells == fine.cells else out.evaluated(fine.cells, _cut(problem, target, mesh))


def _cut(problem: Problem, target: FineQ1, mesh: Space) -> str:
    """Say which values a mesh gets whose cells cut those of the raster."""
    coarse, raster = problem.space.cells[0], problem.medium.cells[0]
    (ny, nx), ratio = mesh.cells, target.ratio(problem.medium, problem.space)
    if not FineQ1.nested(problem.medium, problem.space, mesh):
        return f"the values are those of the solution on {nx} x {ny} cells, which cut no pixel, taken at the nodes."
    whole = sorted({max(1, math.floor(ratio)), math.ceil(ratio)})
    good = [f"{k * raster / coarse:g}" for k in whole]
    return (
        f"fine cells at scale {target.scale:g} cut cells of the coefficient, which makes solutions on them too stiff: "
        f"the values are those of the fine solution at scale {mesh.cells[0] / coarse:g}, taken at the nodes. "
        f"Scales that cut none: {' and '.join(good)}."
    )
