"""Loss after one multigrid cycle."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...solvers.multigrid import Multigrid
from .loss import Batch, Loss, losses
from .norms import relative_energy


class AfterCycle(torch.autograd.Function):
    """Error propagation e -> (I - B A) e of one V-cycle B: what a cycle leaves of an error.

    A and B are symmetric, so the gradient is (I - A B) g.
    """

    @staticmethod
    def forward(ctx: Any, e: Tensor, mg: Multigrid) -> Tensor:
        """Apply a cycle to errors (B, n+1, n+1)."""
        ctx.mg = mg
        return e - mg.cycle(mg.levels[0].smoother.apply(e))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Apply the transpose."""
        top = ctx.mg.levels[0]
        return grads[0] - top.smoother.apply(ctx.mg.cycle(grads[0])), None


@losses.register("cycle")
class Cycle(Loss):
    """Relative energy error after one multigrid cycle: only what ``refine=1`` would leave of the error counts."""

    needs_grid = True

    def __call__(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch."""
        n = batch.target.shape[-1] - 1
        mg = Multigrid(batch.A.double(), (n, n))
        error: Tensor = AfterCycle.apply((batch.field - batch.target).float(), mg)  # type: ignore[assignment]
        return relative_energy(batch, error).mean()
