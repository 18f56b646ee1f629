"""The coarse problem of the Schwarz method in torch: two grids by black-box interpolation, batched, on any device.

Owns black-box interpolation as a tensor.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .blocktri import BlockTridiagonal
from .q1 import SYMMETRIC_PAIRS
from .smoothing import Factors, smoother
from .stencil import Stencil
from .trace.layout import Boundary


def _share(first: Tensor, second: Tensor) -> Tensor:
    """Return first / (first + second), within [0, 1]; half where both vanish."""
    total = first + second
    return torch.where(total > 0, first / total.clamp_min(1e-300), 0.5).clamp(0, 1)


def _stencil(K: Tensor) -> Stencil:
    """Assemble element matrices (B, ny, nx, 4, 4)."""
    return Stencil.from_elements(torch.stack([K[..., r, c] for r, c in SYMMETRIC_PAIRS], -3))


class Interpolation:
    """Black-box interpolation from the nodes with even numbers (and the last); see ``kernels.blackbox.weights``.

    Parameters
    ----------
    S : operator on (B, ny+1, nx+1) nodes.

    Attributes
    ----------
    fine : (ny, nx) cells of the fine grid; the coarse one has Ny = ceil(ny / 2) and Nx = ceil(nx / 2).
    P : (B, Ny, Nx, 9, 4) values at the 3 x 3 nodes of every patch of functions that are 1 at one of its corners. Where
        the last patch is one cell wide, its middle nodes repeat its right ones.
    """

    def __init__(self, S: Stencil):
        ny, nx = S.C.shape[-2] - 1, S.C.shape[-1] - 1
        self.fine = (ny, nx)
        odd_y, odd_x = ny % 2, nx % 2
        # One more row or column makes the numbers even; then the node before it takes the value of the last.
        C = F.pad(S.C, (0, odd_x, 0, odd_y))
        E = F.pad(S.E, (1, 1 + odd_x, 0, odd_y))
        N = F.pad(S.N, (0, odd_x, 1, 1 + odd_y))
        NE, NW = (F.pad(v, (1, 1 + odd_x, 1, 1 + odd_y)) for v in (S.NE, S.NW))
        rows, columns = C.shape[-2], C.shape[-1]
        west, east = E[..., :columns], E[..., 1:]
        south, north = N[..., :rows, :], N[..., 1:, :]
        sw, ne = NE[..., :rows, :columns], NE[..., 1:, 1:]
        nw, se = NW[..., 1:, :columns], NW[..., :rows, 1:]
        left = _share(-(west + sw + nw), -(east + ne + se))[..., 0::2, 1::2]
        lower = _share(-(south + sw + se), -(north + ne + nw))[..., 1::2, 0::2]
        if odd_x:  # the last column of coarse nodes is the last but one of the padded grid
            left = torch.cat([left[..., :-1], torch.zeros_like(left[..., -1:])], -1)
            lower[..., -1] = _share(-(south + sw + se), -(north + ne + nw))[..., 1::2, nx]
        if odd_y:
            left[..., -1, :] = _share(-(west + sw + nw), -(east + ne + se))[..., ny, 1::2]
            if odd_x:
                left[..., -1, -1] = 0
            lower = torch.cat([lower[..., :-1, :], torch.zeros_like(lower[..., -1:, :])], -2)
        self.P = self._patches(left, lower, [v[..., 1::2, 1::2] for v in (sw, se, nw, ne, south, north, west, east)])

    def _patches(self, left: Tensor, lower: Tensor, around: list[Tensor]) -> Tensor:
        """Put the weights of a patch's nine nodes together."""
        sw, se, nw, ne, south, north, west, east = around
        bottom, top = left[..., :-1, :], left[..., 1:, :]
        first, last = lower[..., :-1], lower[..., 1:]
        zero, one = torch.zeros_like(bottom), torch.ones_like(bottom)
        middle = torch.stack(
            [
                sw + south * bottom + west * first,
                se + south * (1 - bottom) + east * last,
                nw + north * top + west * (1 - first),
                ne + north * (1 - top) + east * (1 - last),
            ],
            -1,
        )
        middle = middle / middle.sum(-1, keepdim=True).clamp_max(-1e-300)
        ny, nx = self.fine
        if nx % 2:
            middle[..., -1, :] = torch.stack([zero, last, zero, 1 - last], -1)[..., -1, :]
        if ny % 2:
            middle[..., -1, :, :] = torch.stack([zero, zero, top, 1 - top], -1)[..., -1, :, :]
        nodes = [
            [one, zero, zero, zero],
            [bottom, 1 - bottom, zero, zero],
            [zero, one, zero, zero],
            [first, zero, 1 - first, zero],
            [],
            [zero, last, zero, 1 - last],
            [zero, zero, one, zero],
            [zero, zero, top, 1 - top],
            [zero, zero, zero, one],
        ]
        return torch.stack([torch.stack(w, -1) if w else middle for w in nodes], -2)

    def to(self, dtype: torch.dtype) -> Interpolation:
        """Copy with weights in another floating-point type ``dtype``."""
        other = Interpolation.__new__(Interpolation)
        other.fine, other.P = self.fine, self.P.to(dtype)
        return other

    def coarsen(self, K: Tensor) -> Tensor:
        """Return the Galerkin element matrices (B, Ny, Nx, 4, 4) of the patches from the cells' (B, ny, nx, 4, 4)."""
        ny, nx = self.fine
        K = F.pad(K, (0, 0, 0, 0, 0, nx % 2, 0, ny % 2))
        total = torch.zeros((), dtype=K.dtype, device=K.device)
        for cy in (0, 1):
            for cx in (0, 1):
                n = 3 * cy + cx
                P = self.P[..., [n, n + 1, n + 3, n + 4], :]
                KP = (K[:, cy::2, cx::2, :, :, None] * P[..., None, :, :]).sum(-2)
                total = total + (P[..., :, :, None] * KP[..., :, None, :]).sum(-3)
        return total

    def prolong(self, c: Tensor) -> Tensor:
        """Interpolate coarse values (B, Ny+1, Nx+1) to (B, ny+1, nx+1)."""
        ny, nx = self.fine
        corners = torch.stack([c[:, :-1, :-1], c[:, :-1, 1:], c[:, 1:, :-1], c[:, 1:, 1:]], -1)
        v = (self.P * corners[..., None, :]).sum(-1)
        out = c.new_zeros(c.shape[0], 2 * v.shape[1] + 1, 2 * v.shape[2] + 1)
        for r in (0, 1, 2):
            for k in (0, 1, 2):
                out[:, r : r + 2 * v.shape[1] : 2, k : k + 2 * v.shape[2] : 2] = v[..., 3 * r + k]
        return out[:, : ny + 1, : nx + 1]

    def restrict(self, r: Tensor) -> Tensor:
        """Apply the transpose of :meth:`prolong`: moments (B, ny+1, nx+1) to (B, Ny+1, Nx+1)."""
        ny, nx = self.fine
        Ny, Nx = self.P.shape[1:3]
        r = F.pad(r, (0, nx % 2, 0, ny % 2))
        out = r.new_zeros(r.shape[0], Ny + 1, Nx + 1)
        # Every fine node belongs to one patch: the last row and column of nodes to the last patch.
        for a in (0, 1, 2):
            rows = slice(Ny - 1 if a == 2 else 0, Ny)
            for b in (0, 1, 2):
                columns = slice(Nx - 1 if b == 2 else 0, Nx)
                v = r[:, a : a + 2 * Ny : 2, b : b + 2 * Nx : 2][:, rows, columns]
                w = self.P[:, rows, columns, 3 * a + b] * v[..., None]
                for k in range(4):
                    y, x = k // 2, k % 2
                    out[:, rows.start + y : rows.stop + y, columns.start + x : columns.stop + x] += w[..., k]
        return out


