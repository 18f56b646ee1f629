"""The U-Net of the diffusion decoder, on node grids of any size."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...solvers.linalg import batched

#: Most entries of the attention matrix held at once.
ATTENTION = 2**24


def norm(channels: int) -> nn.GroupNorm:
    """Make a GroupNorm of 32 groups, or of fewer if they do not divide ``channels``."""
    return nn.GroupNorm(math.gcd(32, channels), channels)


class ResidualBlock(nn.Module):
    """Two convolutions with normalisation, the noise level modulating in between.

    Parameters
    ----------
    inputs : channels that enter.
    outputs : channels that leave.
    level : length of the noise level's code.
    attention : whether self-attention over all nodes follows.
    """

    def __init__(self, inputs: int, outputs: int, level: int, attention: bool):
        super().__init__()
        self.first = nn.Sequential(norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.film = nn.Linear(level, 2 * outputs)
        self.second = nn.Sequential(norm(outputs), nn.SiLU(), nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.attention = SelfAttention(outputs) if attention else nn.Identity()

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Apply the block: (B, inputs, m, n) and the noise level's code (1, level) to (B, outputs, m, n)."""
        scale, shift = self.film(level)[..., None, None].chunk(2, 1)
        y = self.second(self.first(x) * (1 + scale) + shift)
        return self.attention(y + self.skip(x))


class SelfAttention(nn.Module):
    """Self-attention of one head over all nodes of the level, by blocks of queries; ``channels`` come in and go out."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the attention: (B, C, m, n) to the same shape."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).chunk(3, 1)
        q = q.transpose(1, 2) * q.shape[1] ** -0.5
        v = v.transpose(1, 2)
        step = max(1, ATTENTION // (len(x) * k.shape[-1]))
        parts = [batched(batched(part, k).softmax(-1), v) for part in q.split(step, 1)]
        return x + self.project(torch.cat(parts, 1).transpose(1, 2).unflatten(2, x.shape[2:]))


class ImplicitUp(nn.Module):
    """To the next finer level by an implicit function of the nearest node's state and the offset from it.

    Its two linear layers have no activation between, so they are applied on the coarse level once, and the offset (0
    or 1 fine spacings, by integer halving) adds one vector per place.

    Parameters
    ----------
    channels : channels that enter and leave.
    width : channels between the two layers.
    """

    def __init__(self, channels: int, width: int = 256):
        super().__init__()
        self.first, self.second = nn.Conv2d(channels + 2, width, 1), nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor, shape: tuple[int, int]) -> Tensor:
        """Interpolate (B, C, ceil(m/2), ceil(n/2)) to (B, C, m, n), where (m, n) is ``shape``."""
        C = x.shape[1]
        base = self.second(F.conv2d(x, self.first.weight[:, :C], self.first.bias))
        places = (self.first.weight[:, C + k].reshape(1, -1, 1, 1) for k in (0, 1))
        dy, dx = (F.conv2d(p, self.second.weight) for p in places)
        iy, ix = (torch.arange(n, device=x.device) for n in shape)
        fine = base[..., iy // 2, :][..., ix // 2]
        return fine + dy * (iy % 2)[:, None] + dx * (ix % 2)[None, :]


class DiffusionUNet(nn.Module):
    """U-Net with noise level, and a map of conditions that enters at every level.

    At each step up the state is the implicit function times a factor plus the condition pyramid times another, both
    functions of the ratio.

    Parameters
    ----------
    inputs : channels that enter: noisy fields and conditions.
    outputs : channels that leave.
    width : channels of the first level and of the conditions.
    multipliers : channels of the levels, as multiples of ``width``.
    blocks : residual blocks per level on the way down, and as many on the way up.
    attention_level : number of the level with attention, besides the coarsest.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, multipliers: tuple[int, ...], blocks: int, attention_level: int
    ):
        super().__init__()
        self.width, level = width, 4 * width
        widths = [width * m for m in multipliers]
        self.code = nn.Sequential(nn.Linear(width, level), nn.SiLU(), nn.Linear(level, level))
        self.stem = nn.Conv2d(inputs, width, 3, padding=1)
        self.left, self.right = nn.ModuleList(), nn.ModuleList()
        self.down, self.up, self.factors, self.pyramid = (nn.ModuleList() for _ in range(4))
        before = width
        for k, w in enumerate(widths):
            sizes = [before, *[w] * blocks]
            attend = k == attention_level
            self.left.append(
                nn.ModuleList(ResidualBlock(a, w, level, attend) for a in sizes[:-1])  # the first changes the width
            )
            if k + 1 < len(widths):
                self.down.append(nn.Conv2d(w, w, 3, stride=2, padding=1))
                self.pyramid.append(nn.Conv2d(width if k == 0 else widths[k - 1], w, 3, 1 if k == 0 else 2, padding=1))
                self.up.append(ImplicitUp(widths[k + 1]))
                self.factors.append(nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, w + widths[k + 1])))
                first = w + widths[k + 1]
                self.right.append(
                    nn.ModuleList(ResidualBlock(first if i == 0 else w, w, level, attend) for i in range(blocks))
                )
            before = w
        w = widths[-1]
        self.middle = nn.ModuleList([ResidualBlock(w, w, level, True), ResidualBlock(w, w, level, False)])
        self.last = nn.Sequential(norm(widths[0]), nn.SiLU(), nn.Conv2d(widths[0], outputs, 3, padding=1))
        for p in self.last[-1].parameters():
            nn.init.zeros_(p)

    def condition_pyramid(self, condition: Tensor) -> list[Tensor]:
        """Compute the conditions of all levels but the coarsest from (B, width, m, n); the same at every step."""
        out = []
        for conv in self.pyramid:
            condition = conv(condition if not out else F.silu(out[-1]))
            out.append(condition)
        return out

    def forward(self, x: Tensor, noise: float, pyramid: list[Tensor], ratio: float) -> Tensor:
        """Predict the clean fields.

        Parameters
        ----------
        x : (B, inputs, m, n) noisy fields and conditions.
        noise : √ᾱ, factor of the clean field in the noisy one, 0 … 1.
        pyramid : from :meth:`condition_pyramid`.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Fields (B, outputs, m, n).
        """
        f = torch.exp(-math.log(1e4) * torch.arange(self.width // 2, device=x.device) / max(1, self.width // 2))
        phase = 1000 * noise * f
        level = self.code(torch.cat([phase.sin(), phase.cos()])[None].to(x))
        x, skips = self.stem(x), []
        for k, blocks in enumerate(self.left):
            for block in blocks:  # type: ignore[union-attr]
                x = block(x, level)
            if k < len(self.down):
                skips.append(x)
                x = self.down[k](x)
        for block in self.middle:
            x = block(x, level)
        for k in reversed(range(len(self.up))):
            skip = skips.pop()
            scale = torch.full((1, 1), math.log2(ratio) / 4, dtype=x.dtype, device=x.device)
            own, other = (2 * self.factors[k](scale).sigmoid())[..., None, None].split([x.shape[1], skip.shape[1]], 1)
            up = self.up[k](x, (skip.shape[-2], skip.shape[-1])) * own
            x = torch.cat([up, skip + pyramid[k] * other], 1)
            for block in self.right[k]:  # type: ignore[union-attr]
                x = block(x, level)
        return self.last(x)
