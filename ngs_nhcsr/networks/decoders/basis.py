r"""Low-rank Gabor coordinate basis with partition of unity: a continuous implicit function, almost free to evaluate.

Every coefficient cell c carries coefficients :math:`c_{jk}` from the features. With basis functions ψ_k of the local
coordinate δ = x/ε − (centre of c), from a Gabor network, and bilinear hats ``w`` between cell centres,

.. math:: o_j(x) = \sum_{c} w_c(x) \sum_k c_{jk}(c)\, ψ_k(δ_c(x)).

The hats vanish where the set of the (at most four) cells changes, so the field is continuous; missing cells at the
boundary are left out and the rest renormalised. On a node grid that divides the coefficient cells evenly, ψ is needed
at a few offsets only and decoding is one small matrix product and an overlap-add.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...solvers.positions import Axis, Nodes, Points, Query
from ..gabor import GaborNetwork
from . import _node_blocks as node_blocks
from .decoder import Decoder, decoders

#: Rows of nodes, or scattered points / 256, treated at once by the general path.
CHUNK_ROWS = 64
#: Offsets, distances beyond faces, scale; three for each corner.
LOCAL_COORDINATES = 5 + 4 * 3


@decoders.register("basis")
class BasisDecoder(Decoder):
    """Fields as sums of ``rank`` learned basis functions, with coefficients from each cell's features.

    The coefficients are a linear map of the features plus a perceptron with one hidden layer. By the linear map alone
    all outputs x rank coefficients of a cell (5 x 40 in the shipped model) would lie in a space of no more dimensions
    than there are feature channels (32).

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    rank : number K of basis functions ψ_k, which all fields share.
    width : width of the Gabor network that is ψ.
    hidden : width of the perceptron's hidden layer.
    """

    def __init__(self, channels: int, outputs: int, rank: int = 40, width: int = 48, hidden: int = 96):
        super().__init__()
        self.outputs, self.rank = outputs, rank
        self.coefficients = nn.Conv2d(channels, outputs * rank, 1)
        self.bent = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.GELU("tanh"), nn.Conv2d(hidden, outputs * rank, 1, bias=False)
        )
        for start in (self.coefficients.weight, self.coefficients.bias, self.bent[-1].weight):
            nn.init.zeros_(start)  # type: ignore[arg-type]
        self.psi = GaborNetwork(LOCAL_COORDINATES, width, rank)

    def basis(self, dy: Tensor, dx: Tensor, ratio: float) -> Tensor:
        """Evaluate the basis functions ψ at offsets from a cell's centre.

        Parameters
        ----------
        dy : offsets along y in cells, -1 … 1.
        dx : offsets along x; broadcasts with ``dy``.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Values (..., rank), of the parameters' type.
        """
        parameters = self.coefficients.weight
        return self.psi(local_coordinates(dy.to(parameters), dx.to(parameters), ratio))

    def prepare(self, features: Tensor) -> Tensor | node_blocks.Features:
        """Compute the coefficients (B, outputs, rank, my, mx) of the basis functions from features (B, C, my, mx).

        Parameters
        ----------
        features : (B, C, my, mx).

        Returns
        -------
        The coefficients; without gradients the features, from which grids of nodes are decoded directly.
        """
        return self._coefficients(features) if torch.is_grad_enabled() else self._lazy(features)

    def _coefficients(self, features: Tensor) -> Tensor:
        return (self.coefficients(features) + self.bent(features)).unflatten(1, (self.outputs, self.rank))

    def _lazy(self, features: Tensor) -> node_blocks.Features:
        return node_blocks.Features(features, self._coefficients)

    def evaluate(self, prepared: Tensor | node_blocks.Features, query: Query, ratio: float) -> Tensor:
        """Sum the basis functions with the prepared coefficients; see :meth:`Decoder.evaluate`."""
        return self.evaluate_many(prepared, (query,), ratio)[0]

    def evaluate_many(
        self, prepared: Tensor | node_blocks.Features, queries: Sequence[Query], ratio: float
    ) -> list[Tensor]:
        """Sum the basis functions at several queries; see :meth:`Decoder.evaluate_many`."""
        if isinstance(prepared, Tensor):
            return [self._evaluate(prepared, query, ratio) for query in queries]
        size = (prepared.maps.shape[-2], prepared.maps.shape[-1])
        grids = [node_blocks.NodeBlocks.of(query, size) for query in queries]
        hidden, last = self.bent[0], self.bent[2]
        linear = node_blocks.CoefficientMap.of(self.coefficients, hidden, last, self.outputs)  # type: ignore[arg-type]
        fields = iter(
            node_blocks.decode(prepared.maps, linear, [g for g in grids if g], partial(self.basis, ratio=ratio))
        )
        return [
            next(fields) if grid is not None else self._evaluate(prepared.coefficients, query, ratio)
            for grid, query in zip(grids, queries, strict=True)
        ]

    def _evaluate(self, c: Tensor, query: Query, ratio: float) -> Tensor:
        my, mx = c.shape[-2:]
        if isinstance(query, Nodes):
            ny, nx = query.cells
            if ny % my == 0 and nx % mx == 0:
                return self._overlap_add(c, query, ratio)
        return self._general(c, query, ratio)

    def _overlap_add(self, c: Tensor, query: Nodes, ratio: float) -> Tensor:
        my, mx = c.shape[-2:]
        ny, nx = query.cells
        r = (ny // my, nx // mx)
        y, x = (_offsets(k).to(c.device) for k in r)
        hat = (1 - y.abs())[:, None] * (1 - x.abs())[None, :]
        table = self.basis(y[:, None], x[None, :], ratio)
        table = (table * hat.to(c).unsqueeze(-1)).flatten(0, 1)  # (S, K)
        columns = F.conv2d(c.flatten(0, 1), table[..., None, None]).flatten(-2)  # (B J, S, my mx)
        before = ((r[0] - 1) // 2, (r[1] - 1) // 2)
        out = F.fold(columns, (ny + 1, nx + 1), (len(y), len(x)), stride=r, padding=before)
        wy, wx = (node_blocks.total_weight(query.axis(k, (my, mx)[k], centred=True), (my, mx)[k]) for k in (0, 1))
        return out.view(-1, self.outputs, ny + 1, nx + 1) / (wy[:, None] * wx[None, :]).to(c)

    def _general(self, c: Tensor, query: Query, ratio: float) -> Tensor:
        my, mx = c.shape[-2:]
        at = query.locate((my, mx), centred=True)
        if isinstance(query, Points):
            step = 256 * CHUNK_ROWS
            pieces = [
                self._gather(c, Axis(at.y.base[s], at.y.frac[s]), Axis(at.x.base[s], at.x.frac[s]), ratio)
                for s in (slice(k, k + step) for k in range(0, len(at.y.base), step))
            ]
            return torch.cat(pieces, -1)
        pieces = [
            self._gather(c, Axis(at.y.base[s], at.y.frac[s]), at.x, ratio)
            for s in (slice(k, k + CHUNK_ROWS) for k in range(0, len(at.y.base), CHUNK_ROWS))
        ]
        return torch.cat(pieces, -2)

    def _gather(self, c: Tensor, y: Axis, x: Axis, ratio: float) -> Tensor:
        my, mx = c.shape[-2:]
        total = torch.zeros((), dtype=c.dtype, device=c.device)
        weights = torch.zeros((), dtype=torch.float64)
        for sy in (0, 1):
            for sx in (0, 1):
                iy, ix = y.base + sy, x.base + sx
                dy, dx = y.frac - sy, x.frac - sx
                inside = (iy >= 0) & (iy < my) & (ix >= 0) & (ix < mx)
                w = (1 - dy.abs()) * (1 - dx.abs()) * inside
                psi = self._psi_table(dy, dx, ratio)
                values = c[..., iy.clamp(0, my - 1), ix.clamp(0, mx - 1)]
                total = total + (values * psi.movedim(-1, 0)).sum(2) * w.to(c)
                weights = weights + w
        return total / weights.to(c)

    def _psi_table(self, dy: Tensor, dx: Tensor, ratio: float) -> Tensor:
        """Evaluate ψ at all pairs; on a grid only at the distinct offsets of each axis."""
        device = self.coefficients.weight.device
        if dy.dim() == 1:
            return self.basis(dy.to(device), dx.to(device), ratio)
        uy, jy = dy.flatten().unique(return_inverse=True)
        ux, jx = dx.flatten().unique(return_inverse=True)
        return self.basis(uy[:, None].to(device), ux[None, :].to(device), ratio)[jy][:, jx]


def local_coordinates(dy: Tensor, dx: Tensor, ratio: float) -> Tensor:
    """Compute the inputs of ψ from offsets from a cell's centre.

    They are the offsets; their distances beyond the cell's faces, where a jumps and u has kinks; the ratio; and polar
    coordinates about the four corners, where u is like r^α with an exponent that the four coefficients decide
    (R. B. Kellogg, Applicable Analysis 4, 1975): log r makes all these powers smooth functions, and r + h/ε is where
    the mesh cuts them off.

    Parameters
    ----------
    dy : offsets along y in cells, -1 … 1.
    dx : offsets along x; broadcasts with ``dy``.
    ratio : ε/h, fine cells per coefficient cell.

    Returns
    -------
    Inputs (..., LOCAL_COORDINATES).
    """
    dy, dx = torch.broadcast_tensors(dy, dx)
    coordinates = [dy, dx, F.relu(dy.abs() - 0.5), F.relu(dx.abs() - 0.5), torch.full_like(dy, math.log2(ratio) / 4)]
    for cy in (-0.5, 0.5):
        for cx in (-0.5, 0.5):
            y, x = dy - cy, dx - cx
            r = (y.square() + x.square()).sqrt() + 1 / ratio
            coordinates += [r.log2() / 4, y / r, x / r]
    return torch.stack(coordinates, -1)


def _offsets(r: int) -> Tensor:
    """Offsets from a cell's centre of the nodes in its support, for ``r`` fine cells per cell and axis."""
    first = -((r - 1) // 2)
    count = 2 * r - 1 if r % 2 == 0 else 2 * r
    return torch.arange(first, first + count, dtype=torch.float64) / r - 0.5
