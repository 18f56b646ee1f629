"""What decoders at arbitrary points share: cells around a point, local coordinates, blending, work in pieces.

All places come from ``positions.py`` (integers on node grids). Offsets are measured in half cells, the unit of the
LIIF family: ±1 within a cell, ±2 up to the next cell's centre and its far face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..solvers.positions import Axis, Nodes, Points, Positions, Query

#: Most points, times problems of the batch, that are decoded at once.
CHUNK = 16_384
#: Ratio ε/h at which the cell size that networks read is clipped: the largest in training.
LARGEST_RATIO = 4.0
#: Scattered points this near to a face, in cells, count as on it, as the nodes there do.
SNAP = 1e-9


@dataclass(frozen=True)
class NodeBlock(Nodes):
    """A block of rows and columns of a node grid, as a query.

    Attributes
    ----------
    rows, columns : the nodes of the block, along y and along x.
    """

    rows: slice
    columns: slice

    def axis(self, k: int, intervals: int, *, centred: bool) -> Axis:
        """Place the nodes of the block along axis ``k`` among ``intervals`` equal cells; see :meth:`Nodes.axis`."""
        whole = super().axis(k, intervals, centred=centred)
        part = (self.rows, self.columns)[k]
        return Axis(whole.base[part], whole.frac[part])


def pieces(query: Query, limit: int) -> list[list[Query]]:
    """Split a query into pieces.

    Parameters
    ----------
    query : nodes or points.
    limit : most points of a piece.

    Returns
    -------
    Rows of pieces: values of a row's pieces joined along x, and those rows joined along y, are those of the query.

    Examples
    --------
    >>> [[p.locate((1, 1), centred=False).shape for p in row] for row in pieces(Nodes((2, 3)), 8)]
    [[torch.Size([2, 4])], [torch.Size([1, 4])]]
    """
    limit = max(1, limit)
    if isinstance(query, Points):
        return [[Points(yx) for yx in query.yx.split(limit)]]
    ny, nx = (n + 1 for n in query.cells)
    width = min(nx, limit)
    height = limit // width
    return [
        [NodeBlock(query.cells, slice(i, i + height), slice(j, j + width)) for j in range(0, nx, width)]
        for i in range(0, ny, height)
    ]


def blocks(query: Query, batch: int) -> list[list[Query]]:
    """Split a query into pieces of the size that is decoded at once for ``batch`` problems; see :func:`pieces`."""
    return pieces(query, CHUNK // batch)


def in_pieces(evaluate: Callable[[Query], Tensor], query: Query, batch: int) -> Tensor:
    """Evaluate a function piece by piece, so that its memory does not grow with the query.

    Parameters
    ----------
    evaluate : query -> values (B, J, *shape of the query).
    query : nodes or points.
    batch : number B of problems.

    Returns
    -------
    Values (B, J, *shape of the query).
    """
    rows = [torch.cat([evaluate(p) for p in row], -1) for row in blocks(query, batch)]
    return rows[0] if len(rows) == 1 else torch.cat(rows, -2)


def locate(query: Query, cells: tuple[int, int], *, centred: bool, device: torch.device) -> Positions:
    """Place a query among cells; scattered points within round-off of a face are put on it, as nodes are.

    Parameters
    ----------
    query : nodes or points.
    cells : (my, mx).
    centred : place the points among the intervals between cell centres instead, see :meth:`Nodes.axis`.
    device : where the positions lie.

    Returns
    -------
    Positions
    """
    at = query.locate(cells, centred=centred)

    def snap(axis: Axis, n: int) -> Axis:
        base, frac = axis.base.to(device), axis.frac.to(device)
        up = (frac > 1 - SNAP) & (base < n - 1)
        return Axis(base + up, torch.where(up, torch.zeros_like(frac), frac))

    return Positions(snap(at.y, cells[0]), snap(at.x, cells[1]))


@dataclass(frozen=True)
class Neighbour:
    """One cell for each of P points.

    Attributes
    ----------
    cell : (P,) numbers of the cells, row by row.
    offset : (P, 2) offsets (y, x) of the points from the cells' centres, in half cells, float64.
    weight : (P,) weights of the cells at the points, float64.
    """

    cell: Tensor
    offset: Tensor
    weight: Tensor


def flat(at: Positions, *axes: Tensor) -> Iterator[Tensor]:
    """Expand tensors to all points of some positions.

    Parameters
    ----------
    at : positions of P points.
    *axes : tensors that broadcast to their shape.

    Yields
    ------
    Tensor
        Each of them as (P,).
    """
    for t in axes:
        yield t.expand(at.shape).reshape(-1)


def corners(query: Query, cells: tuple[int, int], device: torch.device) -> list[Neighbour]:
    """Find the four cells whose centres surround each point, weighted by the area towards the opposite centre.

    Cells outside the domain have weight 0, and the other weights are renormalised. The weights vanish where the set of
    cells changes.

    Parameters
    ----------
    query : nodes or points.
    cells : (my, mx).
    device : where the result lies.

    Returns
    -------
    The lower left, lower right, upper left and upper right cells.
    """
    at = locate(query, cells, centred=True, device=device)
    sides = [_sides(axis, n) for axis, n in zip((at.y, at.x), cells, strict=True)]
    out = []
    for iy, oy, wy in sides[0]:
        for ix, ox, wx in sides[1]:
            cell, y, x, w = flat(at, iy * cells[1] + ix, oy, ox, wy * wx)
            out.append(Neighbour(cell, torch.stack([y, x], -1), w))
    return out


def _sides(axis: Axis, n: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Index, offset and weight of the lower and the upper cell of an axis."""
    lower, upper = axis.base >= 0, axis.base + 1 < n
    w0, w1 = (1 - axis.frac) * lower, axis.frac * upper
    total = w0 + w1
    return [
        (axis.base.clamp(min=0), 2 * axis.frac, w0 / total),
        ((axis.base + 1).clamp(max=n - 1), 2 * (axis.frac - 1), w1 / total),
    ]


def rows(maps: Tensor) -> Tensor:
    """Arrange a map (B, C, my, mx) as rows of cells (B, my mx, C), to be indexed by cell number."""
    return maps.flatten(2).transpose(1, 2).contiguous()


def interpolate(maps: Tensor, query: Query, cells: tuple[int, int]) -> Tensor:
    """Interpolate bilinearly between cell centres, constant beyond the outermost.

    Parameters
    ----------
    maps : (B, my mx, C) rows of cells, see :func:`rows`.
    query : P nodes or points.
    cells : (my, mx).

    Returns
    -------
    Values (B, P, C).
    """
    total = torch.zeros((), dtype=maps.dtype, device=maps.device)
    for n in corners(query, cells, maps.device):
        total = total + maps[:, n.cell] * n.weight.to(maps)[:, None]
    return total


def shaped(values: Tensor, query: Query) -> Tensor:
    """Arrange values at points (B, P, J) as (B, J, *shape of the query)."""
    shape = query.locate((1, 1), centred=False).shape
    return values.transpose(1, 2).unflatten(2, shape)


def relative_cell(ratio: float, largest: float = LARGEST_RATIO) -> float:
    """Compute the size of a fine cell in half coefficient cells.

    Parameters
    ----------
    ratio : ε/h, fine cells per coefficient cell.
    largest : ratio at which it is clipped.

    Returns
    -------
    2 / min(ratio, largest).

    Examples
    --------
    >>> relative_cell(2.0), relative_cell(64.0)
    (1.0, 0.5)
    """
    return 2 / min(ratio, largest)
