"""``compare``: all methods on one problem against the fine Q1 or the PDE's solution, and what came out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ngsolve as ngs
import numpy as np
import torch

from ..checks import check_memory, check_scale
from ..errors import InvalidProblem
from ..ngsolve_io.raster import fine_space
from ..problem import Problem, read_problem
from ..solvers.q1 import relative_errors
from ..solvers.space import Space
from ..solvers.transfer import prolongate
from .context import Context
from .measure import Measurement, break_even, measure
from .method import methods as registry
from .methods.fine import MULTIGRID
from .methods.trace import distance, nodal_potential
from .reference import with_reference
from .report import Row, json_text, markdown, rich_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from ..solvers.trace import TraceField

log = logging.getLogger(__name__)

#: How a raster cell in which the coefficient varies gets its one value: as the networks were trained, for all methods.
MEAN = "geometric"
#: Boundary values below this fraction of the largest value are zero.
ZERO = 1e-12
SIDES = ("bottom", "right", "top", "left")


@dataclass(frozen=True)
class Comparison:
    """All methods on one problem.

    Attributes
    ----------
    rows : one :class:`Row` per method, in the order asked for; errors are relative, against ``reference``.
    fields : (ny+1, nx+1) nodal values by name of the method, and the reference's as "reference"; a method that failed
        has none.
    title : the problem in one line.
    reference : what the errors are measured against.
    device, threads : where the network and multigrid ran, and torch's CPU threads.
    notes : reservations about the problem as it was read.
    coarse, fine : the grids.
    u_coarse : the coarse solution that was given.
    solution : the PDE's solution, where errors are measured against it.
    """

    rows: tuple[Row, ...]
    fields: dict[str, np.ndarray]
    title: str
    reference: str
    device: str
    threads: int
    notes: tuple[str, ...]
    coarse: Space
    fine: Space
    u_coarse: ngs.GridFunction = field(repr=False)
    solution: TraceField | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> Row:
        """Row of a method.

        Raises
        ------
        InvalidProblem
            If there is none of that name.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise InvalidProblem(f"no row {name!r}; there are: {', '.join(r.name for r in self.rows)}.")

    def table(self) -> Table:
        """Table for the terminal, with the problem as title and the norms in the caption."""
        return rich_table(self)

    def to_markdown(self) -> str:
        """Table in Markdown, under a line with the problem and above a line with the norms."""
        return markdown(self)

    def to_json(self) -> str:
        """Everything but the fields, as JSON; break-even counts that are never reached are ``null``."""
        return json_text(self)

    def gridfunction(self, name: str) -> ngs.GridFunction:
        """Field of a method (or "reference") as a GridFunction on the fine mesh, H1 of order 1.

        Raises
        ------
        InvalidProblem
            If there is no such field; the message says whether the method failed.
        """
        if name not in self.fields:
            failed = next((f"; {name} failed: {r.message}" for r in self.rows if r.name == name), "")
            raise InvalidProblem(f"no field {name!r}{failed}; there are: {', '.join(self.fields)}.")
        return fine_space(self.u_coarse, self.coarse, self.fine).field(self.fields[name])

    def plot(self, path: str | Path | None = None, axes: Any = None) -> Figure:
        """Relative energy error against total seconds (offline + one load), one marker per method.

        Parameters
        ----------
        path : where to save the picture; the ending decides the format.
        axes : matplotlib Axes to draw into; default: a figure of its own.

        Raises
        ------
        DependencyMissing
            Without matplotlib.
        """
        from .picture import draw

        return draw(self, path, axes)


