"""Stochastic cosine similarity between values at random nodes (arXiv 2411.07576, eq. 10), in two readings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .loss import Batch, Loss, losses

#: Draws of nodes, and nodes per draw.
REPEATS, POINTS = 10, 64


@losses.register("scs")
class StochasticCosine(Loss):
    """1 - stochastic cosine similarity (eq. 10, read pairwise).

    For each of ``REPEATS`` draws of ``POINTS`` nodes the cosine between the two vectors of values, means removed: on
    positive fields the cosine of raw values is blind.
    """

    def __call__(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch."""
        index = _draw(batch)
        return 1 - F.cosine_similarity(_samples(batch.field, index), _samples(batch.target, index), dim=-1).mean()


@losses.register("scs-relational")
class RelationalCosine(Loss):
    """Distance of the cosine similarities *between draws* of prediction and target (eq. 10, read relationally)."""

    def __call__(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch."""
        index = _draw(batch)
        return (_gram(_samples(batch.field, index)) - _gram(_samples(batch.target, index))).abs().mean()


def _gram(samples: Tensor) -> Tensor:
    """Cosines (B, REPEATS, REPEATS) between the draws (B, REPEATS, K) of each field."""
    unit = F.normalize(samples, dim=-1)
    return (unit.unsqueeze(2) * unit.unsqueeze(1)).sum(-1)


def _interior(v: Tensor) -> Tensor:
    return v if v.shape[-2] == 1 else v[..., 1:-1, 1:-1]


def _samples(v: Tensor, index: Tensor) -> Tensor:
    """Values (B, REPEATS, K) at inner nodes (or at the points of (B, 1, P)), with the mean of the field removed."""
    inner = _interior(v).flatten(1)
    return (inner - inner.mean(1, keepdim=True))[:, index]


def _draw(batch: Batch) -> Tensor:
    """Random numbers (REPEATS, K) of inner nodes."""
    count = _interior(batch.target)[0].numel()
    return torch.randint(count, (REPEATS, min(POINTS, count)), generator=batch.rng).to(batch.target.device)
