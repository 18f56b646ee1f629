r"""A flux in H(div) with divergence -f, by integration along the rows or columns of cells.

Owns polynomial fluxes: their construction, their values and traces, their integrals against trace functions.

:math:`q_0 = (-F, 0)` with :math:`F = \int f\,dx` has continuous normal components: F is continuous across vertical
edges, and nothing crosses horizontal ones. On a cell its components are polynomials of degree 2, stored by the
coefficients of :data:`MONOMIALS` in unit coordinates: (2, 6, my, mx), components (x, y) first.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from .cell import TraceCell

Array = np.ndarray

#: Exponents of (ξ, η).
MONOMIALS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
#: Integrals of products of monomials over the unit square, and of the monomials.
GRAM = np.array([[1 / ((a + c + 1) * (b + d + 1)) for c, d in MONOMIALS] for a, b in MONOMIALS])
MEANS = GRAM[0]
#: Moments of 1, s, s^2 with the linear functions 1 - s and s of an edge.
LINEAR = np.array([[1 / 2, 1 / 6, 1 / 12], [1 / 2, 1 / 3, 1 / 4]])


def particular_flux(f: Array, a: Array, sides: tuple[float, float], natural: Collection[str]) -> Array:
    r"""Return a flux q0 with -div q0 = f and no flow through natural sides.

    Integration starts at a natural side, or where there is none at the constant that makes :math:`\int q_0^2/a` of
    the row least: this keeps small what the stream function has to take away again.

    Parameters
    ----------
    f : (3, my, mx) coefficients of 1, ξ, η on every cell.
    a : (my, mx) coefficient.
    sides : (hy, hx) of a cell.
    natural : natural sides, not all four.

    Returns
    -------
    (2, 6, my, mx) polynomials of the components (x, y).

    Examples
    --------
    >>> q = particular_flux(np.array([[[1.0, 1.0]], [[0.0, 0.0]], [[0.0, 0.0]]]), np.ones((1, 2)), (1.0, 0.5), ())
    >>> (q[0, :2, 0] + 0.0).tolist()  # 1/2 - x
    [[0.5, 0.0], [-0.5, -0.5]]
    """
    q = np.zeros((2, 6, *a.shape))
    if {"left", "right"} <= set(natural):
        transposed = f[[0, 2, 1]].swapaxes(1, 2)
        names = {"bottom": "left", "top": "right"}
        along = _along_rows(transposed, a.T, sides[0], {names[s] for s in natural if s in names})
        q[1] = along[[0, 2, 1, 5, 4, 3]].swapaxes(1, 2)  # ξ and η change places
    else:
        q[0] = _along_rows(f, a, sides[1], set(natural))
    return q


def rotation_load(q: Array, sides: tuple[float, float]) -> Array:
    """Return the load of the stream function ψ that makes q0 + (dψ/dy, -dψ/dx) curl-free.

    It solves -Δψ = d(q0_x)/dy - d(q0_y)/dx, a linear polynomial on every cell.

    Parameters
    ----------
    q : (2, 6, my, mx) polynomials q0.
    sides : (hy, hx) of a cell.

    Returns
    -------
    (3, my, mx) factors of the particular solutions for 1, ξ, η, as in :class:`TraceFunction`.
    """
    (x, y), (hy, hx) = q, sides
    aspect = hy / hx
    curl = [x[2] / aspect - y[1], x[4] / aspect - 2 * y[3], 2 * x[5] / aspect - y[4]]
    return hx * np.stack(curl)


def on_edges(polynomials: Array) -> tuple[Array, Array, Array, Array]:
    """Restrict polynomials (6, my, mx) to bottom, top, left, right: coefficients (my, mx, 3) of 1, s, s^2."""
    c = polynomials
    bottom, top = np.stack([c[0], c[1], c[3]], -1), np.stack([c[0] + c[2] + c[5], c[1] + c[4], c[3]], -1)
    left, right = np.stack([c[0], c[2], c[5]], -1), np.stack([c[0] + c[1] + c[3], c[2] + c[4], c[5]], -1)
    return bottom, top, left, right


def evaluate(q: Array, places: Array) -> Array:
    """Evaluate polynomial fluxes.

    Parameters
    ----------
    q : (2, 6, P) polynomials, one pair per point.
    places : (P, 2) local points (ξ, η).

    Returns
    -------
    (2, P) components (x, y).
    """
    xi, eta = places.T
    return np.einsum("kmp,mp->kp", q, np.stack([xi**i * eta**j for i, j in MONOMIALS]))


def through_vertical(q_x: Array, xi: Array, low: Array, high: Array) -> Array:
    """Integrate polynomials over η along vertical lines; arguments broadcast, lengths are in cells.

    Parameters
    ----------
    q_x : (6, ...) polynomials.
    xi : place ξ of the line.
    low : lower end η of the interval.
    high : upper end.

    Returns
    -------
    The integrals, of the arguments' common shape.

    Examples
    --------
    >>> q = np.array([1.0, 0, 0, 0, 0, 6.0])  # 1 + 6 η^2
    >>> float(through_vertical(q, np.zeros(()), np.zeros(()), np.ones(())))
    3.0
    """
    powers = [(high ** (k + 1) - low ** (k + 1)) / (k + 1) for k in range(3)]
    total = np.zeros(())
    for c, (i, j) in zip(q_x, MONOMIALS, strict=True):
        total = total + c * xi**i * powers[j]
    return total


def rotation_moments(q0: Array, cell: TraceCell, sides: tuple[float, float]) -> Array:
    """Integrate polynomial fluxes against rotated gradients of the trace functions, by Green's formula.

    Parameters
    ----------
    q0 : (2, 6, my, mx) polynomials.
    cell : reference cell with n degrees of freedom.
    sides : (hy, hx) of a cell.

    Returns
    -------
    (my, mx, n) integrals of q0 · rot H phi_k over the cells.
    """
    hy, hx = sides
    bottom, top, _, _ = on_edges(q0[0])
    _, _, left, right = on_edges(q0[1])
    out = edge_moments(cell, (-hx * bottom, hx * top, hy * left, -hy * right))
    return out - np.moveaxis(rotation_load(q0, sides), 0, -1) @ cell.moments


def outflow_moments(q0: Array, cell: TraceCell, sides: tuple[float, float]) -> Array:
    """Integrate the normal components of polynomial fluxes against the trace functions around every cell.

    Parameters
    ----------
    q0 : (2, 6, my, mx) polynomials.
    cell : reference cell with n degrees of freedom.
    sides : (hy, hx) of a cell.

    Returns
    -------
    (my, mx, n) integrals of phi_k q0 · n over the cells' boundaries.
    """
    hy, hx = sides
    bottom, top, _, _ = on_edges(q0[1])
    _, _, left, right = on_edges(q0[0])
    return edge_moments(cell, (-hx * bottom, hx * top, -hy * left, hy * right))


def edge_moments(cell: TraceCell, polynomials: tuple[Array, Array, Array, Array]) -> Array:
    """Integrate polynomials on the edges of cells against the trace functions.

    Parameters
    ----------
    cell : reference cell with n degrees of freedom.
    polynomials : (my, mx, 3) coefficients of 1, s, s^2 on bottom, top, left and right, s in [0, 1].

    Returns
    -------
    (my, mx, n) sums over the four edges of the integrals over s.
    """
    bottom, top, left, right = polynomials
    level, upright = cell.edge_moments
    b, t, lft, r = (v @ LINEAR.T for v in polynomials)
    corners = [b[..., 0] + lft[..., 0], b[..., 1] + r[..., 0], t[..., 0] + lft[..., 1], t[..., 1] + r[..., 1]]
    return np.concatenate([bottom @ level, top @ level, left @ upright, right @ upright, np.stack(corners, -1)], -1)


def _along_rows(f: Array, a: Array, width: float, natural: set[str]) -> Array:
    """Return -F (6, my, mx), F the integral of f over x, with the constant of every row as ``natural`` asks."""
    # per row F = value + slope η at the left edges of the cells
    steps = width * np.stack([f[0] + f[1] / 2, f[2]])
    start = np.cumsum(steps, axis=2) - steps
    if "left" not in natural:
        if "right" in natural:
            start -= start[..., -1:] + steps[..., -1:]
        else:
            weight = 1 / a
            start -= np.sum((start + steps / 2) * weight, axis=2, keepdims=True) / weight.sum(1)[:, None]
    zero = np.zeros(a.shape)
    return -np.stack([start[0], width * f[0], start[1], width * f[1] / 2, width * f[2], zero])
