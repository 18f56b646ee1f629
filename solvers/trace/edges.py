r"""Fit data on an edge by the edge functions, in the energy of the harmonic extension into one cell.

Owns the projection of edge data to the trace space (:class:`EdgeFit`), used for Dirichlet data and for start values,
and the integrals of rotated gradients (:func:`circulation`), used by the dual problem.

With :math:`b = \sum_k b_k\sin k\pi s` on one edge and zero on the three others the energy in the cell is
:math:`\sum_k \tfrac{k\pi}{2}\coth(k\pi\alpha)\,b_k^2`, α the depth of the cell over the length of the edge. Products of
edge functions with each other are entries of the cell's stiffness matrix; those with smooth data converge fast in k and
are summed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from scipy.special import beta

from .cell import TraceCell
from .corner import bubbles, gauss, power_weights

Array = np.ndarray

#: Terms of the sine series; data with kinks have products that fall like k^-2, smooth data like k^-3 and faster.
TERMS = 1024
#: Panels that resolve the sines, Gauss points on each, and panels graded towards an end of the edge.
PANELS, POINTS, GRADED = 512, 8, 18
#: Points at which even and odd functions differ.
_PAIR = np.array([0.07, 0.19, 0.31])


def lobatto(degree: int) -> Array:
    """Return the Gauss-Lobatto points (degree + 1,) of the unit interval, ends included, ascending.

    Parameters
    ----------
    degree : of the polynomials that the points determine, at least 1.

    Returns
    -------
    (degree + 1,) points.

    Examples
    --------
    >>> lobatto(2).tolist()
    [0.0, 0.5, 1.0]
    """
    inner = legendre.legroots(legendre.legder(np.eye(degree + 1)[degree]))
    return np.concatenate([[0.0], (np.sort(inner.real) + 1) / 2, [1.0]])


@dataclass(frozen=True, eq=False)
class EdgeFit:
    """Best approximation, in energy, of data that vanish at the ends of an edge, by the p edge functions.

    Data are given by q values at inner points of the edge: of a polynomial, or of a piecewise linear function.

    Attributes
    ----------
    projection : (p, q) inner data values to coefficients of the edge functions.
    products : (q, q) energy inner products of the data's nodal basis.
    cross : (p, q) energy inner products of edge functions and nodal basis.
    stiffness : (p, p) energy inner products of the edge functions.
    """

    projection: Array
    products: Array
    cross: Array
    stiffness: Array

    @classmethod
    def of(cls, cell: TraceCell, axis: int, nodes: Array | int) -> EdgeFit:
        """Set up the fit on horizontal or on vertical edges.

        Parameters
        ----------
        cell : reference cell with the edge functions.
        axis : 0 for horizontal edges, 1 for vertical ones.
        nodes : (q + 2,) points in [0, 1] of polynomial data, ends included; or the number q + 1 of equal intervals of
            piecewise linear data.

        Returns
        -------
        The fit; it serves any number of edges.
        """
        k = np.arange(1, TERMS + 1)
        weight = k * np.pi / 2 / np.tanh(k * np.pi * (cell.aspect if axis == 0 else 1 / cell.aspect))
        points, weights = _quadrature()
        functions = [cell.edge_values(points, axis)]
        if not isinstance(nodes, int):
            functions.append(_lagrange(nodes, points))
        parts = _sines(np.concatenate(functions, axis=1) * weights[:, None], points)
        p = cell.modes
        data = _hats(nodes) if isinstance(nodes, int) else parts[:, p:]
        cross, products = parts[:, :p].T @ (weight[:, None] * data), data.T @ (weight[:, None] * data)
        edge = slice(2 * p * axis, 2 * p * axis + p)
        stiffness = cell.stiffness[edge, edge]
        return cls(np.linalg.solve(stiffness, cross), products, cross, stiffness)

    def coefficients(self, inner: Array) -> Array:
        """Return the coefficients (m, p) of the edge functions nearest to data with inner values (m, q)."""
        return inner @ self.projection.T

    def remainder_energies(self, inner: Array) -> Array:
        """Return the energies (m,), for coefficient 1, of data with inner values (m, q) less their best fit."""
        c = self.coefficients(inner)
        square = np.einsum("mq,mq->m", inner @ self.products, inner) - np.einsum("mp,mp->m", c @ self.stiffness, c)
        return np.maximum(square, 0.0)


def _quadrature() -> tuple[Array, Array]:
    """Points and weights on the unit interval: equal panels, the outer ones graded towards the ends."""
    graded = 0.15 ** np.arange(GRADED, -1, -1.0) / PANELS
    left = np.concatenate([[0.0], graded])
    breaks = np.concatenate([left, np.arange(2, PANELS - 1) / PANELS, 1 - left[::-1]])
    x, w = legendre.leggauss(POINTS)
    length = np.diff(breaks)[:, None]
    return (breaks[:-1, None] + length * (x + 1) / 2).ravel(), (length * w / 2).ravel()


def _sines(values: Array, points: Array) -> Array:
    """Return sine coefficients (TERMS, q) of functions given as (points, q) values times quadrature weights."""
    out = np.empty((TERMS, values.shape[1]))
    for first in range(0, TERMS, 128):
        k = np.arange(first + 1, first + 129)[:, None]
        out[first : first + 128] = 2 * np.sin(np.pi * k * points) @ values
    return out


def _hats(intervals: int) -> Array:
    """Return the sine coefficients (TERMS, r-1) of the hat functions on r equal intervals, in closed form."""
    k, nodes = np.arange(1, TERMS + 1)[:, None] * np.pi, np.arange(1, intervals) / intervals
    return 4 * intervals / k**2 * (1 - np.cos(k / intervals)) * np.sin(k * nodes)


def _lagrange(nodes: Array, points: Array) -> Array:
    """Return the Lagrange polynomials of the inner nodes at points (points, q)."""
    degree = len(nodes) - 1
    to_nodal = np.linalg.inv(legendre.legvander(2 * nodes - 1, degree))
    return (legendre.legvander(2 * points - 1, degree) @ to_nodal)[:, 1:-1]


def circulation(cell: TraceCell) -> Array:
    r"""Integrate gradients against rotated gradients of the trace functions.

    The entries are :math:`C_{kl} = \int_K \nabla H\varphi_k\cdot\operatorname{rot} H\varphi_l`, rot v = (dv/dy,
    -dv/dx), or :math:`\oint\varphi_k\,d\varphi_l` around the cell by Green's formula. C is antisymmetric; lengths
    cancel.

    Parameters
    ----------
    cell : reference cell with n degrees of freedom.

    Returns
    -------
    (n, n) the matrix C.

    Examples
    --------
    The functions x and y, the latter rotated: (1, 0) · (1, 0) over the unit square.

    >>> from ngs_nhcsr.solvers.trace.cell import trace_cell
    >>> cell = trace_cell((), 1)
    >>> x, y = np.zeros((2, cell.size))
    >>> x[-4:], y[-4:] = [0, 1, 0, 1], [0, 0, 1, 1]
    >>> round(float(x @ circulation(cell) @ y), 12)
    1.0
    """
    p = cell.modes
    C = np.zeros((4 * p + 4, 4 * p + 4))
    corners = ((0, 1), (2, 3), (0, 2), (1, 3))  # ends of bottom, top, left, right
    for edge, sign in enumerate((1.0, -1.0, -1.0, 1.0)):
        index = np.r_[edge * p : (edge + 1) * p, 4 * p + np.array(corners[edge])]
        C[np.ix_(index, index)] += sign * _edge_circulation(cell, edge // 2)
    return C


def _edge_circulation(cell: TraceCell, axis: int) -> Array:
    """Integrals (p+2, p+2) of v dw over an edge for its functions and the two linear ones (1-s, then s)."""
    p, m = cell.modes, cell.edge_moments[axis, 0]
    T = np.zeros((p + 2, p + 2))
    inner = cell.basis[axis].T @ _candidate_circulation(np.array(cell.exponents), cell.bubbles) @ cell.basis[axis]
    # rounding out: antisymmetric, and zero for two functions even, or odd, about the middle
    parity = np.sign(np.sum(cell.edge_values(_PAIR, axis) * cell.edge_values(1 - _PAIR, axis), axis=0))
    T[:p, :p] = np.where(parity[:, None] == parity, 0.0, (inner - inner.T) / 2)
    T[:p, p], T[:p, p + 1], T[p, :p], T[p + 1, :p] = -m, m, m, -m
    T[p:, p:] = [[-0.5, 0.5], [-0.5, 0.5]]
    return T


def _candidate_circulation(g: Array, count: int) -> Array:
    r"""Integrals (E, E) of v dw for the candidates s^γ - s, (1-s)^γ - (1-s), and the polynomial bubbles.

    In closed form for powers: ∫ s^α d s^β = β / (α + β) and ∫ s^α d (1-s)^β = -β B(α + 1, β).
    """
    i, j = g[:, None], g[None, :]
    same = j / (i + j) - 1 / (i + 1) - j / (j + 1) + 0.5
    across = -j * beta(i + 1, j) + 1 / (i + 1) + 1 / (j + 1) - 0.5
    s, w = gauss()
    b = bubbles(s, count)
    slope = np.stack([_bubble_slope(s, k) for k in range(count)]) if count else b
    to_start = (power_weights(g) - s * w) @ slope.T
    to_end = -to_start * (-1.0) ** np.arange(count)
    inner = (b * w) @ slope.T
    return np.block(
        [
            [same, across, to_start],
            [-across.T, -same, to_end],
            [-to_start.T, -to_end.T, (inner - inner.T) / 2],
        ]
    )


def _bubble_slope(s: Array, k: int) -> Array:
    """Derivative of s (1-s) P_k(2s-1)."""
    x, series = 2 * s - 1, np.eye(k + 1)[k]
    return -x * legendre.legval(x, series) + 2 * s * (1 - s) * legendre.legval(x, legendre.legder(series))
