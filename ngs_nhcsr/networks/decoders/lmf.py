r"""LMF (He & Jin, CVPR 2024, arXiv 2404.16451): a large perceptron per cell modulates a small one per point.

LIIF evaluates a wide perceptron at every point. Here the wide one, the latent perceptron, is evaluated once per cell,
on the unfolded features and the cell size. It leaves a code z and, for each hidden layer of the narrow render
perceptron, gains 1 + α_k and shifts β_k. At a point with offset δ from the cell's centre

.. math:: h_1 = σ((1 + α_1) ⊙ (W_1 [z, δ, c] + b_1) + β_1),\quad h_k = σ((1 + α_k) ⊙ (W_k h_{k-1} + b_k) + β_k),

σ the ReLU, c the cell size, and the output is linear in the last h. This is the published LM-LIIF without its
controllable multi-scale rendering, which leaves points out where the modulations are small: at equal results it only
saves time, and "small" is a number fitted per data set.

Ours: the last layer starts at zero, the cell size is clipped, no 3x3 neighbourhood is stored (``unfolded.py``), and
what of the first render layer belongs to the cell (z and c) is computed once per cell and added to its shift: same
numbers. From ratio 1/2 to 4 the multiply-adds grow by half at the published size, those of LIIF 30-fold (8 x 8 cells).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...solvers.linalg import linear
from ...solvers.positions import Query
from ..dense import Linear, zero_linear
from ..local import LARGEST_RATIO, relative_cell
from ..unfolded import UnfoldedMLP
from ._ensemble import EnsembleDecoder
from .decoder import decoders


@decoders.register("lmf")
class LMF(EnsembleDecoder):
    """Latent modulated function: a render perceptron whose hidden layers are scaled and shifted cell by cell.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    latent : widths of the hidden layers of the latent perceptron, evaluated once per cell.
    width : width of the hidden layers of the render perceptron, evaluated at every point; length of the code z.
    depth : number of these layers.
    largest_ratio : ratio ε/h at which the cell size that the network reads is clipped: the largest in training.

    Examples
    --------
    >>> sum(p.numel() for p in LMF(64, 1).parameters())
    165617
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        latent: tuple[int, ...] = (208,),
        width: int = 16,
        depth: int = 6,
        largest_ratio: float = LARGEST_RATIO,
    ):
        super().__init__()
        self.width, self.depth, self.largest_ratio = width, depth, largest_ratio
        self.latent = UnfoldedMLP(channels, 2, (2 * depth + 1) * width, tuple(latent))
        self.latent.last.reset_parameters()  # only the render perceptron starts at zero: its code must not
        self.first = Linear(width + 4, width)  # reads the code, the offset (y, x) and the cell size (y, x)
        self.hidden = nn.ModuleList(Linear(width, width) for _ in range(depth - 1))
        self.last = zero_linear(width, outputs)

    def maps(self, features: Tensor) -> Tensor:
        """Compute the features' share of the first latent layer: (B, channels, my, mx) to (B, my mx, latent[0])."""
        return self.latent.maps(features)

    def modulations(self, maps: Tensor, ratio: float) -> Tensor:
        """Evaluate the latent perceptron, once per cell.

        Parameters
        ----------
        maps : (B, my mx, latent[0]) rows of :meth:`maps`.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Rows (B, my mx, 2 depth width): the gains of all render layers, then the shifts; the first shift contains what
        the first layer makes of the code and the cell size.
        """
        size = maps.new_full((1, 2), relative_cell(ratio, self.largest_ratio))
        n = self.depth * self.width
        code, scales, shifts = self.latent(maps, size).split([self.width, n, n], -1)
        gains = 1 + scales
        of_code, of_size = self.first.weight[:, : self.width], self.first.weight[:, -2:]
        first = linear(code, of_code, self.first.bias) + linear(size, of_size)
        return torch.cat([gains, shifts + F.pad(gains[..., : self.width] * first, (0, n - self.width))], -1)

    def value(self, cells: Tensor, offset: Tensor, ratio: float) -> Tensor:
        """Evaluate the render perceptron; see :meth:`EnsembleDecoder.value`, with rows of :meth:`modulations`."""
        gains, shifts = (part.split(self.width, -1) for part in cells.chunk(2, -1))
        of_offset = self.first.weight[:, self.width : self.width + 2]
        h = F.relu(torch.addcmul(shifts[0], gains[0], linear(offset.to(cells), of_offset)))
        for layer, gain, shift in zip(self.hidden, gains[1:], shifts[1:], strict=True):
            h = F.relu(torch.addcmul(shift, gain, layer(h)))
        return self.last(h)

    def evaluate(self, prepared: tuple[Tensor, tuple[int, int]], query: Query, ratio: float) -> Tensor:
        """Modulate and render; see :meth:`Decoder.evaluate`."""
        return self.evaluate_many(prepared, [query], ratio)[0]

    def evaluate_many(
        self, prepared: tuple[Tensor, tuple[int, int]], queries: Sequence[Query], ratio: float
    ) -> list[Tensor]:
        """Modulate once and render at all queries; see :meth:`Decoder.evaluate_many`."""
        maps, size = prepared
        modulated = self.modulations(maps, ratio), size
        return [super(LMF, self).evaluate(modulated, query, ratio) for query in queries]
