"""The PDE's own solution by trace spaces: methods with six and eight functions per edge, and the reference itself.

Their fields are more than nodal values: a Q1 function through these has at least the energy error of u_h, the best
of that mesh. Against the PDE's solution the rows therefore show the energy error of the field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...guard import functional
from ...solvers.trace import TraceField
from ...solvers.trace.loads import cell_load
from ...solvers.trace.problem import TraceProblem
from ...solvers.trace.solve import checked_medium, solve_load, trace_problem
from ...solvers.transfer import prolongate
from ..context import Context
from ..method import Method, methods

#: Functions per edge of the methods, by name without number.
MODES = {6: "six", 8: "eight"}
#: Relative algebraic error of the methods, that of the fine solves they stand beside in the suite.
TOLERANCE = 1e-3
#: Functions per edge and relative algebraic error of the reference.
REFERENCE_MODES, REFERENCE_TOLERANCE = 12, 1e-7


@dataclass
class TraceState:
    """What the trace methods keep for another load, and the field of the last one."""

    problem: TraceProblem
    field: TraceField | None = None


def reference_field(context: Context) -> TraceField:
    """The PDE's solution of the context's problem that other fields are measured against: twelve functions per edge."""
    problem = trace_problem(checked_medium(context.A), context.size, REFERENCE_MODES)
    return _solve(context, problem, REFERENCE_TOLERANCE)


def potential(field: TraceField) -> float:
    """E(v) = ½ a(v, v) − f(v) of a field with zero boundary values."""
    return 0.5 * field.energy - field.work


def distance(value: float, solution: TraceField) -> float:
    """Relative energy distance |||u − v||| / |||u||| from the PDE's solution u of a field v with E(v) = ``value``.

    Both have the same boundary values, so that E(v) − E(u) = ½ |||u − v|||².
    """
    return math.sqrt(max(0.0, 2 * (value - potential(solution))) / solution.energy)


def nodal_potential(v: np.ndarray, context: Context) -> float:
    """E(v) of the Q1 function with nodal values ``v`` (ny+1, nx+1) on the context's fine mesh."""
    return functional(v, context.A, context.b, context.size)


def _solve(context: Context, problem: TraceProblem, tolerance: float) -> TraceField:
    shape = problem.a.shape
    cells = tuple(m * -(-n // m) for n, m in zip(context.cells, shape, strict=True))  # nodes on every pixel's edges
    load = context.f if cells == context.cells else prolongate(context.f, (cells[0], cells[1]))
    return solve_load(problem, cell_load(load, shape, context.size), tolerance)


def _method(modes: int) -> Method:
    def offline(context: Context) -> TraceState:
        problem = trace_problem(checked_medium(context.A), context.size, modes)
        _ = problem.solver  # made on first use only, but kept for every load
        return TraceState(problem)

    def online(context: Context, state: TraceState) -> np.ndarray:
        state.field = field = _solve(context, state.problem, TOLERANCE)
        return field.nodes(context.cells)

    def found(state: TraceState) -> float:
        return math.nan if state.field is None else potential(state.field)

    # The reference cell is computed once for a contrast and kept: like the network's weights it is not timed.
    def prepare(context: Context) -> None:
        trace_problem(checked_medium(context.A), context.size, modes)

    label = f"the PDE's solution, {MODES[modes]} functions per edge"
    return Method(f"trace{modes}", label, offline, online, prepare, aim="pde", potential=found)


for _modes in MODES:
    methods.add(_method(_modes))
