"""U-Net on the cell map without normalisation layers: depth at full resolution, a short pyramid for the context.

No GroupNorm: its statistics over the whole map would make every cell depend on all others. Residual branches start
at zero instead.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..compiled import gelu
from ..strips import in_strips
from .encoder import Encoder, encoders


class ResidualBlock(nn.Module):
    """Residual block x + conv(gelu(conv(x))) of ``channels`` channels, the second convolution starting at zero."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (B, C, my, mx) to the same shape."""
        if torch.is_grad_enabled():
            return x + self.second(F.gelu(self.first(x), approximate="tanh"))
        return self.second(gelu(self.first(x))).add_(x)


@encoders.register("unet")
class UNet(Encoder):
    """Residual blocks at full resolution around a U-shaped pyramid.

    Parameters
    ----------
    inputs : channels of the input map.
    widths : channels per level, the first at full resolution; each further level halves the resolution.
    depth : residual blocks at full resolution before and after the pyramid.
    """

    def __init__(self, inputs: int, widths: tuple[int, ...] = (32, 48), depth: int = 3):
        super().__init__()
        widths = tuple(widths)
        self.channels = widths[0]
        self.levels = len(widths) - 1
        self.stem = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.before = nn.Sequential(*(ResidualBlock(widths[0]) for _ in range(depth)))
        self.after = nn.Sequential(*(ResidualBlock(widths[0]) for _ in range(depth)))
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.left = nn.ModuleList(ResidualBlock(b) for _, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.right = nn.ModuleList(ResidualBlock(a) for a, _ in pairs)

    @property
    def reach(self) -> int:
        """Distance in cells beyond which cells do not influence each other, up to a multiple of 2^levels."""
        pyramid = 0
        for _ in range(self.levels):  # from the coarsest level: a block there, halving and doubling, a block here
            pyramid = 2 * (pyramid + 2) + 1 + 2
        reach = 1 + 2 * (len(self.before) + len(self.after)) + pyramid
        return reach + -reach % 2**self.levels

    def forward(self, x: Tensor) -> Tensor:
        """Encode maps (B, inputs, my, mx), padded inside to multiples of 2^levels: (B, channels, my, mx)."""
        if torch.is_grad_enabled():
            return self._encoded(x)
        x = x.contiguous(memory_format=torch.channels_last)  # oneDNN's convolutions are a quarter faster so
        return in_strips(self._encoded, x, self.reach, self.channels)

    def _encoded(self, x: Tensor) -> Tensor:
        """Encode maps in one piece."""
        my, mx = x.shape[-2:]
        step = 2**self.levels
        x = self.before(self.stem(x))
        y = F.pad(x, (0, -mx % step, 0, -my % step)) if mx % step or my % step else x
        skips = []
        for down, block in zip(self.down, self.left, strict=True):
            skips.append(y)
            y = block(down(y))
        for up, block in zip(reversed(self.up), reversed(self.right), strict=True):
            y = block(skips.pop() + up(y))
        return self.after(y[..., :my, :mx])