def compare(
    u_coarse: ngs.GridFunction,
    a: Any,
    scale: float = 16,
    *,
    f: Any = None,
    form: ngs.BilinearForm | None = None,
    methods: Sequence[str] | None = None,
    reference: str | np.ndarray = "fine",
    model: Any = None,
    device: Any = "auto",
    mesh: ngs.Mesh | None = None,
    cells_per_coarse: int | None = None,
) -> Comparison:
    """Run every method on one problem −div(a∇u) = f with zero boundary values, and measure errors and costs.

    Parameters
    ----------
    u_coarse, a, scale, f, form, mesh, cells_per_coarse : as for :func:`ngs_nhcsr.correct`; ``scale`` above 1.
    methods : names from ``ngs_nhcsr.comparison.methods``; default: all, in the order of registration, those that
        aim at the PDE's solution only with ``reference="pde"``.
    reference : "fine" for the Q1 solution u_h on the fine mesh (multigrid to 1e-10); "pde" for the solution of the
        differential equation on the raster (trace spaces, twelve functions per edge); or nodal values (ny+1, nx+1).
    model, device : of the network, as for :class:`ngs_nhcsr.Corrector`; multigrid runs on the same device.

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
    the coefficient and the load, and pay for the coarse solve they need. Reading NGSolve objects, weights from disk
    and the network's first call are not timed. The online part is the fastest of up to three runs. ``break_even``
    counts the loads from which on a method has cost less than multigrid, whose hierarchy is kept between loads too.

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
    from ..models import resolve_device

    beyond = isinstance(reference, str) and reference == "pde"
    names = _known(registry.in_order(("fine", "pde") if beyond else ("fine",)) if methods is None else methods)
    scale = check_scale(scale)
    if scale == 1:
        raise InvalidProblem("scale is 1, so the coarse solution is the fine one; compare with scale > 1.")
    problem = read_problem(u_coarse, a, f=f, form=form, mesh=mesh, cells_per_coarse=cells_per_coarse, mean=MEAN)
    fine = problem.grid.refined(scale)
    check_memory(fine.cells)
    context = _context(problem, fine.cells, scale, model, resolve_device(device))
    context, meaning = with_reference(reference, context)
    target = context.reference
    fields = {"reference": target}
    baseline = measure(MULTIGRID, context)
    rows = []
    for name in names:
        log.info("comparing: %s", name)
        found = baseline if name == MULTIGRID.name else measure(registry[name], context)
        rows.append(_row(name, found, baseline, context))
        if found.field is not None:
            fields[name] = found.field
    return Comparison(
        tuple(rows),
        fields,
        _title(problem, fine),
        meaning,
        str(context.device),
        torch.get_num_threads(),
        problem.notes,
        problem.grid,
        fine,
        u_coarse,
        context.solution,
    )


def _known(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once and registered."""
    names = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    try:
        for name in names:
            registry[name]
    except ValueError as error:
        raise InvalidProblem(f"methods=: {error}.") from None
    if not names:
        raise InvalidProblem(f"methods= is empty; take some of: {', '.join(registry.in_order())}.")
    return names


def _context(problem: Problem, cells: tuple[int, int], scale: float, model: Any, device: torch.device) -> Context:
    """The problem as methods get it, still without a reference.

    Raises
    ------
    InvalidProblem
        If the load is not known or boundary values are not zero.
    """
    b = problem.load(cells)
    if b is None or problem.reading.f is None:
        raise InvalidProblem(
            "the load of the coarse solution is not known, and every method needs it; pass f= (the load) or form= (the "
            f"BilinearForm u_coarse was solved with). {' '.join(problem.notes)}".strip()
        )
    _check_zero_boundary(problem)
    f = prolongate(problem.reading.f, cells)
    return Context(problem, cells, scale, f, b, np.zeros(b.shape), model, device)


def _check_zero_boundary(problem: Problem) -> None:
    free, U = problem.field.free, problem.field.U
    limit = ZERO * float(np.abs(U).max())
    wrong = []
    for side, at in zip(SIDES, (np.s_[0, :], np.s_[:, -1], np.s_[-1, :], np.s_[:, 0]), strict=True):
        if free[at].any():
            wrong.append(f"{side} (no Dirichlet condition on all of it)")
        elif float(np.abs(U[at]).max()) > limit:
            wrong.append(f"{side} (values up to {float(np.abs(U[at]).max()):.3g})")
    if wrong:
        raise InvalidProblem(
            f"the comparison needs zero Dirichlet values on all sides, which u_coarse has not on: {', '.join(wrong)}. "
            "Compare on a problem with zero boundary values, or use correct(), which takes any Dirichlet data."
        )


def _row(name: str, found: Measurement, baseline: Measurement, context: Context) -> Row:
    label = registry[name].label
    if found.field is None or found.offline is None or found.online is None:
        return Row(name, label, message=found.message)
    errors = relative_errors(found.field, context.reference, context.A, context.size)
    if context.solution is not None:
        value = nodal_potential(found.field, context) if found.potential is None else found.potential
        errors["energy"] = distance(value, context.solution)
    loads = None
    if name != MULTIGRID.name and baseline.offline is not None and baseline.online is not None:
        loads = break_even(found.offline, found.online, baseline.offline, baseline.online)
    return Row(
        name,
        label,
        errors["L2"],
        errors["energy"],
        found.offline,
        found.online,
        loads,
        found.memory,
        found.remark,
    )


def _title(problem: Problem, fine: Space) -> str:
    (Ny, Nx), (ny, nx), (my, mx) = problem.grid.cells, fine.cells, problem.A.shape
    contrast = float(problem.A.max() / problem.A.min())
    return f"contrast 1:{contrast:.4g}, {Nx} x {Ny} coarse, {mx} x {my} coefficient, {nx} x {ny} fine cells"
