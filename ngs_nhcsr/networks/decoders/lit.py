"""LIT and CLIT (Chen et al., CVPR 2023): (cascaded) local implicit transformers.

The window of a point is centred on the cell it lies in (integer floor), and the head tells the window's cells apart,
so the field jumps at cell faces, as published. Ours: cells outside the domain are masked.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ...solvers.positions import Query
from ..local import LARGEST_RATIO, relative_cell
from ._window import WindowBranch, positional_bias
from .decoder import Decoder, decoders

#: Share of the previous branch's field in the next one's.
CASCADE = 0.75


@decoders.register("clit")
class CLIT(Decoder):
    """Cascade of ``branches`` transformers: field_i = branch_i + 0.75 field_(i-1).

    Branch i reads the embedded features bilinearly refined by s^(i-1), where s, unless given as ``step``, is the
    integer nearest to the ``branches``-th root of the ratio (ours: the published steps belong to its training scales).
    For the published cumulative training, train with ``active=1``, continue from these weights with ``active=2``, and
    so on, with the sum of the losses of :meth:`fields`.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    branches : number of branches.
    active : how many of them are used, the first ones; default: all.
    step : refinement s from branch to branch; default: by the ratio, see above.
    dim : channels of the embedded features.
    heads : attention heads.
    window : cells per side of a point's window, odd.
    widths : widths of the hidden layers of the branches' heads.
    concatenate : whether the head reads all weighted values of the window or their sum, see ``WindowBranch``.
    largest_ratio : ratio ε/h at which the cell size that the network reads is clipped: the largest in training.

    Raises
    ------
    ValueError
        If ``active`` is no number of branches.

    Examples
    --------
    >>> [sum(p.numel() for p in CLIT(64, 3, branches=n).parameters()) for n in (2, 3)]
    [10509070, 15689489]
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        branches: int = 2,
        active: int | None = None,
        step: int | None = None,
        dim: int = 256,
        heads: int = 8,
        window: int = 7,
        widths: tuple[int, ...] = (256, 256, 256, 256),
        concatenate: bool = True,
        largest_ratio: float = LARGEST_RATIO,
    ):
        super().__init__()
        self.active = branches if active is None else active
        if not 1 <= self.active <= branches:
            raise ValueError(f"active must be between 1 and {branches}, not {active}")
        self.step, self.largest_ratio = step, largest_ratio
        self.embed = nn.Conv2d(channels, dim, 3, padding=1)
        self.bias = positional_bias(heads)
        self.branches = nn.ModuleList(
            WindowBranch(dim, outputs, heads, window, tuple(widths), concatenate) for _ in range(branches)
        )

    def fields(self, features: Tensor, query: Query, ratio: float) -> list[Tensor]:
        """Evaluate the cascade cut off after each of its active branches.

        Parameters
        ----------
        features : (B, channels, my, mx).
        query : nodes or points.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        One (B, outputs, *shape of the query) per active branch.
        """
        return self._cascade(self.prepare(features), query, ratio)

    def _cascade(self, embedded: Tensor, query: Query, ratio: float) -> list[Tensor]:
        step = self.step or max(1, round(ratio ** (1 / len(self.branches))))
        out: list[Tensor] = []
        for k in range(self.active):
            factor = step**k
            # Cells are cut into whole cells: pixel-centred interpolation is right here.
            refined = F.interpolate(embedded, scale_factor=factor, mode="bilinear") if factor > 1 else embedded
            cell = factor * relative_cell(ratio, self.largest_ratio)
            field = self.branches[k](refined, self.bias, query, cell)
            out.append(field + CASCADE * out[-1] if out else field)
        return out

    def prepare(self, features: Tensor) -> Tensor:
        """Embed features (B, channels, my, mx) as (B, dim, my, mx)."""
        return self.embed(features)

    def evaluate(self, prepared: Tensor, query: Query, ratio: float) -> Tensor:
        """Evaluate the whole cascade; see :meth:`Decoder.evaluate`."""
        return self._cascade(prepared, query, ratio)[-1]


@decoders.register("clit-3")
class CLIT3(CLIT):
    """CLIT with three branches.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    **options : the other options of :class:`CLIT`.
    """

    def __init__(self, channels: int, outputs: int, **options: Any):
        super().__init__(channels, outputs, branches=3, **options)


@decoders.register("lit")
class LIT(CLIT):
    """The single transformer: CLIT with one branch.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    **options : the other options of :class:`CLIT`.

    Examples
    --------
    >>> [sum(p.numel() for p in LIT(64, 1, concatenate=c).parameters()) for c in (True, False)]
    [5328137, 2182409]
    """

    def __init__(self, channels: int, outputs: int, **options: Any):
        super().__init__(channels, outputs, branches=1, **options)
