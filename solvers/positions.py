"""Where points lie relative to cells: exact integer arithmetic for grid nodes, floor for arbitrary points.

Nodes are not pixels (node ``i`` of ``n`` cells sits at ``i/n``), and with power-of-two ratios a quarter of them fall
exactly on a cell face. Floating-point "nearest" rounding breaks such ties to a period-two pattern; here they are
decided by integer floor division, and every decoder blends its neighbours with weights that vanish where the set of
neighbours changes, so that ties do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """Points on one axis: index of the interval each lies in, and its place in it (0 … 1)."""

    base: Tensor
    frac: Tensor


@dataclass(frozen=True)
class Positions:
    """Points in the plane, ``y`` and ``x`` broadcasting to the shape of the output."""

    y: Axis
    x: Axis

    @property
    def shape(self) -> torch.Size:
        """Shape of the set of points: (ny+1, nx+1) for nodes, (P,) for scattered points."""
        return torch.broadcast_shapes(self.y.base.shape, self.x.base.shape)


@dataclass(frozen=True)
class Nodes:
    """All nodes of a grid with ``cells`` = (ny, nx) cells."""

    cells: tuple[int, int]

    def axis(self, k: int, intervals: int, *, centred: bool) -> Axis:
        """Place the nodes of axis ``k`` (0 = y) among ``intervals`` equal cells.

        With ``centred`` the intervals are those between cell centres; base -1 and ``intervals - 1`` are the half
        cells at the ends.
        """
        n = self.cells[k]
        i = torch.arange(n + 1)
        if centred:
            numerator, denominator = 2 * i * intervals - n, 2 * n
            base = torch.div(numerator, denominator, rounding_mode="floor").clamp(max=intervals - 1)
        else:
            numerator, denominator = i * intervals, n
            base = torch.div(numerator, denominator, rounding_mode="floor").clamp(max=intervals - 1)
        frac = (numerator - base * denominator).double() / denominator
        return Axis(base, frac)

    def locate(self, intervals: tuple[int, int], *, centred: bool) -> Positions:
        """Positions of all nodes; ``y`` has shape (ny+1, 1), ``x`` (1, nx+1)."""
        y, x = (self.axis(k, intervals[k], centred=centred) for k in (0, 1))
        return Positions(Axis(y.base[:, None], y.frac[:, None]), Axis(x.base[None, :], x.frac[None, :]))


@dataclass(frozen=True)
class Points:
    """Scattered points (P, 2) as (y, x) in the unit square."""

    yx: Tensor

    def locate(self, intervals: tuple[int, int], *, centred: bool) -> Positions:
        """Positions of the points among ``intervals`` cells per axis; see :meth:`Nodes.axis`."""

        def axis(k: int) -> Axis:
            t = self.yx[:, k].double() * intervals[k] - (0.5 if centred else 0.0)
            base = t.floor().long().clamp(max=intervals[k] - 1)
            return Axis(base, t - base)

        return Positions(axis(0), axis(1))


Query = Nodes | Points
