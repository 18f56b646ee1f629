"""Losses in the norms of ``solvers.norms``, and point by point."""

from __future__ import annotations

from torch import Tensor

from ...solvers.norms import energy_squared, l2_squared
from .loss import Batch, Loss, losses

#: Smallest squared relative error: below, the root has no useful gradient and the logarithm no bound.
FLOOR = 1e-14


def relative_energy(batch: Batch, error: Tensor | None = None) -> Tensor:
    """Compute the relative energy errors (B,) of the predictions (or ``error``) against u_h, at least 1e-7."""
    error = batch.field - batch.target if error is None else error
    squares = energy_squared(error, batch.A) / energy_squared(batch.target, batch.A)
    return squares.clamp_min(FLOOR).sqrt()


def relative_l2(batch: Batch) -> Tensor:
    """Compute the relative L2 errors (B,) of the predictions against u_h, at least 1e-7."""
    return (l2_squared(batch.field - batch.target) / l2_squared(batch.target)).clamp_min(FLOOR).sqrt()


@losses.register("energy")
class Energy(Loss):
    """Relative energy error + 2 x relative L2 error, mean over the batch."""

    needs_grid = True

    def __call__(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch."""
        return (relative_energy(batch) + 2 * relative_l2(batch)).mean()


@losses.register("l2")
class L2(Loss):
    """Relative L2 error, mean over the batch."""

    needs_grid = True

    def __call__(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch."""
        return relative_l2(batch).mean()


@losses.register("log")
class Logarithm(Loss):
    """Logarithm of (relative energy error + 8 x relative L2 error), mean over the batch.

    Every problem counts by the factor by which its error falls: else those of high contrast, whose errors are a
    hundred times those of low contrast, would be all that is trained.
    """

    needs_grid = True

    def __call__(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch."""
        return (relative_energy(batch) + 8 * relative_l2(batch)).log().mean()


@losses.register("l1")
class L1(Loss):
    """Mean absolute error relative to the target's mean absolute value: the paper's point-wise loss, any nodes."""

    def __call__(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch."""
        scale = batch.target.abs().mean((-2, -1), keepdim=True)
        return ((batch.field - batch.target) / scale).abs().mean()
