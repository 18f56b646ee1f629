"""Reduce the candidate traces of an edge to the few combinations that carry most of their energy.

Owns the order of one edge's E = 2G + bubbles candidates (powers from the start, from the end, bubbles) and the choice
of the p edge functions among their combinations.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from .assembly import powers_integral
from .corner import bubbles as bubble_values
from .corner import gauss

Array = NDArray[np.float64]


def edge_candidates(s: Array, gammas: Array, bubbles: int) -> Array:
    """Evaluate the candidates of one edge: powers from the start, from the end, bubbles.

    Parameters
    ----------
    s : (P,) points in [0, 1].
    gammas : (G,) exponents.
    bubbles : number of polynomial traces.

    Returns
    -------
    (E, P) values, E = 2G + bubbles.

    Examples
    --------
    >>> edge_candidates(np.array([0.25]), np.array([0.5]), 1).ravel().round(6).tolist()
    [0.25, 0.116025, 0.1875]
    """
    g = gammas[:, None]
    return np.concatenate([s**g - s, (1 - s) ** g - (1 - s), bubble_values(s, bubbles)])


def edge_moments(gammas: Array, bubbles: int) -> Array:
    """Integrate s^q, q = 0, 1, 2, against the candidates of one edge, powers in closed form.

    Parameters
    ----------
    gammas : (G,) exponents.
    bubbles : number of polynomial traces.

    Returns
    -------
    (3, E) integrals over [0, 1].
    """
    q = np.arange(3.0) + 1
    s, w = gauss()
    powers = [powers_integral(q, gammas, same) for same in (True, False)]
    return np.concatenate([*powers, (s ** (q[:, None] - 1) * w) @ bubble_values(s, bubbles).T], 1)


def reduction_matrix(basis: Array) -> Array:
    """Return the matrix (4E + 4, 4p + 4) from degrees of freedom to candidates, for ``basis`` (2, E, p) by axis."""
    return np.asarray(scipy.linalg.block_diag(basis[0], basis[0], basis[1], basis[1], np.eye(4)), dtype=float)


def edge_basis(E: Array, powers: int, modes: int) -> Array:
    """Choose the combinations of one edge's candidates with the largest energy, orthonormal in it.

    The candidates are scaled to energy 1 and the Gram matrix is diagonalised, separately for functions even and odd
    about the middle of the edge. Functions whose eigenvalue is so small that rounding would disturb their energy by
    more than about 1e-6 are left out; candidates of small energy (gamma close to 1) raise that limit by their scaling.

    Parameters
    ----------
    E : (E, E) energy inner products of the edge's candidates, symmetric.
    powers : number G of exponents.
    modes : number p of combinations wanted.

    Returns
    -------
    (E, p) combinations as columns, by descending energy; fewer columns where no p are independent.
    """
    size = len(E)
    even, odd = np.zeros((size, powers)), np.zeros((size, powers))
    pair = np.arange(powers)
    even[pair, pair] = even[powers + pair, pair] = odd[pair, pair] = math.sqrt(0.5)
    odd[powers + pair, pair] = -math.sqrt(0.5)
    bubbles = np.eye(size)[:, 2 * powers :]
    scale = 1 / np.sqrt(np.diag(E))
    scaled = E * scale * scale[:, None]
    found: list[tuple[float, Array]] = []
    for T in (np.hstack([even, bubbles[:, ::2]]), np.hstack([odd, bubbles[:, 1::2]])):
        if T.shape[1]:
            lam, V = scipy.linalg.eigh(T.T @ scaled @ T)
            V *= np.sign(V[abs(V).argmax(0), np.arange(len(lam))])
            found += zip(lam.tolist(), (T @ V).T, strict=True)
    found.sort(key=lambda item: -item[0])
    noise = max(1e-11, 1e-11 * float(scale.max()) ** 2) * found[0][0]
    return np.stack([scale * v / math.sqrt(x) for x, v in found[:modes] if x > noise], 1)
