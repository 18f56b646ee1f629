"""``compare``: all methods on one problem against the fine Q1 or the PDE's solution."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import InvalidProblem
from ..models.devices import resolve_device
from ..ngsolve_io.read import Reader
from ..number_checks import check_scale
from ..problem import Problem
from .context import Context
from .measure import Measurement, break_even, measure
from .method import Method
from .method import methods as registry
from .methods.fine import MULTIGRID
from .reference import energy_error, l2_error, with_reference
from .result import Comparison
from .rows import Row

if TYPE_CHECKING:
    from ..ngsolve_io.types import BilinearForm, GridFunction, Mesh

log = logging.getLogger(__name__)


def compare(
    u_coarse: GridFunction,
    a: Any,
    scale: float = 16,
    *,
    f: Any = None,
    points: Sequence[tuple[float, float, float]] = (),
    reaction: Any = None,
    form: BilinearForm | None = None,
    methods: Sequence[str] | None = None,
    reference: str | np.ndarray = "fine",
    model: Any = None,
    device: Any = "auto",
    mesh: Mesh | None = None,
    cells_per_coarse: int | None = None,
) -> Comparison:
    """Run every method on one problem −div(a∇u) + c u = f with zero boundary values, and measure errors and costs.

    Parameters
    ----------
    u_coarse : coarse solution, as for :func:`ngs_nhcsr.correct`.
    a : its coefficient, likewise.
    scale : fine cells per coarse cell and axis, above 1.
    f : the load, as for :func:`ngs_nhcsr.correct`; default: recovered from ``u_coarse``.
    points : point sources, likewise.
    reaction : c, likewise; methods that have no such term say so in their row.
    form : the BilinearForm ``u_coarse`` was solved with, likewise.
    methods : names from ``ngs_nhcsr.comparison.methods``; default: all, in the order of registration, those that
        aim at the PDE's solution only with ``reference="pde"``.
    reference : "fine" for the Q1 solution u_h on the fine mesh (multigrid to 1e-10); "pde" for the solution of the
        differential equation on the raster (trace spaces, twelve functions per edge); or nodal values (ny+1, nx+1).
    model : of the network, as for :class:`ngs_nhcsr.Corrector`.
    device : of the network, likewise; multigrid runs on the same device.
    mesh : the mesh a region-wise coefficient belongs to, as for :func:`ngs_nhcsr.correct`.
    cells_per_coarse : raster cells per coarse cell and axis, likewise.

    Returns
    -------
    Comparison

    Raises
    ------
    InvalidProblem, NotCoercive, GridMismatch, DeviceError, SolverFailure
        What is wrong with the problem, the names, or the reference. A method that fails is a row with its message.

    Notes
    -----
    Offline seconds are spent once per coefficient, online seconds once per load: all methods start from the raster of
    the coefficient and the load, and pay for the coarse solve they need. Reading NGSolve objects, weights from disk,
    the network's first call and compiling are not timed. The online part is the fastest of up to three runs.
    ``break_even`` counts the loads from which on a method has cost less than multigrid, whose hierarchy is kept
    between loads too.

    Against "pde", L2 errors are those of the nodal values on the fine mesh, and energy errors come from
    E(v) − E(u) = ½ |||v − u|||²: no function of that mesh is below u_h, the row "multigrid". The rows ``trace6`` and
    ``trace8`` have the energy errors of their fields, which are no functions of the mesh. A load that is not linear
    on every pixel enters the reference as its projection; the bound in ``reference`` includes that.

    Examples
    --------
    >>> import numpy as np
    >>> from ngs_nhcsr.demo import coarse_problem
    >>> u, a = coarse_problem(np.where(np.random.default_rng(0).random((32, 32)) < 0.5, 1.0, 10.0), 8)
    >>> result = compare(u, a, 4, methods=("prolongation", "lod2", "multigrid"))
    >>> result["multigrid"].energy_error < 1e-6 < result["lod2"].energy_error < result["prolongation"].energy_error
    True
    """
    beyond = isinstance(reference, str) and reference == "pde"
    chosen = _known(registry.in_order(("fine", "pde") if beyond else ("fine",)) if methods is None else methods)
    scale = check_scale(scale)
    if scale == 1:
        raise InvalidProblem("scale is 1, so the coarse solution is the fine one; compare with scale > 1.")
    reader = Reader(a, reaction=reaction, mesh=mesh, cells_per_coarse=cells_per_coarse)
    problem = reader.read(u_coarse, f=f, points=points, form=form, scale=scale)
    context, meaning = with_reference(reference, Context.of(problem, scale, model=model, device=resolve_device(device)))
    for method in {MULTIGRID, *chosen}:
        _compile(method.name)
    found = {MULTIGRID.name: measure(MULTIGRID, context)}
    for method in chosen:
        log.info("comparing: %s", method.name)
        if method is not MULTIGRID:
            found[method.name] = measure(method, context)
    fields = {"reference": context.reference} | {method.name: found[method.name].field for method in chosen}
    return Comparison(
        rows=tuple(_row(method, found[method.name], found[MULTIGRID.name], context) for method in chosen),
        fields={name: v for name, v in fields.items() if v is not None},
        title=context.title,
        reference=meaning,
        device=str(context.device),
        threads=torch.get_num_threads(),
        notes=context.notes,
        coarse=context.space,
        fine=context.fine,
        u_coarse=u_coarse,
        solution=context.solution,
    )


@cache
def _compile(name: str) -> None:
    """Run a method once per process on a tiny problem: its first call would compile kernels, and be timed."""
    pixels = np.where(np.indices((16, 16)).sum(0) % 3, 1.0, 10.0)
    tiny = Context.of(Problem.from_arrays(pixels, coarse=4, f=1.0), 16)
    measure(registry[name], replace(tiny, reference=np.zeros_like(tiny.b)))


def _known(names: Sequence[str]) -> tuple[Method, ...]:
    """The methods with these names, each once."""
    names = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    if not names:
        raise InvalidProblem(f"methods= is empty; take some of: {', '.join(registry.in_order())}.")
    try:
        return tuple(registry[name] for name in names)
    except ValueError as error:
        raise InvalidProblem(f"methods=: {error}.") from None


def _row(method: Method, found: Measurement, baseline: Measurement, context: Context) -> Row:
    """Errors and costs of a method; ``baseline`` is the fine solve."""
    if found.field is None or found.offline is None or found.online is None or context.reference is None:
        return Row(method.name, method.label, message=found.message)
    loads = None
    if method is not MULTIGRID and baseline.offline is not None and baseline.online is not None:
        loads = break_even(found.offline, found.online, baseline.offline, baseline.online)
    return Row(
        method.name,
        method.label,
        l2_error(found.field, context.reference, context.size),
        energy_error(found.field, context, found.potential),
        found.offline,
        found.online,
        loads,
        found.memory,
        found.remark,
    )
