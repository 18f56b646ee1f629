"""One branch of LIT and CLIT: attention of a point over the cells around it, a perceptron on the weighted values."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ...solvers.linalg import linear
from ...solvers.positions import Axis, Query
from ..dense import Linear, zero_linear
from ..local import flat, in_pieces, interpolate, locate, rows, shaped

#: Frequencies of the positional bias, 1 … 2⁹ per half cell: the paper's range, with the number of its code.
FREQUENCIES = 16


def positional_bias(heads: int) -> nn.Linear:
    """Make the linear map from sines and cosines of both offsets to one number for each of ``heads`` heads."""
    return Linear(4 * FREQUENCIES, heads)


class WindowBranch(nn.Module):
    """Query, key and value maps, and the head.

    The head reads all weighted values side by side, as the published code does, or (``concatenate=False``) their sum,
    as the paper's eq. (4) has it. Side by side they are never stored: the first layer is summed up cell by cell.

    Parameters
    ----------
    dim : channels of the embedded map, and of queries, keys and values.
    outputs : number of decoded fields.
    heads : attention heads; divides ``dim``.
    window : cells per side of a point's window, odd.
    widths : widths of the hidden layers of the head.
    concatenate : whether the head reads the weighted values side by side or their sum.

    Raises
    ------
    ValueError
        For an even window, or if ``heads`` does not divide ``dim``.
    """

    def __init__(
        self, dim: int, outputs: int, heads: int, window: int, widths: tuple[int, ...], concatenate: bool = True
    ):
        super().__init__()
        if window % 2 == 0 or dim % heads:
            raise ValueError(f"window must be odd and dim a multiple of heads, not {window}, {dim} and {heads}")
        self.dim, self.heads, self.window, self.concatenate = dim, heads, window, concatenate
        self.query, self.key, self.value = (nn.Conv2d(dim, dim, 3, padding=1) for _ in range(3))
        self.first = Linear((window**2 if concatenate else 1) * dim + 2, widths[0])
        layers: list[nn.Module] = [nn.GELU()]
        for a, b in pairwise(widths):
            layers += [Linear(a, b), nn.GELU()]
        self.rest = nn.Sequential(*layers, zero_linear(widths[-1], outputs))

    def forward(self, embedded: Tensor, bias: nn.Linear, query: Query, cell: float) -> Tensor:
        """Evaluate the branch at a query.

        Parameters
        ----------
        embedded : (B, dim, my, mx) embedded map.
        bias : from :func:`positional_bias`; all branches share it.
        query : nodes or points.
        cell : size of a fine cell in half cells of this map.

        Returns
        -------
        Fields (B, outputs, *shape of the query).
        """
        size = (embedded.shape[-2], embedded.shape[-1])
        q, k, v = (rows(conv(embedded)) for conv in (self.query, self.key, self.value))

        def at_points(piece: Query) -> Tensor:
            return shaped(self._at(q, k, v, bias, piece, size, cell), piece)

        return in_pieces(at_points, query, len(embedded))

    def _at(
        self, q: Tensor, k: Tensor, v: Tensor, bias: nn.Linear, query: Query, size: tuple[int, int], cell: float
    ) -> Tensor:
        at = locate(query, size, centred=False, device=q.device)
        at_q = interpolate(q, query, size) * (self.heads / self.dim) ** 0.5
        slots, places = self._slots(bias, at.y, size[0], 0), self._slots(bias, at.x, size[1], 1)
        cells, logits = [], []
        for iy, inside_y, by in slots:
            for ix, inside_x, bx in places:
                index, inside = flat(at, iy * size[1] + ix, inside_y & inside_x)
                offset = (by + bx + bias.bias).expand(*at.shape, -1).reshape(-1, self.heads)
                product = (at_q * k[:, index]).unflatten(-1, (self.heads, -1)).sum(-1) + offset
                # Cells outside the domain take no part: zero keys would pull every value at the boundary to zero.
                logits.append(product.masked_fill(~inside[:, None], float("-inf")))
                cells.append(index)
        attention = torch.stack(logits).softmax(0)
        return self._head(attention, cells, v, cell)

    def _slots(self, bias: nn.Linear, axis: Axis, n: int, k: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Per cell of the window along an axis: clamped index, whether it exists, and this axis' share of the bias."""
        f = 2 ** torch.linspace(0, 9, FREQUENCIES, dtype=torch.float64, device=axis.frac.device)
        weight = bias.weight.unflatten(1, (2, -1))[:, k]
        out = []
        for o in range(-(self.window // 2), self.window // 2 + 1):
            phase = 2 * (axis.frac - o - 0.5).unsqueeze(-1) * f
            share = linear(torch.cat([phase.sin(), phase.cos()], -1).to(weight), weight)
            i = axis.base + o
            out.append((i.clamp(0, n - 1), (i >= 0) & (i < n), share))
        return out

    def _head(self, attention: Tensor, cells: list[Tensor], v: Tensor, cell: float) -> Tensor:
        """Perceptron on the values weighted by attention (slots, B, P, heads) and on the cell size."""
        weights = self.first.weight[:, :-2].split(self.dim, 1)
        size = self.first.weight[:, -2:].sum(1) * cell + self.first.bias
        total = torch.zeros((), dtype=v.dtype, device=v.device)
        for slot, (a, index) in enumerate(zip(attention, cells, strict=True)):
            weighted = (a.unsqueeze(-1) * v[:, index].unflatten(-1, (self.heads, -1))).flatten(-2)
            total = total + (linear(weighted, weights[slot]) if self.concatenate else weighted)
        return self.rest((total if self.concatenate else linear(total, weights[0])) + size)
