"""The one sparse direct solve of the project: a matrix restricted to free nodes, Dirichlet data at the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

#: SuperLU's options for symmetric matrices: half the fill, no pivoting off the diagonal.
SYMMETRIC = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}


class DirichletSystem:
    """Sparse linear system at the free nodes of a grid, with given values at the others.

    It is factorised (SuperLU) at the first solve, or by :meth:`factorise`, and keeps the factor for further load
    vectors. It can be pickled; the factor is then made again.

    Parameters
    ----------
    K : sparse (nodes, nodes) matrix over all nodes, row-major: a stiffness matrix without boundary conditions.
    free : (Ny+1, Nx+1) mask of the nodes without Dirichlet values.
    symmetric : whether K is symmetric and, at the free nodes, positive definite; False for Petrov-Galerkin methods.

    Examples
    --------
    >>> from ngs_nhcsr.solvers.q1 import stiffness
    >>> K, free = stiffness(np.ones((1, 1)), (2, 2)), np.pad([[True]], 1)
    >>> DirichletSystem(K, free).solve(np.ones((3, 3)))[1, 1].round(12)
    np.float64(0.375)
    """

    def __init__(self, K: Any, free: np.ndarray, *, symmetric: bool = True):
        self.K, self.free, self.symmetric = sp.csr_matrix(K), free, symmetric
        self._factor: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_factor": None}  # SuperLU objects cannot be pickled

    def factorise(self) -> DirichletSystem:
        """Factorise the matrix now, if it is not; returns the system itself."""
        inside = self.free.ravel()
        if self._factor is None and inside.any():
            matrix = sp.csc_matrix(self.K[inside][:, inside])
            self._factor = splu(matrix, **(SYMMETRIC if self.symmetric else {}))
        return self

    def solve(self, F: np.ndarray, boundary: np.ndarray | None = None) -> np.ndarray:
        """Solve for a load vector and Dirichlet data.

        Parameters
        ----------
        F : (Ny+1, Nx+1) load vector; counts at free nodes.
        boundary : (Ny+1, Nx+1) nodal values of which those at the other nodes are the Dirichlet data; default: zero.

        Returns
        -------
        Nodal values (Ny+1, Nx+1).
        """
        inside = self.free.ravel()
        U = np.zeros(inside.size) if boundary is None else np.where(inside, 0.0, boundary.ravel())
        if inside.any():
            load = F.ravel() if boundary is None else F.ravel() - self.K @ U
            U[inside] = self.factorise()._factor.solve(load[inside])
        return U.reshape(self.free.shape)
