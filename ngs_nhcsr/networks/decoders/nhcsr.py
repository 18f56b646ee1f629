r"""The NH-CSR decoder: local implicit transformer with Gabor positional bias, coarse and fine branch.

Reconstructed from arXiv 2411.07576 (no code is public). Eq. (8): with queries q interpolated at x, keys and values on
a window of cells around x and δ = x − x_Z,

.. math:: F(x) = \sum_c \operatorname{softmax}_c\bigl(q(x)\cdot k_c/\sqrt d + b(Ψ(δ_c))\bigr)\, v_c .

Eq. (9): one such branch on the features, one on their pixel-shuffled expansion of twice the resolution;
F = F_coarse + F_fine, and an MLP makes the output. Ours: the softmax weights carry a bilinear taper that vanishes at
the window's edge, which makes the field continuous and ties at cell faces harmless, and cells outside the domain are
left out. On grids with an even number r of fine cells per coefficient cell, positions repeat with period r: the r²
phases are decoded one after another on whole maps, without any gathering, equal to the pointwise path to round-off.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..gabor import GaborNetwork
from ..positions import Axis, Nodes, Points, Positions, Query
from ._registry import decoders

#: Points decoded at once by the pointwise path.
CHUNK = 16_384


class LocalAttention(nn.Module):
    """One branch: attention of a query point over the ``window``² cells around it.

    Parameters
    ----------
    channels : of the map. dim : of queries, keys and values. heads : divides ``dim``.
    window : odd number of cells. gabor : width of the positional network.
    """

    def __init__(self, channels: int, dim: int, heads: int, window: int, gabor: int):
        super().__init__()
        if window % 2 == 0 or dim % heads:
            raise ValueError("window must be odd and dim a multiple of heads")
        self.heads, self.window, self.dim = heads, window, dim
        self.project = nn.Conv2d(channels, 3 * dim, 1)
        self.bias = GaborNetwork(2, gabor, heads)

    def maps(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value maps (B, dim, m, m)."""
        q, k, v = self.project(features).chunk(3, 1)
        return q * (self.heads / self.dim) ** 0.5, k, v

    def logits_offset(self, dy: Tensor, dx: Tensor) -> tuple[Tensor, Tensor]:
        """Positional bias (heads, *shape) and taper (*shape) at offsets δ in cells."""
        half = self.window / 2
        parameters = self.project.weight
        dy, dx = torch.broadcast_tensors(dy.to(parameters) / half, dx.to(parameters) / half)
        taper = (1 - dy.abs()).clamp_min(0) * (1 - dx.abs()).clamp_min(0)
        return self.bias(torch.stack([dy, dx], -1)).movedim(-1, 0), taper

    def combine(self, logits: list[Tensor], weights: list[Tensor], values: list[Tensor]) -> Tensor:
        """Softmax over the window with tapered weights: lists over slots of (B, h, *s), (*s), (B, dim, *s)."""
        stacked = torch.stack(logits)
        attention = (stacked - stacked.amax(0)).exp() * torch.stack(weights)[:, None, None]
        attention = attention / attention.sum(0)
        total = torch.zeros((), dtype=stacked.dtype, device=stacked.device)
        for a, v in zip(attention, values, strict=True):
            total = total + a.unsqueeze(2) * v.unflatten(1, (self.heads, -1))
        return total.flatten(1, 2)

    def slots(self) -> range:
        """Cell offsets of the window along one axis."""
        return range(-(self.window // 2), self.window // 2 + 1)

    def at(self, maps: tuple[Tensor, Tensor, Tensor], at: Positions, centred: Positions) -> Tensor:
        """Pointwise path: (B, dim, *shape)."""
        q, k, v = maps
        my, mx = k.shape[-2:]
        query = _bilinear_cells(q, centred).unflatten(1, (self.heads, -1))
        logits, weights, values = [], [], []
        for oy in self.slots():
            for ox in self.slots():
                iy, ix = at.y.base + oy, at.x.base + ox
                inside = (iy >= 0) & (iy < my) & (ix >= 0) & (ix < mx)
                iy, ix = iy.clamp(0, my - 1), ix.clamp(0, mx - 1)
                bias, taper = self.logits_offset(at.y.frac - oy - 0.5, at.x.frac - ox - 0.5)
                key = k[..., iy, ix].unflatten(1, (self.heads, -1))
                logits.append((query * key).sum(2) + bias)
                weights.append(taper * inside.to(taper))
                values.append(v[..., iy, ix])
        return self.combine(logits, weights, values)

    def phase(
        self, maps: tuple[Tensor, Tensor, Tensor], anchors: tuple[int, int], stride: int, y: float, x: float
    ) -> Tensor:
        """All points at place (y, x), in cells of this map from every ``stride``-th cell: (B, dim, *anchors)."""
        q, k, v = maps
        my, mx = k.shape[-2:]
        reach = self.window // 2 + 1
        padding = (reach, reach + stride, reach, reach + stride)
        inside = F.pad(torch.ones(my, mx, dtype=k.dtype, device=k.device), padding)
        k, v = F.pad(k, padding), F.pad(v, padding)
        (cy, cx), (fy, fx) = (int(y), int(x)), (y - int(y), x - int(x))

        def cut(t: Tensor, oy: int, ox: int) -> Tensor:
            rows = t[..., reach + cy + oy :: stride, :][..., : anchors[0], :]
            return rows[..., reach + cx + ox :: stride][..., : anchors[1]]

        qpad = F.pad(q, padding, mode="replicate")
        by, bx = (-1 if f < 0.5 else 0 for f in (fy, fx))
        wy, wx = fy - 0.5 - by, fx - 0.5 - bx
        query = torch.zeros((), dtype=q.dtype, device=q.device)
        for sy, ay in ((0, 1 - wy), (1, wy)):
            for sx, ax in ((0, 1 - wx), (1, wx)):
                if ay * ax:
                    query = query + cut(qpad, by + sy, bx + sx) * (ay * ax)
        query = query.unflatten(1, (self.heads, -1))
        logits, weights, values = [], [], []
        for oy in self.slots():
            for ox in self.slots():
                offset = torch.tensor([fy - oy - 0.5, fx - ox - 0.5], dtype=torch.float64, device=k.device)
                bias, taper = self.logits_offset(offset[0], offset[1])
                key = cut(k, oy, ox).unflatten(1, (self.heads, -1))
                logits.append((query * key).sum(2) + bias[:, None, None])
                weights.append(taper * cut(inside, oy, ox))
                values.append(cut(v, oy, ox))
        return self.combine(logits, weights, values)


@decoders.register("nhcsr")
class NHCSRDecoder(nn.Module):
    """Two-branch attention decoder (B, channels, my, mx) -> (B, outputs, *query shape).

    Parameters
    ----------
    channels, outputs : of the features and of the decoded field.
    dim, heads, window : of the attention. gabor : width of the positional networks. mlp : hidden widths of the head.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        dim: int = 64,
        heads: int = 4,
        window: int = 3,
        gabor: int = 32,
        mlp: tuple[int, ...] = (128, 128),
    ):
        super().__init__()
        self.outputs = outputs
        self.coarse = LocalAttention(channels, dim, heads, window, gabor)
        self.expand = nn.Sequential(nn.Conv2d(channels, 4 * channels, 1), nn.PixelShuffle(2))
        self.fine = LocalAttention(channels, dim, heads, window, gabor)
        widths = [dim + 1, *mlp]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.GELU()]
        last = nn.Linear(widths[-1], outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.head = nn.Sequential(*layers, last)

    def forward(self, features: Tensor, query: Query, ratio: float) -> Tensor:
        """Evaluate at a query; see the package docstring."""
        coarse, fine = self.coarse.maps(features), self.fine.maps(self.expand(features))
        my, mx = features.shape[-2:]
        if isinstance(query, Nodes):
            ny, nx = query.cells
            r = ny // my
            if ny == r * my and nx == r * mx and r % 2 == 0:
                return self._phases(coarse, fine, (my, mx), r, ratio)
        return self._pointwise(coarse, fine, (my, mx), query, ratio)

    def branches(
        self, coarse: tuple[Tensor, Tensor, Tensor], fine: tuple[Tensor, Tensor, Tensor], query: Query
    ) -> tuple[Tensor, Tensor]:
        """Coarse- and fine-branch fields (B, dim, *shape) at a query, by the pointwise path."""
        out = []
        for branch, maps in ((self.coarse, coarse), (self.fine, fine)):
            cells = (maps[0].shape[-2], maps[0].shape[-1])
            out.append(branch.at(maps, query.locate(cells, centred=False), query.locate(cells, centred=True)))
        return out[0], out[1]

    def _head(self, field: Tensor, ratio: float) -> Tensor:
        scale = torch.full_like(field[:, :1], math.log2(ratio) / 4)
        return self.head(torch.cat([field, scale], 1).movedim(1, -1)).movedim(-1, 1)

    def _phases(
        self,
        coarse: tuple[Tensor, Tensor, Tensor],
        fine: tuple[Tensor, Tensor, Tensor],
        cells: tuple[int, int],
        r: int,
        ratio: float,
    ) -> Tensor:
        anchors = (cells[0] + 1, cells[1] + 1)
        B = coarse[0].shape[0]
        out = coarse[0].new_empty(B, self.outputs, cells[0] * r + 1, cells[1] * r + 1)
        for py in range(r):
            for px in range(r):
                field = self.coarse.phase(coarse, anchors, 1, py / r, px / r)
                field = field + self.fine.phase(fine, anchors, 2, 2 * py / r, 2 * px / r)
                values = self._head(field, ratio)
                target = out[..., py::r, px::r]
                target.copy_(values[..., : target.shape[-2], : target.shape[-1]])
        return out

    def _pointwise(
        self,
        coarse: tuple[Tensor, Tensor, Tensor],
        fine: tuple[Tensor, Tensor, Tensor],
        cells: tuple[int, int],
        query: Query,
        ratio: float,
    ) -> Tensor:
        if isinstance(query, Points):
            pieces = [Points(query.yx[k : k + CHUNK]) for k in range(0, len(query.yx), CHUNK)]
            return torch.cat([self._head(sum(self.branches(coarse, fine, p)), ratio) for p in pieces], -1)  # type: ignore[arg-type]
        rows = max(1, CHUNK // (query.cells[1] + 1))
        pieces = []
        for k in range(0, query.cells[0] + 1, rows):
            strip = NodeRows(query, k, min(k + rows, query.cells[0] + 1))
            pieces.append(self._head(sum(self.branches(coarse, fine, strip)), ratio))  # type: ignore[arg-type]
        return torch.cat(pieces, -2)


class NodeRows(Nodes):
    """Rows ``first`` … ``last``-1 of a node grid, as a query."""

    def __init__(self, nodes: Nodes, first: int, last: int):
        super().__init__(nodes.cells)
        object.__setattr__(self, "rows", slice(first, last))

    def locate(self, intervals: tuple[int, int], *, centred: bool) -> Positions:
        """Positions of these rows only."""
        whole = super().locate(intervals, centred=centred)
        rows = self.rows  # type: ignore[attr-defined]
        return Positions(Axis(whole.y.base[rows], whole.y.frac[rows]), whole.x)


def _bilinear_cells(q: Tensor, centred: Positions) -> Tensor:
    """Bilinear interpolation between cell centres, constant beyond the outermost."""
    my, mx = q.shape[-2:]
    total = torch.zeros((), dtype=q.dtype, device=q.device)
    for sy in (0, 1):
        for sx in (0, 1):
            w = (centred.y.frac if sy else 1 - centred.y.frac) * (centred.x.frac if sx else 1 - centred.x.frac)
            iy, ix = (centred.y.base + sy).clamp(0, my - 1), (centred.x.base + sx).clamp(0, mx - 1)
            total = total + q[..., iy, ix] * w.to(q)
    return total
