"""One grid of multigrid in torch: its operator and smoother."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .blackbox import Interpolation
from .smoothing import smoother
from .stencil import Stencil


@dataclass
class Level:
    """One grid of the hierarchy.

    Attributes
    ----------
    stencil : operator in full precision, without boundary conditions.
    free : (ny+1, nx+1) boolean mask of the free nodes.
    smoother : the operator in the precision of the cycle.
    mask : (ny+1, nx+1) ``free`` in that precision.
    inverse_diagonal : (B, ny+1, nx+1) reciprocals of the diagonal, zero at fixed nodes.
    eigenvalue_bound : upper bound of the eigenvalues of D^-1 A, for the Chebyshev smoother.
    interpolation : black-box interpolation from the next coarser grid; ``None``: bilinear.
    """

    stencil: Stencil
    free: Tensor
    interpolation: Interpolation | None = None
    smoother: Stencil = field(init=False)
    mask: Tensor = field(init=False)
    inverse_diagonal: Tensor = field(init=False)
    eigenvalue_bound: float = field(init=False)

    def prepare(self, dtype: torch.dtype, *, monotone: bool = False) -> None:
        """Set up the smoother.

        Parameters
        ----------
        dtype : precision of the cycle.
        monotone : whether no coupling of the operator is positive, as in an M-matrix.
        """
        self.smoother = self.stencil.to(dtype)
        self.mask = self.free.to(dtype)
        self.inverse_diagonal = self.mask / self.smoother.C
        # 2 is the bound of an M-matrix with zero row sums; Galerkin products of jumping coefficients exceed it.
        self.eigenvalue_bound = 2.0 if monotone else float(self.smoother.row_sum_bound().clamp(max=2.5))

    def smooth(self, b: Tensor, x: Tensor | None, steps: int) -> Tensor:
        """Smooth by Chebyshev's iteration, see ``smoothing.smoother``.

        Parameters
        ----------
        b : (B, ny+1, nx+1) load vectors, in the precision of the cycle.
        x : (B, ny+1, nx+1) start, which may be changed; ``None``: zero.
        steps : 1 or more.

        Returns
        -------
        (B, ny+1, nx+1) iterate.
        """
        first, further = smoother(self.eigenvalue_bound, steps)
        A, Dinv = self.smoother, self.inverse_diagonal
        r = b if x is None else b - A.apply(x)
        d = (Dinv * r).mul_(first)
        x = d if x is None else x.add_(d)
        if x is d and further:
            x = d.clone()
        for again, second in further:
            r = r - A.apply(d)
            d = d * again + (Dinv * r) * second
            x += d
        return x
