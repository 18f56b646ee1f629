"""The network of this package, alone and as the start of multigrid-CG.

Nothing of the network is kept between loads: offline is the factorisation of the coarse system alone (and the
hierarchy of the cycles). Reading the weights and the first call are not timed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...corrector import Corrector
from ...guard import Status, guard
from ...models import Model
from ...solvers.multigrid import Multigrid
from ...solvers.positions import Nodes
from ...solvers.transfer import prolongate
from ..context import Context, Q1System, canonical_system, hierarchy, multigrid_solve
from ..method import Method, methods

CYCLES = (0, 1, 2)


@dataclass
class _State:
    model: Model
    system: Q1System
    multigrid: Multigrid | None
    violations: list[str]
    status: Status = Status.ACCEPTED


def _corrected(context: Context, state: _State) -> np.ndarray:
    """The guarded field, as ``correct`` gives it."""
    problem = context.problem
    U = state.system.solve(context.F)
    raw = state.model.predict(
        U,
        context.A,
        Nodes(context.cells),
        context.scale / problem.ratio[0],
        sides=problem.field.sides,
        free=problem.field.free,
        size=context.size,
        f=context.f,
    )
    verdict = guard(raw, prolongate(U, context.cells), context.A, context.b, context.size)
    state.status = verdict.status
    return verdict.field


def _remark(state: _State) -> str:
    """What the guard and the model's contract say."""
    parts = [] if state.status is Status.ACCEPTED else [f"guard: {state.status.name}"]
    if state.violations:
        parts.append(f"outside the contract of the model: {'; '.join(state.violations)}")
    return "; ".join(parts)


def _method(steps: int) -> Method:
    def offline(context: Context) -> _State:
        problem = context.problem
        model = Corrector(context.model, context.device).model  # cached: ``prepare`` has read the weights
        violations = model.card.contract.violations(
            scale=context.scale,
            contrast=float(context.A.max() / context.A.min()),
            coarse=context.coarse,
            per=problem.ratio,
            dirichlet=True,
        )
        mg = hierarchy(context) if steps else None
        return _State(model, canonical_system(context), mg, list(violations))

    def online(context: Context, state: _State) -> np.ndarray:
        u = _corrected(context, state)
        return u if state.multigrid is None else multigrid_solve(state.multigrid, context, u, steps=steps)[0]

    def prepare(context: Context) -> None:
        online(context, offline(context))

    suffix = f" + {steps} multigrid-CG cycle{'s' * (steps > 1)}" if steps else ""
    name = f"nhcsr+{steps}" if steps else "nhcsr"
    return Method(name, f"network{suffix}", offline, online, prepare, _remark)


for _steps in CYCLES:
    methods.add(_method(_steps))
