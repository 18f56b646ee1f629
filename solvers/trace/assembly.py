"""Assemble the Schur complement of all candidate traces of a cell from boundary integrals.

Owns the integrals of the set-up of a reference cell: energies and moments of the candidates' harmonic extensions.

The harmonic extension of a candidate phi = s^gamma - s is a corner function w minus the extension of the trace
q = w - phi, which is smooth edge by edge. With Green's formula, and w = 0, q = -phi for polynomial candidates,

    S(phi_k, phi_l) = oint dn(w_k) phi_l - oint dn(w_l) q_k + S(q_k, q_l).

Every smooth factor is sampled at the Gauss points of its edge; a factor s^alpha enters through the exact moments of
the Legendre polynomials, so that all integrals of all functions are products of matrices. Two powers on one edge are
integrated in closed form. The last term comes from the hp mesh (hp.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import beta

from .corner import Candidates, gauss, placements, power_weights
from .hp import Extension

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BoundaryRule:
    """Boundary integrals of all N candidates against samples v (4P,) at the P Gauss points of each of the four edges.

    Attributes
    ----------
    smooth : (N, 4P) smooth part of the outward flux dn(w) of the corner functions, sampled.
    singular : (N, 4P) weights of the integral of v times the singular part of dn(w).
    flux : (N, 4P) weights of ``oint dn(w) v``.
    trace : (N, 4P) weights of ``oint phi v``.
    """

    smooth: Array
    singular: Array
    flux: Array
    trace: Array


def boundary_rule(candidates: Candidates) -> BoundaryRule:
    """Set up the boundary integrals of smooth functions against fluxes and traces of the candidates.

    Parameters
    ----------
    candidates : the N candidate traces of a cell.

    Returns
    -------
    Samples and weights at the Gauss points of the four edges.
    """
    s, w = gauss()
    trace = candidates.polynomials(s) * w
    smooth, singular = np.zeros_like(trace), np.zeros_like(trace)
    powers = power_weights(candidates.gammas) - w * s
    against_flux = power_weights(candidates.gammas - 1)
    for axis in range(2):
        functions = candidates.corner_functions(axis)
        fluxes = {role: functions.smooth_flux(role, s) for role in ("own", "side", "opposite", "end")}
        peaks = {role: functions.singular_flux(role)[:, None] * against_flux for role in ("own", "side")}
        for edge, flip, roles in placements(axis):
            k = candidates.powers(edge, flip)
            trace[k, edge] = powers[:, ::-1] if flip else powers
            for role, (target, reverse) in roles.items():
                smooth[k, target] = fluxes[role][:, ::-1] if reverse else fluxes[role]
                if role in peaks:
                    singular[k, target] = peaks[role][:, ::-1] if reverse else peaks[role]
    flat = [part.reshape(len(trace), -1) for part in (smooth, singular, smooth * w + singular, trace)]
    return BoundaryRule(*flat)


def powers_integral(exponent: Array, gammas: Array, same_end: bool) -> Array:
    """Integrate a power times the powers among the candidates of the same edge, in closed form.

    Parameters
    ----------
    exponent : (A,) numbers e > 0; the power is s^(e-1).
    gammas : (G,) exponents of the candidates.
    same_end : candidates s^gamma - s if true, else (1-s)^gamma - (1-s).

    Returns
    -------
    (A, G) integrals over [0, 1].

    Examples
    --------
    >>> powers_integral(np.array([1.0]), np.array([2.0]), same_end=True).round(6).tolist()  # 1/3 - 1/2
    [[-0.166667]]
    """
    a = exponent[:, None]
    if same_end:
        return 1 / (a + gammas) - 1 / (a + 1)
    return beta(a, gammas + 1) - 1 / (a * (a + 1))


def _singular_against_powers(candidates: Candidates) -> Array:
    """Integrate the singular fluxes (rows) against the powers (columns) that live on the same edge: (N, N)."""
    size = 4 * candidates.per_edge + 4
    out = np.zeros((size, size))
    gammas = candidates.gammas
    integrals = {same: powers_integral(gammas, gammas, same) for same in (True, False)}
    for axis in range(2):
        functions = candidates.corner_functions(axis)
        for edge, flip, roles in placements(axis):
            for role in ("own", "side"):
                target, reverse = roles[role]
                c = functions.singular_flux(role)[:, None]
                for other in (False, True):
                    out[candidates.powers(edge, flip), candidates.powers(target, other)] = (
                        c * integrals[other == reverse]
                    )
    return out


def assemble(candidates: Candidates, extension: Extension) -> tuple[Array, Array]:
    """Assemble the Schur complement and the moments of all candidates of a cell.

    Parameters
    ----------
    candidates : the N candidate traces of the cell.
    extension : harmonic extension of smooth data into a cell of the same aspect.

    Returns
    -------
    S : (N, N), not symmetrised: its asymmetry measures the accuracy of the boundary integrals.
    moments : (3, N), integrals of g times the harmonic extensions over the cell, g = 1, xi, eta.
    """
    s, w = gauss()
    rule = boundary_rule(candidates)
    N = len(rule.flux)
    q = candidates.smooth_traces(s).reshape(N, -1)
    flux_phi = rule.smooth @ rule.trace.T + rule.singular @ candidates.polynomials(s).reshape(N, -1).T
    flux_phi += _singular_against_powers(candidates)
    packed = extension.pack(candidates.smooth_traces(extension.mesh.nodes))
    S = flux_phi - (rule.flux @ q.T).T + packed @ extension.schur @ packed.T
    # Green's formula with -laplace G = g: integral of g w = oint G dn(w) - oint dn(G) w, w = phi + q on the boundary
    G, slope = _potentials(candidates.aspect, s)
    moments = G @ rule.flux.T - slope @ rule.trace.T - (slope * np.tile(w, 4)) @ q.T
    return S, moments - extension.loads @ packed.T


def _potentials(aspect: float, s: Array) -> tuple[Array, Array]:
    """Polynomials G with -laplace G = 1, xi, eta on the four edges and their outward flux per unit of s: (3, 4P)."""
    one, zero = np.ones_like(s), np.zeros_like(s)
    x = np.concatenate([s, s, zero, one])
    y = aspect * np.concatenate([zero, one, s, s])
    nx = aspect * np.repeat([0.0, 0.0, -1.0, 1.0], len(s))
    ny = np.repeat([-1.0, 1.0, 0.0, 0.0], len(s))
    quadratic, flux = (-(x**2) / 2, -x * nx) if aspect > 1 else (-(y**2) / 2, -y * ny)
    if aspect == 1:  # keep the symmetry of the square
        quadratic, flux = -(x**2 + y**2) / 4, -(x * nx + y * ny) / 2
    G = np.stack([quadratic, -(x**3) / 6, -(y**3) / (6 * aspect)])
    return G, np.stack([flux, -(x**2) * nx / 2, -(y**2) * ny / (2 * aspect)])
