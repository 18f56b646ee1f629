"""Corner functions: harmonic in a cell, a pure power on one edge, smooth on the far ones; the candidate traces.

At a corner with local coordinates X along the function's own edge and Y inwards, zeta = Y + iX, the function
``Im(zeta^gamma) / sin(gamma pi/2)`` is harmonic, has the trace s^gamma on its own edge (Y = 0), zero on the other edge
of the corner, and smooth traces on the two far edges. These become huge where gamma is close to an even integer 2m or
the cell is long, and digits are lost. So powers of zeta^2 + t, t > 1, whose imaginary part vanishes on both near
edges, are subtracted until only a difference of order m + 1 in t is left, which is bounded in both cases:

    w = Im sum_j (-1)^j binomial(m+1, j) (zeta^2 + t_j)^(gamma/2) / sin(gamma pi/2),   t_j = 4j,  m = round(gamma/2).
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
    """Return the Gauss-Legendre points and weights of [0, 1]."""
    x, w = legendre.leggauss(points)
    return (x + 1) / 2, w / 2


@lru_cache(maxsize=4)
def _legendre_coefficients(points: int) -> Array:
    """Matrix (n, points): values at the Gauss points to coefficients of the Legendre polynomials on [0, 1]."""
    s, w = gauss(points)
    return (2 * np.arange(points) + 1)[:, None] * legendre.legvander(2 * s - 1, points - 1).T * w


def power_weights(alpha: Array, points: int = GAUSS_POINTS) -> Array:
    """Weights (G, points) with ``weights @ f(s) = integral of s^alpha f`` over [0, 1] for polynomials f.

    The moments of the Legendre polynomials against s^alpha are prod_{j<n} (alpha - j) / prod_{j<=n} (alpha + 1 + j).
    """
    n = np.arange(points - 1)
    factors = (alpha[:, None] - n) / (alpha[:, None] + n + 2)
    moments = np.cumprod(np.concatenate([1 / (alpha[:, None] + 1), factors], 1), 1)
    return moments @ _legendre_coefficients(points)


@dataclass(frozen=True, eq=False)
class CornerFunctions:
    """The functions w of one corner, one for every exponent, in coordinates of a cell (0, 1) x (0, height).

    Attributes
    ----------
    gammas : (G,) exponents, none an even integer. height : length of the cell across the functions' edge.
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
        """Evaluate w at points (P,) of the cell: (G, P)."""
        return np.asarray(self._differences(X, Y, derivative=False).imag, dtype=float)

    def gradients(self, X: Array, Y: Array) -> tuple[Array, Array]:
        """Evaluate dw/dX and dw/dY, (G, P) each; huge but finite in the corner if gamma < 1."""
        slope = self._differences(X, Y, derivative=True)
        return np.asarray(slope.real, dtype=float), np.asarray(slope.imag, dtype=float)

    def singular_flux(self, role: str) -> Array:
        """Coefficients c (G,) of the singular part ``c s^(gamma-1)`` of the outward flux per unit of s."""
        if role == "own":
            return self.gammas * np.cos(np.pi / 2 * self.gammas) / self._sine
        return -self.gammas * self.height**self.gammas / self._sine

    def smooth_flux(self, role: str, s: Array) -> Array:
        """Evaluate the outward flux per unit of s less its singular part: (G, P)."""
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
        """Evaluate w on the opposite edge and on the edge at the far end of the own edge: (G, P) each."""
        one = np.ones_like(s)
        return self.values(s, self.height * one), self.values(one, self.height * s)


def placement(edge: int, flip: bool) -> dict[str, tuple[int, bool]]:
    """Map the roles of a corner function's edges to edges of the cell, each with "runs the other way".

    Parameters
    ----------
    edge : the function's own edge. flip : the corner is at the end s = 1 of it, not at its start.
    """
    near, far = (LEFT, RIGHT) if edge in (BOTTOM, TOP) else (BOTTOM, TOP)
    if flip:
        near, far = far, near
    across = edge in (TOP, RIGHT)
    return {"own": (edge, flip), "side": (near, across), "opposite": (edge ^ 1, flip), "end": (far, across)}


def bubbles(s: Array, count: int) -> Array:
    """Evaluate the polynomial traces s (1-s) P_k(2s-1), k < count: (count, P)."""
    return s * (1 - s) * legendre.legvander(2 * s - 1, max(count - 1, 0))[:, :count].T


@dataclass(frozen=True, eq=False)
class Candidates:
    """All candidate traces of a cell: four times (powers from the start, from the end, bubbles), then four corners.

    One edge has E = 2G + bubbles candidates, the cell N = 4E + 4.

    Attributes
    ----------
    gammas : (G,) exponents. bubbles : polynomial traces per edge. aspect : height of the cell of width 1.
    """

    gammas: Array
    bubbles: int
    aspect: float

    @property
    def per_edge(self) -> int:
        """Candidates of one edge."""
        return 2 * len(self.gammas) + self.bubbles

    def corner_functions(self, axis: int) -> CornerFunctions:
        """Corner functions of the horizontal (axis 0) or vertical (axis 1) edges."""
        return CornerFunctions(self.gammas, self.aspect if axis == 0 else 1 / self.aspect)

    def powers(self, edge: int, flip: bool) -> slice:
        """Indices of the powers of an edge that start at s = 0, or at s = 1 (flip)."""
        G = len(self.gammas)
        first = edge * self.per_edge + G * flip
        return slice(first, first + G)

    def polynomials(self, s: Array) -> Array:
        """Evaluate the polynomial traces (bubbles and corners; zero for powers) on the four edges: (N, 4, P)."""
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
        """Evaluate q = w - phi on the four edges at points s that are symmetric about 1/2: (N, 4, P)."""
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
    """List edge, flip and `placement` of the four corners of horizontal (axis 0) or vertical (axis 1) edges."""
    edges = (BOTTOM, TOP) if axis == 0 else (LEFT, RIGHT)
    return [(e, f, placement(e, f)) for e in edges for f in (False, True)]
