"""EDSR without its upsampling tail (Lim et al., CVPR workshops 2017): plain residual blocks, no normalisation.

The baseline configuration, 16 blocks of 64 channels, sees 34 cells around each cell.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .encoder import Encoder, encoders


class Block(nn.Module):
    """Residual block x + conv(relu(conv(x))) with 3x3 convolutions of ``channels`` channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (B, C, my, mx) to the same shape."""
        return x + self.second(F.relu(self.first(x)))


@encoders.register("edsr")
class EDSR(Encoder):
    """Chain of residual blocks at full resolution.

    Parameters
    ----------
    inputs : channels of the input map.
    channels : channels of the features and inside.
    blocks : number of residual blocks.

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
        """Encode maps (B, inputs, my, mx) to features (B, channels, my, mx)."""
        x = self.head(x)
        return x + self.tail(self.blocks(x))
