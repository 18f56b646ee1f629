r"""The coarse problem inside the network: a learned effective coefficient, solved exactly.

The coarse Galerkin solution U of a rough coefficient is far too stiff (40 % in L2 at contrast 10): its coefficient is
the arithmetic mean. Correcting that pointwise asks a network for a global operation. Instead the network predicts,
cell by cell, an effective tensor κ — a correction of the geometric mean — and the coarse problem is solved again with
it: :math:`A(κ)\,U^* = F`. What remains to be learned is local, so it carries over to other loads, boundary values,
coarse sizes and domains; and the map from the load to U* is linear.

The grid of this problem may have ``per`` cells per coarse cell. Then F is the load on that grid, as it is given or
lifted from the coarse load A_H U; in either case its restriction to the coarse grid is A_H U on the free nodes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..solvers.blocktri import BlockTridiagonal
from ..solvers.linalg import apply_x, apply_y
from ..solvers.multigrid import Multigrid
from ..solvers.positions import Nodes, bilinear, interpolation_matrix
from ..solvers.q1 import SYMMETRIC_PAIRS
from ..solvers.stencil import Stencil, apply_mass, galerkin_elements, tensor_elements

log = logging.getLogger(__name__)

#: In training the load is told on a grid with this many cells per coarse cell; in use as finely as it is known.
LOAD_CELLS = 4
#: Steps towards the load with given moments; the first is mass lumping.
LOAD_STEPS = 4
#: Largest correction of log κ; keeps the coarse problem solvable whatever the features are.
LOG_BOUND = 4.0
#: The scheme of the effective problem: compact and of order 4 where κ is constant, which narrow loads need.
HOURGLASS = 2.0
#: Cells a side up to which the effective problem is solved directly.
DIRECT = 96
#: Where multigrid stops (about the relative energy error), for the solution and for corrections of it.
TOLERANCE, ROUGHLY = 1e-10, 1e-5
#: With the first, multigrid has failed if its relative residual is larger than this.
SAFE = 1e-6


class EffectiveProblem:
    """The operator with elements (B, 10, ny, nx), on free nodes (ny+1, nx+1); prepared once for several loads."""

    def __init__(self, elements: Tensor, free: Tensor):
        self.elements, self.free = elements, free
        self.cells = (elements.shape[-2], elements.shape[-1])
        self._solve = solver(elements.detach(), free)

    def solve(self, b: Tensor, tolerance: float = TOLERANCE) -> Tensor:
        """Solutions (B, K, ny+1, nx+1), zero on the other nodes; differentiable in elements and b (adjoint solve)."""
        return _Solve.apply(self.elements, b, partial(self._solve, tolerance=tolerance))  # type: ignore[return-value]

    def correction(self, residual: Tensor) -> Tensor:
        """Its rough answer to a residual (B, K, …) on a grid nested with its own, on that grid."""
        cells = (residual.shape[-2] - 1, residual.shape[-1] - 1)
        return bilinear(self.solve(restricted(residual, self.cells), ROUGHLY), Nodes(cells))


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, elements: Tensor, b: Tensor, solve: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.solve = solve
        W = solve(b)
        ctx.save_for_backward(W)
        return W

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (W,) = ctx.saved_tensors
        adjoint = ctx.solve(grads[0])

        def corners(v: Tensor) -> tuple[Tensor, ...]:
            return v[..., :-1, :-1], v[..., :-1, 1:], v[..., 1:, :-1], v[..., 1:, 1:]

        w, p = corners(W), corners(adjoint)
        grad = [-(p[i] * w[j] + p[j] * w[i]) if i != j else -p[i] * w[i] for i, j in SYMMETRIC_PAIRS]
        return torch.stack(grad, 2).sum(1), adjoint, None


def solver(elements: Tensor, free: Tensor) -> Callable[..., Tensor]:
    """Solver for loads b (B, K, …), and a tolerance, of the operator with these element matrices, on the free nodes.

    Direct on small grids; on others multigrid, which costs N² instead of N⁴, and directly where that fails (κ may be
    anything, for coefficients that the network has not seen).
    """
    stencil = Stencil.from_elements(elements)
    if max(elements.shape[-2:]) <= DIRECT:
        factor = BlockTridiagonal(stencil, free)
        return lambda b, tolerance=TOLERANCE: factor.solve(b)
    several = stencil.for_several()
    mg = Multigrid.of_elements(elements, free)

    def iterate(b: Tensor, tolerance: float = TOLERANCE) -> Tensor:
        b = b * free
        W = torch.stack([mg.solve(v, tolerance=tolerance)[0] for v in b.unbind(1)], 1)
        left = (b - several.apply(W)) * free
        if float(left.norm()) <= SAFE * max(1.0, tolerance / TOLERANCE) * float(b.norm()):
            return W
        log.info("multigrid failed for the effective problem; it is solved directly")
        return BlockTridiagonal(stencil, free).solve(b)

    return iterate


class Upscaling(nn.Module):
    """Effective coefficient from encoder features, and the coarse solution for it.

    Parameters
    ----------
    channels : of the features.
    per : cells per coarse cell and axis of the grid on which the effective problem is solved, at most.
    hidden : width of the head.
    """

    def __init__(self, channels: int, per: int = 1, hidden: int = 32):
        super().__init__()
        self.per = per
        self.head = nn.Sequential(nn.Conv2d(channels + 2, hidden, 1), nn.GELU(), nn.Conv2d(hidden, 3, 1))
        nn.init.zeros_(self.head[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.head[-1].bias)  # type: ignore[arg-type]

    def grid_for(self, scale: float) -> int:
        """Cells per coarse cell of the grid for a fine mesh of this scale: no more than the mesh has.

        Examples
        --------
        >>> [Upscaling(1, 4).grid_for(s) for s in (1, 2.5, 3, 4, 16)]
        [1, 2, 3, 4, 4]
        """
        if scale == round(scale) and scale <= self.per:
            return int(scale)
        return max(d for d in range(1, self.per + 1) if self.per % d == 0 and (d == 1 or d <= scale + 1e-9))

    def effective(
        self, features: Tensor, A: Tensor, cells: tuple[int, int], ratio: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """κ_xx, κ_yy, κ_xy (B, N, M), positive definite; the geometric mean where the network says nothing.

        The head is told the scale a second time: u_h is the stiffer the coarser h = ε / ``ratio``, everywhere alike.
        """
        log_mean = F.adaptive_avg_pool2d(A.double().log().unsqueeze(1), cells).squeeze(1)
        pooled = F.adaptive_avg_pool2d(features, cells)
        scale = pooled.new_tensor([math.log2(ratio) / 4, 1 / ratio]).view(1, 2, 1, 1)
        pooled = torch.cat([pooled, scale.expand(len(pooled), 2, *cells)], 1)
        cx, cy, cxy = (LOG_BOUND * torch.tanh(self.head(pooled).double() / LOG_BOUND)).unbind(1)
        kxx, kyy = (log_mean + cx).exp(), (log_mean + cy).exp()
        return kxx, kyy, 0.9 * (kxx * kyy).sqrt() * torch.tanh(cxy)

    def forward(
        self,
        features: Tensor,
        U: Tensor,
        A: Tensor,
        free: Tensor,
        size: tuple[float, float],
        ratio: float,
        per: int,
        load: Tensor | None = None,
    ) -> tuple[Tensor, EffectiveProblem]:
        """U* (B, K, per N + 1, per M + 1) in float64, equal to U on the Dirichlet nodes; and its problem."""
        cells = (per * (U.shape[-2] - 1), per * (U.shape[-1] - 1))
        kappa = self.effective(features, A, cells, ratio)
        elements = tensor_elements(*kappa, size[0] / cells[0], size[1] / cells[1], HOURGLASS)
        return _solve(elements, U, A, free, size, load)

    def fine_solution(
        self, U: Tensor, A: Tensor, free: Tensor, size: tuple[float, float], per: int, load: Tensor | None = None
    ) -> Tensor:
        """The Galerkin solution on the same grid, with A instead of κ."""
        cells = (per * (U.shape[-2] - 1), per * (U.shape[-1] - 1))
        return _solve(galerkin_elements(A.double(), cells, size), U, A, free, size, load)[0]


def _solve(
    elements: Tensor, U: Tensor, A: Tensor, free: Tensor, size: tuple[float, float], load: Tensor | None
) -> tuple[Tensor, EffectiveProblem]:
    """Solution of the operator with these elements, for the load and the boundary values of U; and the problem."""
    cells = (elements.shape[-2], elements.shape[-1])
    moments = coarse_moments(U, A, size)
    start = bilinear(U, Nodes(cells))
    fixed = bilinear((~free).double(), Nodes(cells)) > 1 - 1e-9
    right = matched_load(moments, free, cells, size, load)
    residual = (right - Stencil.from_elements(elements).for_several().apply(start)) * ~fixed
    problem = EffectiveProblem(elements, ~fixed)
    return start + problem.solve(residual), problem


def solve_with_mean(mean: str, U: Tensor, A: Tensor, free: Tensor, size: tuple[float, float]) -> Tensor:
    """Coarse solutions (B, K, N+1, M+1) for the load of U and a mean of a on the coarse cells."""
    cells = (U.shape[-2] - 1, U.shape[-1] - 1)
    of_logarithm = mean == "geometric"
    pooled = F.adaptive_avg_pool2d(A.double().log() if of_logarithm else 1 / A.double(), cells)
    kappa = pooled.exp() if of_logarithm else 1 / pooled
    return _solve(galerkin_elements(kappa, cells, size), U, A, free, size, None)[0]


def matched_load(
    moments: Tensor, free: Tensor, cells: tuple[int, int], size: tuple[float, float], load: Tensor | None
) -> Tensor:
    """Load vectors on the grid with ``cells`` whose moments with the coarse hats are ``moments`` on free nodes.

    ``load``, on any grid nested with that one, is taken where it is given; else it is read off the moments. What is
    missing to the moments is added at the coarse nodes.
    """
    coarse = (moments.shape[-2] - 1, moments.shape[-1] - 1)
    if cells == coarse:
        return moments
    if load is None or load.shape[-1] - 1 < cells[1]:
        load = apply_mass(nodal_load(moments, free, cells, size, load), size)
    else:
        load = restricted(load, cells)
    out = load.clone()
    step = (cells[0] // coarse[0], cells[1] // coarse[1])
    out[..., :: step[0], :: step[1]] += (moments - restricted(load, coarse)) * free
    return out


def nodal_load(
    moments: Tensor, free: Tensor, cells: tuple[int, int], size: tuple[float, float], load: Tensor | None
) -> Tensor:
    """Nodal values of f on the grid with ``cells``, from what :func:`matched_load` takes."""
    if load is not None:
        if load.shape[-1] - 1 > cells[1]:
            load = restricted(load, cells)
        return bilinear(projected(load, size), Nodes(cells))
    nodal, lumped = torch.zeros_like(moments), apply_mass(torch.ones_like(moments), size)
    for _ in range(LOAD_STEPS):
        weight = free.to(moments)
        nodal = nodal + (moments - apply_mass(nodal, size)) * weight / lumped
        for dim in (-1, -2):  # constant continuation to the nodes without moments
            nodal, weight = (torch.where(weight > 0, v, _neighbour(v, dim)) for v in (nodal, weight))
    return bilinear(nodal, Nodes(cells))


def projected(load: Tensor, size: tuple[float, float]) -> Tensor:
    """Nodal values of the L2 projection of f from its load vector: mass matrices of both axes inverted.

    With lumping, narrow sources would be off by parts in a thousand.
    """
    for apply, dim in ((apply_x, -1), (apply_y, -2)):
        n = load.shape[dim] - 1
        load = apply(torch.from_numpy(_inverse_mass(n)).to(load), load) * (n / size[dim])
    return load


@lru_cache(maxsize=8)
def _inverse_mass(n: int) -> np.ndarray:
    """Inverse of the one-dimensional mass matrix of ``n`` cells of length 1."""
    M = np.diag(np.full(n + 1, 4.0)) + np.diag(np.ones(n), 1) + np.diag(np.ones(n), -1)
    M[0, 0] = M[-1, -1] = 2
    return np.linalg.inv(M / 6)


def coarse_moments(U: Tensor, A: Tensor, size: tuple[float, float]) -> Tensor:
    """The load of U: its moments A_H U with the coarse hats."""
    coarse = (U.shape[-2] - 1, U.shape[-1] - 1)
    return Stencil.from_elements(galerkin_elements(A.double(), coarse, size)).for_several().apply(U)


def restricted(load: Tensor, cells: tuple[int, int]) -> Tensor:
    """Restriction of load vectors to the grid with ``cells``: the transpose of bilinear interpolation."""
    fine = Nodes((load.shape[-2] - 1, load.shape[-1] - 1))
    Py, Px = (interpolation_matrix(fine.axis(k, cells[k], centred=False), cells[k]).to(load) for k in (0, 1))
    return apply_x(Px.T, apply_y(Py.T, load))


def _neighbour(v: Tensor, dim: int) -> Tensor:
    """Values of the next node inwards at both ends of an axis."""
    v = v.movedim(dim, -1)
    return torch.cat([v[..., 1:2], v[..., 1:-1], v[..., -2:-1]], -1).movedim(-1, dim)
