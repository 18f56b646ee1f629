"""What compiled and torch multigrid share: Chebyshev factors, bounds on the spectrum, the nodes of coarser grids."""

from __future__ import annotations

import numpy as np

#: Chebyshev smoothing works on [bound / WINDOW, bound].
WINDOW = 5.0
#: From this contrast on the cycle works in float64, and is exact on half the raster where that is affordable. In
#: single precision it was not positive definite for 1000² pixels with inclusions of some hundred pixels each at 10⁴;
#: in double 8 to 14 steps do up to 10⁷, each in 1.7 times the time.
HIGH_CONTRAST = 2000.0
#: From which contrast on so many Chebyshev steps are taken on half the raster, where that is too large for a direct
#: solver, and the lowest eigenvalue they are for. With 512² pixels conjugate gradients then take 11 steps instead of 17
#: at contrast 100, 15 instead of 45 at 1000; with 1000² pixels at 10⁴ and 10⁵ 24 and 26 instead of more than 100.
HALF_RASTER = ((30.0, 2, 0.4), (250.0, 4, 0.1), (HIGH_CONTRAST, 8, 0.02), (2e4, 24, 0.002))
#: Factors of Chebyshev's iteration, see :func:`chebyshev`.
Factors = tuple[float, list[tuple[float, float]]]


def smoothing_bound(K: np.ndarray) -> float:
    """Return a bound on the eigenvalues of D^-1 A from one element matrix (its multiples assemble to A).

    Parameters
    ----------
    K : (k, k) symmetric element matrix with a positive diagonal; D is the diagonal of A.

    Returns
    -------
    The largest eigenvalue of the scaled element matrix.

    Examples
    --------
    >>> Q1 = np.array([[4.0, -1, -1, -2], [-1, 4, -2, -1], [-1, -2, 4, -1], [-2, -1, -1, 4]]) / 6
    >>> round(smoothing_bound(Q1), 6)
    1.5
    """
    scale = 1 / np.sqrt(np.diag(K))
    return float(np.linalg.eigvalsh(K * scale[:, None] * scale)[-1])


def chebyshev(lowest: float, highest: float, steps: int) -> Factors:
    """Compute the factors of Chebyshev's iteration from zero for A x = b with a preconditioner B.

    The steps are d = first B b, x = d, and then d = again d + second B (b − A x), x = x + d. See Y. Saad, *Iterative
    Methods for Sparse Linear Systems*, 2003, algorithm 12.1.

    Parameters
    ----------
    lowest : end of the interval of eigenvalues of BA that are damped best; those below are damped less.
    highest : upper bound of all eigenvalues of BA.
    steps : 1 or more.

    Returns
    -------
    first, and for every further step (again, second).

    Examples
    --------
    >>> first, ((again, second),) = chebyshev(0.2, 1.0, 2)
    >>> round(first, 3), round(again, 3), round(second, 3)
    (1.667, 0.286, 2.143)
    """
    theta, delta = 0.5 * (highest + lowest), 0.5 * (highest - lowest)
    rho, factors = delta / theta, []
    for _ in range(steps - 1):
        previous, rho = rho, 1 / (2 * theta / delta - rho)
        factors.append((rho * previous, 2 * rho / delta))
    return 1 / theta, factors


def smoother(bound: float, steps: int = 2) -> Factors:
    """Compute Chebyshev factors for smoothing with the diagonal.

    Parameters
    ----------
    bound : upper bound of the spectrum of D⁻¹A; the steps damp [bound / WINDOW, bound].
    steps : 1 or more.

    Returns
    -------
    Factors as of :func:`chebyshev`.
    """
    return chebyshev(bound / WINDOW, bound, steps)


def half_raster(contrast: float) -> Factors:
    """Compute Chebyshev factors for half the raster, where the rest of the cycle is the preconditioner.

    Parameters
    ----------
    contrast : of the coefficient.

    Returns
    -------
    Factors as of :func:`chebyshev`; of a single step of length 1 where contrast is low.
    """
    steps, lowest = next((row[1:] for row in reversed(HALF_RASTER) if contrast > row[0]), (1, 1.0))
    return chebyshev(lowest, 1.0, steps)


def kept_nodes(nodes: int) -> np.ndarray:
    """List the nodes of a line that black-box coarsening keeps: the even ones and the last.

    Parameters
    ----------
    nodes : nodes of the line, 2 or more.

    Returns
    -------
    Their numbers.

    Examples
    --------
    >>> kept_nodes(5).tolist(), kept_nodes(6).tolist()
    ([0, 2, 4], [0, 2, 4, 5])
    """
    even = np.arange(0, nodes, 2)
    return even if even[-1] == nodes - 1 else np.append(even, nodes - 1)
