"""Batched symmetric nine-point operators of Q1 elements in torch.

An operator on ``(ny+1, nx+1)`` nodes is stored as the five distinct diagonals of its symmetric stencil, so that
applying it is nine fused multiply-adds on whole arrays, on any device and for any batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .linalg import apply_x, apply_y
from .q1 import SYMMETRIC_PAIRS, overlap_matrices, reference_matrices


@dataclass(frozen=True)
class Stencil:
    """Couplings of a node with itself (C), its E, N, NE and NW neighbours; leading dimensions are the batch.

    Shapes: C (..., ny+1, nx+1), E (..., ny+1, nx), N (..., ny, nx+1), NE and NW (..., ny, nx); NW couples node
    ``(iy, ix+1)`` with ``(iy+1, ix)``.
    """

    C: Tensor
    E: Tensor
    N: Tensor
    NE: Tensor
    NW: Tensor

    @staticmethod
    def from_elements(K: Tensor) -> Stencil:
        """Assemble element matrices (..., 10, ny, nx) in the order of ``SYMMETRIC_PAIRS``."""
        k = dict(zip(SYMMETRIC_PAIRS, K.unbind(-3), strict=True))
        C = (
            F.pad(k[0, 0], (0, 1, 0, 1))
            + F.pad(k[1, 1], (1, 0, 0, 1))
            + F.pad(k[2, 2], (0, 1, 1, 0))
            + F.pad(k[3, 3], (1, 0, 1, 0))
        )
        E = F.pad(k[0, 1], (0, 0, 0, 1)) + F.pad(k[2, 3], (0, 0, 1, 0))
        N = F.pad(k[0, 2], (0, 1, 0, 0)) + F.pad(k[1, 3], (1, 0, 0, 0))
        return Stencil(C, E, N, k[0, 3].contiguous(), k[1, 2].contiguous())

    def to(self, dtype: torch.dtype) -> Stencil:
        """Copy in another floating-point type."""
        return Stencil(*(t.to(dtype) for t in (self.C, self.E, self.N, self.NE, self.NW)))

    def for_several(self) -> Stencil:
        """The same operator for fields with one more axis after the batch, along which it is the same."""
        return Stencil(*(t.unsqueeze(1) for t in (self.C, self.E, self.N, self.NE, self.NW)))

    def apply(self, u: Tensor) -> Tensor:
        """Matrix-vector product, without any boundary condition."""
        y = self.C * u
        y[..., :, :-1].addcmul_(self.E, u[..., :, 1:])
        y[..., :, 1:].addcmul_(self.E, u[..., :, :-1])
        y[..., :-1, :].addcmul_(self.N, u[..., 1:, :])
        y[..., 1:, :].addcmul_(self.N, u[..., :-1, :])
        y[..., :-1, :-1].addcmul_(self.NE, u[..., 1:, 1:])
        y[..., 1:, 1:].addcmul_(self.NE, u[..., :-1, :-1])
        y[..., :-1, 1:].addcmul_(self.NW, u[..., 1:, :-1])
        y[..., 1:, :-1].addcmul_(self.NW, u[..., :-1, 1:])
        return y

    def row_sum_bound(self) -> Tensor:
        """Gershgorin bound on the largest eigenvalue of D^-1 A, one number for the whole batch."""
        off = torch.zeros_like(self.C)
        for t, (sy, sx) in ((self.E, (0, 1)), (self.N, (1, 0)), (self.NE, (1, 1))):
            ny, nx = t.shape[-2:]
            off[..., :ny, :nx] += t.abs()
            off[..., sy : sy + ny, sx : sx + nx] += t.abs()
        off[..., :-1, 1:] += self.NW.abs()
        off[..., 1:, :-1] += self.NW.abs()
        return 1 + (off / self.C).amax()


def galerkin_elements(A: Tensor, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Torch twin of :func:`ngs_nhcsr.solvers.q1.element_matrices`: (..., my, mx) -> (..., 10, ny, nx)."""
    ny, nx = cells
    my, mx = A.shape[-2:]
    Ly, Lx = size
    if ny % my == 0 and nx % mx == 0:
        a = A.repeat_interleave(ny // my, -2).repeat_interleave(nx // mx, -1)
        Kxx, Kyy, _ = reference_matrices(Ly / ny, Lx / nx)
        entries = [float((Kxx + Kyy)[i, j]) for i, j in SYMMETRIC_PAIRS]
        return a.unsqueeze(-3) * A.new_tensor(entries).view(10, 1, 1)
    Dy, My = (A.new_tensor(M.toarray()) for M in overlap_matrices(ny, my))
    Dx, Mx = (A.new_tensor(M.toarray()) for M in overlap_matrices(nx, mx))
    K = apply_x(Dx, apply_y(My, A)) * (Ly / Lx) + apply_x(Mx, apply_y(Dy, A)) * (Lx / Ly)
    K = K.unflatten(-2, (ny, 3)).unflatten(-1, (nx, 3))  # (..., ny, 3, nx, 3)
    pair = {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}
    return torch.stack([K[..., pair[i // 2, j // 2], :, pair[i % 2, j % 2]] for i, j in SYMMETRIC_PAIRS], -3)


def tensor_elements(kxx: Tensor, kyy: Tensor, kxy: Tensor, hy: float, hx: float, hourglass: float = 1.0) -> Tensor:
    """Element matrices (..., 10, ny, nx) of a cellwise-constant symmetric tensor coefficient.

    ``hourglass`` scales the stiffness of the mode xy. 1 is Q1; with 2, constant isotropic κ on squares and load
    moments with the hats, it is the compact scheme of order 4 (L. Collatz, *The Numerical Treatment of Differential
    Equations*, 1960): values at nodes are off by O(h⁴) instead of O(h²).
    """
    Kxx, Kyy, Kxy = reference_matrices(hy, hx)
    bilinear = np.array([1.0, -1.0, -1.0, 1.0])
    added = (hourglass - 1) / 12 * np.outer(bilinear, bilinear)
    parts = [
        np.array([M[i, j] for i, j in SYMMETRIC_PAIRS]) for M in (Kxx + hy / hx * added, Kyy + hx / hy * added, Kxy)
    ]
    return sum(
        (k.unsqueeze(-3) * k.new_tensor(p).view(10, 1, 1) for k, p in zip((kxx, kyy, kxy), parts, strict=True)),
        torch.zeros((), dtype=kxx.dtype, device=kxx.device),
    )


@lru_cache(maxsize=1)
def _coarsening_kernel() -> np.ndarray:
    """Linear map from the element matrices of the 2 x 2 children to the parent's: P_c^T K_c P_c."""
    hat = {0: np.array([[1.0, 0.0], [0.5, 0.5]]), 1: np.array([[0.5, 0.5], [0.0, 1.0]])}
    kernel = np.zeros((10, 10, 2, 2))
    for cy in (0, 1):
        for cx in (0, 1):
            P = np.kron(hat[cy], hat[cx])
            for k, (i, j) in enumerate(SYMMETRIC_PAIRS):
                K = np.zeros((4, 4))
                K[i, j] = K[j, i] = 1.0
                parent = P.T @ K @ P
                kernel[:, k, cy, cx] = [parent[p, q] for p, q in SYMMETRIC_PAIRS]
    return kernel


def coarsen_elements(K: Tensor) -> Tensor:
    """Galerkin element matrices of the grid with twice the mesh size: (B, 10, ny, nx) -> (B, 10, ny/2, nx/2)."""
    return F.conv2d(K, K.new_tensor(_coarsening_kernel()), stride=2)


def apply_mass(f: Tensor, size: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Torch twin of :func:`ngs_nhcsr.solvers.q1.mass_apply`: Q1 mass matrix times nodal values (..., ny+1, nx+1)."""
    for dim, length in ((-1, size[1]), (-2, size[0])):
        v = f.movedim(dim, -1)
        inner = v[..., :-2] + 4 * v[..., 1:-1] + v[..., 2:]
        first, last = 2 * v[..., :1] + v[..., 1:2], v[..., -2:-1] + 2 * v[..., -1:]
        f = (torch.cat([first, inner, last], -1) * (length / (v.shape[-1] - 1) / 6)).movedim(-1, dim)
    return f


def _hat_kernel(like: Tensor) -> Tensor:
    return like.new_tensor([[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]).view(1, 1, 3, 3)


def interpolate(u: Tensor) -> Tensor:
    """Bilinear prolongation to the grid with half the mesh size: (B, ny+1, nx+1) -> (B, 2ny+1, 2nx+1)."""
    return F.conv_transpose2d(u.unsqueeze(1), _hat_kernel(u), stride=2, padding=1).squeeze(1)


def restrict(r: Tensor) -> Tensor:
    """Transpose of :func:`interpolate`."""
    return F.conv2d(r.unsqueeze(1), _hat_kernel(r), stride=2, padding=1).squeeze(1)
