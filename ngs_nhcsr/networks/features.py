"""Input maps of the network on the coefficient's cells, and the terms of its structured output on coarse nodes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..solvers.positions import Nodes, Points, Query
from ..solvers.space import SIDES, Sides

COEFFICIENT_CHANNELS = 5
SOLUTION_CHANNELS = 3
#: Means of a on coarse cells for which further coarse solutions can be inputs.
MEANS = ("geometric", "harmonic")


def coefficient_maps(A: Tensor, coarse: tuple[int, int], sides: Sides, ratio: float) -> Tensor:
    """Make the input maps of a medium.

    Parameters
    ----------
    A : (B, my, mx) coefficient.
    coarse : (N, M) coarse cells, divisors of the raster.
    sides : whether bottom, right, top, left carry Dirichlet conditions.
    ratio : ε/h, fine cells per coefficient cell.

    Returns
    -------
    Maps (B, 5, my, mx), float32: log a about its mean, halved; exp(−distance/2) to the nearest Dirichlet side in cells;
    1 + log2(ε/h)/4; and the place of the cell in its coarse cell, y and x in −1 … 1.
    """
    B, my, mx = A.shape
    log_a = A.log()
    log_a = (log_a - log_a.mean((-2, -1), keepdim=True)).float() / 2

    def places(n: int) -> Tensor:
        return torch.arange(n, device=A.device, dtype=torch.float32) + 0.5

    y, x = places(my), places(mx)
    near = torch.zeros(my, mx, device=A.device, dtype=torch.float32)
    bottom, right, top, left = sides
    for active, distance in ((bottom, y[:, None]), (top, my - y[:, None]), (left, x[None]), (right, mx - x[None])):
        if active:
            near = torch.maximum(near, torch.exp(-distance / 2).expand(my, mx))
    py, px = my // coarse[0], mx // coarse[1]
    within_y = (2 * (y % py) / py - 1)[:, None].expand(my, mx)
    within_x = (2 * (x % px) / px - 1)[None, :].expand(my, mx)
    scale = torch.full_like(near, 1 + math.log2(ratio) / 4)
    fixed = torch.stack([near, scale, within_y, within_x]).expand(B, -1, -1, -1)
    return torch.cat([log_a.unsqueeze(1), fixed], 1)


def solution_maps(U: Tensor, cells: tuple[int, int]) -> Tensor:
    """Make the input maps of coarse solutions.

    Parameters
    ----------
    U : (B, N+1, M+1) nodal values.
    cells : (my, mx) cells of the raster.

    Returns
    -------
    Maps (B, 3, my, mx), float32, at the centres of the raster's cells: U, and its differences in x and y over an eighth
    of the domain, all divided by max |U|.
    """
    U = (U / amplitude(U)).float().unsqueeze(1)
    parts = []
    for field in (U, *(g.unsqueeze(1) for g in gradients(U.squeeze(1)))):
        parts.append(F.interpolate(field, (2 * cells[0] + 1, 2 * cells[1] + 1), mode="bilinear", align_corners=True))
    u, gx, gy = (p[:, :, 1::2, 1::2] for p in parts)
    return torch.cat([u, gx * (U.shape[-1] - 1) / 8, gy * (U.shape[-2] - 1) / 8], 1)


def amplitude(U: Tensor) -> Tensor:
    """Compute max |U| of fields (..., N+1, M+1): (..., 1, 1), or 1 for the zero field."""
    peak = U.abs().amax((-2, -1), keepdim=True)
    return torch.where(peak > 0, peak, torch.ones_like(peak))


def _difference(U: Tensor, dim: int) -> Tensor:
    """Derivative per coarse cell at the nodes: central inside, second-order one-sided at the ends."""
    U = U.movedim(dim, -1)
    inner = (U[..., 2:] - U[..., :-2]) / 2
    first = (-3 * U[..., :1] + 4 * U[..., 1:2] - U[..., 2:3]) / 2
    last = (3 * U[..., -1:] - 4 * U[..., -2:-1] + U[..., -3:-2]) / 2
    return torch.cat([first, inner, last], -1).movedim(-1, dim)


def gradients(U: Tensor) -> tuple[Tensor, Tensor]:
    """Compute (H ∂x U, H ∂y U) at the nodes, second order: two tensors of the shape of U (..., N+1, M+1)."""
    return _difference(U, -1), _difference(U, -2)


def expansion_terms(U: Tensor, order: int, per: int = 1) -> Tensor:
    """Compute the terms that decoded fields multiply, as in first- and second-order homogenisation.

    Parameters
    ----------
    U : (..., N+1, M+1) nodal values.
    order : 1 or 2.
    per : cells of U's grid per coarse cell.

    Returns
    -------
    (..., J, N+1, M+1): H∂xU, H∂yU and, at order 2, H²∂xxU, H²∂xyU, H²∂yyU with the coarse mesh size H.
    """
    dx, dy = (per * d for d in gradients(U))
    terms = [dx, dy]
    if order == 2:
        terms += [per * d for d in (_difference(dx, -1), _difference(dx, -2), _difference(dy, -2))]
    return torch.stack(terms, -3)


def boundary_factor(query: Query, cells: tuple[int, int], sides: Sides) -> Tensor:
    """Compute the factor that makes decoded fields vanish on Dirichlet sides.

    Parameters
    ----------
    query : where.
    cells : (my, mx) cells of the raster.
    sides : whether bottom, right, top, left carry Dirichlet conditions.

    Returns
    -------
    (*shape of the query), float64: 0 on Dirichlet sides, rising linearly to 1 over one coefficient cell.
    """
    bottom, right, top, left = sides

    def ramp(t: Tensor, n: int, low: bool, high: bool) -> Tensor:
        out = torch.ones_like(t)
        if low:
            out = torch.minimum(out, t)
        if high:
            out = torch.minimum(out, n - t)
        return out.clamp(0, 1)

    if isinstance(query, Points):
        y, x = query.yx[:, 0].double(), query.yx[:, 1].double()
    else:
        y, x = (torch.arange(n + 1, dtype=torch.float64) / n for n in query.cells)
    y = ramp(y * cells[0], cells[0], bottom, top)
    x = ramp(x * cells[1], cells[1], left, right)
    return y * x if isinstance(query, Points) else y[:, None] * x[None, :]


__all__ = [
    "COEFFICIENT_CHANNELS",
    "MEANS",
    "SIDES",
    "SOLUTION_CHANNELS",
    "Nodes",
    "Points",
    "Sides",
    "amplitude",
    "boundary_factor",
    "coefficient_maps",
    "expansion_terms",
    "gradients",
    "solution_maps",
]
