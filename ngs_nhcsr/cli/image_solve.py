"""Solutions on the pixels of an image: of the PDE itself, or of the fine mesh by a network."""

from __future__ import annotations

import logging
import math
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._version import __version__
from ..errors import InvalidProblem, NhcsrWarning, SolverFailure
from ..files import Solution, cell_velocity, solution_of
from .image_problem import PIXELS_PER_COARSE, ImageProblem
from .progress import seconds_in_words

if TYPE_CHECKING:
    from ..solvers.trace import TraceField

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Solved:
    """Solution of an image problem.

    Attributes
    ----------
    fields : what can be written to files.
    summary : lines for the user.
    notes : reservations, in sentences.
    trusted : False if the solution missed what was asked for or failed a check.
    seconds : wall time of the solution, without imports and files.
    """

    fields: Solution
    summary: tuple[str, ...]
    notes: tuple[str, ...]
    trusted: bool
    seconds: float


def solve_exact(problem: ImageProblem, per_pixel: int = 4, accuracy: float | None = None) -> Solved:
    """Solve the differential equation itself, without a mesh below the pixels and without a network.

    Parameters
    ----------
    problem : coefficient, boundary conditions and load.
    per_pixel : cells per pixel and axis of the grid whose nodal values are returned.
    accuracy : relative energy error to guarantee; None: that of six or eight functions per edge.

    Returns
    -------
    Solved
        With the velocity and guaranteed bounds; not trusted if the accuracy is missed or no bound is found.

    Raises
    ------
    InvalidProblem, NotCoercive
        If the problem has no unique solution, or numbers that are too large.
    SolverFailure
        If the iteration does not converge.
    """
    from ..solvers.threads import suited_threads
    from ..solvers.trace import solve_pde

    start = time.perf_counter()
    with suited_threads(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NhcsrWarning)
        log.info("solving the PDE on %d x %d pixels", *problem.a.shape[::-1])
        field = solve_pde(
            problem.a,
            problem.f,
            g=problem.values if any(problem.values.values()) else 0.0,
            natural=problem.sealed,
            size=problem.size,
            accuracy=accuracy,
        )
        cells = (problem.a.shape[0] * per_pixel, problem.a.shape[1] * per_pixel)
        log.info("solved with %d functions per edge; bounding the error", field.info.modes)
        try:
            bound = field.relative_error_bound
        except SolverFailure as error:
            return _without_bound(problem, field, cells, str(error), time.perf_counter() - start)
    log.info("values and velocity on %d x %d cells", *cells[::-1])
    fields = Solution(
        field.nodes(cells),
        problem.a,
        problem.size,
        velocity=cell_velocity(field, cells),
        numbers={"error_bound": field.error_bound, "relative_error_bound": bound},
        provenance={"version": __version__, "target": "pde"},
    )
    seconds = time.perf_counter() - start
    summary = (
        f"solved the PDE: {field.info.modes} functions per edge, {field.info.steps} steps, "
        f"{seconds_in_words(seconds)} s with bounds",
        f"relative energy error against the PDE's solution: at most {bound:.2g}, guaranteed",
        _flow_of(problem, field),
    )
    notes = tuple(str(w.message) for w in caught if issubclass(w.category, NhcsrWarning))
    notes += (problem.cut_off,) * bool(problem.cut_off)
    reached = accuracy is None or bound <= accuracy
    if not reached:
        notes = (_out_of_reach(accuracy, field),)  # for one's own image, without what cannot be the reason there
    return Solved(fields, summary, notes, reached, seconds)


def _without_bound(
    problem: ImageProblem, field: TraceField, cells: tuple[int, int], reason: str, seconds: float
) -> Solved:
    """Return the field where the dual problem, which has the bound and the velocity, was not solved.

    In it voids conduct best, which is as ill-conditioned as it gets where much of the load is on grains.
    """
    summary = (
        f"solved the PDE: {field.info.modes} functions per edge, {field.info.steps} steps, "
        f"{seconds_in_words(seconds)} s",
        "relative energy error against the PDE's solution: no bound was found",
    )
    version = {"version": __version__, "target": "pde"}
    notes = (
        f"the dual problem, which bounds the error, was not solved ({reason.split(';')[0]}), so the field is written "
        "without bound and velocity. Its equations were solved to a relative energy error of about "
        f"{field.info.algebraic_error:.1g}.",
    )
    return Solved(
        Solution(field.nodes(cells), problem.a, problem.size, provenance=version), summary, notes, False, seconds
    )


