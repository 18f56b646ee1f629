r"""FRL (frequency-aware representation, arXiv 2512.05132) around any decoder: a RECONSTRUCTION from second-hand notes.

The paper was not available. The notes give the encoding :math:`\sin(2π k x / k_\mathrm{Nyq})` of the query grid, fed
to the network along with training at several resolutions and a spectral loss (``"spectral"`` among the losses). Two
readings of x are possible: the grid index (``reading="index"``: the same physical frequency gets the same code at
every resolution) or the coordinate in 0 … 1 (``reading="coordinate"``: a frequency relative to the grid's).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...solvers.positions import Query
from ..dense import Linear, zero_linear
from ..local import CHUNK
from .decoder import Decoder, decoders


@decoders.register("frl")
class FRL(Decoder):
    """A decoder of ``hidden`` fields and a head that reads them with the normalised-frequency encoding.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    decoder : name of the wrapped decoder.
    decoder_options : its options.
    hidden : number of fields that it decodes.
    width : width of the head's hidden layer.
    octaves : number of frequencies 1, 2 … 2^(octaves-1) per side of the domain; those above the Nyquist frequency of
        the mesh are replaced by zero.
    reading : "index" or "coordinate", see above.

    Raises
    ------
    ValueError
        For another reading, or ``decoder="frl"``.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        decoder: str = "liif",
        decoder_options: dict[str, Any] | None = None,
        hidden: int = 16,
        width: int = 64,
        octaves: int = 8,
        reading: str = "index",
    ):
        super().__init__()
        if reading not in ("index", "coordinate"):
            raise ValueError(f"reading must be 'index' or 'coordinate', not {reading!r}")
        if decoder == "frl":
            raise ValueError("the wrapped decoder cannot be 'frl' itself")
        self.reading, self.octaves = reading, octaves
        self.decoder = decoders[decoder](channels, hidden, **(decoder_options or {}))
        _start_away_from_zero(self.decoder)
        self.head = nn.Sequential(Linear(hidden + 4 * octaves, width), nn.GELU(), zero_linear(width, outputs))

    def encode(self, t: Tensor, cells: float) -> Tensor:
        """Encode places on an axis.

        Parameters
        ----------
        t : (P,) coordinates, 0 … 1.
        cells : fine cells along the axis.

        Returns
        -------
        Codes (P, 2 octaves): the sines, then k / k_Nyq.
        """
        k = 2.0 ** torch.arange(self.octaves, dtype=torch.float64, device=t.device)
        normalised = 2 * k / cells
        audible = normalised <= 1
        x = t * cells if self.reading == "index" else t
        waves = torch.sin(2 * torch.pi * normalised * x.unsqueeze(-1)) * audible
        return torch.cat([waves, (normalised * audible).expand_as(waves)], -1)

    def prepare(self, features: Tensor) -> tuple[Any, tuple[int, int]]:
        """Prepare the wrapped decoder, and keep (my, mx) of the features (B, channels, my, mx)."""
        return self.decoder.prepare(features), (features.shape[-2], features.shape[-1])

    def evaluate(self, prepared: tuple[Any, tuple[int, int]], query: Query, ratio: float) -> Tensor:
        """Decode the hidden fields and apply the head; see :meth:`Decoder.evaluate`."""
        own, size = prepared
        cells = (ratio * size[0], ratio * size[1])
        fields = self.decoder.evaluate(own, query, ratio).movedim(1, -1)  # (B, *shape, hidden)
        at = query.locate((1, 1), centred=False)
        codes = [self.encode(t.frac.to(fields.device), n) for t, n in zip((at.y, at.x), cells, strict=True)]
        inputs = torch.cat([fields, *(c.to(fields).expand(*fields.shape[:-1], -1) for c in codes)], -1)
        values = torch.cat([self.head(part) for part in inputs.flatten(0, -2).split(CHUNK)])
        return values.unflatten(0, fields.shape[:-1]).movedim(-1, 1)


def _start_away_from_zero(decoder: nn.Module) -> None:
    """Draw last layers that start at zero as usual: the wrapper's own head starts at zero, and two would not learn."""
    for m in decoder.modules():
        if isinstance(m, nn.Linear | nn.Conv2d) and not m.weight.is_meta and not m.weight.any():
            m.reset_parameters()
