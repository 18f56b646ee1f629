r"""The coarse problem inside the network: a learned effective coefficient, solved exactly.

The coarse Galerkin solution U of a rough coefficient is far too stiff (40 % in L2 at contrast 10): its coefficient is
the arithmetic mean. Correcting that pointwise asks a network for a global operation. Instead the network predicts,
cell by cell, an effective tensor κ — a correction of the geometric mean — and the coarse problem is solved again with
the load of U: :math:`A(κ)\,U^* = A_H U`, where :math:`A_H U` is that load. What remains to be learned is local, so it
carries over to other loads, boundary values, coarse sizes and domains; and the map U -> U* is linear.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..solvers.blocktri import BlockTridiagonal
from ..solvers.q1 import SYMMETRIC_PAIRS
from ..solvers.stencil import Stencil, galerkin_elements, tensor_elements

#: Largest correction of log κ; keeps the coarse problem solvable whatever the features are.
LOG_BOUND = 4.0


class _CoarseSolve(torch.autograd.Function):
    """Solution of A(K) W = b on the free nodes, differentiable in element matrices and load by the adjoint solve."""

    @staticmethod
    def forward(ctx: Any, K: Tensor, b: Tensor, free: Tensor) -> Tensor:
        solver = BlockTridiagonal(Stencil.from_elements(K), free)
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
        grad_K = [-(p[i] * w[j] + p[j] * w[i]) if i != j else -p[i] * w[i] for i, j in SYMMETRIC_PAIRS]
        return torch.stack(grad_K, 1), adjoint, None


class Upscaling(nn.Module):
    """Effective coefficient per coarse cell from encoder features, and the coarse solution for it."""

    def __init__(self, channels: int, hidden: int = 32):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.GELU(), nn.Conv2d(hidden, 3, 1))
        nn.init.zeros_(self.head[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.head[-1].bias)  # type: ignore[arg-type]

    def effective(self, features: Tensor, A: Tensor, coarse: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """κ_xx, κ_yy, κ_xy (B, N, M), positive definite; the geometric mean where the network says nothing."""
        block = (A.shape[-2] // coarse[0], A.shape[-1] // coarse[1])
        log_mean = F.avg_pool2d(A.double().log().unsqueeze(1), block).squeeze(1)
        pooled = F.avg_pool2d(features, block)
        cx, cy, cxy = (LOG_BOUND * torch.tanh(self.head(pooled).double() / LOG_BOUND)).unbind(1)
        kxx, kyy = (log_mean + cx).exp(), (log_mean + cy).exp()
        return kxx, kyy, 0.9 * (kxx * kyy).sqrt() * torch.tanh(cxy)

    def forward(self, features: Tensor, U: Tensor, A: Tensor, free: Tensor, size: tuple[float, float]) -> Tensor:
        """U* (B, N+1, M+1) in float64, equal to U on the Dirichlet nodes."""
        coarse = (U.shape[-2] - 1, U.shape[-1] - 1)
        U = U.double()
        K = tensor_elements(*self.effective(features, A, coarse), size[0] / coarse[0], size[1] / coarse[1])
        load = Stencil.from_elements(galerkin_elements(A.double(), coarse, size)).apply(U)
        residual = (load - Stencil.from_elements(K).apply(U)) * free
        return U + _CoarseSolve.apply(K, residual, free)  # type: ignore[operator]
