"""Compiled energy product of nodal fields on a mesh that divides the raster (numba)."""

from __future__ import annotations

import numpy as np

from .options import kernel


@kernel
def spread(row: np.ndarray, k: int, line: np.ndarray) -> None:
    """Repeat every value of a row of the raster k times, into a row of mesh cells."""
    for p in range(len(row)):
        line[p * k : (p + 1) * k] = row[p]


@kernel
def energy_product(v: np.ndarray, w: np.ndarray, a: np.ndarray, ratio: float) -> float:
    """Compute the integral of a ∇v·∇w.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values.
    w : (ny+1, nx+1) nodal values.
    a : (my, mx) cell values; ny and nx are multiples of my and mx.
    ratio : height over width of a mesh cell.

    Returns
    -------
    The energy product.
    """
    ny, nx = v.shape[0] - 1, v.shape[1] - 1
    ky, kx = ny // a.shape[0], nx // a.shape[1]
    line = np.empty(nx)
    total = 0.0
    for j in range(ny):
        if j % ky == 0:
            spread(a[j // ky], kx, line)
        part = 0.0
        for i in range(nx):
            # exact integrals of products of linear functions, times 6
            low, high = v[j, i + 1] - v[j, i], v[j + 1, i + 1] - v[j + 1, i]
            other_low, other_high = w[j, i + 1] - w[j, i], w[j + 1, i + 1] - w[j + 1, i]
            along_x = 2 * (low * other_low + high * other_high) + low * other_high + high * other_low
            left, right = v[j + 1, i] - v[j, i], v[j + 1, i + 1] - v[j, i + 1]
            other_left, other_right = w[j + 1, i] - w[j, i], w[j + 1, i + 1] - w[j, i + 1]
            along_y = 2 * (left * other_left + right * other_right) + left * other_right + right * other_left
            part += line[i] * (ratio * along_x + along_y / ratio)
        total += part
    return total / 6


@kernel
def reaction_product(v: np.ndarray, w: np.ndarray, c: np.ndarray) -> float:
    """Compute the integral of c v w in units of the area of a mesh cell.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values.
    w : (ny+1, nx+1) nodal values.
    c : (py, px) cell values; ny and nx are multiples of py and px.

    Returns
    -------
    The product.
    """
    ny, nx = v.shape[0] - 1, v.shape[1] - 1
    ky, kx = ny // c.shape[0], nx // c.shape[1]
    line = np.empty(nx)
    total = 0.0
    for j in range(ny):
        if j % ky == 0:
            spread(c[j // ky], kx, line)
        part = 0.0
        for i in range(nx):
            # along x exact integrals of products of linear functions, times 6, of the rows below and above; so along y
            a, b, d, e = v[j, i], v[j, i + 1], v[j + 1, i], v[j + 1, i + 1]
            low, high = 2 * w[j, i] + w[j, i + 1], w[j, i] + 2 * w[j, i + 1]
            low_above, high_above = 2 * w[j + 1, i] + w[j + 1, i + 1], w[j + 1, i] + 2 * w[j + 1, i + 1]
            below, above = (2 * a + d) * low + (2 * b + e) * high, (a + 2 * d) * low_above + (b + 2 * e) * high_above
            part += line[i] * (below + above)
        total += part
    return total / 36
