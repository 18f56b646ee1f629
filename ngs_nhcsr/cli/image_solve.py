"""Solutions on the pixels of an image: of the PDE itself, or of the fine mesh by a network."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ngsolve as ngs

from ..errors import NhcsrWarning
from ..ngsolve_io.raster import structured_mesh
from ..solvers.space import Space
from .image_problem import PIXELS_PER_COARSE, ImageProblem, check_multiples
from .output import Fields, cell_velocity

if TYPE_CHECKING:
    from ..solvers.trace import TraceField


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

    fields: Fields
    summary: tuple[str, ...]
    notes: tuple[str, ...]
    trusted: bool
    seconds: float


def solve_exact(problem: ImageProblem, per_pixel: int = 4, accuracy: float | None = None) -> Solved:
    """Solve the differential equation itself, without a mesh below the pixels and without a network.

    Parameters
    ----------
    per_pixel : cells per pixel and axis of the grid whose nodal values are returned.
    accuracy : relative energy error to guarantee; None: that of six or eight functions per edge.

    Raises
    ------
    InvalidProblem, NotCoercive, SolverFailure
    """
    from ..solvers.threads import suited_threads
    from ..solvers.trace import solve_pde

    start = time.perf_counter()
    with suited_threads(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NhcsrWarning)
        field = solve_pde(
            problem.a,
            problem.load,
            g=problem.values if any(problem.values.values()) else 0.0,
            natural=problem.sealed,
            size=problem.size,
            accuracy=accuracy,
        )
        bound = field.relative_error_bound
    cells = (problem.a.shape[0] * per_pixel, problem.a.shape[1] * per_pixel)
    fields = Fields(
        field.nodes(cells),
        problem.a,
        problem.size,
        cell_velocity(field, cells),
        {"error_bound": field.error_bound, "relative_error_bound": bound},
    )
    seconds = time.perf_counter() - start
    summary = (
        f"solved the PDE: {field.info.modes} functions per edge, {field.info.steps} steps, {seconds:.2g} s with bounds",
        f"relative energy error against the PDE's solution: at most {bound:.2g}, guaranteed",
        _flow_of(problem, field),
    )
    notes = tuple(str(w.message) for w in caught if issubclass(w.category, NhcsrWarning))
    return Solved(fields, summary, notes, accuracy is None or bound <= accuracy, seconds)


def solve_fine(problem: ImageProblem, scale: float = 16, model: str | None = None, device: str = "auto") -> Solved:
    """Solve a coarse problem in NGSolve, four pixels per coarse cell, and correct it with a network.

    Parameters
    ----------
    scale : fine cells per coarse cell and axis.
    model, device : see ``Corrector``.

    Raises
    ------
    GridMismatch
        If the pixels are not multiples of four in both directions.
    InvalidProblem, NotCoercive, ModelFileError, DeviceError
    """
    from ..corrector import Corrector
    from ..solvers.q1 import energy_product

    check_multiples(problem.a.shape)
    corrector = Corrector(model, device)
    start = time.perf_counter()
    u_coarse = coarse_solution(problem)
    result = corrector(u_coarse, problem.a, scale, f=problem.load, on_untrusted="return")
    seconds = time.perf_counter() - start
    estimate = result.error_estimate
    fields = Fields(result.values, problem.a, problem.size, numbers={"error_estimate": estimate})
    summary = [
        f"corrected {u_coarse.space.mesh.ne} coarse cells by {result.model} in {seconds:.2g} s: {result.status.name}",
        f"relative energy error against the fine Q1 solution: about {estimate:.2g}, estimated",
        f"that solution's own error against the PDE's: about {result.discretisation_error:.2g} (see --target pde)",
    ]
    if problem.drop is not None:
        high, low, difference = problem.drop
        flow = energy_product(result.values, result.values, problem.a, problem.size) / difference
        summary.append(f"flow from {high} to {low}: {flow:.6g} on the fine mesh; --target pde gives bounds")
    notes = result.notes
    if not result.status.trusted:
        notes += (result.status.value, "--target pde needs no network and guarantees its error bound.")
    return Solved(fields, tuple(summary), notes, result.status.trusted, seconds)


def coarse_solution(problem: ImageProblem) -> ngs.GridFunction:
    """Return the Q1 GridFunction of a problem on quads of 4 x 4 pixels, as an ordinary NGSolve script makes it."""
    my, mx = problem.a.shape
    grid = Space((my // PIXELS_PER_COARSE, mx // PIXELS_PER_COARSE), (0.0, 0.0), problem.size)
    mesh = structured_mesh(grid)
    space = ngs.H1(mesh, order=1, dirichlet="|".join(problem.values))
    u, v = space.TnT()
    a = ngs.VoxelCoefficient((0.0, 0.0), problem.size[::-1], problem.a, linear=False)
    form = ngs.BilinearForm(a * ngs.grad(u) * ngs.grad(v) * ngs.dx).Assemble()
    load = ngs.LinearForm(space)
    if problem.load:  # NGSolve takes 0 * v for a form without test function
        load += problem.load * v * ngs.dx
    load.Assemble()
    solution = ngs.GridFunction(space)
    solution.Set(mesh.BoundaryCF(problem.values, default=ngs.CoefficientFunction(0.0)), ngs.BND)
    residual = (load.vec - form.mat * solution.vec).Evaluate()
    solution.vec.data += form.mat.Inverse(space.FreeDofs(), "sparsecholesky") * residual
    return solution


def _flow_of(problem: ImageProblem, field: TraceField) -> str:
    """Say how much flows through the sides."""
    if problem.drop is None:
        out = ", ".join(f"{side} {0.0 - field.side_flux(side):.5g}" for side in problem.values)
        area = problem.size[0] * problem.size[1]
        return f"flow out (-a grad u): {out}; load {problem.load * area:.5g}"
    high, low, _ = problem.drop
    least, most = sorted(abs(b) for b in field.side_flux_bounds(low))
    digits = min(15, 3 - math.floor(math.log10(max((most - least) / most, 1e-15))))  # two of them differ
    values = (f"{v:.{digits}g}" for v in ((least + most) / 2, least, most))
    return "flow from {} to {}: {}, guaranteed {} ... {}".format(high, low, *values)
