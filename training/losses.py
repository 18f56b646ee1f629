"""Losses and error measures on batches of nodal fields (torch). "Error" is relative to the target Q1 solution.

A loss is a function ``(prediction, target, A) -> scalar``; register it under a name to select it by configuration.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.positions import Nodes, bilinear
from ..registry import Registry

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
losses: Registry[Loss] = Registry("loss")


def energy_squared(v: Tensor, A: Tensor) -> Tensor:
    """Squared energy norms (B,) of nodal fields (B, n+1, n+1) on square cells, coefficient (B, m, m) exact.

    The unit of length drops out in two dimensions. Where the mesh is coarser than the raster of the coefficient, the
    field is prolonged to the raster first.
    """
    my, mx = A.shape[-2:]
    if v.shape[-2] - 1 < my:
        v = bilinear(v, Nodes((my, mx)))
    r = (v.shape[-2] - 1) // my
    dx = v[..., :, 1:] - v[..., :, :-1]
    dy = v[..., 1:, :] - v[..., :-1, :]
    x0, x1, y0, y1 = dx[..., :-1, :], dx[..., 1:, :], dy[..., :, :-1], dy[..., :, 1:]
    density = x0 * (x0 + x1) + x1.square() + y0 * (y0 + y1) + y1.square()
    if r > 1:
        density = F.avg_pool2d(density, r) * r**2
    return (density * A.to(v)).sum((-2, -1)) / 3


def l2_squared(v: Tensor) -> Tensor:
    """Squared L2 norms (B,) of nodal fields by the trapezoidal rule, unit square."""
    n = v.shape[-1] - 1
    return v[..., 1:-1, 1:-1].square().sum((-2, -1)) / n**2


def relative_errors(prediction: Tensor, target: Tensor, A: Tensor) -> tuple[Tensor, Tensor]:
    """Relative energy and L2 errors (B,), (B,)."""
    e = prediction - target
    energy = (energy_squared(e, A) / energy_squared(target, A)).clamp_min(1e-14).sqrt()
    l2 = (l2_squared(e) / l2_squared(target)).clamp_min(1e-14).sqrt()
    return energy, l2


@losses.register("energy")
def energy_loss(prediction: Tensor, target: Tensor, A: Tensor) -> Tensor:
    """Relative energy error + 2 x relative L2 error, mean over the batch (float32 differences of float32 fields)."""
    energy, l2 = relative_errors(prediction, target, A)
    return (energy + 2 * l2).mean()


@losses.register("l1")
def l1_loss(prediction: Tensor, target: Tensor, A: Tensor) -> Tensor:
    """Mean absolute error relative to the target's mean absolute value (the paper's point-wise loss, all nodes)."""
    scale = target.abs().mean((-2, -1), keepdim=True)
    return ((prediction - target) / scale).abs().mean()


def finite(value: Tensor) -> bool:
    """True if every entry is finite."""
    return bool(torch.isfinite(value).all())
