"""Encodings of local coordinates, and the positional networks of the NH-CSR decoder built on them.

A positional network is made with ``(width, outputs, window, channels)`` and maps offsets in cells (*shape, 2) to
(outputs, *shape), or, if it reads the features, (B, outputs, *shape).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..registry import Registry
from .dense import Linear
from .gabor import GaborNetwork
from .local import relative_cell

positional: Registry = Registry("coordinate encoding")

#: Frequencies 1, 2, 4 … 2⁹ of the sinusoidal encodings.
OCTAVES = 10


def integrated(x: Tensor, radius: float, octaves: int = OCTAVES) -> Tensor:
    """Integrated positional encoding (..., K) -> (..., 2 K octaves): means of sin(f x), cos(f x) over x ± radius.

    The mean over an interval multiplies by sin(fρ)/(fρ); radius 0 is the plain sinusoidal encoding. As for IPE-LIIF,
    frequencies are 2^l without a factor π.

    Examples
    --------
    >>> x = torch.tensor([[0.3]])
    >>> means = torch.sin(torch.linspace(0.2, 0.4, 2001)).mean(), torch.cos(torch.linspace(0.2, 0.4, 2001)).mean()
    >>> bool(torch.allclose(integrated(x, 0.1, 1)[0], torch.stack(means), atol=1e-5))
    True
    """
    f = 2.0 ** torch.arange(octaves, dtype=x.dtype, device=x.device)
    phase = x.unsqueeze(-1) * f
    damping = torch.sinc(f * (radius / torch.pi))
    return torch.cat([phase.sin() * damping, phase.cos() * damping], -1).flatten(-2)


class PositionalNetwork(nn.Module):
    """Base: encodes offsets, then two hidden layers, as deep as the Gabor network."""

    #: Channels of the map that :meth:`map` makes; 0: the features are not read.
    local = 0

    def __init__(self, inputs: int, width: int, outputs: int, window: int):
        super().__init__()
        self.reach = window / 2
        self.network = nn.Sequential(
            Linear(inputs, width), nn.GELU(), Linear(width, width), nn.GELU(), Linear(width, outputs)
        )

    def map(self, features: Tensor) -> Tensor | None:
        """What the network needs to know of each cell (B, local, my, mx), or None."""
        return None

    def encode(self, offset: Tensor, ratio: float) -> Tensor:
        """(*shape, 2) offsets in cells, float64 -> (*shape, inputs)."""
        raise NotImplementedError

    def forward(self, offset: Tensor, ratio: float, local: Tensor | None) -> Tensor:
        """(outputs, *shape)."""
        encoded = self.encode(offset, ratio).to(self.network[0].weight)  # type: ignore[arg-type]
        return self.network(encoded).movedim(-1, 0)


@positional.register("plain")
class Plain(PositionalNetwork):
    """The coordinates as they are."""

    def __init__(self, width: int, outputs: int, window: int, channels: int):
        super().__init__(2, width, outputs, window)

    def encode(self, offset: Tensor, ratio: float) -> Tensor:
        """Coordinates scaled to ±1 over the window."""
        return offset / self.reach


@positional.register("sinusoid")
class Sinusoid(PositionalNetwork):
    """sin and cos of 2^l δ, δ in half cells."""

    def __init__(self, width: int, outputs: int, window: int, channels: int):
        super().__init__(4 * OCTAVES, width, outputs, window)

    def encode(self, offset: Tensor, ratio: float) -> Tensor:
        """Point values of the waves."""
        return integrated(2 * offset, 0.0)


@positional.register("ipe")
class Integrated(Sinusoid):
    """Means of the waves over the fine cell around the point (IPE-LIIF)."""

    def encode(self, offset: Tensor, ratio: float) -> Tensor:
        """Means over ± half a fine cell."""
        return integrated(2 * offset, relative_cell(ratio) / 2)


@positional.register("gabor")
class Gabor(GaborNetwork):
    """Two Gabor layers (NH-CSR)."""

    local = 0

    def __init__(self, width: int, outputs: int, window: int, channels: int):
        super().__init__(2, width, outputs)
        self.reach = window / 2

    map = PositionalNetwork.map

    def forward(self, offset: Tensor, ratio: float, local: Tensor | None) -> Tensor:  # type: ignore[override]
        """(outputs, *shape)."""
        scaled = (offset / self.reach).to(self[2].weight)  # type: ignore[arg-type]
        return super().forward(scaled).movedim(-1, 0)


@positional.register("lte")
class LocalTexture(nn.Module):
    """Waves whose amplitudes and frequencies are read off the features of each cell (LTE), then one hidden layer."""

    def __init__(self, width: int, outputs: int, window: int, channels: int):
        super().__init__()
        self.waves, self.local = width // 2, 4 * (width // 2)
        self.amplitude_frequency = nn.Conv2d(channels, self.local, 1)
        self.phase = Linear(2, self.waves, bias=False)
        self.network = nn.Sequential(Linear(2 * self.waves, width), nn.GELU(), Linear(width, outputs))

    def map(self, features: Tensor) -> Tensor:
        """Amplitudes of cos and sin and two components of the frequency (B, 4 K, my, mx)."""
        return self.amplitude_frequency(features)

    def forward(self, offset: Tensor, ratio: float, local: Tensor | None) -> Tensor:
        """(B, outputs, *shape); ``local`` holds the map's values (B, 4 K, *shape)."""
        if local is None:
            raise ValueError("this encoding needs the values of its map at the cells")
        y, x = (2 * offset).to(local).unbind(-1)
        a, b, fy, fx = local.unflatten(1, (4, self.waves)).unbind(1)
        cell = torch.full((1, 2), relative_cell(ratio), dtype=local.dtype, device=local.device)
        phase = self.phase(cell).view(-1, *(1 for _ in local.shape[2:]))
        t = torch.pi * (fy * y + fx * x + phase)
        return self.network(torch.cat([a * t.cos(), b * t.sin()], 1).movedim(1, -1)).movedim(-1, 1)
