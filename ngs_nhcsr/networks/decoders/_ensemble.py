"""Base of the decoders that evaluate a function at the four cells around a point and blend the values."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ...solvers.positions import Query
from ..local import corners, in_pieces, shaped
from .decoder import Decoder


class EnsembleDecoder(Decoder):
    """Local ensemble: values from the four cells whose centres surround the point, blended by area.

    The weights vanish where the set of cells changes, so the field is continuous.
    """

    @abstractmethod
    def maps(self, features: Tensor) -> Tensor:
        """Compute what each cell contributes to all points: features (B, channels, my, mx) to rows (B, my mx, C)."""

    @abstractmethod
    def value(self, cells: Tensor, offset: Tensor, ratio: float) -> Tensor:
        """Evaluate the function of one cell at each point.

        Parameters
        ----------
        cells : (B, P, C) rows of :meth:`maps` at the cells of P points.
        offset : (P, 2) offsets (y, x) of the points from their cells' centres in half cells, -2 … 2, float64.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Values (B, P, outputs).
        """

    def prepare(self, features: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Compute rows (B, my mx, C) of all cells, and keep (my, mx), from features (B, channels, my, mx)."""
        return self.maps(features), (features.shape[-2], features.shape[-1])

    def evaluate(self, prepared: tuple[Tensor, tuple[int, int]], query: Query, ratio: float) -> Tensor:
        """Blend the values of the four cells; see :meth:`Decoder.evaluate`."""
        maps, size = prepared

        def at_points(piece: Query) -> Tensor:
            total = torch.zeros((), dtype=maps.dtype, device=maps.device)
            for n in corners(piece, size, maps.device):
                total = total + self.value(maps[:, n.cell], n.offset, ratio) * n.weight.to(maps)[:, None]
            return shaped(total, piece)

        return in_pieces(at_points, query, len(maps))