class CoarseProblem:
    """Two grids: Chebyshev smoothing on the cells, direct solution on half the grid.

    Parameters
    ----------
    K : (B, my, mx, 4, 4) matrices of the cells.
    boundary : which vertices are free; not periodic.
    bound : of the spectrum of D⁻¹A; default: by the sums of rows.
    factors : of Chebyshev's iteration whose preconditioner is the cycle; default: a single cycle.
    """

    def __init__(self, K: Tensor, boundary: Boundary, bound: float | None = None, factors: Factors | None = None):
        self.stencil, self.steps = _stencil(K), factors
        self.free = self._free(K, boundary)
        self.interpolation = Interpolation(self.stencil)
        K = self.interpolation.coarsen(K)
        half = self._free(K, boundary)
        self.singular = boundary.singular
        if self.singular:  # one vertex is held; the moments of constants vanish
            half[0, 0] = 0
        self.exact = BlockTridiagonal(_stencil(K), half.bool())
        self.inverse = self.free / self.stencil.C
        self.factors = smoother(bound or min(2.5, float(self.stencil.row_sum_bound())))

    @staticmethod
    def _free(K: Tensor, boundary: Boundary) -> Tensor:
        free = boundary.free((K.shape[1], K.shape[2]), 0).corners
        return torch.as_tensor(free, dtype=K.dtype, device=K.device)

    def _smooth(self, b: Tensor, x: Tensor | None) -> Tensor:
        """Take two Chebyshev steps from x (None: zero)."""
        first, ((again, second),) = self.factors
        r = b if x is None else (b - self.stencil.apply(x))
        d = first * self.inverse * r
        x = d if x is None else x + d
        r = b - self.stencil.apply(x)
        return x + again * d + second * self.inverse * r

    def solve(self, r: Tensor) -> Tensor:
        """Return an approximate solution (B, my+1, mx+1) for moments r (B, my+1, mx+1)."""
        if self.steps is None:
            return self._cycle(r)
        first, further = self.steps
        d = x = first * self._cycle(r)
        for again, second in further:
            d = again * d + second * self._cycle(r - self.stencil.apply(x))
            x = x + d
        return x

    def _cycle(self, r: Tensor) -> Tensor:
        """Return the result of one V-cycle."""
        b = r * self.free
        x = self._smooth(b, None)
        r = (b - self.stencil.apply(x)) * self.free
        x = x + self.interpolation.prolong(self.exact.solve(self.interpolation.restrict(r))) * self.free
        x = self._smooth(b, x) * self.free
        return x - x.mean((-2, -1), keepdim=True) if self.singular else x
