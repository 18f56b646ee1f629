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
from ._registry import decoders
from ._window import WindowBranch, positional_bias

#: Share of the previous branch's field in the next one's.
CASCADE = 0.75


@decoders.register("clit")
class CLIT(nn.Module):
    """Cascade of ``branches`` transformers: field_i = branch_i + 0.75 field_(i-1).

    Branch i reads the embedded features bilinearly refined by s^(i-1), where s, unless given as ``step``, is the
    integer nearest to the ``branches``-th root of the ratio (ours: the published steps belong to its training scales).
    For the published cumulative training, train with ``active=1``, go on from these weights with ``active=2``, and so
    on, with the sum of the losses of :meth:`fields`.

    Parameters
    ----------
    channels, outputs : of the features and of the decoded field.
    branches : all that there are. active : how many are used; default: all.
    dim, heads, window, widths, concatenate : of the branches, see ``WindowBranch``.

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
        """Fields of the cascade cut off after each of its active branches."""
        embedded = self.embed(features)
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

    def forward(self, features: Tensor, query: Query, ratio: float) -> Tensor:
        """Evaluate at a query; see the package docstring."""
        return self.fields(features, query, ratio)[-1]


@decoders.register("clit-3")
def clit3(channels: int, outputs: int, **options: Any) -> CLIT:
    """CLIT with three branches."""
    return CLIT(channels, outputs, branches=3, **options)


@decoders.register("lit")
class LIT(CLIT):
    """The single transformer: CLIT with one branch.

    Examples
    --------
    >>> [sum(p.numel() for p in LIT(64, 1, concatenate=c).parameters()) for c in (True, False)]
    [5328137, 2182409]
    """

    def __init__(self, channels: int, outputs: int, **options: Any):
        super().__init__(channels, outputs, branches=1, **options)
