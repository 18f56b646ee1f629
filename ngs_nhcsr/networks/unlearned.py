"""The local solves and corrections without anything learned: what they owe to the network, and what they do not."""

from __future__ import annotations

import torch
from torch import Tensor

from ..solvers.stencil import apply_mass, galerkin_elements
from .positions import Nodes, bilinear
from .skeleton import Skeleton
from .upscale import EffectiveProblem, restricted


@torch.inference_mode()
def corrected_cells(
    A: Tensor, f: Tensor, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0), corrections: int = 1
) -> Tensor:
    """Q1 on the coefficient's cells, bilinear between them, then local solves and corrections with that operator.

    Parameters
    ----------
    A : (B, my, mx) coefficient.
    f : (B, K, n+1, m+1) nodal values of the load on a grid nested with ``cells``.
    cells : (ny, nx) fine cells, r >= 2 per coefficient cell and axis.

    Returns
    -------
    Fine field (B, K, ny+1, nx+1), zero on the boundary.
    """
    coarse, r = (A.shape[-2], A.shape[-1]), cells[0] // A.shape[-2]
    free = torch.zeros(coarse[0] + 1, coarse[1] + 1, dtype=torch.bool, device=A.device)
    free[1:-1, 1:-1] = True
    problem = EffectiveProblem(galerkin_elements(A.double(), coarse, size), free)
    start = problem.solve(restricted(apply_mass(f.double(), size), coarse))
    parts = max(1, min(r, (f.shape[-1] - 1) // coarse[1]))
    load = bilinear(f.double(), Nodes((parts * coarse[0], parts * coarse[1])))
    skeleton = Skeleton(A.double(), load, r, size)
    values = skeleton.relaxed(skeleton.values(*(bilinear(start, line) for line in skeleton.lines)))
    return skeleton.field(skeleton.corrected(values, problem.correction, corrections, 0.0))
