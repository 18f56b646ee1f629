r"""Saddle points with a block-tridiagonal SPD part and few constraints: block Cholesky, Schur complement.

.. math:: \begin{pmatrix} K & G^T \\ G & H \end{pmatrix} \begin{pmatrix} x \\ \lambda \end{pmatrix}
          = \begin{pmatrix} b \\ c \end{pmatrix}, \qquad H \le 0.

With :math:`K = L L^T`, :math:`Z = L^{-1}(G^T, b)` the multipliers follow from the Schur complement
:math:`(Z_G^T Z_G - H)\lambda = Z_G^T Z_b - c`, and only then one backward substitution is needed for x.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import get_lapack_funcs

from ...errors import SolverFailure

potrf, trtrs = get_lapack_funcs(("potrf", "trtrs"), dtype=np.float64)


def not_definite(size: int, pivot: int) -> SolverFailure:
    """Return the error for a matrix of some ``size`` with a wrong ``pivot``, counted from 1."""
    return SolverFailure(
        f"a patch matrix of size {size} is not positive definite (pivot {pivot}); the coefficient's "
        "contrast is too high for double precision, reduce it."
    )


def cholesky(D: np.ndarray) -> np.ndarray:
    """Factorise a symmetric positive definite matrix.

    Parameters
    ----------
    D : (m, m) matrix.

    Returns
    -------
    (m, m) lower Cholesky factor in Fortran order; entries above the diagonal are undefined.

    Raises
    ------
    SolverFailure
        If it is not positive definite.
    """
    L, info = potrf(D.T, lower=1, clean=0)
    if info:
        raise not_definite(len(D), info)
    return L


def forward(L: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Solve L X = B for a factor L (m, m) of :func:`cholesky` and right-hand sides B (m, k): X (m, k)."""
    return trtrs(L, B, lower=1)[0]


def backward(L: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Solve Lᵀ X = B for a factor L (m, m) of :func:`cholesky` and right-hand sides B (m, k): X (m, k)."""
    return trtrs(L, B, lower=1, trans=1)[0]


def solve_spd(K: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Solve K X = B for a small dense symmetric positive definite K (m, m) and right-hand sides B (m, k): X (m, k)."""
    L = cholesky(K)
    return backward(L, forward(L, B))


def solve_saddle(
    diagonals: Sequence[np.ndarray],
    couplings: Sequence[np.ndarray],
    right: Sequence[np.ndarray],
    H: np.ndarray,
    c: np.ndarray,
) -> tuple[list[np.ndarray], np.ndarray]:
    r"""Solve the saddle point system of this module for p right-hand sides.

    Parameters
    ----------
    diagonals : the blocks K_ii, each (m, m).
    couplings : the blocks K_{i,i+1}, each (m, m), one less than there are diagonal blocks.
    right : the blocks (G^T, b)_i, each (m, constraints + p).
    H : (constraints, constraints) negative semidefinite matrix.
    c : (constraints, p) right-hand sides of the constraints.

    Returns
    -------
    x : the blocks of the solution, each (m, p).
    multipliers : (constraints, p). Constraints whose row is zero get the multiplier 0.

    Raises
    ------
    SolverFailure
        If K or the Schur complement is not positive definite in double precision.

    Examples
    --------
    >>> right = [np.array([[1.0, 1.0], [1.0, 3.0]])]
    >>> x, mu = solve_saddle([2 * np.eye(2)], [], right, np.zeros((1, 1)), np.zeros((1, 1)))
    >>> # minimise |x|^2 - x1 - 3 x2 subject to x1 + x2 = 0
    >>> x[0].ravel().round(12).tolist(), mu.round(12).tolist()
    ([-0.5, 0.5], [[2.0]])
    """
    count = len(H)
    factors, ahead, Z = [], [], []
    for i, (D, b) in enumerate(zip(diagonals, right, strict=True)):
        if i:
            D, b = D - ahead[-1].T @ ahead[-1], b - ahead[-1].T @ Z[-1]
        factors.append(cholesky(D))
        if i < len(couplings):
            both = forward(factors[-1], np.concatenate([couplings[i], b], 1))
            ahead.append(both[:, : len(D)])
            Z.append(both[:, len(D) :])
        else:
            Z.append(forward(factors[-1], b))
    product = sum((z.T @ z for z in Z), np.zeros((Z[0].shape[1],) * 2))
    schur = product[:count, :count] - H
    # Constraints that were dropped at Dirichlet nodes have zero rows: a unit diagonal makes them harmless.
    schur[np.diag_indices(count)] += np.diagonal(schur) == 0.0
    multipliers = solve_spd(schur, product[:count, count:] - c)
    x = [np.empty(0)] * len(Z)
    for i in range(len(Z) - 1, -1, -1):
        z = Z[i][:, count:] - Z[i][:, :count] @ multipliers
        x[i] = backward(factors[i], z - ahead[i] @ x[i + 1] if i < len(ahead) else z)
    return x, multipliers
