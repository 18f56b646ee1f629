"""Maps of large rasters in strips of rows: intermediate results then stay in cache, and in memory at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

#: Most numbers of a strip in each tensor, rows that it shares with its neighbours apart. These 16 MiB come from memory
#: that the allocator keeps; tensors above 32 MiB are new pages each time, which takes longer than to compute them.
NUMBERS = 2**22


@dataclass(frozen=True)
class Strip:
    """Rows of a map.

    Attributes
    ----------
    rows : those of the strip.
    taken : these and the rows that it shares with its neighbours.
    last : whether it is the uppermost strip.
    """

    rows: slice
    taken: slice
    last: bool

    @property
    def blocks(self) -> slice:
        """Rows of blocks between cell centres that have their lower cells below the strip, and for the last all."""
        return slice(self.rows.start, self.rows.stop + self.last)


def strips(x: Tensor, reach: int, channels: int) -> Iterator[Strip]:
    """Split maps into strips of rows.

    Parameters
    ----------
    x : (B, C, my, mx).
    reach : rows that strips share with their neighbours; strips begin at multiples of it.
    channels : of intermediate results.

    Yields
    ------
    Strip
        All strips, from row 0 upwards.
    """
    rows, columns = x.shape[-2:]
    count = max(1, min(-(-rows * columns * len(x) * channels // NUMBERS), rows // (4 * reach)))
    height = reach * -(-rows // (count * reach))
    for first in range(0, rows, height):
        end = min(first + height, rows)
        yield Strip(slice(first, end), slice(max(0, first - reach), min(end + reach, rows)), end == rows)


def in_strips(function: Callable[[Tensor], Tensor], x: Tensor, reach: int, channels: int) -> Tensor:
    """Apply a local function of maps strip by strip.

    Parameters
    ----------
    function : maps (B, C, my, mx) to maps (B, D, my, mx); a cell depends on no row farther away than ``reach``.
    x : (B, C, my, mx).
    reach : rows that strips share with their neighbours; strips begin at multiples of it.
    channels : of intermediate results.

    Returns
    -------
    The function of ``x``, to round-off.

    Examples
    --------
    >>> x = torch.rand(1, 1, 600, 600)
    >>> smooth = lambda v: torch.nn.functional.avg_pool2d(v, 3, stride=1, padding=1)
    >>> torch.allclose(in_strips(smooth, x, 2, 32), smooth(x)), len(list(strips(x, 2, 32)))
    (True, 3)
    """
    out: Tensor | None = None
    for strip in strips(x, reach, channels):
        part = function(x[..., strip.taken, :])
        if strip.rows.start == 0 and strip.last:
            return part
        if out is None:
            shape = (len(x), part.shape[1], *x.shape[-2:])
            out = torch.empty(shape, dtype=part.dtype, device=x.device, memory_format=torch.channels_last)
        start = strip.taken.start
        out[..., strip.rows, :] = part[..., strip.rows.start - start : strip.rows.stop - start, :]
    return out  # type: ignore[return-value]
