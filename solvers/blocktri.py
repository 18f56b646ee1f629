"""Batched direct solution of nine-point operators by block-tridiagonal Cholesky factorisation (torch).

Owns the direct solver of small grids. One block per row of nodes: N blocks of N x N, N^4 operations and no indirect
addressing, so the same few lines serve the coarsest multigrid level and the coarse problem inside the network, on CPU
and GPU alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .linalg import batched
from .stencil import Stencil


class BlockTridiagonal:
    """Cholesky factors of a stencil restricted to its free nodes.

    Parameters
    ----------
    stencil : operator on (B, ny+1, nx+1) nodes.
    free : (ny+1, nx+1) boolean; the other nodes carry Dirichlet values (identity rows).

    Raises
    ------
    torch.linalg.LinAlgError
        If the operator is not positive definite on the free nodes.
    """

    def __init__(self, stencil: Stencil, free: Tensor):
        f = free.to(stencil.C.dtype)
        rows = f.shape[0]
        C = stencil.C * f + (1 - f)
        E = stencil.E * (f[:, :-1] * f[:, 1:])
        N = stencil.N * (f[:-1] * f[1:])
        NE = stencil.NE * (f[:-1, :-1] * f[1:, 1:])
        NW = stencil.NW * (f[:-1, 1:] * f[1:, :-1])
        diagonal = torch.diag_embed(C) + torch.diag_embed(E, 1) + torch.diag_embed(E, -1)
        upper = torch.diag_embed(N) + torch.diag_embed(NE, 1) + torch.diag_embed(NW, -1)
        self.free = free
        self.factors: list[Tensor] = []
        self.couplings: list[Tensor] = []  # L_i^-1 B_i
        block = diagonal[:, 0]
        for i in range(rows):
            L = torch.linalg.cholesky(block)
            self.factors.append(L)
            if i + 1 < rows:
                W = torch.linalg.solve_triangular(L, upper[:, i], upper=False)
                self.couplings.append(W)
                block = diagonal[:, i + 1] - batched(W.transpose(-1, -2), W)

    def solve(self, b: Tensor) -> Tensor:
        """Solve by forward and backward substitution.

        Parameters
        ----------
        b : (B, ny+1, nx+1) right-hand sides, or (B, K, ny+1, nx+1) for K of each operator. Entries of Dirichlet nodes
            are taken as zero.

        Returns
        -------
        Solutions of the same shape, zero at Dirichlet nodes.
        """
        many = b.dim() == 4
        b = (b * self.free).movedim(1, -1) if many else (b * self.free).unsqueeze(-1)
        y: list[Tensor] = []
        for i, L in enumerate(self.factors):
            rhs = b[:, i] - batched(self.couplings[i - 1].transpose(-1, -2), y[-1]) if i else b[:, 0]
            y.append(torch.linalg.solve_triangular(L, rhs, upper=False))
        x = [torch.empty(0)] * len(y)
        for i in range(len(y) - 1, -1, -1):
            rhs = y[i] - batched(self.couplings[i], x[i + 1]) if i + 1 < len(y) else y[i]
            x[i] = torch.linalg.solve_triangular(self.factors[i].transpose(-1, -2), rhs, upper=True)
        out = torch.stack(x, 1)
        return out.movedim(-1, 1) if many else out.squeeze(-1)
