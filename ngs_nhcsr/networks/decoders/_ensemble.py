"""Base of the decoders that evaluate a function at four cells around a point and blend the values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...solvers.positions import Query
from ..local import corners, in_pieces, shaped


class EnsembleDecoder(nn.Module):
    """Local ensemble: values from the four cells whose centres surround the point, blended by area.

    The weights vanish where the set of cells changes, so the field is continuous.
    """

    def maps(self, features: Tensor) -> Tensor:
        """What is computed once per cell: rows (B, my mx, C)."""
        raise NotImplementedError

    def value(self, cells: Tensor, offset: Tensor, ratio: float) -> Tensor:
        """Rows at the points' cells (B, P, C), offsets from their centres (P, 2), float64 -> (B, P, outputs)."""
        raise NotImplementedError

    def forward(self, features: Tensor, query: Query, ratio: float) -> Tensor:
        """Evaluate at a query; see the package docstring."""
        maps, size = self.maps(features), (features.shape[-2], features.shape[-1])

        def evaluate(piece: Query) -> Tensor:
            total = torch.zeros((), dtype=maps.dtype, device=maps.device)
            for n in corners(piece, size, maps.device):
                total = total + self.value(maps[:, n.cell], n.offset, ratio) * n.weight.to(maps)[:, None]
            return shaped(total, piece)

        return in_pieces(evaluate, query, len(features))
