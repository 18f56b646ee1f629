"""Corner functions: harmonic in a cell, a pure power on one edge, smooth on the far ones; the candidate traces.

Owns the closed formulas of the singular functions, their traces and fluxes, and the order of a cell's candidates
(:class:`Candidates`).

At a corner with local coordinates X along the function's own edge and Y inwards, zeta = Y + iX, the function
``Im(zeta^gamma) / sin(gamma pi/2)`` is harmonic, has the trace s^gamma on its own edge (Y = 0), zero on the other edge
of the corner, and smooth traces on the two far edges. These become huge where gamma is close to an even integer 2m or
the cell is long, and digits are lost. So powers of zeta^2 + t, t > 1, whose imaginary part vanishes on both near
edges, are subtracted until only a difference of order m + 1 in t is left, which is bounded in both cases:

    w = Im sum_j (-1)^j binomial(m+1, j) (zeta^2 + t_j)^(gamma/2) / sin(gamma pi/2),   t_j = 4j,  m = round(gamma/2).

Seen from the function's corner, the edges of the cell have *roles*: "own" carries the power, "side" is the other edge
at the corner, "opposite" faces the own edge, "end" is at its far end. Each is parametrised by s in [0, 1] away from the
corner::

              opposite
           ┌────────────┐
      side │            │ end
           └────────────┘
      corner    own
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

Array = NDArray[np.float64]

BOTTOM, TOP, LEFT, RIGHT = range(4)
GAUSS_POINTS = 56
"""Gauss points per edge: the traces on the far edges of a cell eight times as long as wide need about 50."""
_SHIFT = 4.0
"""Spacing of the shifts t: the singularities i sqrt(t) stay at least one edge length away from the cell."""


@lru_cache(maxsize=4)
def gauss(points: int = GAUSS_POINTS) -> tuple[Array, Array]:
    """Return the Gauss-Legendre points and weights of [0, 1], (points,) each."""
    x, w = legendre.leggauss(points)
    return (x + 1) / 2, w / 2


@lru_cache(maxsize=4)
def _legendre_coefficients(points: int) -> Array:
    """Matrix (n, points): values at the Gauss points to coefficients of the Legendre polynomials on [0, 1]."""
    s, w = gauss(points)
    return (2 * np.arange(points) + 1)[:, None] * legendre.legvander(2 * s - 1, points - 1).T * w


def power_weights(alpha: Array, points: int = GAUSS_POINTS) -> Array:
    """Return the weights of quadratures with the factor s^alpha, exact for polynomials of degree below ``points``.

    The moments of the Legendre polynomials against s^alpha are prod_{j<n} (alpha - j) / prod_{j<=n} (alpha + 1 + j).

    Parameters
    ----------
    alpha : (G,) exponents above -1.
    points : number of Gauss points, see :func:`gauss`.

    Returns
    -------
    (G, points) with ``weights @ f(s) = integral of s^alpha f`` over [0, 1].

    Examples
    --------
    >>> s, _ = gauss()
    >>> round(float(power_weights(np.array([-0.5]))[0] @ s**2), 12)  # the integral of s^1.5
    0.4
    """
    n = np.arange(points - 1)
    factors = (alpha[:, None] - n) / (alpha[:, None] + n + 2)
    moments = np.cumprod(np.concatenate([1 / (alpha[:, None] + 1), factors], 1), 1)
    return moments @ _legendre_coefficients(points)


@dataclass(frozen=True, eq=False)
class CornerFunctions:
    """The functions w of one corner, one for every exponent, in coordinates (X, Y) of a cell (0, 1) x (0, height).

    Attributes
    ----------
    gammas : (G,) exponents above 0, none an even integer.
    height : length of the cell across the functions' own edge, which has length 1.
    """

    gammas: Array
    height: float

    @property
    def _sine(self) -> Array:
        """sin(gamma pi/2), from the distance to the even integer: no digits are lost close to it."""
        m = np.round(self.gammas / 2)
        return np.cos(np.pi * m) * np.sin(np.pi * (self.gammas / 2 - m))

    def _differences(self, X: Array, Y: Array, derivative: bool) -> NDArray[np.complex128]:
        """Evaluate the analytic function of zeta whose imaginary part is w, or its derivative: (G, P)."""
        zeta = np.asarray(Y) + 1j * np.asarray(X)
        zeta = np.where(zeta == 0, 1e-150, zeta)
        out = np.zeros((len(self.gammas), len(zeta)), complex)
        orders = np.round(self.gammas / 2).astype(int)
        for m in np.unique(orders):
            group = orders == m
            gamma = self.gammas[group, None]
            for j in range(m + 2):
                base = zeta**2 + _SHIFT * j
                # base^(gamma/2) - base^m: the polynomials base^m cancel in the difference, here without rounding
                term = np.expm1((gamma / 2 - m) * np.log(base))
                if derivative:
                    term = zeta * base ** (m - 1.0) * (gamma * term + (gamma - 2 * m))
                else:
                    term = base**m * term
                out[group] += (-1) ** j * math.comb(m + 1, j) * term
        out /= self._sine[:, None]
        return out

    def values(self, X: Array, Y: Array) -> Array:
        """Evaluate w at points of the cell.

        Parameters
        ----------
        X : (P,) coordinates along the own edge.
        Y : (P,) coordinates across it.

        Returns
        -------
        (G, P) values.
        """
        return np.asarray(self._differences(X, Y, derivative=False).imag, dtype=float)

    def gradients(self, X: Array, Y: Array) -> tuple[Array, Array]:
        """Evaluate dw/dX and dw/dY.

        Parameters
        ----------
        X : (P,) coordinates along the own edge.
        Y : (P,) coordinates across it.

        Returns
        -------
        (G, P) each; huge but finite in the corner if gamma < 1.
        """
        slope = self._differences(X, Y, derivative=True)
        return np.asarray(slope.real, dtype=float), np.asarray(slope.imag, dtype=float)

    def singular_flux(self, role: str) -> Array:
        """Return the singular part ``c s^(gamma-1)`` of the outward flux of w per unit of s.

        Parameters
        ----------
        role : "own" or "side", the edges at the corner; on the others the flux is smooth.

        Returns
        -------
        (G,) the factors c.
        """
        if role == "own":
            return self.gammas * np.cos(np.pi / 2 * self.gammas) / self._sine
        return -self.gammas * self.height**self.gammas / self._sine

    def smooth_flux(self, role: str, s: Array) -> Array:
        """Evaluate the outward flux of w per unit of s less its singular part.

        Parameters
        ----------
        role : "own", "side", "opposite" or "end".
        s : (P,) points in [0, 1].

        Returns
        -------
        (G, P) values.
        """
        h, one = self.height, np.ones_like(s)
        if role == "opposite":
            return self.gradients(s, h * one)[1]
        if role == "end":
            return h * self.gradients(one, h * s)[0]
        X, square = (s, -(s**2)) if role == "own" else (h * s, (h * s) ** 2)
        flux = np.zeros((len(self.gammas), len(s)))
        for g, gamma in enumerate(self.gammas):
            m = round(gamma / 2)
            for j in range(1, m + 2):
                power = (_SHIFT * j + square) ** (gamma / 2 - 1)
                flux[g] -= (-1) ** j * math.comb(m + 1, j) * gamma * X * power
        return (flux if role == "own" else h * flux) / self._sine[:, None]

    def far_trace(self, s: Array) -> tuple[Array, Array]:
        """Evaluate w on the two edges that do not meet the corner.

        Parameters
        ----------
        s : (P,) points in [0, 1].

        Returns
        -------
        (G, P) values on the opposite edge; (G, P) on the edge at the far end of the own edge.
        """
        one = np.ones_like(s)
        return self.values(s, self.height * one), self.values(one, self.height * s)


def placement(edge: int, flip: bool) -> dict[str, tuple[int, bool]]:
    """Map the roles of a corner function's edges to edges of the cell.

    Parameters
    ----------
    edge : the function's own edge: BOTTOM, TOP, LEFT or RIGHT.
    flip : the corner is at the end s = 1 of it, not at its start.

    Returns
    -------
    role -> (edge of the cell, whether s runs against that edge's own direction).

    Examples
    --------
    >>> placement(BOTTOM, True)["side"] == (RIGHT, False), placement(TOP, False)["side"] == (LEFT, True)
    (True, True)
    """
    near, far = (LEFT, RIGHT) if edge in (BOTTOM, TOP) else (BOTTOM, TOP)
    if flip:
        near, far = far, near
    across = edge in (TOP, RIGHT)
    return {"own": (edge, flip), "side": (near, across), "opposite": (edge ^ 1, flip), "end": (far, across)}


def bubbles(s: Array, count: int) -> Array:
    """Evaluate the polynomial traces s (1-s) P_k(2s-1), k < count, at points s (P,) of [0, 1]: (count, P)."""
    return s * (1 - s) * legendre.legvander(2 * s - 1, max(count - 1, 0))[:, :count].T


@dataclass(frozen=True, eq=False)
class Candidates:
    """All candidate traces of a cell: four times (powers from the start, from the end, bubbles), then four corners.

    The powers are s^gamma - s and (1-s)^gamma - (1-s). One edge has E = 2G + bubbles candidates, the cell N = 4E + 4;
    edges in the order bottom, top, left, right, corners as in :class:`~ngs_nhcsr.solvers.trace.cell.TraceCell`.

    Attributes
    ----------
    gammas : (G,) exponents.
    bubbles : number of polynomial traces per edge.
    aspect : height of the cell of width 1.
    """

    gammas: Array
    bubbles: int
    aspect: float

    @property
    def per_edge(self) -> int:
        """Number E of candidates of one edge."""
        return 2 * len(self.gammas) + self.bubbles

    def corner_functions(self, axis: int) -> CornerFunctions:
        """Return the corner functions of one kind of edges.

        Parameters
        ----------
        axis : 0 for horizontal edges, 1 for vertical ones.

        Returns
        -------
        Functions in lengths of such an edge.
        """
        return CornerFunctions(self.gammas, self.aspect if axis == 0 else 1 / self.aspect)

    def powers(self, edge: int, flip: bool) -> slice:
        """Return where the G powers from one end of an edge are among the N candidates.

        Parameters
        ----------
        edge : BOTTOM, TOP, LEFT or RIGHT.
        flip : whether they start at s = 1, not at s = 0.

        Returns
        -------
        Slice of the candidates.
        """
        G = len(self.gammas)
        first = edge * self.per_edge + G * flip
        return slice(first, first + G)

    def polynomials(self, s: Array) -> Array:
        """Evaluate the polynomial traces (bubbles, corners; zero for powers) on the four edges at s (P,): (N, 4, P)."""
        E = self.per_edge
        out = np.zeros((4 * E + 4, 4, len(s)))
        for e in range(4):
            out[e * E + 2 * len(self.gammas) : (e + 1) * E, e] = bubbles(s, self.bubbles)
        for c in range(4):
            row, column = divmod(c, 2)
            out[4 * E + c, TOP if row else BOTTOM] = s if column else 1 - s
            out[4 * E + c, RIGHT if column else LEFT] = s if row else 1 - s
        return out

    def smooth_traces(self, s: Array) -> Array:
        """Evaluate q = w - phi, the smooth difference of corner function and candidate; q = -phi for polynomials.

        Parameters
        ----------
        s : (P,) points in [0, 1], symmetric about 1/2: reversing their order is s -> 1 - s.

        Returns
        -------
        (N, 4, P) values on the four edges.
        """
        q = -self.polynomials(s)
        for axis in range(2):
            opposite, end = self.corner_functions(axis).far_trace(s)
            for edge, flip, roles in placements(axis):
                k = self.powers(edge, flip)
                for role, values in (("own", s), ("opposite", opposite), ("end", end)):
                    target, reverse = roles[role]
                    q[k, target] = values[..., ::-1] if reverse else values
        return q


def placements(axis: int) -> list[tuple[int, bool, dict[str, tuple[int, bool]]]]:
    """List the four placements of a corner function on the horizontal (axis 0) or vertical (axis 1) edges.

    Parameters
    ----------
    axis : 0 for horizontal edges, 1 for vertical ones.

    Returns
    -------
    Edge, flip and :func:`placement` of each.
    """
    edges = (BOTTOM, TOP) if axis == 0 else (LEFT, RIGHT)
    return [(e, f, placement(e, f)) for e in edges for f in (False, True)]
