r"""SRNO (Wei & Zhang, CVPR 2023): a neural operator with Galerkin attention on the features lifted to the points.

One layer, with the points' states z, learned q, k, v (k and v normalised) and the domain's integral:

.. math:: z \leftarrow z + q(z) \int k(z)^T v(z), \qquad z \leftarrow z + \mathrm{MLP}(z).

As published the integral runs over whatever points are evaluated at once, so that values depend on the chunk. Here
it is the trapezoidal sum over the node grid of the given ratio, added up piece by piece: the operator is fixed by
features and ratio, and every point is evaluated with the same integrals. It is a whole-field operation: even a single
point costs one pass over the grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...solvers.linalg import batched, linear
from ...solvers.positions import Nodes, Query
from ..dense import Linear, zero_linear
from ..local import (
    LARGEST_RATIO,
    NodeBlock,
    blocks,
    corners,
    in_pieces,
    relative_cell,
    rows,
    shaped,
)
from .decoder import Decoder, decoders

#: Most numbers kept as states of the grid between layers; larger grids lift their points again.
STORED = 2**27


class HeadNorm(nn.Module):
    """Normalisation of the channels of each head by mean and unbiased deviation, with affine weights per head.

    Parameters
    ----------
    heads : number of heads.
    width : channels of a head.
    eps : added to the deviation.
    """

    def __init__(self, heads: int, width: int, eps: float = 1e-5):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(heads, width)), nn.Parameter(torch.zeros(heads, width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., heads, width) to the same shape."""
        deviation = x.var(-1, keepdim=True).clamp_min(1e-20).sqrt()  # the clamp keeps the gradient finite
        return (x - x.mean(-1, keepdim=True)) / (deviation + self.eps) * self.weight + self.bias


