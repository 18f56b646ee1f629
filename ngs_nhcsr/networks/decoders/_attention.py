"""Attention of a point over the cells around it: one branch of the NH-CSR decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...solvers.positions import Positions
from ..encodings import positional

Maps = tuple[Tensor, Tensor, Tensor, Tensor | None]


class LocalAttention(nn.Module):
    """One branch: attention of a query point over the ``window``² cells around it.

    Parameters
    ----------
    channels : channels of the map.
    dim : channels of queries, keys and values.
    heads : attention heads; divides ``dim``.
    window : cells per side of a point's window, odd.
    gabor : width of the positional network.
    encoding : kind of the positional network, a name of ``encodings.positional``.

    Raises
    ------
    ValueError
        For an even window, or if ``heads`` does not divide ``dim``.
    """

    def __init__(self, channels: int, dim: int, heads: int, window: int, gabor: int, encoding: str = "gabor"):
        super().__init__()
        if window % 2 == 0 or dim % heads:
            raise ValueError("window must be odd and dim a multiple of heads")
        self.heads, self.window, self.dim = heads, window, dim
        self.project = nn.Conv2d(channels, 3 * dim, 1)
        self.bias = positional[encoding](gabor, heads, window, channels)

    def maps(self, features: Tensor) -> Maps:
        """Project features to query, key, value maps (B, dim, my, mx) and the map of the positional network, if any."""
        q, k, v = self.project(features).chunk(3, 1)
        return q * (self.heads / self.dim) ** 0.5, k, v, self.bias.map(features)

    def logits_offset(self, dy: Tensor, dx: Tensor, ratio: float, local: Tensor | None) -> tuple[Tensor, Tensor]:
        """Evaluate positional bias and taper at offsets δ of points from a cell's centre.

        Parameters
        ----------
        dy : offsets along y, in cells of this map.
        dx : offsets along x; broadcasts with ``dy`` to (*shape).
        ratio : fine cells per cell of this map.
        local : (B, L, *shape) values of the positional network's own map, or ``None``.

        Returns
        -------
        bias : (heads, *shape), or (B, heads, *shape).
        taper : (*shape) 1 at the centre, 0 at the window's edge.
        """
        dy, dx = torch.broadcast_tensors(dy.to(self.project.weight.device), dx.to(self.project.weight.device))
        taper = (1 - dy.abs() / (self.window / 2)).clamp_min(0) * (1 - dx.abs() / (self.window / 2)).clamp_min(0)
        return self.bias(torch.stack([dy, dx], -1), ratio, local), taper.to(self.project.weight)

    def combine(self, logits: list[Tensor], weights: list[Tensor], values: list[Tensor]) -> Tensor:
        """Apply softmax over the window with tapered weights.

        Parameters
        ----------
        logits : (B, heads, *shape) for every cell of the window.
        weights : (*shape) tapers.
        values : (B, dim, *shape).

        Returns
        -------
        Weighted values (B, dim, *shape).
        """
        taper = torch.stack(weights)[:, None, None]
        stacked = torch.stack(logits).masked_fill(taper == 0, -1e30)
        attention = (stacked - stacked.amax(0)).exp() * taper
        # Whole-map phases also cover points beyond the domain, which are cut off afterwards: without this guard their
        # 0/0 would spoil all gradients.
        norm = attention.sum(0)
        attention = attention / torch.where(norm > 0, norm, torch.ones_like(norm))
        total = torch.zeros((), dtype=stacked.dtype, device=stacked.device)
        for a, v in zip(attention, values, strict=True):
            total = total + a.unsqueeze(2) * v.unflatten(1, (self.heads, -1))
        return total.flatten(1, 2)

    def slots(self) -> range:
        """Return the cell offsets of the window along one axis."""
        return range(-(self.window // 2), self.window // 2 + 1)

    def at(self, maps: Maps, at: Positions, centred: Positions, ratio: float) -> Tensor:
        """Evaluate the branch at any points.

        Parameters
        ----------
        maps : from :meth:`maps`.
        at : positions of the points among the cells.
        centred : their positions among the intervals between cell centres.
        ratio : fine cells per cell of this map.

        Returns
        -------
        Field (B, dim, *shape).
        """
        q, k, v, local = maps
        my, mx = k.shape[-2:]
        query = _bilinear_cells(q, centred).unflatten(1, (self.heads, -1))
        logits, weights, values = [], [], []
        for oy in self.slots():
            for ox in self.slots():
                iy, ix = at.y.base + oy, at.x.base + ox
                inside = (iy >= 0) & (iy < my) & (ix >= 0) & (ix < mx)
                iy, ix = iy.clamp(0, my - 1), ix.clamp(0, mx - 1)
                own = None if local is None else local[..., iy, ix]
                bias, taper = self.logits_offset(at.y.frac - oy - 0.5, at.x.frac - ox - 0.5, ratio, own)
                key = k[..., iy, ix].unflatten(1, (self.heads, -1))
                logits.append((query * key).sum(2) + bias)
                weights.append(taper * inside.to(taper))
                values.append(v[..., iy, ix])
        return self.combine(logits, weights, values)

    def phase(self, maps: Maps, anchors: tuple[int, int], stride: int, y: float, x: float, ratio: float) -> Tensor:
        """Evaluate the branch at one place relative to every ``stride``-th cell, on whole maps, without gathering.

        Parameters
        ----------
        maps : from :meth:`maps`.
        anchors : rows and columns of points.
        stride : cells of this map from point to point.
        y : place along y of the first point, in cells from the corner of the map.
        x : place along x.
        ratio : fine cells per cell of this map.

        Returns
        -------
        Field (B, dim, *anchors).
        """
        q, k, v, local = maps
        my, mx = k.shape[-2:]
        reach = self.window // 2 + 1
        padding = (reach, reach + stride, reach, reach + stride)
        inside = F.pad(torch.ones(my, mx, dtype=k.dtype, device=k.device), padding)
        k, v = F.pad(k, padding), F.pad(v, padding)
        local = None if local is None else F.pad(local, padding)
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
                own = None if local is None else cut(local, oy, ox)
                bias, taper = self.logits_offset(offset[:1, None], offset[1:, None], ratio, own)
                key = cut(k, oy, ox).unflatten(1, (self.heads, -1))
                logits.append((query * key).sum(2) + bias)
                weights.append(taper * cut(inside, oy, ox))
                values.append(cut(v, oy, ox))
        return self.combine(logits, weights, values)


def _bilinear_cells(q: Tensor, centred: Positions) -> Tensor:
    """Interpolate bilinearly between cell centres, constant beyond the outermost."""
    my, mx = q.shape[-2:]
    total = torch.zeros((), dtype=q.dtype, device=q.device)
    for sy in (0, 1):
        for sx in (0, 1):
            w = (centred.y.frac if sy else 1 - centred.y.frac) * (centred.x.frac if sx else 1 - centred.x.frac)
            iy, ix = (centred.y.base + sy).clamp(0, my - 1), (centred.x.base + sx).clamp(0, mx - 1)
            total = total + q[..., iy, ix] * w.to(q)
    return total
