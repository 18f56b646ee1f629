"""The local solves and corrections without anything learned: what they owe to the network, and what they do not."""

from __future__ import annotations

import torch
from torch import Tensor

from ...networks.upscale import EffectiveProblem, restricted
from ..positions import Nodes, bilinear
from ..stencil import apply_mass, galerkin_elements
from .scheme import Scheme
from .skeleton import Skeleton


@torch.inference_mode()
def corrected_cells(
    A: Tensor, f: Tensor, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0), corrections: int = 1
) -> Tensor:
    """Q1 on the coefficient's cells, bilinear between them, then local solves and corrections with that operator.

    Parameters
    ----------
    A : (B, my, mx) coefficient.
    f : (B, K, n+1, m+1) nodal values of the load on a grid nested with ``cells``.
    cells : (ny, nx) fine cells, at least two per coefficient cell and axis.

    Returns
    -------
    Fine field (B, K, ny+1, nx+1), zero on the boundary.
    """
    coarse = (A.shape[-2], A.shape[-1])
    r = (cells[0] // coarse[0], cells[1] // coarse[1])
    free = torch.zeros(coarse[0] + 1, coarse[1] + 1, dtype=torch.bool, device=A.device)
    free[1:-1, 1:-1] = True
    problem = EffectiveProblem(galerkin_elements(A.double(), coarse, size), free)
    start = problem.solve(restricted(apply_mass(f.double(), size), coarse))
    q = [max(1, min(r[k], (f.shape[k - 2] - 1) // coarse[k])) for k in (0, 1)]
    load = bilinear(f.double(), Nodes((q[0] * coarse[0], q[1] * coarse[1])))
    skeleton = Skeleton(A.double(), load, r, size)
    values = skeleton.relaxed(skeleton.values(*(bilinear(start, line) for line in skeleton.lines)))
    return skeleton.field(skeleton.corrected(values, problem.correction, Scheme(corrections, tolerance=0.0)))
