"""Extend smooth boundary data into a rectangle: hp finite elements on a tensor mesh, fast diagonalisation.

Owns the only mesh of this package, one that grades towards the edges of the reference cell; it is used to set the cell
up, never in a solve.

The unit interval carries six intervals graded towards both ends and polynomials of high degree. Its finite-element
functions are written in spectral coordinates: the two linear functions 1-s, s and the eigenvectors z_i of the
interior Dirichlet problem, orthonormal in the energy. In these the 1-D stiffness matrix is ``[1 -1; -1 1]`` and the
identity, without coupling, and the 1-D mass matrix is diagonal but for the integrals of z_i against the two linear
functions. The Laplacian of the tensor mesh of the cell (0, 1) x (0, aspect), ``K (x) M / aspect + aspect M (x) K``, is
diagonal inside the cell (Lynch, Rice, Thomas 1964), and bilinear functions do not couple to the inside. All entries
are of order one, so the Schur complement is accurate to 1e-14 (a nodal basis of this degree loses four digits).

The extension of traces that are smooth on every edge is at worst like r^2 log r in the corners, which the graded mesh
resolves to about 1e-13.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.linalg
from numpy.polynomial import legendre
from numpy.typing import NDArray

Array = NDArray[np.float64]

_RATIO = 0.17
"""Ratio of neighbouring intervals; 0.17 is optimal for hp approximation of algebraic singularities (Gui, Babuska)."""
_LAYERS = 3
_DEGREE, _LONG_DEGREE = 18, 30
"""Degree for cells up to twice as long as wide, and for longer ones: their traces are analytic in a smaller region."""
_STIFF = np.array([[1.0, -1.0], [-1.0, 1.0]])
_MASS = np.array([[2.0, 1.0], [1.0, 2.0]]) / 6
"""Stiffness and mass matrix of the linear functions 1-s and s on the unit interval."""


@dataclass(frozen=True, eq=False)
class IntervalMesh:
    """hp mesh of the unit interval with the eigenvectors of its interior Dirichlet problem.

    The N = intervals * degree + 1 local functions are ordered from left to right: at index e*degree the hat function
    of the left end of interval e, after it the degree-1 integrated Legendre polynomials of that interval. Spectral
    coordinates are ``[value at 0, N-2 coefficients of z_i, value at 1]``.

    Attributes
    ----------
    degree : of the polynomials.
    breaks : (intervals + 1,) ends of the intervals, from 0 to 1.
    nodes : (N,) Gauss-Lobatto nodes of all intervals, ascending, both ends included: data are sampled there.
    eigenvalues : (N-2,) integrals of z_i^2; the z_i are orthogonal, with energy 1.
    linear : (2, N-2) integrals of (1-s) z_i and s z_i.
    to_local : (N, N) spectral coordinates to coefficients of the local functions.
    from_samples : (N, N) samples at `nodes` to spectral coordinates.
    """

    degree: int
    breaks: Array
    nodes: Array
    eigenvalues: Array
    linear: Array
    to_local: Array
    from_samples: Array

    def local_basis(self, s: Array, derivative: bool = False) -> tuple[NDArray[np.intp], Array]:
        """Evaluate the local functions of the interval that holds each point.

        Parameters
        ----------
        s : (P,) points in [0, 1].
        derivative : whether to return derivatives d/ds instead of values.

        Returns
        -------
        (P,) numbers of the intervals; (P, degree+1) values of their functions.
        """
        cell = np.clip(np.searchsorted(self.breaks, s, side="right") - 1, 0, len(self.breaks) - 2)
        width = np.diff(self.breaks)[cell]
        values = _reference_basis(2 * (s - self.breaks[cell]) / width - 1, self.degree, derivative)
        values[:, 1:-1] *= np.sqrt(width / 2)[:, None]
        return cell, values * (2 / width)[:, None] if derivative else values

    def matrix(self, s: Array) -> Array:
        """Return the matrix (P, N) from coefficients of the local functions to values at points s (P,) in [0, 1]."""
        cell, values = self.local_basis(s)
        out = np.zeros((len(s), len(self.nodes)))
        np.put_along_axis(out, cell[:, None] * self.degree + np.arange(self.degree + 1), values, 1)
        return out


def _reference_basis(t: Array, degree: int, derivative: bool = False) -> Array:
    """Left hat, integrated Legendre polynomials of degree 2 ... degree, right hat at t in [-1, 1]: (P, degree+1)."""
    P = legendre.legvander(t, degree)
    j = np.arange(2, degree + 1)
    out = np.empty(P.shape)
    if derivative:
        out[:, 0], out[:, -1] = -0.5, 0.5
        out[:, 1:-1] = P[:, 1:-1] * np.sqrt((2 * j - 1) / 2)
    else:
        out[:, 0], out[:, -1] = (1 - t) / 2, (1 + t) / 2
        out[:, 1:-1] = (P[:, 2:] - P[:, :-2]) / np.sqrt(2 * (2 * j - 1))
    return out


def _samples_to_inner(local: Array, degree: int) -> Array:
    """Matrix (degree-1, degree+1): samples at the Gauss-Lobatto nodes to coefficients of the inner functions."""
    c = np.asarray(np.linalg.inv(legendre.legvander(local, degree)), dtype=float)
    # P_j = sqrt(2(2j-1)) N_j + P_{j-2}: hand the coefficients down, highest degree first
    for j in range(degree, 1, -1):
        c[j - 2] += c[j]
    scale = np.sqrt(4.0 * np.arange(2, degree + 1) - 2)
    return np.asarray(c[2:] * scale[:, None], dtype=float)


@lru_cache(maxsize=4)
def interval_mesh(degree: int = _DEGREE, layers: int = _LAYERS) -> IntervalMesh:
    """Build the graded mesh of the unit interval.

    Parameters
    ----------
    degree : of the polynomials, at least 2.
    layers : intervals in each half; the mesh has twice as many.

    Returns
    -------
    The mesh, kept in memory.

    Examples
    --------
    >>> mesh = interval_mesh(4, 3)
    >>> len(mesh.breaks), len(mesh.nodes), round(float(mesh.eigenvalues.max() * np.pi**2), 3)  # sin(pi s)
    (7, 25, 1.0)
    """
    half = 0.5 * _RATIO ** np.arange(layers - 1, -1, -1.0)
    breaks = np.concatenate([[0.0], half, 1 - half[-2::-1], [1.0]])
    inner = np.sort(legendre.legroots(legendre.legder(np.eye(degree + 1)[degree])))
    local = np.concatenate([[-1.0], inner, [1.0]])
    x, w = legendre.leggauss(degree + 2)
    values, to_inner = _reference_basis(x, degree), _samples_to_inner(local, degree)
    size = (len(breaks) - 1) * degree + 1
    K, M, nodes, sample = np.zeros((size, size)), np.zeros((size, size)), np.zeros(size), np.zeros((size, size))
    for e, width in enumerate(np.diff(breaks)):
        part, hats = slice(e * degree, (e + 1) * degree + 1), [e * degree, (e + 1) * degree]
        V = values * np.concatenate([[1.0], np.full(degree - 1, np.sqrt(width / 2)), [1.0]])
        M[part, part] += V.T @ (w[:, None] * V) * (width / 2)
        K[np.ix_(hats, hats)] += _STIFF / width
        bubbles = np.arange(e * degree + 1, (e + 1) * degree)
        K[bubbles, bubbles] = 1.0
        nodes[part] = breaks[e] + (local + 1) / 2 * width
        sample[bubbles, part] = to_inner / np.sqrt(width / 2)
        sample[hats, hats] = 1.0
    mu, Z = scipy.linalg.eigh(M[1:-1, 1:-1], K[1:-1, 1:-1])
    to_local = np.zeros((size, size))
    to_local[::degree, 0], to_local[::degree, -1] = 1 - breaks, breaks
    to_local[1:-1, 1:-1] = Z
    linear = to_local[:, [0, -1]].T @ M[:, 1:-1] @ Z
    spectral = np.zeros((size, size))
    spectral[0, 0] = spectral[-1, -1] = 1.0
    # the linear functions have no energy against the z_i; subtracting them first keeps constants exact
    remainder = sample - np.outer(to_local[:, 0], sample[0]) - np.outer(to_local[:, -1], sample[-1])
    spectral[1:-1] = Z.T @ (K[1:-1, 1:-1] @ remainder[1:-1])
    return IntervalMesh(degree, breaks, nodes, mu, linear, to_local, spectral)


@dataclass(frozen=True, eq=False)
class Extension:
    """Harmonic extension into the cell (0, 1) x (0, aspect) of data given on its four edges.

    Edge data are samples (..., 4, N) at ``mesh.nodes``: bottom, top (left to right), left, right (bottom to top),
    corner values included and agreeing at the corners. Packed they are B = 4 (N-2) + 4 numbers.

    Attributes
    ----------
    mesh : the mesh of the unit interval, for both axes.
    aspect : height of the cell of width 1.
    schur : (B, B) Schur complement on the boundary: the discrete Dirichlet-to-Neumann form of the Laplacian.
    loads : (3, B) integrals of g times the discrete harmonic extension, for g = 1, xi, eta (unit coordinates).
    particular : (3, N, N) local coefficients [iy, ix] of psi with -laplace psi = g, psi = 0 on the boundary.
    particular_energy : (3, 3) integrals of grad psi_i . grad psi_j over the cell.
    """

    mesh: IntervalMesh
    aspect: float
    schur: Array
    loads: Array
    particular: Array
    particular_energy: Array

    def pack(self, data: Array) -> Array:
        """Turn edge data into vectors for `schur` and `loads`, every corner once.

        Parameters
        ----------
        data : (..., 4, N) samples on bottom, top, left, right.

        Returns
        -------
        (..., B) spectral coefficients of the four edges, then the corners (0,0), (0,1), (1,0), (1,1).
        """
        c = data @ self.mesh.from_samples.T
        inner = c[..., 1:-1].reshape(*c.shape[:-2], -1)
        return np.concatenate([inner, c[..., 0, [0, -1]], c[..., 1, [0, -1]]], -1)

    def extend(self, data: Array) -> Array:
        """Extend edge data harmonically.

        Parameters
        ----------
        data : (F, 4, N) samples on bottom, top, left, right.

        Returns
        -------
        (F, N, N) coefficients [iy, ix] of the products of local functions.
        """
        c = data @ self.mesh.from_samples.T
        U = np.zeros((len(c), c.shape[-1], c.shape[-1]))
        U[:, [0, -1]], U[:, 1:-1, 0], U[:, 1:-1, -1] = c[:, :2], c[:, 2, 1:-1], c[:, 3, 1:-1]
        m = self.mesh.linear
        residual = self.aspect * (m.T @ c[:, :2, 1:-1]) + c[:, 2:, 1:-1].swapaxes(1, 2) @ m / self.aspect
        U[:, 1:-1, 1:-1] = -residual / _spectrum(self.mesh, self.aspect)
        return self.mesh.to_local @ U @ self.mesh.to_local.T


def _spectrum(mesh: IntervalMesh, aspect: float) -> Array:
    """Eigenvalues (N-2, N-2) [iy, ix] of the stiffness matrix of the inner functions z_i(y) z_j(x)."""
    return mesh.eigenvalues / aspect + aspect * mesh.eigenvalues[:, None]


def _schur_complement(mesh: IntervalMesh, aspect: float) -> Array:
    """Schur complement (B, B) on the functions of the four edges (z_i times a linear one), then the four corners."""
    mu, m, n = mesh.eigenvalues, mesh.linear, len(mesh.eigenvalues)
    D = 1 / _spectrum(mesh, aspect)
    out = np.zeros((4 * n + 4, 4 * n + 4))
    block, diagonal = [slice(e * n, (e + 1) * n) for e in range(4)], np.arange(n)
    corners = slice(4 * n, 4 * n + 4)
    for e in range(2):
        for f in range(2):
            level = _STIFF[e, f] * mu / aspect + aspect * _MASS[e, f] - aspect**2 * (m[e] * m[f]) @ D
            upright = aspect * _STIFF[e, f] * mu + _MASS[e, f] / aspect - D @ (m[e] * m[f]) / aspect**2
            out[e * n + diagonal, f * n + diagonal] = level
            out[(2 + e) * n + diagonal, (2 + f) * n + diagonal] = upright
            out[block[e], block[2 + f]] = -(D * np.outer(m[e], m[f])).T
            out[block[2 + f], block[e]] = out[block[e], block[2 + f]].T
        out[block[e], corners] = np.einsum("a,bj->jab", _STIFF[e], m).reshape(n, 4) / aspect
        out[block[2 + e], corners] = np.einsum("b,ai->iab", _STIFF[e], m).reshape(n, 4) * aspect
        for edge in (e, 2 + e):
            out[corners, block[edge]] = out[block[edge], corners].T
    out[corners, corners] = np.kron(_STIFF, _MASS) / aspect + aspect * np.kron(_MASS, _STIFF)
    return out


@lru_cache(maxsize=16)
def extension(aspect: float = 1.0, degree: int = 0, layers: int = _LAYERS) -> Extension:
    """Build what does not depend on the data: Schur complement, loads and particular solutions.

    Parameters
    ----------
    aspect : height of the cell of width 1.
    degree : of the polynomials; 0: 18, and 30 where the sides differ by more than a factor of two.
    layers : intervals in each half of an axis.

    Returns
    -------
    The extension operator, kept in memory.

    Examples
    --------
    >>> from ngs_nhcsr.solvers.trace.hp import extension
    >>> bool(abs(extension(1.0).particular_energy[0, 0] - 0.03514425) < 1e-8)  # torsion of the unit square
    True
    """
    mesh = interval_mesh(degree or (_DEGREE if 0.5 <= aspect <= 2 else _LONG_DEGREE), layers)
    m, n = mesh.linear, len(mesh.eigenvalues)
    # integrals of 1 and of s against the spectral functions of the interval, ends first
    one, line = (np.concatenate([_MASS @ c, c @ m]) for c in (np.array([1.0, 1.0]), np.array([0.0, 1.0])))
    g = aspect * np.stack([np.outer(one, one), np.outer(one, line), np.outer(line, one)])
    psi = np.zeros((3, n + 2, n + 2))
    psi[:, 1:-1, 1:-1] = inner = g[:, 2:, 2:] / _spectrum(mesh, aspect)
    # load of a boundary function minus its coupling to psi; corners do not couple
    level = g[:, :2, 2:] - aspect * (m @ inner)
    upright = g[:, 2:, :2].swapaxes(1, 2) - (inner @ m.T).swapaxes(1, 2) / aspect
    loads = np.concatenate([level.reshape(3, -1), upright.reshape(3, -1), g[:, :2, :2].reshape(3, -1)], 1)
    energy = np.einsum("aij,bij->ab", inner, g[:, 2:, 2:])
    field = mesh.to_local @ psi @ mesh.to_local.T
    return Extension(mesh, aspect, _schur_complement(mesh, aspect), loads, field, energy)
