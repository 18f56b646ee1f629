"""Sums of basis functions at the nodes of grids that divide the coefficient's cells: one convolution of the features.

The nodes between four neighbouring cell centres form a block of r x r nodes, for r fine cells per cell and axis. Their
values depend on the four cells alone, by a map that is the same for all blocks: a convolution with kernel 2 x 2 whose
channels are the block's nodes. Where blocks are small the linear map from features to coefficients of the basis
functions is part of its weights, and the coefficients (200 numbers per cell in the shipped model) are never computed.
For inference; the sums are those of ``basis.BasisDecoder``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...solvers.positions import Axis, Nodes, Query
from ..compiled import gelu
from ..strips import strips


@dataclass(eq=False)
class Features:
    """Features of cells, and on demand what is computed from them.

    Attributes
    ----------
    maps : (B, C, my, mx).
    make : computes coefficients (B, J, K, my, mx) of the basis functions from maps.
    """

    maps: Tensor
    make: Callable[[Tensor], Tensor]

    @cached_property
    def coefficients(self) -> Tensor:
        """Coefficients (B, J, K, my, mx) of the basis functions."""
        return self.make(self.maps)


@dataclass(frozen=True)
class CoefficientMap:
    """The map from features to coefficients, as one linear map of features, hidden values and the constant 1.

    These D = C + H + 1 numbers per cell, and zeros up to a multiple of 8, are one tensor: oneDNN's convolutions take
    twice as long for 129 channels as for 136.

    Attributes
    ----------
    first : (D, C, 1, 1) kernel that gives features, arguments of the hidden layer's activation, and 0.
    bias : (D,) that of the hidden layer, and 1 for the constant.
    matrix : (J, K, D) from these, activated, to the coefficients.
    hidden : the channels that are activated.
    """

    first: Tensor
    bias: Tensor
    matrix: Tensor
    hidden: slice

    @classmethod
    def of(cls, linear: nn.Conv2d, hidden: nn.Conv2d, last: nn.Conv2d, outputs: int) -> CoefficientMap:
        """Compose it from ``linear`` + ``last`` ∘ activation ∘ ``hidden``, convolutions with kernel 1 x 1.

        Parameters
        ----------
        linear : features to coefficients.
        hidden : features to the hidden layer.
        last : the hidden layer to coefficients, without bias.
        outputs : number J of fields.

        Returns
        -------
        CoefficientMap
        """
        C, H = hidden.in_channels, hidden.in_channels + hidden.out_channels
        D = H + 8 - H % 8
        first, bias = linear.weight.new_zeros(D, C, 1, 1), linear.weight.new_zeros(D)
        first[:C, :, 0, 0].fill_diagonal_(1)
        first[C:H], bias[C:H], bias[H] = hidden.weight, hidden.bias, 1  # type: ignore[index]
        matrix = linear.weight.new_zeros(outputs, linear.out_channels // outputs, D)
        rows = matrix.view(-1, D)
        rows[:, :C], rows[:, C:H] = linear.weight.flatten(1), last.weight.flatten(1)
        rows[:, H] = linear.bias  # type: ignore[index]
        return cls(first, bias, matrix, slice(C, H))

    def arguments(self, maps: Tensor) -> Tensor:
        """Compute what the coefficients are linear in, (B, D, my, mx), from features (B, C, my, mx)."""
        return gelu(F.conv2d(maps, self.first, self.bias), self.hidden)

    def blocks(self, arguments: Tensor, table: Tensor) -> Tensor:
        """Sum the basis functions at the nodes of all blocks.

        Parameters
        ----------
        arguments : (B, D, my, mx).
        table : (S, K, 2, 2) basis functions times hats of the four cells at S nodes.

        Returns
        -------
        Tensor (B, J, S, my+1, mx+1); cells outside count as zero.
        """
        (S, K), (J, _, D) = table.shape[:2], self.matrix.shape
        if 4 * S * D < K * (D + 4 * S):
            taps = table.permute(0, 2, 3, 1).reshape(4 * S, K)
            weight = taps @ self.matrix.movedim(1, 0).reshape(K, J * D)
            weight = weight.view(S, 2, 2, J, D).permute(3, 0, 4, 1, 2).reshape(J * S, D, 2, 2)
            return F.conv2d(arguments, weight, padding=1).unflatten(1, (J, S))
        coefficients = (F.conv2d(arguments, m[..., None, None]) for m in self.matrix)
        return torch.stack([F.conv2d(c, table, padding=1) for c in coefficients], 1)


@dataclass(frozen=True)
class NodeBlocks:
    """The nodes of a grid in blocks between cell centres.

    Attributes
    ----------
    cells : (my, mx) coefficient cells.
    r : (ry, rx) intervals of the grid per cell.
    """

    cells: tuple[int, int]
    r: tuple[int, int]

    @classmethod
    def of(cls, query: Query, cells: tuple[int, int]) -> NodeBlocks | None:
        """Make the blocks of a grid, or ``None`` for points and for grids that do not divide the cells evenly."""
        if type(query) is not Nodes or query.cells[0] % cells[0] or query.cells[1] % cells[1]:
            return None
        return cls(cells, (query.cells[0] // cells[0], query.cells[1] // cells[1]))

    def table(self, basis: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Tabulate the basis functions of the four cells times their hats at the nodes of a block.

        Parameters
        ----------
        basis : offsets (n, 1) and (1, m) from a cell's centre, float64, to values (n, m, K).

        Returns
        -------
        Tensor (ry rx, K, 2, 2), row by row.
        """
        (ry, rx), (y, x) = self.r, (_offsets(r) for r in self.r)
        values = basis(y[:, None], x[None, :])
        hats = (1 - y.abs())[:, None] * (1 - x.abs())
        values = values * hats.to(values).unsqueeze(-1)
        return values.view(ry, 2, rx, 2, -1).permute(0, 2, 4, 1, 3).flatten(0, 1)

    def empty(self, like: Tensor, fields: int) -> Tensor:
        """Make room for all blocks of fields (B, J, my+1, ry, mx+1, rx), for B maps ``like``."""
        (my, mx), (ry, rx) = self.cells, self.r
        return like.new_empty((len(like), fields, my + 1, ry, mx + 1, rx))

    def field(self, blocks: Tensor) -> Tensor:
        """Cut nodes outside off and divide by the sum of the hats of existing cells.

        Parameters
        ----------
        blocks : (B, J, my+1, ry, mx+1, rx) sums at the nodes of all blocks.

        Returns
        -------
        Fields (B, J, ny+1, nx+1), contiguous.
        """
        whole = blocks.flatten(4, 5).flatten(2, 3)
        (y, ny), (x, nx) = ((r // 2, r * m + 1) for r, m in zip(self.r, self.cells, strict=True))
        out = whole[..., y : y + ny, x : x + nx].contiguous()
        query = Nodes((ny - 1, nx - 1))
        for k, v in enumerate((out.transpose(-1, -2), out)):  # hats of existing cells miss 1 in half cells at the ends
            weight = total_weight(query.axis(k, self.cells[k], centred=True), self.cells[k]).to(out)
            half = self.r[k] - self.r[k] // 2
            low, high = slice(0, half), slice(max(half, len(weight) - half), None)
            v[..., low] /= weight[low]
            v[..., high] /= weight[high]
        return out


def decode(
    maps: Tensor, coefficients: CoefficientMap, grids: Sequence[NodeBlocks], basis: Callable[[Tensor, Tensor], Tensor]
) -> list[Tensor]:
    """Decode fields at grids.

    Parameters
    ----------
    maps : (B, C, my, mx) features.
    coefficients : the map from these to coefficients of the basis functions.
    grids : grids of nodes.
    basis : see :meth:`NodeBlocks.table`.

    Returns
    -------
    Fields (B, J, ny+1, nx+1) for each grid.
    """
    if not grids:
        return []
    tables = [grid.table(basis) for grid in grids]
    table, counts = torch.cat(tables), [len(t) for t in tables]
    whole = [grid.empty(maps, len(coefficients.matrix)) for grid in grids]
    channels = max(coefficients.matrix.shape[-1], len(coefficients.matrix) * len(table))
    for strip in strips(maps, 1, channels):
        sums = coefficients.blocks(coefficients.arguments(maps[..., strip.taken, :]), table)
        rows = strip.blocks
        for part, grid, out in zip(sums.split(counts, 2), grids, whole, strict=True):
            kept = part[..., rows.start - strip.taken.start : rows.stop - strip.taken.start, :]
            out[:, :, rows] = kept.unflatten(2, grid.r).permute(0, 1, 4, 2, 5, 3)
    return [grid.field(out) for grid, out in zip(grids, whole, strict=True)]


def total_weight(axis: Axis, intervals: int) -> Tensor:
    """Sum the hats of existing cells along an axis: 1 except in the half cells at the ends."""
    w = torch.where(axis.base < 0, axis.frac, torch.ones_like(axis.frac))
    return torch.where(axis.base >= intervals - 1, 1 - axis.frac, w)


def _offsets(r: int) -> Tensor:
    """Offsets of a block's ``r`` nodes on an axis from the centres before and after it, (2 r,)."""
    place = (torch.arange(r, dtype=torch.float64) + (0.5 if r % 2 else 0.0)) / r
    return torch.stack([place, place - 1], 1).flatten()
