"""The suite "beyond": every way to a field, and ever finer meshes, against the solution of the PDE itself.

Unlike in ``compare``, fine solves have meshes of their own, so errors are taken where all fields have values: the L2
error at the pixels' vertices; the energy error from E(v) − E(u) = ½ |||v − u|||², each field on its own mesh.

Seconds are those of the processor, of all threads together, with one thread for torch and BLAS: other programs on
the machine hardly change them.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ..checks import check_memory
from ..demo import coarse_problem
from ..errors import DependencyMissing, InvalidProblem, SolverFailure
from ..problem import read_problem
from ..solvers.q1 import l2_norm, mass_apply
from .beyond_media import MEDIA, PIXELS, Medium
from .context import Context, hierarchy, multigrid_solve
from .measure import FAILURES
from .method import Method, methods
from .methods.trace import TOLERANCE, TraceState, distance, nodal_potential, reference_field
from .run import MEAN

log = logging.getLogger(__name__)

#: Pixels per coarse cell and axis, and fine cells per coarse cell of the network, LOD and MsFEM.
PER_COARSE, SCALE = 4, 16
#: Cells per pixel and axis of the fine solves, as far as their mesh has no more than LARGEST_MESH cells a side; more
#: than FEW only on the first medium of a kind.
CELLS_PER_PIXEL, LARGEST_MESH, FEW = (1, 2, 4, 8, 16), 2048, 8
#: Methods of the registry by their names there; those below are too slow on large rasters.
COARSE_METHODS, SMALL_ONLY = ("prolongation", "msfem-averaged", "lod2", "nhcsr"), ("msfem-averaged", "lod2")
TRACE_METHODS = ("trace6", "trace8")
#: Runs after the warm-up, of which the median counts; what takes longer than PATIENCE seconds runs once.
REPEATS, PATIENCE = 3, 1.0


@dataclass(frozen=True)
class BeyondRow:
    """One method on one kind of medium: medians over its media.

    Attributes
    ----------
    medium, method, label : names, and the method in words.
    energy, l2 : relative errors against the PDE's solution, in the energy norm and in L2 at the pixels' vertices.
    seconds : of the processor, set-up and one load.
    bound : guaranteed relative energy error, where the method has one.
    problems : media.
    message : why the method failed; empty if it did not.
    """

    medium: str
    method: str
    label: str
    energy: float | None = None
    l2: float | None = None
    seconds: float | None = None
    bound: float | None = None
    problems: int = 1
    message: str = ""


@dataclass(frozen=True)
class BeyondResult:
    """All rows, and how they were made.

    Attributes
    ----------
    rows : by medium, in the order of the methods.
    reference_bounds : by medium, the largest guaranteed relative energy error of the references.
    skipped : media that could not be made, with the reason.
    """

    rows: tuple[BeyondRow, ...]
    reference_bounds: dict[str, float]
    skipped: dict[str, str]

    def to_json(self) -> str:
        """Everything as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False)


def evaluate_beyond(
    media: Sequence[Medium] = MEDIA,
    *,
    count: int = 3,
    first_seed: int = 2_000_000_000,
    model: Any = None,
    cells_per_pixel: Sequence[int] = CELLS_PER_PIXEL,
) -> BeyondResult:
    """Measure all methods on all media with f = 1 and zero boundary values on the unit square.

    Parameters
    ----------
    media : kinds of media.
    count : media of every random kind.
    first_seed : of the random media.
    model : of the network, as for ``Corrector``.
    cells_per_pixel : of the fine solves, per axis.

    Returns
    -------
    :class:`BeyondResult`; methods that fail are rows with a message, photographs that are missing are ``skipped``.

    Raises
    ------
    InvalidProblem
        If ``count`` is below 1.
    """
    if count < 1:
        raise InvalidProblem(f"the suite needs at least one medium of every kind; count is {count}.")
    rows: list[BeyondRow] = []
    bounds: dict[str, float] = {}
    skipped: dict[str, str] = {}
    for medium in media:
        found: list[list[BeyondRow]] = []
        try:
            for k in range(count if medium.random else 1):
                log.info("beyond: %s, %d", medium.name, k)
                with _one_thread():
                    bound, one = _measure_medium(medium, first_seed + k, model, cells_per_pixel, first=k == 0)
                bounds[medium.name] = max(bound, bounds.get(medium.name, 0.0))
                found.append(one)
        except DependencyMissing as error:
            skipped[medium.name] = str(error)
            continue
        rows += [_median([row for one in found for row in one if row.method == r.method]) for r in found[0]]
    return BeyondResult(tuple(rows), bounds, skipped)


