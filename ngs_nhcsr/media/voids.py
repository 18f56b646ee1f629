r"""Voids: pixels of a medium that do not conduct.

Their boundary is natural (no flow). Solvers keep the pixels, with a coefficient ``d`` so small that what goes through
them does not count, with one exception: where two grains touch in a corner between two voids, the current through the
corner is that of a coefficient :math:`\sqrt{a d}` (the checkerboard of J. B. Keller, J. Math. Phys. 5 (1964) 548-549),
while exact voids let nothing through. Flows are then too large by some 3e-4 of what full contacts would let through.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..errors import InvalidProblem, NotCoercive

Array = np.ndarray

#: Coefficient of voids over the largest one: the contrast that the solver of the PDE takes.
FILL = 1e-7
#: Contrast of the other values up to which that is far below all of them.
LARGEST_CONTRAST_WITH_VOIDS = 1e3


def fill_voids(a: Array) -> tuple[Array, Array]:
    """Give voids, where the coefficient is zero, 1e-7 of the largest value.

    Parameters
    ----------
    a : (my, mx) coefficients, 0 in voids, else positive.

    Returns
    -------
    filled : Array
        (my, mx) positive coefficients.
    voids : Array
        (my, mx) boolean mask.

    Raises
    ------
    NotCoercive
        If a coefficient is negative, or there is nothing but voids.
    InvalidProblem
        If the other values have a contrast above 1000: a void would conduct too much beside the smallest of them.

    Examples
    --------
    >>> fill_voids(np.array([[0.0, 2.0], [4.0, 2.0]]))[0].tolist()
    [[4e-07, 2.0], [4.0, 2.0]]
    """
    a = np.asarray(a, dtype=float)
    if (a < 0).any():
        raise NotCoercive(f"the coefficient is {a.min():g} somewhere; it must be positive, or 0 in voids.")
    voids = a == 0
    if voids.all():
        raise NotCoercive("the coefficient is 0 everywhere; it must be positive outside voids.")
    low, high = float(a[~voids].min()), float(a.max())
    if voids.any() and high > LARGEST_CONTRAST_WITH_VOIDS * low:
        raise InvalidProblem(
            f"beside voids (0) the coefficient has the contrast {high / low:.1e}; at most "
            f"{LARGEST_CONTRAST_WITH_VOIDS:.0e} is solved: raise the smallest value, or make it 0."
        )
    return np.where(voids, FILL * high, a), voids


def grounded(voids: Array, sides: Collection[str]) -> Array:
    """Find the pixels whose values the problem determines: connected through edges to a side with given values.

    A load on any other pixel could not flow off.

    Parameters
    ----------
    voids : (my, mx) boolean mask.
    sides : those with given values, among "bottom", "right", "top", "left".

    Returns
    -------
    (my, mx) boolean mask, False in voids.

    Examples
    --------
    >>> voids = np.array([[0, 1, 0], [0, 1, 1]], bool)
    >>> grounded(voids, ["left"]).astype(int).tolist()
    [[1, 0, 0], [1, 0, 0]]
    """
    from scipy import ndimage  # here, since commands are checked before anything large is imported

    grains = np.asarray(ndimage.label(~voids)[0])  # type: ignore[index] - SciPy types it as a number too
    ends = {"bottom": grains[0], "top": grains[-1], "left": grains[:, 0], "right": grains[:, -1]}
    kept = np.unique(np.concatenate([ends[side] for side in sides]))
    return np.isin(grains, kept[kept > 0])


def leads_through(voids: Array, start: str, end: str) -> bool:
    """Tell whether grains connected through edges lead from one side to another.

    Parameters
    ----------
    voids : (my, mx) boolean mask.
    start, end : two of "bottom", "right", "top", "left".

    Returns
    -------
    bool

    Examples
    --------
    >>> voids = np.array([[0, 1, 0], [0, 1, 1]], bool)
    >>> leads_through(voids, "left", "right"), leads_through(voids, "bottom", "top")
    (False, True)
    """
    return bool((grounded(voids, [start]) & grounded(voids, [end])).any())


def corner_contacts(voids: Array) -> int:
    """Count the vertices of the raster where two grains touch between two voids.

    Parameters
    ----------
    voids : (my, mx) boolean mask.

    Returns
    -------
    Their number.

    Examples
    --------
    >>> corner_contacts(np.array([[0, 1, 0], [1, 0, 0]], bool))
    1
    """
    sw, se, nw, ne = voids[:-1, :-1], voids[:-1, 1:], voids[1:, :-1], voids[1:, 1:]
    return int(np.count_nonzero((sw == ne) & (se == nw) & (sw != se)))
