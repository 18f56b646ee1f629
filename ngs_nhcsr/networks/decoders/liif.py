"""LIIF (Chen et al., CVPR 2021): a perceptron on unfolded features, the local coordinate and the cell size."""

from __future__ import annotations

import torch
from torch import Tensor

from ..local import LARGEST_RATIO, relative_cell
from ..unfolded import UnfoldedMLP
from ._ensemble import EnsembleDecoder
from .decoder import decoders


@decoders.register("liif")
class LIIF(EnsembleDecoder):
    """Local implicit image function with unfolding, ensemble and cell decoding.

    Ours: the last layer starts at zero, the cell size is clipped to ``largest_ratio``, and no 3x3 neighbourhood is
    stored (see ``unfolded.py``).

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    widths : widths of the hidden layers.
    largest_ratio : ratio ε/h at which the cell size that the network reads is clipped: the largest in training.

    Examples
    --------
    >>> sum(p.numel() for p in LIIF(64, 1).parameters())
    346369
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        widths: tuple[int, ...] = (256, 256, 256, 256),
        largest_ratio: float = LARGEST_RATIO,
    ):
        super().__init__()
        self.largest_ratio = largest_ratio
        self.mlp = UnfoldedMLP(channels, 4, outputs, tuple(widths))

    def maps(self, features: Tensor) -> Tensor:
        """Compute the features' share of the first layer: (B, channels, my, mx) to rows (B, my mx, widths[0])."""
        return self.mlp.maps(features)

    def value(self, cells: Tensor, offset: Tensor, ratio: float) -> Tensor:
        """Evaluate the perceptron; see :meth:`EnsembleDecoder.value`."""
        cell = torch.full_like(offset, relative_cell(ratio, self.largest_ratio))
        return self.mlp(cells, torch.cat([offset, cell], -1).to(cells))
