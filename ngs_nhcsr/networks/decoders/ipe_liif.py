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
from ._registry import decoders


@decoders.register("ipe-liif")
class IPELIIF(EnsembleDecoder):
    """LIIF on 4 x ``octaves`` encoded coordinates.

    Parameters
    ----------
    channels, outputs : of the features and of the decoded field. widths : of the hidden layers.
    octaves : frequencies 1, 2 … 2^(octaves-1) per half cell. skips : hidden layers read the inputs again.

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
        """All layers' shares of the features."""
        return self.mlp.maps(features)

    def value(self, cells: Tensor, offset: Tensor, ratio: float) -> Tensor:
        """(B, P, outputs)."""
        radius = relative_cell(ratio, self.largest_ratio) / 2
        return self.mlp(cells, integrated(offset, radius, self.octaves).to(cells))
