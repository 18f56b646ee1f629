"""The network of this package, alone and as the start of multigrid-CG.

Offline is the encoding of the coefficient, with the factorised effective problem, beside the factorisation of the
coarse system (and the hierarchy of the cycles). Reading the weights and the first call are not timed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...corrector import Corrector
from ...guard import Status, guard
from ...proposer import NetworkSolver
from ...solvers.direct import DirichletSystem
from ...solvers.hierarchy import Hierarchy
from ..context import Context
from ..method import Method, methods
from .multigrid import cycles

CYCLES = (0, 1, 2)


@dataclass
class _State:
    """What the network keeps for another load, and what the guard said of the last field."""

    solver: NetworkSolver
    system: DirichletSystem
    multigrid: Hierarchy | None
    violations: list[str]
    status: Status = Status.ACCEPTED


class Network(Method):
    """The guarded field of a corrector network, as ``correct`` gives it, then multigrid-CG.

    Parameters
    ----------
    steps : conjugate gradient steps after the network, of one V-cycle each; 0: none.
    """

    def __init__(self, steps: int = 0):
        self.steps = steps
        self.name = f"network+{steps}" if steps else "network"
        self.label = f"network + {cycles(steps)}" if steps else "network"

    def prepare(self, context: Context) -> None:
        """Read the weights and run the network once: its first call compiles and allocates."""
        self(context)

    def offline(self, context: Context) -> _State:
        """Encode the coefficient, factorise the coarse system, set up the hierarchy."""
        corrector = Corrector(context.model, context.device)  # cached: ``prepare`` has read the weights
        model, medium = corrector.model, context.medium
        violations = model.card.contract.violations(
            scale=context.scale,
            contrast=medium.contrast,
            coarse=context.coarse,
            per=medium.per(context.coarse),
            dirichlet=True,
        )
        solver = NetworkSolver(model.network, medium, context.space, context.scale, corrector.scheme)
        solver.expect_many()
        return _State(
            solver,
            context.dirichlet_system(context.coarse),
            context.hierarchy() if self.steps else None,
            list(violations),
        )

    def online(self, context: Context, state: _State) -> np.ndarray:
        """Solve the coarse system, run the network, guard its field, and iterate: (ny+1, nx+1)."""
        U = state.system.solve(context.F)
        verdict = guard(state.solver(context.problem), U, context.medium, context.b, context.size)
        state.status = verdict.status
        if state.multigrid is None:
            return verdict.field
        return state.multigrid.solve(context.b, verdict.field, tolerance=0.0, max_iterations=self.steps)[0]

    def remark(self, state: _State) -> str:
        """Say what the guard and the model's contract say; empty if nothing."""
        parts = [] if state.status is Status.ACCEPTED else [f"guard: {state.status.name}"]
        if state.violations:
            parts.append(f"outside the contract of the model: {'; '.join(state.violations)}")
        return "; ".join(parts)


for _steps in CYCLES:
    methods.add(Network(_steps))
