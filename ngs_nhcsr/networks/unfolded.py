"""Perceptron on the 3x3 neighbourhood of a cell and coordinates of a point, for the LIIF family.

A linear layer on an unfolded neighbourhood is a 3x3 convolution. The features' share of such layers is therefore
computed once per cell, not once per point, and neighbourhoods are never stored: same numbers, less than half the work.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .dense import Linear, linear, zero_linear
from .local import rows


class UnfoldedMLP(nn.Module):
    """ReLU perceptron from (9 channels + coordinates) numbers to ``outputs``.

    Parameters
    ----------
    channels, coordinates : of the features, and how many numbers describe the place of the point.
    outputs : at the end; the last layer starts at zero.
    widths : of the hidden layers.
    skips : every hidden layer reads the inputs again.
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
        """The features' share of all layers, as rows of cells (B, my mx, widths)."""
        C, K = self.channels, self.coordinates
        weight = torch.cat([m.weight[:, -9 * C - K : -K] for m in self._readers()]).unflatten(1, (C, 3, 3))
        bias = torch.cat([m.bias for m in self._readers()])
        return rows(F.conv2d(features, weight, bias, padding=1))

    def forward(self, maps: Tensor, coordinates: Tensor) -> Tensor:
        """Shares at the points' cells (B, P, widths), coordinates (P, K) -> (B, P, outputs)."""
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
