r"""The learned effective coefficient κ of the coarse problem.

The coarse Galerkin solution U of a rough coefficient is far too stiff (40 % in L2 at contrast 10): its coefficient is
the arithmetic mean. Correcting that pointwise asks a network for a global operation. Instead the network predicts, cell
by cell, an effective tensor κ, a correction of the geometric mean, and the coarse problem is solved again with it:
:math:`A(κ)\,U^* = F` (``solvers.substructuring.effective``). What remains to be learned is local, so it carries over to
other loads, boundary values, coarse sizes and domains; and the map from the load to U* is linear.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Largest correction of log κ; keeps the coarse problem solvable whatever the features are.
LOG_BOUND = 4.0
#: Largest |κ_xy| relative to (κ_xx κ_yy)^½: below 1, so that κ is positive definite.
SHEAR_BOUND = 0.9


class KappaHead(nn.Module):
    """Effective coefficient from encoder features; the geometric mean while it is not trained.

    Parameters
    ----------
    channels : of the features.
    per : cells per coarse cell and axis of the grid of the effective problem, at most.
    hidden : width.
    """

    def __init__(self, channels: int, per: int = 1, hidden: int = 32):
        super().__init__()
        self.per = per
        self.head = nn.Sequential(nn.Conv2d(channels + 2, hidden, 1), nn.GELU(), nn.Conv2d(hidden, 3, 1))
        nn.init.zeros_(self.head[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.head[-1].bias)  # type: ignore[arg-type]

    def grid_for(self, scale: float) -> int:
        """Choose the cells per coarse cell of the effective problem: no more than the fine mesh has.

        Parameters
        ----------
        scale : fine cells per coarse cell.

        Returns
        -------
        A divisor of ``per``, or the scale itself where it is whole and not larger.

        Examples
        --------
        >>> [KappaHead(1, 4).grid_for(s) for s in (1, 2.5, 3, 4, 16)]
        [1, 2, 3, 4, 4]
        """
        if scale == round(scale) and scale <= self.per:
            return int(scale)
        return max(d for d in range(1, self.per + 1) if self.per % d == 0 and (d == 1 or d <= scale + 1e-9))

    def forward(
        self, features: Tensor, A: Tensor, cells: tuple[int, int], ratio: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Predict κ on the cells of a grid.

        The head reads the scale a second time: u_h is the stiffer the coarser h = ε / ``ratio``, everywhere alike.

        Parameters
        ----------
        features : (B, channels, my, mx).
        A : (B, my, mx) coefficient.
        cells : (ny, nx), divisors of the raster.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        κ_xx, κ_yy, κ_xy (B, ny, nx) in float64, positive definite.
        """
        log_mean = F.adaptive_avg_pool2d(A.double().log().unsqueeze(1), cells).squeeze(1)
        pooled = F.adaptive_avg_pool2d(features, cells)
        first: nn.Conv2d = self.head[0]  # type: ignore[assignment]
        scale = pooled.new_tensor([math.log2(ratio) / 4, 1 / ratio])
        bias = (first.weight[:, -2:, 0, 0] * scale).sum(1) + first.bias  # type: ignore
        hidden = F.conv2d(pooled, first.weight[:, :-2], bias)
        head = self.head[1:](hidden).contiguous().double()  # channels last would make slow views below
        cx, cy, cxy = (LOG_BOUND * torch.tanh(head / LOG_BOUND)).unbind(1)
        kxx, kyy = (log_mean + cx).exp(), (log_mean + cy).exp()
        return kxx, kyy, SHEAR_BOUND * (kxx * kyy).sqrt() * torch.tanh(cxy)
