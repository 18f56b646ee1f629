"""The coarse problem of periodic rasters.

These are one ring; black-box coarsening is written for rasters with an edge, so here the problem of the vertex
functions is factorised as it is (scipy, on the CPU).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse.linalg as sla
import torch
from torch import Tensor

from ..direct import SYMMETRIC
from .layout import Boundary, sparse_matrix


class PeriodicCoarse:
    """The problem of the vertex functions of a periodic raster, factorised as it is, one vertex held.

    Parameters
    ----------
    K : (B, my, mx, 4, 4) matrices of the cells.
    boundary : periodic.
    """

    def __init__(self, K: Tensor, boundary: Boundary):
        self.free = np.flatnonzero(boundary.free((K.shape[1], K.shape[2]), 0).corners)
        kept = self.free[1:]
        matrices = [sparse_matrix(1.0, v, 0, boundary)[kept][:, kept].tocsc() for v in K.cpu().numpy()]
        self.factors = [sla.splu(A, **SYMMETRIC) if kept.size else None for A in matrices]

    def solve(self, r: Tensor) -> Tensor:
        """Return the solution (B, my+1, mx+1) with mean zero for moments r (B, my+1, mx+1) whose sum is zero."""
        flat = r.reshape(r.shape[0], -1).cpu().numpy()
        x = np.zeros_like(flat)
        for k, factor in enumerate(self.factors):
            if factor is not None:
                x[k, self.free[1:]] = factor.solve(flat[k, self.free[1:]])
            x[k, self.free] -= x[k, self.free].mean()
        return torch.as_tensor(x, device=r.device).reshape(r.shape)
