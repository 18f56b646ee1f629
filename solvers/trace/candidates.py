"""Choose the exponents of the corner functions from the values of the medium.

Owns what a medium asks of its reference cell: exponents, number of functions per edge, number of bubbles.

Where cells with values a and b meet in a vertex, the solution is a sum of r^gamma times a function of the angle. For
two values with contrast c the exponents are known in closed form; for any values they are spread over the range that
the contrast allows. See Kellogg, "On the Poisson equation with intersecting interfaces" (1974).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InvalidProblem, NotCoercive

#: Largest contrast that is solved; above it the reference cell loses its digits.
LARGEST_CONTRAST = 1e7 * (1 + 1e-9)  # values 1e7 apart are, after rounding, a little more
_TWO_VALUES_MODES = 6
_ANY_VALUES_MODES = 8
_RICH_SET = 10
"""From this number of functions per edge on, more exponents and bubbles pay (below it they are worse)."""
_STEPS_PER_DECADE = 4
"""Contrasts of media with many values are rounded up to a quarter of a decade, so that media share a cell."""


def crossing_exponent(contrast: float) -> float:
    """Return gamma_0 = (4/pi) atan(contrast^-1/2), the smallest exponent where four cells alternate (Kellogg 1974).

    Parameters
    ----------
    contrast : ratio of the larger to the smaller value, at least 1.

    Returns
    -------
    The exponent, in (0, 1]: near the vertex the solution is like r^gamma_0.

    Examples
    --------
    >>> round(crossing_exponent(10.0), 2), round(crossing_exponent(1000.0), 2)
    (0.39, 0.04)
    """
    return 4 / math.pi * math.atan(contrast**-0.5)


def two_value_exponents(contrast: float, below: float) -> tuple[float, ...]:
    """List the exponents of all vertices of a medium with two values.

    Alternating cells have gamma_0 and its reflections at even integers. Where one cell differs from the three others,
    the conditions ``k sin(x) cos(3x) + sin(3x) cos(x) = 0`` and ``k cos(x) sin(3x) + cos(3x) sin(x) = 0``
    (x = gamma pi/4, k = contrast or its inverse) reduce by product formulas to
    ``cos(gamma pi/2) = +-(contrast - 1) / (2 (contrast + 1))``.

    Parameters
    ----------
    contrast : ratio of the larger to the smaller value, above 1.
    below : only exponents smaller than this, at most 6.

    Returns
    -------
    Exponents above 0, ascending, rounded to 12 digits.

    Examples
    --------
    >>> [round(g, 3) for g in two_value_exponents(100.0, 2.0)]
    [0.127, 0.674, 1.326, 1.873]
    """
    alternating = crossing_exponent(contrast)
    single = 2 / math.pi * math.acos((contrast - 1) / (2 * (contrast + 1)))
    found = {round(2 * k + s * g, 12) for g in (alternating, single) for k in range(4) for s in (1, -1)}
    return tuple(sorted(g for g in found if 0 < g < below))


def any_value_exponents(contrast: float) -> tuple[float, ...]:
    """Spread nine exponents over [gamma_0(contrast), 0.98] and seven over [1.1, 2.9].

    Parameters
    ----------
    contrast : ratio of the largest to the smallest value, above 1.

    Returns
    -------
    Sixteen exponents, ascending, rounded to 12 digits.
    """
    low = np.linspace(min(crossing_exponent(contrast), 0.9), 0.98, 9)
    return tuple(float(g) for g in np.round(np.concatenate([low, np.linspace(1.1, 2.9, 7)]), 12))


def default_modes(A: ArrayLike) -> int:
    """Return the number of functions per edge: 6 for media with at most two values, else 8.

    Parameters
    ----------
    A : coefficient, any shape, positive and finite.

    Returns
    -------
    The number p.

    Raises
    ------
    NotCoercive
        If a value is not positive.
    InvalidProblem
        If a value is not finite or there is none.

    Examples
    --------
    >>> default_modes([1.0, 5.0]), default_modes([1.0, 5.0, 25.0])
    (6, 8)
    """
    return _TWO_VALUES_MODES if len(_values(A)) <= 2 else _ANY_VALUES_MODES


def default_bubbles(exponents: tuple[float, ...], modes: int) -> int:
    """Return the number of polynomial bubbles among the candidates of one edge.

    Parameters
    ----------
    exponents : exponents of the powers among the candidates.
    modes : functions per edge that will be kept.

    Returns
    -------
    4 with the larger set of exponents (some above 3, at least 10 modes), else 2.
    """
    return 4 if modes >= _RICH_SET and any(g > 3 for g in exponents) else 2


def exponents_for(A: ArrayLike, modes: int) -> tuple[float, ...]:
    """Choose the exponents of the candidate functions for a medium.

    Parameters
    ----------
    A : coefficient, any shape, positive and finite.
    modes : functions per edge that will be kept; from 10 on, media with two values get the larger set.

    Returns
    -------
    Exponents in ascending order, rounded to 12 digits (they are a key of the cache). Empty for a constant medium,
    where polynomials are enough.

    Raises
    ------
    NotCoercive
        If a value is not positive.
    InvalidProblem
        If a value is not finite or there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from ngs_nhcsr.solvers.trace.candidates import exponents_for
    >>> [round(g, 3) for g in exponents_for(np.array([[1.0, 100.0]]), 6)]
    [0.127, 0.674, 1.326, 1.873, 2.127, 2.674]
    >>> len(exponents_for(np.array([1.0, 5.0, 25.0]), 8))
    16
    """
    values = _values(A)
    contrast = float(values[-1] / values[0])
    if len(values) == 1:
        return ()
    if len(values) == 2:
        return two_value_exponents(contrast, 5.2 if modes >= _RICH_SET else 2.9)
    return any_value_exponents(10 ** (math.ceil(_STEPS_PER_DECADE * math.log10(contrast)) / _STEPS_PER_DECADE))


def _values(A: ArrayLike) -> np.ndarray:
    """Return at most three values of the coefficient, the smallest first and the largest last, after checks."""
    flat = np.asarray(A, dtype=float).ravel()
    if flat.size == 0 or not np.isfinite(flat).all():
        raise InvalidProblem("the coefficient has no cells or holds NaN or infinity; give finite values")
    low, high = flat.min(), flat.max()
    if low <= 0:
        raise NotCoercive(f"the coefficient's smallest value is {low:g}; it must be positive everywhere")
    if low == high:
        return np.array([low])
    middle = flat[(flat != low) & (flat != high)]
    return np.array([low, *middle[:1], high])