def unit_context(A: np.ndarray, model: Any = None) -> Context:
    """The problem −div(a∇u) = 1 on the unit square with ``PER_COARSE`` pixels per coarse cell and scale ``SCALE``.

    Parameters
    ----------
    A : (m, m) cell values; m a multiple of ``PER_COARSE``.
    """
    n = A.shape[0] // PER_COARSE
    u, a = coarse_problem(A, n)
    problem = read_problem(u, a, f=1.0, cells_per_coarse=PER_COARSE, mean=MEAN)
    context = Context(
        problem, (n, n), float(SCALE), np.ones((n + 1, n + 1)), np.zeros((n + 1, n + 1)), np.zeros((n + 1, n + 1)),
        model, torch.device("cpu"),
    )  # fmt: skip
    return on_mesh(context, SCALE * n)


def on_mesh(context: Context, n: int) -> Context:
    """The same problem with n x n fine cells."""
    f = np.ones((n + 1, n + 1))
    return dataclasses.replace(context, cells=(n, n), f=f, b=mass_apply(f), reference=np.zeros_like(f))


def fine_method(cells: int) -> Method:
    """Q1 solve by multigrid-CG, as accurate algebraically as the trace methods; runs on a context of its own mesh."""

    def solve(context: Context, mg: Any) -> np.ndarray:
        u, info = multigrid_solve(mg, context, tolerance=TOLERANCE)
        if not info.converged:
            raise SolverFailure(f"multigrid did not reach {TOLERANCE:.0e} on {context.cells} cells.")
        return u

    many = "s" * (cells > 1)
    return Method(f"fine{cells}", f"fine Q1 solve, {cells} cell{many} per pixel and axis", hierarchy, solve)


def _measure_medium(
    medium: Medium, seed: int, model: Any, cells_per_pixel: Sequence[int], *, first: bool
) -> tuple[float, list[BeyondRow]]:
    A = medium.make(seed)
    large = medium.pixels > PIXELS
    context = unit_context(A, model)
    solution = reference_field(context)
    context = dataclasses.replace(context, solution=solution)
    rows = []
    for name in COARSE_METHODS:
        if not (large and name in SMALL_ONLY):
            rows.append(_row(medium, methods[name], context))
    for cells in cells_per_pixel:
        if cells * medium.pixels <= LARGEST_MESH and (first or cells <= FEW):
            rows.append(_row(medium, fine_method(cells), context, cells * medium.pixels))
    rows += [_row(medium, methods[name], context) for name in TRACE_METHODS]
    return solution.relative_error_bound, rows


def _row(medium: Medium, method: Method, context: Context, cells: int | None = None) -> BeyondRow:
    """Errors and seconds of one method on one medium, on its own mesh of ``cells`` per axis if given."""
    solution = context.solution
    if solution is None:
        raise SolverFailure("errors against the PDE's solution need that solution in the context.")
    try:
        if cells is not None:
            check_memory((cells, cells))
            context = on_mesh(context, cells)
        method.prepare(context)
        (state, v), seconds = _timed(lambda: _run(method, context))
    except FAILURES as error:
        return BeyondRow(medium.name, method.name, method.label, message=f"{type(error).__name__}: {error}")
    trace = state.field if isinstance(state, TraceState) else None
    value = nodal_potential(v, context) if method.potential is None else method.potential(state)
    at_vertices = v[:: context.cells[0] // medium.pixels, :: context.cells[1] // medium.pixels]
    exact = solution.nodes(medium.pixels)
    return BeyondRow(
        medium.name,
        method.name,
        method.label,
        distance(value, solution),
        l2_norm(at_vertices - exact) / l2_norm(exact),
        seconds,
        None if trace is None else trace.relative_error_bound,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Context in which torch and BLAS use one thread: waiting ones spin and would be counted."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def _run(method: Method, context: Context) -> tuple[Any, np.ndarray]:
    state = method.offline(context)
    return state, method.online(context, state)


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and the median of its processor seconds after a warm-up."""
    seconds = []
    for k in range(REPEATS + 1):
        start = time.process_time()
        out = call()
        spent = time.process_time() - start
        if k == 0 and spent > PATIENCE:
            return out, spent
        if k > 0:
            seconds.append(spent)
    return out, statistics.median(seconds)


def _median(rows: Sequence[BeyondRow]) -> BeyondRow:
    """One row for several media; a method that failed on one of them has failed."""
    failed = next((row for row in rows if row.message), None)
    if failed is not None:
        return failed

    def middle(name: str) -> float | None:
        values = [getattr(row, name) for row in rows]
        return None if any(v is None for v in values) else statistics.median(values)

    bounds = [row.bound for row in rows if row.bound is not None]
    return dataclasses.replace(
        rows[0],
        energy=middle("energy"),
        l2=middle("l2"),
        seconds=middle("seconds"),
        bound=max(bounds) if bounds else None,
        problems=len(rows),
    )
