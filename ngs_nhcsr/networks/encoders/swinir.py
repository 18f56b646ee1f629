"""SwinIR without its upsampling tail (Liang et al., ICCV workshops 2021), in the size used with LTE and CLIT.

Attention within windows of 8² cells, every other layer with windows shifted by half. The map is continued to whole
windows by reflection at its sides and cut back afterwards: features of the wrong size would put every local
coordinate wrong.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...solvers.linalg import batched
from ..dense import Linear
from .encoder import Encoder, encoders


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows, with a learned bias per head and relative position.

    Parameters
    ----------
    channels : channels of a token.
    heads : number of heads; divides ``channels``.
    window : cells per side of a window.
    """

    def __init__(self, channels: int, heads: int, window: int):
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = Linear(channels, 3 * channels)
        self.project = Linear(channels, channels)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        i = torch.arange(window)
        relative = i[:, None] - i[None, :] + window - 1  # (window, window), 0 … 2 window - 2
        index = relative[:, None, :, None] * (2 * window - 1) + relative[None, :, None, :]
        self.register_buffer("index", index.reshape(window**2, window**2), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Let the tokens of each window attend to each other.

        Parameters
        ----------
        x : (B n, T, C) tokens of n windows per problem.
        mask : (n, T, T) true for pairs of tokens that must not attend to each other; ``None``: no such pairs.

        Returns
        -------
        Tokens of the same shape.
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B n, heads, T, d)
        d = q.shape[-1]
        logits = batched((q * d**-0.5).flatten(0, 1), k.flatten(0, 1).transpose(1, 2)).unflatten(0, q.shape[:2])
        logits = logits + self.bias[self.index].movedim(-1, 0)  # type: ignore[index]
        if mask is not None:
            logits = logits.unflatten(0, (-1, len(mask))).masked_fill(mask[:, None], float("-inf")).flatten(0, 1)
        out = batched(logits.softmax(-1).flatten(0, 1), v.flatten(0, 1)).unflatten(0, q.shape[:2])
        return self.project(out.transpose(1, 2).flatten(2))


class SwinLayer(nn.Module):
    """Window attention and a two-layer perceptron, each after a LayerNorm and with a skip around.

    Parameters
    ----------
    channels : channels of the map.
    heads : attention heads.
    window : cells per side of a window.
    expansion : hidden channels of the perceptron per channel of the map.
    shift : cells by which the windows are shifted against the map; 0: not at all.
    """

    def __init__(self, channels: int, heads: int, window: int, expansion: int, shift: int):
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads, window)
        self.mlp = nn.Sequential(
            Linear(channels, expansion * channels), nn.GELU(), Linear(expansion * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer: (B, my, mx, C) to the same shape; my and mx are whole numbers of windows."""
        s, w = self.shift, self.window
        tokens = _windows(self.norm1(x).roll((-s, -s), (1, 2)), w)
        mask = _seam(x.shape[1], x.shape[2], w, s, x.device) if s else None
        x = x + _from_windows(self.attention(tokens, mask), x.shape, w).roll((s, s), (1, 2))
        return x + self.mlp(self.norm2(x))


def _windows(x: Tensor, w: int) -> Tensor:
    """Cut a map (B, my, mx, C) into windows (B n, w², C)."""
    B, my, mx, C = x.shape
    return x.view(B, my // w, w, mx // w, w, C).transpose(2, 3).reshape(-1, w * w, C)


def _from_windows(x: Tensor, shape: torch.Size, w: int) -> Tensor:
    B, my, mx, C = shape
    return x.view(B, my // w, mx // w, w, w, C).transpose(2, 3).reshape(shape)


def _seam(my: int, mx: int, w: int, s: int, device: torch.device) -> Tensor:
    """Mark pairs (n, w², w²) of cells that only the cyclic shift brought into one window."""
    y, x = (torch.arange(m, device=device) for m in (my, mx))
    region = (y >= my - s).long()[:, None] * 2 + (x >= mx - s).long()[None, :]
    label = _windows(region[None, :, :, None], w)[..., 0]
    return label[:, :, None] != label[:, None, :]


class SwinGroup(nn.Module):
    """Layers with alternating shift, a 3x3 convolution, and a skip around.

    Parameters
    ----------
    channels : channels of the map.
    depth : number of layers; every other one has its windows shifted by half.
    heads : attention heads.
    window : cells per side of a window.
    expansion : hidden channels of the perceptrons per channel of the map.
    """

    def __init__(self, channels: int, depth: int, heads: int, window: int, expansion: int):
        super().__init__()
        self.layers = nn.ModuleList(
            SwinLayer(channels, heads, window, expansion, (k % 2) * (window // 2)) for k in range(depth)
        )
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the group: (B, my, mx, C) to the same shape."""
        y = x
        for layer in self.layers:
            y = layer(y)
        return x + self.conv(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


@encoders.register("swinir")
class SwinIR(Encoder):
    """Residual groups of window attention at full resolution.

    Parameters
    ----------
    inputs : channels of the input map.
    channels : channels of the features.
    width : channels inside; a multiple of ``heads``.
    groups : number of residual groups.
    depth : layers per group.
    heads : attention heads.
    window : cells per side of a window.
    expansion : hidden channels of the perceptrons per channel inside.

    Raises
    ------
    ValueError
        If ``heads`` does not divide ``width``.

    Examples
    --------
    >>> net = SwinIR(1, width=12, groups=1, depth=2, heads=2, window=4)
    >>> net(torch.zeros(1, 1, 9, 6)).shape
    torch.Size([1, 64, 9, 6])
    """

    def __init__(
        self,
        inputs: int,
        channels: int = 64,
        width: int = 180,
        groups: int = 6,
        depth: int = 6,
        heads: int = 6,
        window: int = 8,
        expansion: int = 2,
    ):
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, not {width} and {heads}")
        self.channels, self.window = channels, window
        self.shallow = nn.Conv2d(inputs, width, 3, padding=1)
        self.norm_first = nn.LayerNorm(width)
        self.groups = nn.ModuleList(SwinGroup(width, depth, heads, window, expansion) for _ in range(groups))
        self.norm_last = nn.LayerNorm(width)
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.02)
                nn.init.zeros_(m.bias)
            elif isinstance(m, WindowAttention):
                nn.init.trunc_normal_(m.bias, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Encode maps (B, inputs, my, mx) to features (B, channels, my, mx)."""
        my, mx = x.shape[-2:]
        iy, ix = (_mirror(m, -(-m // self.window) * self.window, x.device) for m in (my, mx))
        first = self.shallow(x[..., iy, :][..., ix])
        y = self.norm_first(first.permute(0, 2, 3, 1))
        for group in self.groups:
            y = group(y)
        y = first + self.body(self.norm_last(y).permute(0, 3, 1, 2))
        return F.leaky_relu(self.last(y), 0.01)[..., :my, :mx]


def _mirror(m: int, n: int, device: torch.device) -> Tensor:
    """Number the n cells that continue m cells by reflection at the face behind the last one."""
    i = torch.arange(n, device=device) % (2 * m)
    return torch.minimum(i, 2 * m - 1 - i)


@encoders.register("swinir-light")
def swinir_light(inputs: int) -> SwinIR:
    """Make a SwinIR of 60 channels, 4 groups of 4 layers: 0.6 M parameters; ``inputs`` channels of the input map."""
    return SwinIR(inputs, 64, width=60, groups=4, depth=4)
