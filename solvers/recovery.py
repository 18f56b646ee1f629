"""Loads recovered from coarse moments: the splines that have them, and what the moments leave open."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .q1 import mass_apply


@lru_cache(maxsize=16)
def spline_lift(n: int, per: int, degree: int = 3) -> np.ndarray:
    """Map moments with the inner hats of n cells of length 1 to a spline with these moments.

    The spline goes through values at the inner nodes, extrapolated to the ends: cubically for degree 3, linearly below
    8 cells and for degree 1. Below 4 cells it is linear itself. The two degrees tell what the moments leave open, so
    that they must differ where there are few of these: with degree 1 it is constant beyond the two inner nodes of 3
    cells, and zero at the ends of 2 cells, where it is constant with degree 3.

    Parameters
    ----------
    n : cells.
    per : the spline is taken at the nodes of a grid refined so many times, linear between them.
    degree : 3 or 1.

    Returns
    -------
    Matrix (n per + 1, max(n - 1, 1)).

    Examples
    --------
    >>> lift = spline_lift(8, 2)
    >>> bool(np.abs(lift @ np.ones(7) - 1).max() < 1e-12)
    True
    """
    from scipy.interpolate import make_interp_spline

    inner = max(n - 1, 1)
    extended = np.zeros((n + 1, inner))
    extended[1:-1] = np.eye(inner)
    ends = np.array(_extrapolation(n, degree))
    extended[0, : len(ends)] = ends
    extended[-1, ::-1][: len(ends)] = ends
    nodes, fine = np.arange(n + 1.0), np.arange(n * per + 1) / per
    lift = make_interp_spline(nodes, extended, k=degree if n >= 4 else 1)(fine)
    hats = np.maximum(0, 1 - abs(nodes[1:-1, None] - fine[None, :]))
    mass = np.stack([mass_apply(np.stack([v, v], 1), (n, 2.0))[:, 0] for v in lift.T], 1)
    return lift @ np.linalg.inv(hats @ mass)


def _extrapolation(n: int, degree: int) -> list[float]:
    """Weights of the inner values nearest to an end in the value there."""
    if n >= 8 and degree == 3:
        return [4.0, -6.0, 4.0, -1.0]
    if n >= 4 or (n == 3 and degree == 3):
        return [2.0, -1.0]
    return [1.0] if n == 3 or degree == 3 else [0.0]
