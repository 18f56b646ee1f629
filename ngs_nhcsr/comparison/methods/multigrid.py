"""A few multigrid-CG steps on the fine grid, from the coarse solution and from zero."""

from __future__ import annotations

import numpy as np

from ...solvers.multigrid import Multigrid
from ...solvers.transfer import prolongate
from ..context import Context, Q1System, canonical_system, hierarchy, multigrid_solve
from ..method import Method, methods

CYCLES = (1, 2, 3)


def _from_coarse(steps: int) -> Method:
    def offline(context: Context) -> tuple[Q1System, Multigrid]:
        return canonical_system(context), hierarchy(context)

    def online(context: Context, state: tuple[Q1System, Multigrid]) -> np.ndarray:
        system, mg = state
        start = prolongate(system.solve(context.F), context.cells)
        return multigrid_solve(mg, context, start, steps=steps)[0]

    return Method(f"coarse+{steps}", f"coarse solution + {_cycles(steps)}", offline, online)


def _from_zero(steps: int) -> Method:
    def online(context: Context, mg: Multigrid) -> np.ndarray:
        return multigrid_solve(mg, context, steps=steps)[0]

    return Method(f"zero+{steps}", f"zero + {_cycles(steps)}", hierarchy, online)


def _cycles(steps: int) -> str:
    return f"{steps} multigrid-CG cycle{'s' * (steps > 1)}"


for _steps in CYCLES:
    methods.add(_from_coarse(_steps))
for _steps in CYCLES:
    methods.add(_from_zero(_steps))
