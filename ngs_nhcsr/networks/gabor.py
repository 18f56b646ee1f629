"""Learnable Gabor-wavelet coordinate networks.

ψ(t) = cos(ω·t₁)·exp(−(s·t₂)²) with two learned linear maps t₁, t₂ of the coordinates: the real form of WIRE (Saragadam
et al., CVPR 2023), which NH-CSR (arXiv 2411.07576) uses to encode x − x_Z. s = 0 leaves a sine network, ω = 0 a
Gaussian one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GaborLayer(nn.Module):
    """One layer of Gabor wavelets.

    Parameters
    ----------
    inputs : numbers that enter.
    outputs : wavelets.
    omega : factor of the learned frequencies; only sets where the training starts.
    scale : factor of the learned widths; only sets where the training starts.
    """

    def __init__(self, inputs: int, outputs: int, omega: float = 4.0, scale: float = 1.0):
        super().__init__()
        self.frequency = nn.Linear(inputs, outputs)
        self.envelope = nn.Linear(inputs, outputs)
        self.omega, self.scale = omega, scale

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the wavelets: (..., inputs) to (..., outputs)."""
        wave = torch.cos(self.omega * self.frequency(x))
        return wave * torch.exp(-((self.scale * self.envelope(x)) ** 2))


class GaborNetwork(nn.Sequential):
    """Two Gabor layers and a linear one: local coordinates (..., inputs) to values (..., outputs).

    Parameters
    ----------
    inputs : number of coordinates.
    width : wavelets of each layer.
    outputs : number of values.
    """

    def __init__(self, inputs: int, width: int, outputs: int):
        super().__init__(
            GaborLayer(inputs, width), GaborLayer(width, width, omega=2.0, scale=0.5), nn.Linear(width, outputs)
        )
