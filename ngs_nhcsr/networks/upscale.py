r"""The coarse problem inside the network: a learned effective coefficient, solved exactly.

The coarse Galerkin solution U of a rough coefficient is far too stiff (40 % in L2 at contrast 10): its coefficient is
the arithmetic mean. Correcting that pointwise asks a network for a global operation. Instead the network predicts,
cell by cell, an effective tensor κ — a correction of the geometric mean — and the coarse problem is solved again with
it: :math:`A(κ)\,U^* = F`. What remains to be learned is local, so it carries over to other loads, boundary values,
coarse sizes and domains; and the map from the load to U* is linear.

The grid of this problem may have ``per`` cells per coarse cell. Then F is the load on that grid, as it is given or
lifted from the coarse load A_H U; in either case its restriction to the coarse grid is A_H U on the free nodes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..solvers.blocktri import BlockTridiagonal
from ..solvers.linalg import apply_x, apply_y
from ..solvers.q1 import SYMMETRIC_PAIRS
from ..solvers.stencil import Stencil, apply_mass, galerkin_elements, tensor_elements
from .positions import Nodes, bilinear, interpolation_matrix

#: Largest correction of log κ; keeps the coarse problem solvable whatever the features are.
LOG_BOUND = 4.0


class _CoarseSolve(torch.autograd.Function):
    """Solutions (B, K, …) of A(E) W = b on the free nodes, differentiable in the elements E and b (adjoint solve)."""

    @staticmethod
    def forward(ctx: Any, elements: Tensor, b: Tensor, free: Tensor) -> Tensor:
        solver = BlockTridiagonal(Stencil.from_elements(elements), free)
        W = solver.solve(b)
        ctx.solver = solver
        ctx.save_for_backward(W)
        return W

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (W,) = ctx.saved_tensors
        adjoint = ctx.solver.solve(grads[0])

        def corners(v: Tensor) -> tuple[Tensor, ...]:
            return v[..., :-1, :-1], v[..., :-1, 1:], v[..., 1:, :-1], v[..., 1:, 1:]

        w, p = corners(W), corners(adjoint)
        grad = [-(p[i] * w[j] + p[j] * w[i]) if i != j else -p[i] * w[i] for i, j in SYMMETRIC_PAIRS]
        return torch.stack(grad, 2).sum(1), adjoint, None


class Upscaling(nn.Module):
    """Effective coefficient from encoder features, and the coarse solution for it.

    Parameters
    ----------
    channels : of the features.
    per : cells per coarse cell and axis of the grid on which the effective problem is solved.
    hidden : width of the head.
    """

    def __init__(self, channels: int, per: int = 1, hidden: int = 32):
        super().__init__()
        self.per = per
        self.head = nn.Sequential(nn.Conv2d(channels + 2, hidden, 1), nn.GELU(), nn.Conv2d(hidden, 3, 1))
        nn.init.zeros_(self.head[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.head[-1].bias)  # type: ignore[arg-type]

    def effective(
        self, features: Tensor, A: Tensor, cells: tuple[int, int], ratio: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """κ_xx, κ_yy, κ_xy (B, N, M), positive definite; the geometric mean where the network says nothing.

        The head is told the scale a second time: u_h is the stiffer the coarser h = ε / ``ratio``, everywhere alike.
        """
        log_mean = F.adaptive_avg_pool2d(A.double().log().unsqueeze(1), cells).squeeze(1)
        pooled = F.adaptive_avg_pool2d(features, cells)
        scale = pooled.new_tensor([math.log2(ratio) / 4, 1 / ratio]).view(1, 2, 1, 1)
        pooled = torch.cat([pooled, scale.expand(len(pooled), 2, *cells)], 1)
        cx, cy, cxy = (LOG_BOUND * torch.tanh(self.head(pooled).double() / LOG_BOUND)).unbind(1)
        kxx, kyy = (log_mean + cx).exp(), (log_mean + cy).exp()
        return kxx, kyy, 0.9 * (kxx * kyy).sqrt() * torch.tanh(cxy)

    def forward(
        self,
        features: Tensor,
        U: Tensor,
        A: Tensor,
        free: Tensor,
        size: tuple[float, float],
        ratio: float,
        load: Tensor | None = None,
    ) -> Tensor:
        """U* (B, K, per N + 1, per M + 1) in float64, equal to U on the Dirichlet nodes."""
        coarse = (U.shape[-2] - 1, U.shape[-1] - 1)
        cells = (self.per * coarse[0], self.per * coarse[1])
        elements = tensor_elements(*self.effective(features, A, cells, ratio), size[0] / cells[0], size[1] / cells[1])
        moments = _stencil(galerkin_elements(A.double(), coarse, size)).apply(U)
        start = bilinear(U, Nodes(cells))
        fixed = bilinear((~free).double(), Nodes(cells)) > 1 - 1e-9
        right = matched_load(moments, free, cells, size, load)
        residual = (right - _stencil(elements).apply(start)) * ~fixed
        return start + _CoarseSolve.apply(elements, residual, ~fixed)  # type: ignore[operator]


def _stencil(elements: Tensor) -> Stencil:
    """Operator for fields (B, K, …): one more axis, along which the operator is the same."""
    return Stencil(*(t.unsqueeze(1) for t in vars(Stencil.from_elements(elements)).values()))


def matched_load(
    moments: Tensor, free: Tensor, cells: tuple[int, int], size: tuple[float, float], load: Tensor | None
) -> Tensor:
    """Load vectors on the grid with ``cells`` whose moments with the coarse hats are ``moments`` on free nodes.

    ``load`` (on that grid or a finer one) is taken where it is given; else a nodal load is read off the moments by
    mass lumping. What is missing to the moments is added at the coarse nodes.
    """
    coarse = (moments.shape[-2] - 1, moments.shape[-1] - 1)
    if cells == coarse:
        return moments
    if load is not None:
        load = _moments(load, cells)
    else:
        unit = apply_mass(torch.ones_like(moments), size)
        nodal = moments * free / unit
        weight = free.to(moments)
        for dim in (-1, -2):  # constant continuation to the nodes without moments
            nodal, weight = (torch.where(weight > 0, v, _neighbour(v, dim)) for v in (nodal, weight))
        load = apply_mass(bilinear(nodal, Nodes(cells)), size)
    out = load.clone()
    step = (cells[0] // coarse[0], cells[1] // coarse[1])
    out[..., :: step[0], :: step[1]] += (moments - _moments(load, coarse)) * free
    return out


def _moments(load: Tensor, cells: tuple[int, int]) -> Tensor:
    """Restriction of load vectors to the grid with ``cells``: the transpose of bilinear interpolation."""
    fine = Nodes((load.shape[-2] - 1, load.shape[-1] - 1))
    Py, Px = (interpolation_matrix(fine.axis(k, cells[k], centred=False), cells[k]).to(load) for k in (0, 1))
    return apply_x(Px.T, apply_y(Py.T, load))


def _neighbour(v: Tensor, dim: int) -> Tensor:
    """Values of the next node inwards at both ends of an axis."""
    v = v.movedim(dim, -1)
    return torch.cat([v[..., 1:2], v[..., 1:-1], v[..., -2:-1]], -1).movedim(-1, dim)
