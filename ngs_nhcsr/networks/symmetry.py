"""The eight symmetries of the square on arrays ``[iy, ix]`` (numpy or torch).

Element ``g`` in 0 … 7: bit 0 flips x, bit 1 flips y, bit 2 then transposes.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def symmetries(transpositions: bool = True) -> range:
    """Return the elements of the group: all, or the four without ``transpositions``, for rectangles."""
    return range(8 if transpositions else 4)


def transform(v: Any, g: int, *, inverse: bool = False) -> Any:
    """Apply a symmetry to the last two axes of an array.

    Parameters
    ----------
    v : (..., ny, nx) array or tensor: nodal values or cell values.
    g : element of the group, 0 … 7.
    inverse : apply the inverse of ``g`` instead.

    Returns
    -------
    The transformed values, a view where possible; with a transposition (..., nx, ny).

    Examples
    --------
    >>> v = np.arange(6).reshape(2, 3)
    >>> all((transform(transform(v, g), g, inverse=True) == v).all() for g in range(8))
    True
    """
    swap = np.swapaxes if isinstance(v, np.ndarray) else lambda t, i, j: t.transpose(i, j)
    flip = np.flip if isinstance(v, np.ndarray) else lambda t, i: t.flip(i)
    if inverse and g & 4:
        v = swap(v, -1, -2)
    if g & 1:
        v = flip(v, -1)
    if g & 2:
        v = flip(v, -2)
    if not inverse and g & 4:
        v = swap(v, -1, -2)
    return v
