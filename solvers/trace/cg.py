"""Preconditioned conjugate gradients for a batch of problems, stopped by an estimate of the energy error.

Owns the iteration; vectors, products and preconditioner belong to an :class:`Operations`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...errors import SolverFailure
from .estimate import EnergyError
from .layout import TraceVector


class Operations(Protocol):
    """Vectors x (solution), r (residual), q (direction), z (preconditioned residual), and what is done to them.

    A is the matrix, B the preconditioner. Scalars are numpy arrays (B,), one number per problem of the batch.
    """

    def apply(self, x: TraceVector) -> TraceVector:
        """Return A x with zeros at fixed unknowns."""
        ...

    def begin(self, b: TraceVector, start: TraceVector | None) -> None:
        """Set x to the start (None: zero) and r to b - A x."""
        ...

    def residual_product(self) -> np.ndarray:
        """Set z = B r and return r·z, one number per problem."""
        ...

    def direction(self, beta: np.ndarray) -> np.ndarray:
        """Set q = z + beta q and return q·Aq, one number per problem."""
        ...

    def advance(self, alpha: np.ndarray) -> None:
        """Set x = x + alpha q and r = r - alpha A q."""
        ...

    def work(self) -> np.ndarray:
        """Return b·x, one number per problem; called only if there was a start."""
        ...

    @property
    def x(self) -> TraceVector:
        """Solution; it shares no memory with the iteration."""
        ...


def _relative(errors: list[EnergyError], rz: np.ndarray, energy: np.ndarray | None) -> np.ndarray:
    """Return the estimated relative energy errors.

    ``energy`` is the squared energy norm of the solutions. Without it (start zero) that is what the steps have gained
    so far plus the squared error.
    """
    squared = np.array([e.squared(v) for e, v in zip(errors, rz, strict=True)])
    if energy is None:
        energy = np.array([e.drop for e in errors]) + squared
    return np.sqrt(np.where(rz == 0, 0.0, squared / np.maximum(energy, 1e-300)))


def iterate(
    ops: Operations, tolerance: float, max_steps: int, *, started: bool, energy: float | None = None
) -> tuple[int, float]:
    """Take steps until every problem has converged.

    Parameters
    ----------
    ops : after ``begin``.
    tolerance : of the relative energy error.
    max_steps : largest number of steps.
    started : whether the start was not zero.
    energy : squared energy norm the error is relative to; None: the solution's.

    Returns
    -------
    Number of steps, and the largest estimate, which is above the tolerance if ``max_steps`` did not suffice.

    Raises
    ------
    SolverFailure
        If a number is not finite or the preconditioned matrix is not positive definite.
    """
    rz = ops.residual_product()
    errors = [EnergyError() for _ in rz]
    steps, beta = 0, np.zeros_like(rz)
    given = None if energy is None else np.full_like(rz, energy)
    while True:
        if not (rz >= 0).all():  # also where it is NaN
            raise SolverFailure(
                f"conjugate gradients broke down after {steps} steps: r·Br = {rz.min():.1e}. The contrast is too high "
                "for the preconditioner, or numbers overflowed."
            )
        relative = _relative(errors, rz, ops.work() if started and given is None else given)
        if (relative <= tolerance).all() or steps >= max_steps:
            return steps, float(relative.max())
        qAq = ops.direction(beta)
        # Of a batch, problems that are done by far stay where they are: their residuals are rounding.
        moving = relative > 0.01 * tolerance
        if not (qAq[moving] > 0).all():
            raise SolverFailure(f"conjugate gradients broke down after {steps} steps: q·Aq = {qAq.min():.1e}.")
        alpha = np.where(moving, rz / np.where(moving, qAq, 1.0), 0.0)
        ops.advance(alpha)
        new = ops.residual_product()
        for k in np.flatnonzero(moving):
            errors[k].add(alpha[k], rz[k], new[k])
        beta = np.where(moving, new / np.where(moving, rz, 1.0), 0.0)
        rz, steps = new, steps + 1
