"""What compiled and torch multigrid share: Chebyshev factors, bounds on the spectrum, the nodes of coarser grids."""

from __future__ import annotations

import numpy as np

#: Chebyshev smoothing works on [bound / WINDOW, bound].
WINDOW = 5.0


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


def row_sum_bound(S: np.ndarray) -> float:
    """Return Gershgorin's bound on the eigenvalues of D^-1 A of a nine-point operator, cut off at 2.5.

    Parameters
    ----------
    S : (5, ny+3, nx+3) operator with ring: couplings of a node with itself, east, north, north-east, and of its east
        with its north neighbour.

    Returns
    -------
    The bound, at most 2.5.

    Examples
    --------
    >>> S = np.zeros((5, 3, 4))
    >>> S[0, 1, 1:3], S[1, 1, 1] = 2.0, -1.0  # two nodes
    >>> row_sum_bound(S)
    1.5
    """
    off = np.zeros(S.shape[1:])
    for k, (dy, dx) in ((1, (0, 1)), (2, (1, 0)), (3, (1, 1))):
        off += abs(S[k])
        off[dy:, dx:] += abs(S[k][: S.shape[1] - dy, : S.shape[2] - dx])
    off[:, 1:] += abs(S[4][:, :-1])
    off[1:] += abs(S[4][:-1])
    inner = (slice(1, -1), slice(1, -1))
    return float(min(2.5, 1 + (off[inner] / S[0][inner]).max()))


def chebyshev_factors(bound: float) -> tuple[float, float, float]:
    """Compute the factors of two Chebyshev steps for the residual equation A x = r with diagonal D.

    The steps are d = first D⁻¹ r, then x = d + again d + second D⁻¹ (r − A d).

    Parameters
    ----------
    bound : upper bound of the spectrum of D⁻¹A; the steps damp [bound / WINDOW, bound].

    Returns
    -------
    first, again, second.
    """
    theta, delta = 0.5 * (bound + bound / WINDOW), 0.5 * (bound - bound / WINDOW)
    ratio = delta / theta
    rho = 1 / (2 / ratio - ratio)
    return 1 / theta, rho * ratio, 2 * rho / delta


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
