"""LTE (Lee & Jin, CVPR 2022): waves whose amplitude and frequency are read off the features, then a perceptron."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ..dense import Linear, zero_linear
from ..local import LARGEST_RATIO, relative_cell, rows
from ._ensemble import EnsembleDecoder
from .decoder import decoders


@decoders.register("lte")
class LTE(EnsembleDecoder):
    """Local texture estimator. Its bilinear skip is the coarse solution, which the corrector adds.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    waves : number of frequencies per cell.
    widths : widths of the hidden layers.
    largest_ratio : ratio ε/h at which the cell size that the network reads is clipped: the largest in training.

    Examples
    --------
    >>> sum(p.numel() for p in LTE(64, 1).parameters())
    493313
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        waves: int = 128,
        widths: tuple[int, ...] = (256, 256, 256),
        largest_ratio: float = LARGEST_RATIO,
    ):
        super().__init__()
        self.largest_ratio = largest_ratio
        self.amplitude = nn.Conv2d(channels, 2 * waves, 3, padding=1)
        self.frequency = nn.Conv2d(channels, 2 * waves, 3, padding=1)
        self.phase = Linear(2, waves, bias=False)
        layers: list[nn.Module] = []
        for a, b in pairwise((2 * waves, *widths)):
            layers += [Linear(a, b), nn.ReLU()]
        self.mlp = nn.Sequential(*layers, zero_linear(widths[-1], outputs))

    def maps(self, features: Tensor) -> Tensor:
        """Compute rows (B, my mx, 4 waves): amplitudes of cosines and of sines, frequencies along y and along x."""
        return rows(torch.cat([self.amplitude(features), self.frequency(features)], 1))

    def value(self, cells: Tensor, offset: Tensor, ratio: float) -> Tensor:
        """Evaluate the perceptron; see :meth:`EnsembleDecoder.value`."""
        amplitude, fy, fx = cells.split([cells.shape[-1] // 2, *2 * [cells.shape[-1] // 4]], -1)
        y, x = offset.to(cells).unsqueeze(-1).unbind(-2)
        t = torch.pi * (fy * y + fx * x + self.phase(cells.new_full((2,), relative_cell(ratio, self.largest_ratio))))
        return self.mlp(amplitude * torch.cat([t.cos(), t.sin()], -1))
