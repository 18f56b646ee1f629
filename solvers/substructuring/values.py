"""Values on the skeleton, and the fine field made of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Values:
    """Nodal values at the corners and inside the edges of the coefficient's cells; r = (ry, rx) fine cells per cell.

    Attributes
    ----------
    corners : (B, K, my+1, mx+1).
    level : (B, K, my+1, mx, rx-1) on level edges, from left to right.
    upright : (B, K, my, mx+1, ry-1) on upright edges, from below.
    """

    corners: Tensor
    level: Tensor
    upright: Tensor

    @staticmethod
    def of_lines(level: Tensor, upright: Tensor, r: tuple[int, int]) -> Values:
        """Collect values from fields on the two kinds of grid lines.

        Parameters
        ----------
        level : (B, K, my+1, nx+1) on level lines.
        upright : (B, K, ny+1, mx+1) on upright lines.
        r : (ry, rx).

        Returns
        -------
        Values, with the corners of ``level``.
        """
        my, mx = level.shape[-2] - 1, upright.shape[-1] - 1
        return Values(
            level[..., :: r[1]],
            level[..., :-1].unflatten(-1, (mx, r[1]))[..., 1:],
            upright[..., :-1, :].unflatten(-2, (my, r[0]))[..., 1:, :].transpose(-1, -2),
        )

    def boundaries(self) -> Tensor:
        """Gather the boundary values (B, K, my, mx, 2 (ry + rx)) of all cells, in the order of ``CellLayout``."""
        my, mx = self.upright.shape[-3], self.level.shape[-2]
        corners = [self.corners[..., i : my + i, j : mx + j] for i in (0, 1) for j in (0, 1)]
        edges = [self.level[..., :-1, :, :], self.level[..., 1:, :, :]]
        edges += [self.upright[..., :-1, :], self.upright[..., 1:, :]]
        return torch.cat([*edges, torch.stack(corners, -1)], -1)

    def plus_bilinear(self, step: Tensor) -> Values:
        """Add the function with values ``step`` (B, K, my+1, mx+1) at the corners, linear on the edges."""
        x, y = (
            torch.arange(1, n, dtype=step.dtype, device=step.device) / n
            for n in (self.level.shape[-1] + 1, self.upright.shape[-1] + 1)
        )
        a, b, c, d = step[..., :-1], step[..., 1:], step[..., :-1, :], step[..., 1:, :]
        return Values(
            self.corners + step,
            self.level + torch.lerp(a[..., None], b[..., None], x),
            self.upright + torch.lerp(c[..., None], d[..., None], y),
        )

    def towards(self, other: Values, share: Tensor) -> Values:
        """Interpolate: the values (1 − share) self + share other, ``share`` (B, K)."""
        share = share[..., None, None]
        return Values(
            torch.lerp(self.corners, other.corners, share),
            torch.lerp(self.level, other.level, share[..., None]),
            torch.lerp(self.upright, other.upright, share[..., None]),
        )

    def field(self, inside: Tensor) -> Tensor:
        """Assemble the fine field.

        Parameters
        ----------
        inside : (B, K, my, mx, (ry-1)(rx-1)) values inside the cells, row-major.

        Returns
        -------
        Nodal values (B, K, ny+1, nx+1).
        """
        my, mx = self.upright.shape[-3], self.level.shape[-2]
        ry, rx = self.upright.shape[-1] + 1, self.level.shape[-1] + 1
        out = inside.new_empty((*inside.shape[:-3], my * ry + 1, mx * rx + 1))
        out[..., ::ry, ::rx] = self.corners
        out[..., ::ry, :-1].unflatten(-1, (mx, rx))[..., 1:] = self.level
        out[..., :-1, ::rx].unflatten(-2, (my, ry))[..., 1:, :] = self.upright.transpose(-1, -2)
        blocks = out[..., :-1, :-1].unflatten(-1, (mx, rx)).unflatten(-3, (my, ry))[..., 1:, :, 1:]
        blocks[...] = inside.unflatten(-1, (ry - 1, rx - 1)).transpose(-2, -3)
        return out
