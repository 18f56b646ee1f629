"""Meta-SR (Hu et al., CVPR 2019): a network of the place in the cell predicts the 3x3 filter applied there.

The filter of a point belongs to the cell it lies in, so the field jumps at cell faces, as published; nodes on a face
belong to the upper cell (integer floor), at the end of an axis to the last one. All points at the same place in their
cell share a filter: on node grids the filters are made once per place and applied as one convolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...solvers.positions import Nodes, Positions, Query
from ..dense import Linear, zero_linear
from ..encodings import OCTAVES, integrated
from ..local import LARGEST_RATIO, flat, in_pieces, locate, relative_cell, shaped
from .decoder import Decoder, decoders


@decoders.register("metasr")
class MetaSR(Decoder):
    """Filters from the two fractional offsets and 1/r, where r = ε/h is the ratio.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    width : width of the hidden layer.
    largest_ratio : ratio ε/h at which the cell size that the network reads is clipped: the largest in training.

    Examples
    --------
    >>> sum(p.numel() for p in MetaSR(64, 1).parameters())
    149056
    """

    coordinates = 3

    def __init__(self, channels: int, outputs: int, width: int = 256, largest_ratio: float = LARGEST_RATIO):
        super().__init__()
        self.channels, self.outputs, self.largest_ratio = channels, outputs, largest_ratio
        self.filters = nn.Sequential(
            Linear(self.coordinates, width), nn.ReLU(), zero_linear(width, 9 * channels * outputs)
        )

    def encode(self, fractions: Tensor, ratio: float) -> Tensor:
        """Compute what the filter network reads of places in the cell.

        Parameters
        ----------
        fractions : (P, 2) places (y, x) in the cell, 0 … 1, float64.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Inputs (P, coordinates).
        """
        cell = torch.full_like(fractions[:, :1], relative_cell(ratio, self.largest_ratio) / 2)
        return torch.cat([fractions, cell], -1)

    def kernels(self, fractions: Tensor, ratio: float) -> Tensor:
        """Compute the filters that belong to places in the cell.

        Parameters
        ----------
        fractions : (P, 2) places (y, x) in the cell, 0 … 1, float64.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Filters (P, outputs, 9 channels).
        """
        encoded = self.encode(fractions, ratio).to(self.filters[0].weight)  # type: ignore[arg-type]
        return self.filters(encoded).unflatten(-1, (self.outputs, -1))

    def evaluate(self, prepared: Tensor, query: Query, ratio: float) -> Tensor:
        """Filter the features (B, channels, my, mx) place by place; see :meth:`Decoder.evaluate`."""
        features, size = prepared, (prepared.shape[-2], prepared.shape[-1])
        if isinstance(query, Nodes):
            at = locate(query, size, centred=False, device=torch.device("cpu"))
            places = [axis.frac.unique(return_inverse=True) for axis in (at.y, at.x)]
            # With as many places as nodes there is nothing to share.
            if len(places[0][0]) * len(places[1][0]) * size[0] * size[1] <= 4 * at.shape.numel():
                return self._shared(features, at, places, ratio)
        neighbourhoods = F.unfold(features, 3, padding=1).transpose(1, 2).contiguous()

        def at_points(piece: Query) -> Tensor:
            at = locate(piece, size, centred=False, device=features.device)
            cell, y, x = flat(at, at.y.base * size[1] + at.x.base, at.y.frac, at.x.frac)
            kernels = self.kernels(torch.stack([y, x], -1), ratio)
            around = neighbourhoods[:, cell]
            return shaped(torch.stack([(around * k).sum(-1) for k in kernels.unbind(1)], -1), piece)

        return in_pieces(at_points, query, self.outputs * len(features))

    def _shared(self, features: Tensor, at: Positions, places: list, ratio: float) -> Tensor:
        (uy, jy), (ux, jx) = ((u.to(features.device), j.to(features.device)) for u, j in places)
        iy, ix = at.y.base.to(features.device), at.x.base.to(features.device)
        grid = torch.stack(torch.meshgrid(uy, ux, indexing="ij"), -1).reshape(-1, 2)
        kernels = self.kernels(grid, ratio).flatten(0, 1).unflatten(1, (self.channels, 3, 3))
        values = F.conv2d(features, kernels, padding=1).unflatten(1, (len(uy), len(ux), self.outputs))
        return values.movedim(3, 1)[:, :, jy, jx, iy, ix]


@decoders.register("ipe-metasr")
class IPEMetaSR(MetaSR):
    """Filters from the integrated positional encoding of the offset with radius 1/r (IPE, eq. 10); see `MetaSR`.

    Examples
    --------
    >>> sum(p.numel() for p in IPEMetaSR(64, 1).parameters())
    158528
    """

    coordinates = 4 * OCTAVES

    def encode(self, fractions: Tensor, ratio: float) -> Tensor:
        """Compute what the filter network reads of places in the cell.

        Parameters
        ----------
        fractions : (P, 2) places (y, x) in the cell, 0 … 1, float64.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Inputs (P, coordinates).
        """
        return integrated(fractions, relative_cell(ratio, self.largest_ratio) / 2)
