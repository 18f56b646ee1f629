"""IPE-LIIF: LIIF with integrated positional encoding of the local coordinate, inputs repeated at every layer.

An encoding averaged over the fine cell tells the network the cell size as well. For nodal values such a mean has no
meaning of its own; it is kept as published.
"""

from __future__ import annotations

from torch import Tensor

from ..encodings import OCTAVES, integrated
from ..local import LARGEST_RATIO, relative_cell
from ..unfolded import UnfoldedMLP
from ._ensemble import EnsembleDecoder
from .decoder import decoders


@decoders.register("ipe-liif")
class IPELIIF(EnsembleDecoder):
    """LIIF on 4 x ``octaves`` encoded coordinates instead of four plain ones.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    widths : widths of the hidden layers.
    octaves : number of frequencies 1, 2 … 2^(octaves-1) per half cell.
    skips : whether every hidden layer reads the inputs again.
    largest_ratio : ratio ε/h at which the cell size that the network reads is clipped: the largest in training.

    Examples
    --------
    >>> [sum(p.numel() for p in IPELIIF(64, 1, skips=s).parameters()) for s in (True, False)]
    [828673, 355585]
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        widths: tuple[int, ...] = (256, 256, 256, 256),
        octaves: int = OCTAVES,
        skips: bool = True,
        largest_ratio: float = LARGEST_RATIO,
    ):
        super().__init__()
        self.octaves, self.largest_ratio = octaves, largest_ratio
        self.mlp = UnfoldedMLP(channels, 4 * octaves, outputs, tuple(widths), skips)

    def maps(self, features: Tensor) -> Tensor:
        """Compute the features' shares of all layers: (B, channels, my, mx) to rows (B, my mx, sum of the widths)."""
        return self.mlp.maps(features)

    def value(self, cells: Tensor, offset: Tensor, ratio: float) -> Tensor:
        """Evaluate the perceptron; see :meth:`EnsembleDecoder.value`."""
        radius = relative_cell(ratio, self.largest_ratio) / 2
        return self.mlp(cells, integrated(offset, radius, self.octaves).to(cells))
