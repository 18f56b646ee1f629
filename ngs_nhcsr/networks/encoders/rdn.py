"""Residual dense network (Zhang et al., CVPR 2018), the encoder of NH-CSR; no upsampling tail.

``rdn-b`` is the larger (16 blocks of 8 layers, growth 64), ``rdn-a`` the smaller configuration (20 blocks of 6
layers, growth 32) of the original; the defaults of ``rdn`` are smaller still.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .encoder import Encoder, encoders


class ResidualDenseBlock(nn.Module):
    """Densely connected 3x3 convolutions, fused by a 1x1 convolution, with a skip around.

    Parameters
    ----------
    channels : channels that enter and leave the block.
    growth : channels that each convolution adds.
    layers : number of convolutions.
    """

    def __init__(self, channels: int, growth: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels + k * growth, growth, 3, padding=1), nn.ReLU()) for k in range(layers)
        )
        self.fuse = nn.Conv2d(channels + layers * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (B, C, my, mx) to the same shape."""
        y = x
        for layer in self.layers:
            y = torch.cat([y, layer(y)], 1)
        return x + self.fuse(y)


@encoders.register("rdn")
class RDN(Encoder):
    """Chain of residual dense blocks, whose outputs are all read at the end.

    Parameters
    ----------
    inputs : channels of the input map.
    channels : channels of the features.
    blocks : number of residual dense blocks.
    layers : convolutions of a block.
    growth : channels that each convolution adds.
    """

    def __init__(self, inputs: int, channels: int = 64, blocks: int = 8, layers: int = 4, growth: int = 32):
        super().__init__()
        self.channels = channels
        self.shallow1 = nn.Conv2d(inputs, channels, 3, padding=1)
        self.shallow2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualDenseBlock(channels, growth, layers) for _ in range(blocks))
        self.fuse = nn.Sequential(
            nn.Conv2d(blocks * channels, channels, 1), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Encode maps (B, inputs, my, mx) to features (B, channels, my, mx)."""
        first = self.shallow1(x)
        y = self.shallow2(first)
        outputs = []
        for block in self.blocks:
            y = block(y)
            outputs.append(y)
        return self.fuse(torch.cat(outputs, 1)) + first


@encoders.register("rdn-a")
def rdn_a(inputs: int) -> RDN:
    """Make the published RDN-A of 5.5 M parameters; ``inputs`` counts the channels of the input map."""
    return RDN(inputs, 64, blocks=20, layers=6, growth=32)


@encoders.register("rdn-b")
def rdn_b(inputs: int) -> RDN:
    """Make the published RDN-B of 22 M parameters; ``inputs`` counts the channels of the input map."""
    return RDN(inputs, 64, blocks=16, layers=8, growth=64)
