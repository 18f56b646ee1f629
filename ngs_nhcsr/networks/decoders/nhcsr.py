r"""The NH-CSR decoder: local implicit transformer with Gabor positional bias, coarse and fine branch.

Reconstructed from arXiv 2411.07576 (no code is public). Eq. (8): with queries q interpolated at x, keys and values on
a window of cells around x and δ = x − x_Z,

.. math:: F(x) = \sum_c \operatorname{softmax}_c\bigl(q(x)\cdot k_c/\sqrt d + b(Ψ(δ_c))\bigr)\, v_c .

Eq. (9): one such branch on the features, one on their pixel-shuffled expansion of twice the resolution;
F = F_coarse + F_fine, and an MLP makes the output. Ours: the softmax weights carry a bilinear taper that vanishes at
the window's edge, which makes the field continuous and ties at cell faces harmless, and cells outside the domain are
left out. On grids with an even number r of fine cells per coefficient cell, or one, along each axis, positions repeat
with period r: the phases are decoded one after another on whole maps, without any gathering, equal to the pointwise
path to round-off.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...solvers.positions import Nodes, Query
from ..dense import Linear, zero_linear
from ..local import in_pieces
from ._attention import LocalAttention, Maps
from .decoder import Decoder, decoders


@decoders.register("nhcsr")
class NHCSRDecoder(Decoder):
    """Attention on the features, plus attention on their expansion of twice the resolution, then a perceptron.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    dim : channels of queries, keys and values.
    heads : attention heads; divides ``dim``.
    window : cells per side of a point's window, odd.
    gabor : width of the positional networks.
    mlp : widths of the head's hidden layers.
    encoding : encoding of the local coordinates: "gabor", or for comparison "plain", "sinusoid", "ipe", "lte".
    multiscale : whether there is the fine branch.
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
        encoding: str = "gabor",
        multiscale: bool = True,
    ):
        super().__init__()
        self.outputs = outputs
        self.coarse = LocalAttention(channels, dim, heads, window, gabor, encoding)
        self.fine: LocalAttention | None = None
        if multiscale:
            self.expand = nn.Sequential(nn.Conv2d(channels, 4 * channels, 1), nn.PixelShuffle(2))
            self.fine = LocalAttention(channels, dim, heads, window, gabor, encoding)
        widths = [dim + 1, *mlp]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [Linear(a, b), nn.GELU()]
        self.head = nn.Sequential(*layers, zero_linear(widths[-1], outputs))

    def prepare(self, features: Tensor) -> list[Maps]:
        """Project features (B, channels, my, mx) to maps of the coarse branch and, if there is one, the fine branch."""
        if self.fine is None:
            return [self.coarse.maps(features)]
        return [self.coarse.maps(features), self.fine.maps(self.expand(features))]

    def evaluate(self, prepared: list[Maps], query: Query, ratio: float) -> Tensor:
        """Add the branches' fields and apply the head; see :meth:`Decoder.evaluate`."""
        maps, (batch, _, my, mx) = prepared, prepared[0][0].shape
        if isinstance(query, Nodes):
            ry, rx = query.cells[0] // my, query.cells[1] // mx
            if query.cells == (ry * my, rx * mx) and all(r == 1 or r % 2 == 0 or len(maps) == 1 for r in (ry, rx)):
                return self._phases(maps, (my, mx), (ry, rx), ratio)
        return in_pieces(lambda piece: self._head(self.branches(maps, piece, ratio), ratio), query, batch)

    def branches(self, maps: list[Maps], query: Query, ratio: float) -> list[Tensor]:
        """Evaluate the branches one by one, by the pointwise path.

        Parameters
        ----------
        maps : from :meth:`prepare`.
        query : nodes or points.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Fields (B, dim, *shape of the query) of the coarse and, if there is one, the fine branch.
        """
        out = []
        for k, (branch, own) in enumerate(zip((self.coarse, self.fine), maps, strict=False)):
            cells = (own[0].shape[-2], own[0].shape[-1])
            at, centred = query.locate(cells, centred=False), query.locate(cells, centred=True)
            out.append(branch.at(own, at, centred, ratio / 2**k))  # type: ignore[union-attr]
        return out

    def _head(self, fields: list[Tensor], ratio: float) -> Tensor:
        field = fields[0] if len(fields) == 1 else fields[0] + fields[1]
        scale = torch.full_like(field[:, :1], math.log2(ratio) / 4)
        return self.head(torch.cat([field, scale], 1).movedim(1, -1)).movedim(-1, 1)

    def _phases(self, maps: list[Maps], cells: tuple[int, int], r: tuple[int, int], ratio: float) -> Tensor:
        anchors, (ry, rx) = (cells[0] + 1, cells[1] + 1), r
        k = maps[0][1]
        out = k.new_empty(k.shape[0], self.outputs, cells[0] * ry + 1, cells[1] * rx + 1)
        for py in range(ry):
            for px in range(rx):
                fields = [self.coarse.phase(maps[0], anchors, 1, py / ry, px / rx, ratio)]
                if self.fine is not None:
                    fields.append(self.fine.phase(maps[1], anchors, 2, 2 * py / ry, 2 * px / rx, ratio / 2))
                values = self._head(fields, ratio)
                target = out[..., py::ry, px::rx]
                target.copy_(values[..., : target.shape[-2], : target.shape[-1]])
        return out