class GalerkinLayer(nn.Module):
    """Attention without softmax: states meet through the integral of kᵀv only.

    Parameters
    ----------
    width : channels C of the states.
    heads : attention heads of d = C / heads channels.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.norm_k, self.norm_v = HeadNorm(heads, width // heads), HeadNorm(heads, width // heads)
        self.mlp = nn.Sequential(Linear(width, width), nn.GELU(), Linear(width, width))

    def moments(self, z: Tensor, weight: Tensor) -> Tensor:
        """Compute the share of some points in the integral of kᵀv.

        Parameters
        ----------
        z : (B, P, C) states of the points.
        weight : (P,) quadrature weights.

        Returns
        -------
        Share (B heads, d, d).
        """
        _, k, v = self.qkv(z).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        k, v = self.norm_k(k) * weight[:, None, None], self.norm_v(v)
        return batched(k.permute(0, 2, 3, 1).flatten(0, 1), v.transpose(1, 2).flatten(0, 1))

    def forward(self, z: Tensor, integral: Tensor) -> Tensor:
        """Apply the layer to states (B, P, C), given the whole integral (B heads, d, d): states of the same shape."""
        C = z.shape[-1]
        q = linear(z, self.qkv.weight[:C], self.qkv.bias[:C]).unflatten(-1, (self.heads, -1))
        mixed = batched(q.transpose(1, 2).flatten(0, 1), integral).unflatten(0, (len(z), self.heads))
        z = z + mixed.transpose(1, 2).flatten(-2)
        return z + self.mlp(z)


@decoders.register("srno")
class SRNO(Decoder):
    """Super-resolution neural operator. Its bilinear skip is the coarse solution, which the corrector adds.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    width : channels of the points' states.
    heads : attention heads; divides ``width``.
    layers : number of attention layers.
    largest_ratio : ratio ε/h at which the cell size that the network reads is clipped: the largest in training.

    Raises
    ------
    ValueError
        If ``heads`` does not divide ``width``, or leaves one channel to a head.

    Examples
    --------
    >>> sum(p.numel() for p in SRNO(64, 1).parameters())
    794369
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        width: int = 256,
        heads: int = 16,
        layers: int = 2,
        largest_ratio: float = LARGEST_RATIO,
    ):
        super().__init__()
        if width % heads or width == heads:
            raise ValueError(f"width must be a multiple of heads, at least twice them, not {width} and {heads}")
        self.largest_ratio = largest_ratio
        self.lift = Linear(4 * (channels + 2) + 2, width)
        self.layers = nn.ModuleList(GalerkinLayer(width, heads) for _ in range(layers))
        self.head = nn.Sequential(Linear(width, width), nn.GELU(), zero_linear(width, outputs))

    def state(self, maps: Tensor, query: Query, size: tuple[int, int], ratio: float) -> Tensor:
        """Lift points: features of the four cells times their weights, the offsets from these, and the cell size.

        Parameters
        ----------
        maps : (B, my mx, channels) rows of features.
        query : P points.
        size : (my, mx).
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        States (B, P, width).
        """
        parts, places = [], []
        for n in corners(query, size, maps.device):
            parts.append(maps[:, n.cell] * n.weight.to(maps)[:, None])
            places.append(n.offset.to(maps))
        places.append(torch.full_like(places[0], relative_cell(ratio, self.largest_ratio)))
        return self.lift(torch.cat([*parts, torch.cat(places, -1).expand(len(maps), -1, -1)], -1))

    def integrals(self, maps: Tensor, size: tuple[int, int], ratio: float) -> list[Tensor]:
        """Compute the integrals of all layers over the node grid of the ratio, piece by piece.

        Parameters
        ----------
        maps : (B, my mx, channels) rows of features.
        size : (my, mx).
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Integrals (B heads, d, d), one per layer.
        """
        grid = Nodes((max(1, round(ratio * size[0])), max(1, round(ratio * size[1]))))
        parts = [p for row in blocks(grid, len(maps)) for p in row]
        points = (grid.cells[0] + 1) * (grid.cells[1] + 1)
        keep = len(maps) * points * self.lift.out_features <= STORED
        states: list[Tensor] = []
        out: list[Tensor] = []
        for k in range(len(self.layers)):
            total = torch.zeros((), dtype=maps.dtype, device=maps.device)
            for i, block in enumerate(parts):
                if k == 0 or not keep:
                    z = self.state(maps, block, size, ratio)
                    z = self._through(z, out)
                else:
                    z = self._through(states[i], out[-1:], k - 1)
                if keep and k == 0:
                    states.append(z)
                elif keep:
                    states[i] = z
                total = total + self.layers[k].moments(z, _weights(block).to(z))  # type: ignore[operator]
            out.append(total)
        return out

    def _through(self, z: Tensor, integrals: list[Tensor], first: int = 0) -> Tensor:
        for layer, integral in zip(self.layers[first:], integrals, strict=False):  # type: ignore[arg-type]
            z = layer(z, integral)
        return z

    def prepare(self, features: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Arrange features (B, channels, my, mx) as rows (B, my mx, channels), and keep (my, mx)."""
        return rows(features), (features.shape[-2], features.shape[-1])

    def evaluate(self, prepared: tuple[Tensor, tuple[int, int]], query: Query, ratio: float) -> Tensor:
        """Integrate over the mesh of the ratio, then apply the operator at the query; see :meth:`Decoder.evaluate`."""
        maps, size = prepared
        integrals = self.integrals(maps, size, ratio)

        def at_points(piece: Query) -> Tensor:
            return shaped(self.head(self._through(self.state(maps, piece, size, ratio), integrals)), piece)

        return in_pieces(at_points, query, len(maps))


def _weights(block: Query) -> Tensor:
    """Trapezoidal weights (P,) of the nodes of a block, of a total of 1 over the whole grid."""
    if not isinstance(block, NodeBlock):
        raise TypeError("quadrature weights belong to node grids")
    axes = []
    for n, part in zip(block.cells, (block.rows, block.columns), strict=True):
        w = torch.full((n + 1,), 1 / n, dtype=torch.float64)
        w[0] = w[-1] = 0.5 / n
        axes.append(w[part])
    return (axes[0][:, None] * axes[1][None, :]).flatten()
