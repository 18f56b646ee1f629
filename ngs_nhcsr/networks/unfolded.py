"""Perceptron on the 3x3 neighbourhood of a cell and coordinates of a point, for the LIIF family.

A linear layer on an unfolded neighbourhood is a 3x3 convolution. The features' share of such layers is therefore
computed once per cell, not once per point, and neighbourhoods are never stored: same numbers, less than half the work.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..solvers.linalg import linear
from .dense import Linear, zero_linear
from .local import rows


class UnfoldedMLP(nn.Module):
    """ReLU perceptron from (9 channels + coordinates) numbers to ``outputs``; the last layer starts at zero.

    Parameters
    ----------
    channels : channels of the features.
    coordinates : how many numbers describe the place of the point.
    outputs : numbers that leave.
    widths : widths of the hidden layers.
    skips : whether every hidden layer reads the inputs again.
    """

    def __init__(self, channels: int, coordinates: int, outputs: int, widths: tuple[int, ...], skips: bool = False):
        super().__init__()
        inputs = 9 * channels + coordinates
        self.channels, self.coordinates, self.skips = channels, coordinates, skips
        self.first = Linear(inputs, widths[0])
        self.hidden = nn.ModuleList(Linear(a + (inputs if skips else 0), b) for a, b in pairwise(widths))
        self.last = zero_linear(widths[-1], outputs)

    def _readers(self) -> list[nn.Linear]:
        """Layers that read the inputs."""
        return [self.first, *self.hidden] if self.skips else [self.first]  # type: ignore[list-item]

    def maps(self, features: Tensor) -> Tensor:
        """Compute the features' share of the layers that read them: (B, channels, my, mx) to (B, my mx, widths)."""
        C, K = self.channels, self.coordinates
        weight = torch.cat([m.weight[:, -9 * C - K : -K] for m in self._readers()]).unflatten(1, (C, 3, 3))
        bias = torch.cat([m.bias for m in self._readers()])
        return rows(F.conv2d(features, weight, bias, padding=1))

    def forward(self, maps: Tensor, coordinates: Tensor) -> Tensor:
        """Evaluate the perceptron at points.

        Parameters
        ----------
        maps : (B, P, widths) shares of :meth:`maps` at the points' cells.
        coordinates : (P, K) coordinates of the points.

        Returns
        -------
        Values (B, P, outputs).
        """
        readers = self._readers()
        shares = maps.split([m.out_features for m in readers], -1)
        terms = [
            s + linear(coordinates, m.weight[:, -self.coordinates :]) for s, m in zip(shares, readers, strict=True)
        ]
        h = F.relu(terms[0])
        for k, layer in enumerate(self.hidden, 1):
            if self.skips:
                h = linear(h, layer.weight[:, : terms[k - 1].shape[-1]]) + terms[k]  # type: ignore[index]
            else:
                h = layer(h)
            h = F.relu(h)
        return self.last(h)
