"""The effective problem: a coarse operator, solved exactly, for first values and for coarse corrections."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..backend import compiled
from ..blocktri import BlockTridiagonal
from ..multigrid import Multigrid
from ..neumann import pinned
from ..q1 import SYMMETRIC_PAIRS, at_corners
from ..stencil import Stencil, mass_elements
from ..transfer import prolongate, restrict

if TYPE_CHECKING:
    from ..load import Load
    from ..medium import Medium
    from ..space import Space

log = logging.getLogger(__name__)

#: Cells a side up to which the problem is solved directly, and where multigrid is compiled.
DIRECT, DIRECT_COMPILED = 96, 24
#: Where multigrid stops (about the relative energy error): for a solution, for one that local solves start from, for
#: corrections of it. With the last two, fields are what they are with exact solves, to two digits of their error.
TOLERANCE, START_TOLERANCE, ROUGH_TOLERANCE = 1e-10, 1e-5, 1e-2
#: … and no more than this where gradients flow through start and corrections.
GRADIENT_TOLERANCE = 1e-5
#: Where multigrid does not get to its tolerance, it has failed if the relative residual is larger than this.
SAFE = 1e-6


class EffectiveProblem:
    """An operator given by element matrices, factorised once for any number of loads.

    Parameters
    ----------
    elements : (B, 10, ny, nx) element matrices in the order ``q1.SYMMETRIC_PAIRS``, float64; gradients flow into them.
    space : space with these cells and the boundary conditions.
    reaction : (B, 10, ny, nx) the reaction's part of the elements; ``None``: there is none.
    """

    def __init__(self, elements: Tensor, space: Space, reaction: Tensor | None = None):
        self.elements, self.cells = elements, space.cells
        self.free = torch.from_numpy(space.free.copy()).to(elements.device)
        self._stencil = Stencil.from_elements(elements).for_several()
        self._invert = _solver(elements.detach(), space, self.free, reaction)

    @classmethod
    def of_diffusion(cls, elements: Tensor, medium: Medium, space: Space) -> EffectiveProblem:
        """Add the reactions of media, with their consistent mass, to element matrices of a diffusion.

        Parameters
        ----------
        elements : (B, 10, ny, nx) of the diffusion alone.
        medium : B media, with reactions or without.
        space : space with these cells and the boundary conditions.

        Returns
        -------
        EffectiveProblem
        """
        if medium.reaction is None:
            return cls(elements, space)
        reaction = mass_elements(medium.reaction, space.cells, space.size)  # type: ignore[arg-type]
        return cls(elements + reaction, space, reaction)

    def solve(self, load: Load[Tensor], U: Tensor, *, start: bool = False) -> Tensor:
        """Solve for loads and boundary data.

        Parameters
        ----------
        load : loads (B, K, …).
        U : (B, K, N+1, M+1) nodal values on the coarse grid; those at fixed nodes are the Dirichlet data.
        start : the solution is what local solves and corrections start from, so ``START_TOLERANCE`` will do.

        Returns
        -------
        Nodal values (B, K, ny+1, nx+1) in float64, differentiable in the elements.
        """
        lifted = prolongate(U, self.cells)
        residual = (load.vector(self.cells, matched=True) - self._stencil.apply(lifted)) * self.free
        return lifted + self.invert(residual, self._relaxed(START_TOLERANCE) if start else TOLERANCE)

    def _relaxed(self, tolerance: float) -> float:
        """The tolerance, or a smaller one where gradients flow."""
        return min(tolerance, GRADIENT_TOLERANCE) if self.elements.requires_grad else tolerance

    def invert(self, b: Tensor, tolerance: float = TOLERANCE) -> Tensor:
        """Solve for load vectors with zero Dirichlet data, differentiable in elements and load vectors (adjoint solve).

        Parameters
        ----------
        b : (B, K, ny+1, nx+1) load vectors; entries at fixed nodes do not count.
        tolerance : of multigrid, where the problem is too large for the direct solver.

        Returns
        -------
        Nodal values (B, K, ny+1, nx+1), zero at fixed nodes.
        """
        return _Solve.apply(self.elements, b, partial(self._invert, tolerance=tolerance))  # type: ignore[return-value]

    def correction(self, residual: Tensor) -> Tensor:
        """Compute a coarse correction for a residual on another grid of the rectangle.

        Parameters
        ----------
        residual : (B, K, my+1, mx+1) residual on a grid nested with this problem's.

        Returns
        -------
        Nodal values (B, K, my+1, mx+1): the residual restricted, solved for to ``ROUGH_TOLERANCE``, and prolongated.
        """
        cells = (residual.shape[-2] - 1, residual.shape[-1] - 1)
        return prolongate(self.invert(restrict(residual, self.cells), self._relaxed(ROUGH_TOLERANCE)), cells)


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
        w, p = at_corners(W), at_corners(adjoint)
        grad = [-(p[i] * w[j] + p[j] * w[i]) if i != j else -p[i] * w[i] for i, j in SYMMETRIC_PAIRS]
        return torch.stack(grad, 2).sum(1), adjoint, None


def _solver(elements: Tensor, space: Space, free: Tensor, reaction: Tensor | None) -> Callable[..., Tensor]:
    """Solver for load vectors b (B, K, …), and a tolerance, of the operator with these elements on the free nodes.

    Direct on small grids; on others multigrid, which costs N² instead of N⁴, and directly where that fails (κ may be
    anything, for coefficients that the network has not seen).
    """
    stencil = Stencil.from_elements(elements)
    neumann = reaction is None and bool(space.free.all())
    fixed = torch.from_numpy(pinned(space.free)).to(free.device) if neumann else free
    if max(elements.shape[-2:]) <= (DIRECT_COMPILED if _compiled(elements) else DIRECT):
        factor = BlockTridiagonal(stencil, fixed)
        return lambda b, tolerance=TOLERANCE: factor.solve(b)
    several = stencil.for_several()
    if _compiled(elements):
        solve = _compiled_solver(elements, space, reaction)
    else:
        solve = _torch_solver(elements, free, reaction)

    def iterate(b: Tensor, tolerance: float = TOLERANCE) -> Tensor:
        b = b * free
        W, converged = solve(b, tolerance)
        if converged or float(((b - several.apply(W)) * free).norm()) <= SAFE * float(b.norm()):
            return W
        log.info("multigrid failed for the effective problem; it is solved directly")
        return BlockTridiagonal(stencil, fixed).solve(b)

    return iterate


def _compiled(elements: Tensor) -> bool:
    return elements.device.type == "cpu" and compiled()


def _compiled_solver(
    elements: Tensor, space: Space, reaction: Tensor | None
) -> Callable[[Tensor, float], tuple[Tensor, bool]]:
    """Multigrid in compiled kernels, medium by medium and load by load: solutions, and whether it got there."""
    from ..compiled_multigrid import CompiledMultigrid

    parts = [None] * len(elements) if reaction is None else reaction.double().numpy()
    pairs = zip(elements.double().numpy(), parts, strict=True)
    solvers = [CompiledMultigrid.of_elements(K, space, reaction=part) for K, part in pairs]

    def solve(b: Tensor, tolerance: float) -> tuple[Tensor, bool]:
        loads = b.detach().double().numpy()
        done = [[mg.solve(v, tolerance=tolerance) for v in of] for mg, of in zip(solvers, loads, strict=True)]
        fields = np.array([[field for field, _ in of] for of in done])
        return torch.from_numpy(fields).to(b), all(info.converged for of in done for _, info in of)

    return solve


def _torch_solver(
    elements: Tensor, free: Tensor, reaction: Tensor | None
) -> Callable[[Tensor, float], tuple[Tensor, bool]]:
    """Multigrid in torch, all media of the batch at once: solutions, and whether it got there."""
    mg = Multigrid.of_elements(elements, free, mass=reaction)

    def solve(b: Tensor, tolerance: float) -> tuple[Tensor, bool]:
        done = [mg.solve(v, tolerance=tolerance) for v in b.unbind(1)]
        return torch.stack([field for field, _ in done], 1), all(info.converged for _, info in done)

    return solve
