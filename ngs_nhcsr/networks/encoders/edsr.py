"""EDSR without its upsampling tail (Lim et al., CVPR workshops 2017): plain residual blocks, no normalisation.

The baseline configuration, 16 blocks of 64 channels, sees 34 cells around each cell.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ._registry import encoders


class Block(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, m, m) -> (B, C, m, m)."""
        return x + self.second(F.relu(self.first(x)))


@encoders.register("edsr")
class EDSR(nn.Module):
    """Residual network with ``blocks`` blocks of ``channels`` channels.

    Examples
    --------
    >>> sum(p.numel() for p in EDSR(2).parameters())
    1219840
    """

    def __init__(self, inputs: int, channels: int = 64, blocks: int = 16):
        super().__init__()
        self.channels = channels
        self.head = nn.Conv2d(inputs, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(blocks)))
        self.tail = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, my, mx) -> (B, channels, my, mx)."""
        x = self.head(x)
        return x + self.tail(self.blocks(x))
