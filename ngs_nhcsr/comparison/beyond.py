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
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..errors import DependencyMissing, InvalidProblem, SolverFailure
from ..problem import Problem
from ..solvers.threads import one_torch_thread
from .beyond_media import MEDIA, PIXELS, MediumKind
from .context import Context
from .measure import FAILURES
from .medians import median_row, timed
from .method import Method, methods
from .methods.fine import FineMultigrid
from .methods.trace import TOLERANCE
from .reference import energy_error, l2_error, pde_solution

log = logging.getLogger(__name__)

#: Pixels per coarse cell and axis, and fine cells per coarse cell of the network, LOD and MsFEM.
PER_COARSE, SCALE = 4, 16
#: Cells per pixel and axis of the fine solves, as far as their mesh has no more than LARGEST_MESH cells a side; more
#: than FEW only on the first medium of a kind.
CELLS_PER_PIXEL, LARGEST_MESH, FEW = (1, 2, 4, 8, 16), 2048, 8
#: Methods of the registry by their names there; those below are too slow on large rasters.
COARSE_METHODS, SMALL_ONLY = ("prolongation", "msfem-averaged", "lod2", "network"), ("msfem-averaged", "lod2")
TRACE_METHODS = ("trace6", "trace8")


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
        """Write everything as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False)


def evaluate_beyond(
    media: Sequence[MediumKind] = MEDIA,
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
    """Make the problem −div(a∇u) = 1 on the unit square with ``PER_COARSE`` pixels per coarse cell, scale ``SCALE``.

    Parameters
    ----------
    A : (m, m) cell values; m a multiple of ``PER_COARSE``.
    model : of the network, as for ``Corrector``.

    Returns
    -------
    Context, without a reference.
    """
    return Context.of(Problem.from_arrays(A, coarse=A.shape[0] // PER_COARSE), SCALE, model=model)


def fine_method(cells: int) -> Method:
    """Make the Q1 solve by multigrid-CG, as accurate algebraically as the trace methods, for contexts of its own mesh.

    Parameters
    ----------
    cells : per pixel and axis.

    Returns
    -------
    Method, not registered.
    """
    label = f"fine Q1 solve, {cells} cell{'s' * (cells > 1)} per pixel and axis"
    return FineMultigrid(TOLERANCE, f"fine{cells}", label)


def _measure_medium(
    medium: MediumKind, seed: int, model: Any, cells_per_pixel: Sequence[int], *, first: bool
) -> tuple[float, list[BeyondRow]]:
    A = medium.make(seed)
    large = medium.pixels > PIXELS
    context = unit_context(A, model)
    solution = pde_solution(context)
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


def _row(medium: MediumKind, method: Method, context: Context, cells: int | None = None) -> BeyondRow:
    """Errors and seconds of one method on one medium, on its own mesh of ``cells`` per axis if given."""
    solution = context.solution
    if solution is None:
        raise SolverFailure("errors against the PDE's solution need that solution in the context.")
    try:
        if cells is not None:
            context = context.on_mesh((cells, cells))
        method.prepare(context)
        (state, v), seconds = timed(lambda: _run(method, context), time.process_time)
    except FAILURES as error:
        return BeyondRow(medium.name, method.name, method.label, message=f"{type(error).__name__}: {error}")
    at_vertices = v[:: context.cells[0] // medium.pixels, :: context.cells[1] // medium.pixels]
    return BeyondRow(
        medium.name,
        method.name,
        method.label,
        energy_error(v, context, method.potential(state)),
        l2_error(at_vertices, solution.nodes(medium.pixels), context.size),
        seconds,
        method.bound(state),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Context in which torch and BLAS use one thread: waiting ones spin and would be counted."""
    with one_torch_thread(), threadpool_limits(limits=1, user_api="blas"):
        yield


def _run(method: Method, context: Context) -> tuple[Any, np.ndarray]:
    state = method.offline(context)
    return state, method.online(context, state)


def _median(rows: Sequence[BeyondRow]) -> BeyondRow:
    """One row for several media; a method that failed on one of them has failed."""
    failed = next((row for row in rows if row.message), None)
    if failed is not None:
        return failed
    return median_row(rows, ("energy", "l2", "seconds"))