def solve_fine(problem: ImageProblem, scale: float = 16, model: str | None = None, device: str = "auto") -> Solved:
    """Solve a coarse problem in NGSolve, four pixels per coarse cell, and correct it with a network.

    Where pixels are no multiples of four, coarse cells cut some of them, and multigrid takes the network's place.

    Parameters
    ----------
    problem : coefficient, boundary conditions and load.
    scale : fine cells per coarse cell and axis.
    model : name of a shipped model; None: basis-hybrid.
    device : see :func:`ngs_nhcsr.models.devices.resolve_device`.

    Returns
    -------
    Solved
        With estimates of the error; trusted if the guard accepts it.

    Raises
    ------
    InvalidProblem
        If there are voids and a load; also as :class:`ngs_nhcsr.Corrector`.
    NotCoercive, ModelFileError, DeviceError
        See :class:`ngs_nhcsr.Corrector`.
    """
    from ..corrector import Corrector
    from ..ngsolve_io.coarse_solve import coarse_solution
    from ..solvers.norms import energy_squared

    if not isinstance(problem.f, float):
        raise InvalidProblem("--target fine takes no load between voids; use --target pde, or --load 0.")
    corrector = Corrector(model, device)
    start = time.perf_counter()
    my, mx = problem.a.shape
    coarse = (max(1, my // PIXELS_PER_COARSE), max(1, mx // PIXELS_PER_COARSE))
    log.info("coarse solve on %d x %d cells", *coarse[::-1])
    u_coarse = coarse_solution(problem.a, coarse, problem.size, problem.values, problem.load)
    log.info("correcting it by %s on %s, scale %g", corrector.model.card.name, corrector.model.device, scale)
    result = corrector(u_coarse, problem.a, scale, f=problem.load, on_untrusted="return")
    seconds = time.perf_counter() - start
    parts = ", ".join(f"{stage} {seconds_in_words(t)} s" for stage, t in result.timings.items())
    log.info("corrected on %d x %d fine cells: %s", *result.cells[::-1], parts)
    estimate = result.error_estimate
    fields = solution_of(result)
    name = "multigrid" if result.model == "coarse solution" else result.model
    summary = [
        f"corrected {u_coarse.space.mesh.ne} coarse cells by {name} in "
        f"{seconds_in_words(seconds)} s: {result.status.name}",
        f"relative energy error against the fine Q1 solution: about {estimate:.2g}, estimated",
        f"that solution's own error against the PDE's: about {result.discretisation_error:.2g} (see --target pde)",
    ]
    on_pixels = not any(n % m for n, m in zip(result.cells, problem.a.shape, strict=True))
    if problem.drop is not None and on_pixels:
        high, low, difference = problem.drop
        flow = energy_squared(result.values, problem.a, problem.size) / difference
        summary.append(f"flow from {high} to {low}: {flow:.6g} on the fine mesh; --target pde gives bounds")
    notes = (*result.notes, *(problem.cut_off,) * bool(problem.cut_off))
    if not result.status.trusted:
        notes += (result.status.value, "--target pde needs no network and guarantees its error bound.")
    return Solved(fields, tuple(summary), notes, result.status.trusted, seconds)


def _out_of_reach(accuracy: float | None, field: TraceField) -> str:
    """Say what accuracy is reachable, and how to ask for it."""
    from ..solvers.trace.bounds import reachable

    bound = field.relative_error_bound
    return (
        f"--accuracy {accuracy:g} is out of reach for this image: {field.info.modes} functions per edge guarantee "
        f"{bound:.1e}; give --accuracy {reachable(bound):.0e} or more."
    )


def _flow_of(problem: ImageProblem, field: TraceField) -> str:
    """Say how much flows through the sides."""
    if problem.drop is None:
        out = ", ".join(f"{side} {0.0 - field.side_flux(side):.5g}" for side in problem.values)
        return f"flow out (-a grad u): {out}; load {problem.total_load:.5g}"
    high, low, _ = problem.drop
    least, most = sorted(abs(b) for b in field.side_flux_bounds(low))
    digits = min(15, 3 - math.floor(math.log10(max((most - least) / most, 1e-15))))  # two of them differ
    values = (f"{v:.{digits}g}" for v in ((least + most) / 2, least, most))
    return "flow from {} to {}: {}, guaranteed {} ... {}".format(high, low, *values)
