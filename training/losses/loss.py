"""What a loss is, what it may look at, and how losses are named and added up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...registry import Registry

if TYPE_CHECKING:
    from ...networks.corrector import CorrectorNetwork


@dataclass(frozen=True)
class Batch:
    """What a loss may look at: B problems on one mesh, each with one load, and what the network made of them.

    A step that trains K loads of each of M coefficients has B = M K problems: their coefficients repeat. The domain is
    the unit square, the solutions vanish on its boundary.

    Attributes
    ----------
    A : (B, my, mx) cell values of the coefficient, float32 or float64.
    U : (B, N+1, N+1) coarse Galerkin solutions, float64.
    F : (B, L+1, L+1) load vectors on a grid that refines the coarse one, float64.
    target : (B, n+1, n+1) nodal values of u_h, float32; or (B, 1, P) its values at P random inner nodes, where a step
        looks at ``TrainConfig.points`` of them.
    prediction : the network's field, of the target's shape, float32, differentiable in the parameters; ``None`` if no
        part of the loss has ``predicts``.
    network : the network that is trained.
    scale : fine cells per coarse cell, n / N.
    rng : generator of everything random; a step that is repeated draws the same.
    """

    A: Tensor
    U: Tensor
    F: Tensor
    target: Tensor
    prediction: Tensor | None
    network: CorrectorNetwork
    scale: int
    rng: torch.Generator

    @property
    def ratio(self) -> float:
        """ε/h: fine cells per coefficient cell."""
        return self.scale * (self.U.shape[-1] - 1) / self.A.shape[-1]

    @property
    def field(self) -> Tensor:
        """The prediction, for losses that have ``predicts``.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.prediction is None:
            raise ValueError("this batch has no prediction: the loss that reads it must set predicts = True")
        return self.prediction


class Loss(ABC):
    """What training makes small: a function of a batch.

    What a subclass promises:

    - ``loss(batch)`` is a scalar, differentiable in the parameters of the network: through ``batch.field``, or through
      ``batch.network`` where the loss applies the network itself.
    - It is a mean over the problems of the batch, so that the learning rate does not depend on their number.
    - It draws random numbers from ``batch.rng`` only, and keeps no state: a run that is resumed gives the same steps.
    - It sets :attr:`needs_grid` if it takes derivatives or integrals, for which it needs all nodes of the mesh.
    - Norms are those of ``solvers.norms``.

    Attributes
    ----------
    needs_grid : whether prediction and target must be given at all nodes; else they may also be given at random ones.
    predicts : whether it looks at the prediction, which otherwise is not computed for it.

    Examples
    --------
    To add a loss: one file with a registered class, and one import line in ``losses/__init__.py``; or, outside of the
    package, register it before ``train`` is called. ``TrainConfig(loss="l1 + 0.5 worst")`` then finds it.

    >>> @losses.register("worst")
    ... class Worst(Loss):
    ...     def __call__(self, batch):
    ...         error = (batch.field - batch.target).abs()
    ...         return (error.amax((-2, -1)) / batch.target.abs().amax((-2, -1))).mean()
    >>> combine("0.5 worst").needs_grid
    False
    """

    needs_grid: bool = False
    predicts: bool = True

    @abstractmethod
    def __call__(self, batch: Batch) -> Tensor:
        """Compute the loss.

        Parameters
        ----------
        batch : problems, targets and predictions.

        Returns
        -------
        A scalar.
        """


#: Losses by name: classes that need no arguments.
losses: Registry[type[Loss]] = Registry("loss")


class WeightedSum(Loss):
    """Weighted sum of losses; it needs what any of them needs.

    Parameters
    ----------
    terms : pairs (weight, loss), at least one.
    """

    def __init__(self, terms: list[tuple[float, Loss]]):
        self.terms = terms
        self.needs_grid = any(loss.needs_grid for _, loss in terms)
        self.predicts = any(loss.predicts for _, loss in terms)

    def __call__(self, batch: Batch) -> Tensor:
        """Add up the losses of a batch."""
        return torch.stack([weight * loss(batch) for weight, loss in self.terms]).sum()


def combine(specification: str) -> Loss:
    """Make the loss that a configuration names.

    Parameters
    ----------
    specification : weighted sum of registered losses, written ``"l1 + 0.1 scs"``.

    Returns
    -------
    The sum.

    Raises
    ------
    ValueError
        For unknown names, or a text that is no such sum.

    Examples
    --------
    >>> [weight for weight, _ in combine("l1 + 0.1 scs").terms]
    [1.0, 0.1]
    """
    terms: list[tuple[float, Loss]] = []
    for term in specification.split("+"):
        words = term.split()
        if len(words) not in (1, 2):
            raise ValueError(f"cannot read the loss {specification!r}; write it like 'l1 + 0.1 scs'")
        terms.append((float(words[0]) if len(words) == 2 else 1.0, losses[words[-1]]()))
    return WeightedSum(terms)
