"""Products with nine-point operators, in both storages of ``rows`` (numba).

Owns what a coupling of two nodes is in each of them: everything else of the kernels is written once for both.

Where cells are alike but for a factor (a scalar coefficient without reaction) their factors and the four entries of one
element matrix say everything: a fifth of the memory, so that the operator of 512² cells stays in a core's cache. A step
of conjugate gradients then takes half the time.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import overload

from .options import MATHEMATICS


def times(S: Any, x: Any, c: int, s: int, js: int, jc: int, jn: int, i: int) -> Any:
    """Return (S x) at node i of row jc of x, of kind c, between the rows js, of kind s, and jn; compiled code only."""
    raise NotImplementedError


def inverse_diagonal(S: Any, D: Any, c: int, s: int, i: int) -> Any:
    """Return 1 over the coupling of node i with itself, 0 where it is fixed; compiled code only.

    ``D`` is the inverse diagonal by kinds of rows if S holds couplings, the mask of the free nodes if it holds
    coefficients.
    """
    raise NotImplementedError


@overload(times, jit_options=MATHEMATICS)
def _times(S, x, c, s, js, jc, jn, i):
    """Choose by the storage."""

    def by_couplings(S, x, c, s, js, jc, jn, i):
        return (
            (S[0, c, i] * x[jc, i] + (S[1, c, i] * x[jc, i + 1] + S[1, c, i - 1] * x[jc, i - 1]))
            + (S[2, c, i] * x[jn, i] + S[2, s, i] * x[js, i])
            + (S[3, c, i] * x[jn, i + 1] + S[3, s, i - 1] * x[js, i - 1])
            + (S[4, c, i - 1] * x[jn, i - 1] + S[4, s, i] * x[js, i + 1])
        )

    def by_cells(S, x, c, s, js, jc, jn, i):
        a, same, along, across, diagonal = S
        sw, se, nw, ne = a[s, i - 1], a[s, i], a[c, i - 1], a[c, i]
        south, north = sw + se, nw + ne
        return (
            same * (south + north) * x[jc, i]
            + along * ((se + ne) * x[jc, i + 1] + (sw + nw) * x[jc, i - 1])
            + across * (north * x[jn, i] + south * x[js, i])
            + diagonal * ((ne * x[jn, i + 1] + nw * x[jn, i - 1]) + (se * x[js, i + 1] + sw * x[js, i - 1]))
        )

    return by_couplings if isinstance(S, types.Array) else by_cells


@overload(inverse_diagonal, jit_options=MATHEMATICS)
def _inverse_diagonal(S, D, c, s, i):
    """Choose by the storage."""

    def by_couplings(S, D, c, s, i):
        return D[c, i]

    def by_cells(S, D, c, s, i):
        a, same = S[0], S[1]
        return D[c, i] / (same * ((a[s, i - 1] + a[s, i]) + (a[c, i - 1] + a[c, i])))

    return by_couplings if isinstance(S, types.Array) else by_cells
