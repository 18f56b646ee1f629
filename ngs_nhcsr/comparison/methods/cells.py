"""Q1 on the coefficient's own cells: the cheapest mesh that knows the coefficient, and that of the network's solve.

With the network's local solves and corrections, but nothing learned, it shows what these do alone.
"""

from __future__ import annotations

import numpy as np
import torch

from ...problem import load_vector
from ...solvers.substructuring.plain_start import corrected_cells
from ...solvers.transfer import prolongate
from ..context import Context, Q1System
from ..method import Method, methods

CORRECTIONS = (1, 2, 3)


def _cells(context: Context) -> tuple[int, int]:
    (my, mx), (ny, nx) = context.A.shape, context.cells
    return min(my, ny), min(mx, nx)  # on coarser fine meshes it is the fine solve


def _offline(context: Context) -> Q1System:
    return Q1System(context.A, _cells(context), context.size)


def _online(context: Context, system: Q1System) -> np.ndarray:
    return prolongate(system.solve(load_vector(context.f, _cells(context), context.size)), context.cells)


def _corrected(corrections: int) -> Method:
    def online(context: Context, state: None) -> np.ndarray:
        A, f = (torch.from_numpy(np.array(v, dtype=float))[None].to(context.device) for v in (context.A, context.f))
        return corrected_cells(A, f[None], context.cells, context.size, corrections)[0, 0].cpu().numpy()

    name = f"{corrections} correction{'s' * (corrections > 1)}"
    return Method(
        f"cells+{corrections}", f"Q1 on the cells, local solves, {name}; no network", lambda context: None, online
    )


methods.add(Method("cells", "Q1 solve on the coefficient's cells (mesh size ε), prolonged", _offline, _online))
for _corrections in CORRECTIONS:
    methods.add(_corrected(_corrections))
