"""Encodings of local coordinates, and the positional networks of the attention decoder built on them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ..registry import Registry
from .dense import Linear
from .gabor import GaborNetwork
from .local import relative_cell

#: Frequencies 1, 2, 4 … 2⁹ of the sinusoidal encodings.
OCTAVES = 10


def integrated(x: Tensor, radius: float, octaves: int = OCTAVES) -> Tensor:
    """Compute the integrated positional encoding: means of sin(f x) and cos(f x) over the interval x ± radius.

    The mean over an interval multiplies by sin(fρ)/(fρ); radius 0 is the plain sinusoidal encoding. As for IPE-LIIF,
    frequencies are f = 2^l without a factor π.

    Parameters
    ----------
    x : (..., K) coordinates.
    radius : ρ, half the length of the interval.
    octaves : number of frequencies, l = 0 … octaves - 1.

    Returns
    -------
    Codes (..., 2 K octaves); for each coordinate first the sines, then the cosines.

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


class PositionalNetwork(nn.Module, ABC):
    """Learned function of the offset of a point from a cell's centre; the bias of attention weights.

    A subclass is made as ``network(width, outputs, window, channels)``: width of its hidden layers, number of values,
    cells per side of the window, channels of the features.

    Attributes
    ----------
    local : channels of the map that :meth:`map` makes of the features; 0: it does not read them.
    """

    local: int = 0

    def map(self, features: Tensor) -> Tensor | None:
        """Compute what the network needs of each cell: features (B, channels, my, mx) to (B, local, my, mx) or None."""
        return None

    @abstractmethod
    def forward(self, offset: Tensor, ratio: float, local: Tensor | None) -> Tensor:
        """Evaluate the network.

        Parameters
        ----------
        offset : (*shape, 2) offsets (y, x) in cells, float64.
        ratio : fine cells per cell.
        local : (B, local, *shape) values of the map at the cells; ``None`` without a map.

        Returns
        -------
        Values (outputs, *shape), or (B, outputs, *shape) where the network reads the features.
        """


#: Positional networks by name: classes made from (width, outputs, window, channels).
positional: Registry[type[PositionalNetwork]] = Registry("coordinate encoding")


class EncodedPerceptron(PositionalNetwork):
    """Fixed encoding of the offset, then two hidden layers, as deep as the Gabor network.

    Parameters
    ----------
    inputs : length of the code.
    width : width of the hidden layers.
    outputs : number of values.
    window : cells per side of the window.
    """

    def __init__(self, inputs: int, width: int, outputs: int, window: int):
        super().__init__()
        self.reach = window / 2
        self.network = nn.Sequential(
            Linear(inputs, width), nn.GELU(), Linear(width, width), nn.GELU(), Linear(width, outputs)
        )

    @abstractmethod
    def encode(self, offset: Tensor, ratio: float) -> Tensor:
        """Encode offsets in cells (*shape, 2), float64, at ``ratio`` fine cells per cell: (*shape, inputs)."""

    def forward(self, offset: Tensor, ratio: float, local: Tensor | None) -> Tensor:
        """Evaluate the perceptron on the code; see :class:`PositionalNetwork`."""
        encoded = self.encode(offset, ratio).to(self.network[0].weight)  # type: ignore[arg-type]
        return self.network(encoded).movedim(-1, 0)


@positional.register("plain")
class Plain(EncodedPerceptron):
    """The coordinates as they are; made from what :class:`PositionalNetwork` says."""

    def __init__(self, width: int, outputs: int, window: int, channels: int):
        super().__init__(2, width, outputs, window)

    def encode(self, offset: Tensor, ratio: float) -> Tensor:
        """Scale offsets (*shape, 2) to ±1 over the window."""
        return offset / self.reach


@positional.register("sinusoid")
class Sinusoid(EncodedPerceptron):
    """Sines and cosines of 2^l δ, δ in half cells; made from what :class:`PositionalNetwork` says."""

    def __init__(self, width: int, outputs: int, window: int, channels: int):
        super().__init__(4 * OCTAVES, width, outputs, window)

    def encode(self, offset: Tensor, ratio: float) -> Tensor:
        """Evaluate the waves at the points: (*shape, 2) to (*shape, 4 OCTAVES)."""
        return integrated(2 * offset, 0.0)


@positional.register("ipe")
class Integrated(Sinusoid):
    """Layers on waves averaged over the fine cell around the point, as in IPE-LIIF.

    High frequencies that a fine cell cannot show fade out; constructor and shapes as for :class:`PositionalNetwork`.
    """

    def encode(self, offset: Tensor, ratio: float) -> Tensor:
        """Average the waves over ± half a fine cell: (*shape, 2) to (*shape, 4 OCTAVES)."""
        return integrated(2 * offset, relative_cell(ratio) / 2)


@positional.register("gabor")
class Gabor(GaborNetwork, PositionalNetwork):
    """Two Gabor layers (NH-CSR); made from what :class:`PositionalNetwork` says."""

    def __init__(self, width: int, outputs: int, window: int, channels: int):
        super().__init__(2, width, outputs)
        self.reach = window / 2

    def forward(self, offset: Tensor, ratio: float, local: Tensor | None) -> Tensor:  # type: ignore[override]
        """Evaluate the layers on offsets scaled to ±1 over the window; see :class:`PositionalNetwork`."""
        scaled = (offset / self.reach).to(self[2].weight)  # type: ignore[arg-type]
        return GaborNetwork.forward(self, scaled).movedim(-1, 0)


@positional.register("lte")
class LocalTexture(PositionalNetwork):
    """Waves whose amplitudes and frequencies are read off the features of each cell (LTE), then one hidden layer."""

    def __init__(self, width: int, outputs: int, window: int, channels: int):
        super().__init__()
        self.waves, self.local = width // 2, 4 * (width // 2)
        self.amplitude_frequency = nn.Conv2d(channels, self.local, 1)
        self.phase = Linear(2, self.waves, bias=False)
        self.network = nn.Sequential(Linear(2 * self.waves, width), nn.GELU(), Linear(width, outputs))

    def map(self, features: Tensor) -> Tensor:
        """Compute amplitudes of cosines and sines and both components of the frequencies: (B, 4 waves, my, mx)."""
        return self.amplitude_frequency(features)

    def forward(self, offset: Tensor, ratio: float, local: Tensor | None) -> Tensor:
        """Evaluate the waves and the hidden layer.

        Parameters
        ----------
        offset : (*shape, 2) offsets (y, x) in cells.
        ratio : fine cells per cell.
        local : (B, 4 waves, *shape) values of :meth:`map` at the cells.

        Returns
        -------
        Values (B, outputs, *shape).

        Raises
        ------
        ValueError
            Without values of the map.
        """
        if local is None:
            raise ValueError("this encoding needs the values of its map at the cells")
        y, x = (2 * offset).to(local).unbind(-1)
        a, b, fy, fx = local.unflatten(1, (4, self.waves)).unbind(1)
        cell = torch.full((1, 2), relative_cell(ratio), dtype=local.dtype, device=local.device)
        phase = self.phase(cell).view(-1, *(1 for _ in local.shape[2:]))
        t = torch.pi * (fy * y + fx * x + phase)
        return self.network(torch.cat([a * t.cos(), b * t.sin()], 1).movedim(1, -1)).movedim(-1, 1)
