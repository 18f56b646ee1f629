"""``correct(target="pde")``: the PDE's own solution, its nodal values on the fine mesh; no network."""

from __future__ import annotations

from typing import Any

import ngsolve as ngs
import numpy as np

from .checks import check_kind, check_memory, check_scale
from .clock import Clock
from .guard import Status
from .models import Contract
from .ngsolve_io.write_back import write_back
from .pde import dirichlet_samples, solve_problem
from .problem import Problem, read_problem
from .refine import judge_raster
from .result import Correction, OnUntrusted, report
from .solvers.threads import suited_threads

#: Dirichlet data that leave the line between their neighbours by more than this part of their range are curved.
CURVED = 1e-3
#: Dirichlet data that differ by less than this part of the solution are constant.
ROUND_OFF = 1e-10


def correct_to_pde(
    u_coarse: ngs.GridFunction,
    a: Any,
    scale: float = 16,
    *,
    f: Any = None,
    form: ngs.BilinearForm | None = None,
    mesh: ngs.Mesh | None = None,
    cells_per_coarse: int | None = None,
    fes: ngs.FESpace | None = None,
    accuracy: float | None = None,
    g: Any = None,
    on_untrusted: OnUntrusted = "warn",
) -> Correction:
    """Solve the PDE of a coarse problem on its pixels; parameters, warnings and errors as for ``correct``.

    Returns
    -------
    Correction with ``target="pde"``: nodal values of the solution, and the solution itself as ``field``.
    """
    clock = Clock()
    scale = check_scale(scale)
    check_kind(fes, ngs.FESpace, "fes")
    with suited_threads():
        mean = Contract().mean
        problem = read_problem(u_coarse, a, f=f, form=form, mesh=mesh, cells_per_coarse=cells_per_coarse, mean=mean)
        fine = problem.grid.refined(scale)
        check_memory(fine.cells)
        data = None if g is None else dirichlet_samples(g, u_coarse.space.mesh, problem)
        clock.lap("read")
        field = solve_problem(problem, accuracy=accuracy, g=data)
        clock.lap("solve")
        values = field.nodes(fine.cells)
        clock.lap("nodes")
    status = Status.ACCEPTED if problem.consistent else Status.INCONSISTENT
    status, notes = judge_raster(status, problem.notes, values, problem)
    if g is None and _curved(problem):
        notes += (
            "the Dirichlet values are those of u_coarse, linear between its nodes, and the bounds are for these; pass "
            "g= for curved ones.",
        )
    if accuracy is not None and field.relative_error_bound > accuracy:
        status = Status.INACCURATE if status is Status.ACCEPTED else status
        notes += (f"accuracy {accuracy:g} was not reached: {field.relative_error_bound:.1e} is guaranteed.",)
    u_fine = write_back(u_coarse, problem.grid, fine, values, fes)
    clock.lap("write")
    result = Correction(u_fine, values, status, problem, notes, clock.laps, target="pde", trace=field)
    report(result, on_untrusted)
    return result


def _curved(problem: Problem) -> bool:
    """Whether Dirichlet values on some side are not linear along it."""
    U, fixed = problem.field.U, ~problem.field.free
    sides = [U[side] for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]) if fixed[side].all()]
    if not sides:
        return False
    bends = [float(np.abs(np.diff(v, 2)).max()) for v in sides if len(v) > 2]
    spread = float(np.ptp(np.concatenate(sides)))
    return spread > ROUND_OFF * float(np.abs(U).max()) and max(bends, default=0.0) > CURVED * spread
