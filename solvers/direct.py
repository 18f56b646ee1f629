"""The one sparse direct solve of the project: a matrix restricted to free nodes, Dirichlet data at the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded
from scipy.sparse.linalg import splu

from .threads import one_blas_thread

#: SuperLU's options for symmetric matrices: half the fill, no pivoting off the diagonal.
SYMMETRIC = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
#: Unknowns times squared width of a band up to which Cholesky's method in it takes a third to a half of SuperLU's time:
#: 128 x 128 cells.
WORK = 2**28
#: Widths from which BLAS works on a band in several threads, which takes up to six times as long as in one.
THREADED = 48


class DirichletSystem:
    """Sparse linear system at the free nodes of a grid, with given values at the others.

    It is factorised at the first solve, or by :meth:`factorise`, and keeps the factor for further load vectors: by
    Cholesky's method in the band of a symmetric matrix where that is narrow, else by SuperLU. It can be pickled; the
    factor is then made again.

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
        self._unknowns = _along_short_side(free)
        self._inverse: Callable[[np.ndarray], np.ndarray] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inverse": None}  # SuperLU objects cannot be pickled

    def factorise(self) -> DirichletSystem:
        """Factorise the matrix now, if it is not; returns the system itself."""
        if len(self._unknowns):
            self._factorised()
        return self

    def _factorised(self) -> Callable[[np.ndarray], np.ndarray]:
        """Multiplication with the inverse at the unknowns."""
        inverse = self._inverse
        if inverse is None:
            in_band = _in_band(self.K, self._unknowns) if self.symmetric else None
            inverse = self._inverse = self._superlu().solve if in_band is None else in_band
        return inverse

    def _superlu(self) -> Any:
        matrix: Any = self.K[self._unknowns]
        return splu(sp.csc_matrix(matrix[:, self._unknowns]), **(SYMMETRIC if self.symmetric else {}))

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
        if len(self._unknowns):
            load = F.ravel() if boundary is None else F.ravel() - self.K @ U
            U[self._unknowns] = self._factorised()(load[self._unknowns])
        return U.reshape(self.free.shape)


def _along_short_side(free: np.ndarray) -> np.ndarray:
    """Numbers of the free nodes (n,), line by line along the shorter side of the grid, for a narrow band."""
    numbers = np.arange(free.size).reshape(free.shape)
    wide = free.ndim == 2 and free.shape[1] > free.shape[0]
    return numbers.T[free.T] if wide else numbers[free]


def _in_band(K: sp.csr_matrix, unknowns: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
    """Multiplication with the inverse of K at the unknowns, positive definite there, by Cholesky in its band.

    ``None`` if its band is wide, or round-off has made it indefinite.
    """
    if not K.has_canonical_format:
        K = K.copy()
        K.sum_duplicates()
    n, place = len(unknowns), np.full(len(K.indptr) - 1, -1)
    place[unknowns] = np.arange(n)
    row, column = np.repeat(place, np.diff(K.indptr)), place[K.indices]
    lower = (column >= 0) & (row >= column)
    below = (row - column)[lower]
    width = int(below.max(initial=0))
    if n * (width + 1) ** 2 > WORK:
        return None
    band = np.zeros((n, width + 1))
    band[column[lower], below] = np.asarray(K.data)[lower]
    factorised = cholesky_banded if width < THREADED else one_blas_thread(cholesky_banded)
    try:
        factor = factorised(band.T, overwrite_ab=True, lower=True, check_finite=False)
    except LinAlgError:
        return None
    return partial(_solve_in_band, factor)


def _solve_in_band(factor: np.ndarray, b: np.ndarray) -> np.ndarray:
    return cho_solve_banded((factor, True), b, check_finite=False)
