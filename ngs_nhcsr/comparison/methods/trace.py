"""The PDE's own solution by trace spaces, with six and eight functions per edge.

Their fields are more than nodal values: a Q1 function through these has at least the energy error of u_h, the best
of that mesh. Against the PDE's solution the rows therefore show the energy error of the field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...solvers.trace import TraceField
from ...solvers.trace.loads import cell_load
from ...solvers.trace.problem import TraceProblem
from ...solvers.trace.solve import checked_medium, solve_load, trace_problem
from ...solvers.transfer import prolongate
from ..context import Context
from ..method import Aim, Method, methods

#: Functions per edge of the methods, by name without number.
MODES = {6: "six", 8: "eight"}
#: Relative algebraic error of the methods, that of the fine solves they stand beside in the suite "beyond".
TOLERANCE = 1e-3


def discretise(context: Context, modes: int) -> TraceProblem:
    """Set up the trace space of a context's coefficient.

    Parameters
    ----------
    context : the problem.
    modes : functions per edge.

    Returns
    -------
    TraceProblem, whose solver is set up on first use.

    Raises
    ------
    NotCoercive
        If the contrast is too high for trace spaces.
    """
    return trace_problem(checked_medium(context.A), context.size, modes)


def solve(context: Context, problem: TraceProblem, tolerance: float) -> TraceField:
    """Solve in a trace space for the context's load, which enters as its linear projection on every pixel.

    Parameters
    ----------
    context : the problem.
    problem : from :func:`discretise`.
    tolerance : relative algebraic error in the energy norm.

    Returns
    -------
    TraceField

    Raises
    ------
    SolverFailure
        If the iteration does not reach the tolerance.
    """
    shape = problem.a.shape
    cells = tuple(m * -(-n // m) for n, m in zip(context.cells, shape, strict=True))  # nodes on every pixel's edges
    load = context.f if cells == context.cells else prolongate(context.f, (cells[0], cells[1]))
    return solve_load(problem, cell_load(load, shape, context.size), tolerance)


@dataclass
class _State:
    """What the trace methods keep for another load, and the field of the last one."""

    problem: TraceProblem
    field: TraceField | None = None


class TraceSpace(Method):
    """u, the solution of the differential equation, in a space of traces on the pixels' edges.

    Parameters
    ----------
    modes : functions per edge.
    """

    aim: Aim = "pde"

    def __init__(self, modes: int):
        self.modes, self.name = modes, f"trace{modes}"
        self.label = f"the PDE's solution, {MODES.get(modes, modes)} functions per edge"

    def prepare(self, context: Context) -> None:
        """Compute the reference cell, which is made once for a contrast and kept, like the network's weights."""
        discretise(context, self.modes)

    def offline(self, context: Context) -> _State:
        """Set up the trace space and its solver."""
        problem = discretise(context, self.modes)
        _ = problem.solver  # made on first use only, but kept for every load
        return _State(problem)

    def online(self, context: Context, state: _State) -> np.ndarray:
        """Solve, and evaluate at the fine nodes: (ny+1, nx+1)."""
        state.field = field = solve(context, state.problem, TOLERANCE)
        return field.nodes(context.cells)

    def potential(self, state: _State) -> float | None:
        """Return E(v) of the last field."""
        return None if state.field is None else state.field.functional

    def bound(self, state: _State) -> float | None:
        """Return the guaranteed relative energy error of the last field."""
        return None if state.field is None else state.field.relative_error_bound


for _modes in MODES:
    methods.add(TraceSpace(_modes))
