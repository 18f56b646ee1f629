r"""Lowest-order Raviart-Thomas fluxes on tensor grids with a prescribed divergence, in O(N) operations.

A flux is held by what passes each edge, ``Qx`` (ny, nx+1) in direction +x and ``Qy`` (ny+1, nx) in direction
+y, in units of (flux density) x (length)::

                 Qy[iy+1, ix]
                ┌─────↑─────┐
    Qx[iy, ix]  →   cell    →  Qx[iy, ix+1]
                └─────↑─────┘
                  Qy[iy, ix]

The net outflow of a cell is then a plain difference of four numbers, and any update by a stream function leaves it
unchanged in exact arithmetic.

References: P.-A. Raviart and J.-M. Thomas, LNM 606 (1977); multilevel liftings of a divergence defect as in
J. Papež, U. Rüde, M. Vohralík and B. Wohlmuth, Comput. Methods Appl. Mech. Engrg. 371 (2020); upscaling of
the coefficient between its series and parallel values as in P. R. King, Transp. Porous Media 4 (1989).
"""

from __future__ import annotations

import logging

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from ..hierarchy import hierarchy
from ..space import SIDES, Space

log = logging.getLogger(__name__)

Array = np.ndarray
#: Qx (ny, nx+1) and Qy (ny+1, nx), the flow through every edge.
Flux = tuple[Array, Array]


def divergence(Q: Flux) -> Array:
    """Compute the net outflow of every cell: the integral of the divergence over it.

    Parameters
    ----------
    Q : Qx (ny, nx+1) and Qy (ny+1, nx).

    Returns
    -------
    (ny, nx)

    Examples
    --------
    >>> divergence((np.array([[0.0, 1.0, 3.0]]), np.zeros((2, 2)))).tolist()
    [[1.0, 2.0]]
    """
    Qx, Qy = Q
    return np.diff(Qx, axis=1) + np.diff(Qy, axis=0)


def rotation(psi: Array) -> Flux:
    r"""Compute the flux :math:`\operatorname{rot}\psi = (\partial_y\psi, -\partial_x\psi)` of a Q1 stream function.

    Parameters
    ----------
    psi : (ny+1, nx+1) nodal values.

    Returns
    -------
    Qx (ny, nx+1) and Qy (ny+1, nx), free of divergence.

    Examples
    --------
    >>> Q = rotation(np.arange(12.0).reshape(3, 4) ** 2)
    >>> float(abs(divergence(Q)).max())
    0.0
    """
    return np.diff(psi, axis=0), -np.diff(psi, axis=1)


def series(k: Array) -> Array:
    """Compute the conductances between the centres of cells in a row, and from the outer ones to the row's ends.

    Between two cells half of each in series; at the ends the half cell alone, since there the potential is given. Cells
    are squares here; the caller multiplies ``k`` with their shape.

    Parameters
    ----------
    k : (n, m) conductivities of n rows of m cells.

    Returns
    -------
    (n, m+1) conductances of the edges.

    Examples
    --------
    >>> series(np.array([[1.0, 3.0]])).tolist()
    [[2.0, 1.5, 6.0]]
    """
    out = np.empty((k.shape[0], k.shape[1] + 1))
    out[:, 0], out[:, -1] = 2 * k[:, 0], 2 * k[:, -1]
    out[:, 1:-1] = 2 * k[:, :-1] * k[:, 1:] / (k[:, :-1] + k[:, 1:])
    return out


def averaged_flux(v: Array, a: Array, size: tuple[float, float] = (1.0, 1.0)) -> Flux:
    r"""Average the flux :math:`a\nabla v` of a Q1 function over the two sides of every edge.

    The value on an edge minimises the :math:`a^{-1}`-weighted distance to the two one-sided values, that is
    :math:`(g_L + g_R)/(1/a_L + 1/a_R)` for the one-sided slopes :math:`g`: the small coefficient decides.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values.
    a : (ny, nx) coefficient on the cells of the same grid.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    Qx (ny, nx+1) and Qy (ny+1, nx).

    Examples
    --------
    >>> x = np.linspace(0, 1, 3) * np.ones((2, 1))
    >>> averaged_flux(x, np.array([[1.0, 3.0]]))[0].tolist()
    [[1.0, 1.5, 3.0]]
    """
    ny, nx = a.shape
    ratio = (size[0] / ny) / (size[1] / nx)
    dx, dy = np.diff(v, axis=1), np.diff(v, axis=0)
    return (
        _averaged_x((dx[:-1] + dx[1:]) * (ratio / 2), a),
        _averaged_x((dy[:, :-1] + dy[:, 1:]).T / (2 * ratio), a.T).T,
    )


def _averaged_x(g: Array, a: Array) -> Array:
    out = series(a)
    out[:, 1:-1] *= (g[:, :-1] + g[:, 1:]) / 2
    out[:, 0] *= g[:, 0] / 2
    out[:, -1] *= g[:, -1] / 2
    return out


def hierarchical_flux(load: Array, a: Array, size: tuple[float, float] = (1.0, 1.0)) -> Flux:
    """Compute a flux with ``divergence(Q) == -load`` that follows the coefficient, by splitting cells 2 x 2.

    On the coarsest grid a two-point finite-volume system with zero potential on the boundary is solved
    directly. Then, from grid to grid, the flow through an edge is split between its halves by their
    conductances, and inside a cell the flows between its four children are those of least dissipation. If a
    side has an odd number of cells that grid is the coarsest one, so a large odd number costs a sparse
    factorisation.

    Parameters
    ----------
    load : (ny, nx) integrals of the load over the cells.
    a : (ny, nx) positive coefficient on the same cells.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    Qx (ny, nx+1) and Qy (ny+1, nx).

    Examples
    --------
    >>> load = np.random.default_rng(1).random((8, 12))
    >>> Q = hierarchical_flux(load, np.ones((8, 12)))
    >>> bool(abs(divergence(Q) + load).max() < 1e-13)
    True
    """
    ratio = (size[0] / load.shape[0]) / (size[1] / load.shape[1])
    levels = [(load, ratio * a, a / ratio)]  # the cell's shape goes into its two conductivities
    while levels[-1][0].shape[0] % 2 == 0 and levels[-1][0].shape[1] % 2 == 0:
        children, kx, ky = levels[-1]
        levels.append((_sum_children(children), _upscale_x(kx), _upscale_x(ky.T).T))
    Q = _two_point_flux(*levels.pop())
    while levels:
        Q = _refine(Q, *levels.pop())
    # What coarse grids missed by rounding sits in single cells here; sums along the rows carry it out to the right.
    Qx, Qy = Q
    Qx[:, 1:] -= np.cumsum(divergence(Q) + load, axis=1)
    return Qx, Qy


def _sum_children(c: Array) -> Array:
    rows = c[::2] + c[1::2]
    return rows[:, ::2] + rows[:, 1::2]


def _upscale_x(k: Array) -> Array:
    """Conductivity in x of the 2 x 2 parents: geometric mean of parallel-of-series and series-of-parallel."""
    below, above = (2 * k[s::2, ::2] * k[s::2, 1::2] / (k[s::2, ::2] + k[s::2, 1::2]) for s in (0, 1))
    left, right = ((k[::2, s::2] + k[1::2, s::2]) / 2 for s in (0, 1))
    return np.sqrt((below + above) * left * right / (left + right))


def _two_point_flux(load: Array, kx: Array, ky: Array) -> Flux:
    """Two-point finite-volume solution with zero potential on the boundary."""
    ny, nx = load.shape
    Tx, Ty = series(kx), series(ky.T).T
    cell = np.arange(load.size).reshape(ny, nx)
    rows = np.concatenate([cell[:, :-1].ravel(), cell[:-1].ravel()])
    cols = np.concatenate([cell[:, 1:].ravel(), cell[1:].ravel()])
    T = np.concatenate([Tx[:, 1:-1].ravel(), Ty[1:-1].ravel()])
    diagonal = (Tx[:, :-1] + Tx[:, 1:] + Ty[:-1] + Ty[1:]).ravel()
    half = sp.coo_matrix((-T, (rows, cols)), shape=(load.size, load.size))
    factor = splu((half + half.T + sp.diags(diagonal)).tocsc(), permc_spec="MMD_AT_PLUS_A")
    p = np.pad(factor.solve(load.ravel()).reshape(ny, nx), 1)
    return Tx * np.diff(p[1:-1], axis=1), Ty * np.diff(p[:, 1:-1], axis=0)


def _split(Q: Array, T: Array) -> Array:
    """Flows of the halves (2 ny, nx+1) of vertical edges (ny, nx+1), in proportion to conductances ``T``."""
    out = np.empty_like(T)
    out[::2] = Q * (T[::2] / (T[::2] + T[1::2]))
    out[1::2] = Q - out[::2]
    return out


def _refine(Q: Flux, load: Array, kx: Array, ky: Array) -> Flux:
    """Flux on the grid of ``load`` from one on the grid of its parents, balanced there."""
    ny, nx = load.shape
    Tx, Ty = series(kx), series(ky.T).T
    Qx, Qy = np.empty((ny, nx + 1)), np.empty((ny + 1, nx))
    Qx[:, ::2] = _split(Q[0], Tx[:, ::2])
    Qy[::2] = _split(Q[1].T, Ty[::2].T).T
    # Surplus of each child, which flows to its siblings.
    d00 = Qx[::2, :-1:2] + Qy[:-1:2, ::2] - load[::2, ::2]
    d01 = -Qx[::2, 2::2] + Qy[:-1:2, 1::2] - load[::2, 1::2]
    d10 = Qx[1::2, :-1:2] - Qy[2::2, ::2] - load[1::2, ::2]
    # The children form a ring: one particular flow, with nothing from 00 to 10, and one free circulation c.
    d1 = d00 + d01
    below, above, left, right = 1 / Tx[::2, 1::2], 1 / Tx[1::2, 1::2], 1 / Ty[1::2, ::2], 1 / Ty[1::2, 1::2]
    c = (d10 * above - d00 * below - d1 * right) / (below + above + left + right)
    Qx[::2, 1::2] = d00 + c
    Qx[1::2, 1::2] = d10 - c
    Qy[1::2, ::2] = -c
    Qy[1::2, 1::2] = d1 + c
    return Qx, Qy


def add_rotation(
    Q: Flux, a: Array, shift: tuple[Array, Array], size: tuple[float, float] = (1.0, 1.0), cycles: int = 2
) -> Flux:
    r"""Lower :math:`\|a^{-1/2}(\sigma + s)\|` by adding :math:`\operatorname{rot}\psi` to :math:`\sigma`.

    The Q1 stream function psi solves the Neumann problem with coefficient 1/a, approximated by conjugate
    gradients with one V-cycle per step. Every step is an exact line search, so that the norm cannot grow,
    whatever the V-cycle does.

    Parameters
    ----------
    Q : Qx (ny, nx+1) and Qy (ny+1, nx) of the flux sigma.
    a : (ny, nx) positive coefficient on the cells.
    shift : means over the cells, (ny, nx) each, of the x and y component of s, whose variation inside a cell must be
        orthogonal to lowest-order fluxes.
    size : (Ly, Lx) of the rectangle.
    cycles : number of steps, ≥ 0.

    Returns
    -------
    Qx (ny, nx+1) and Qy (ny+1, nx) of the sum, with the divergence of ``Q``.

    Examples
    --------
    >>> swirl = rotation(np.random.default_rng(1).random((9, 9)))
    >>> zero = np.zeros((8, 8))
    >>> Q = add_rotation(swirl, np.ones((8, 8)), (zero, zero), cycles=12)
    >>> bool(abs(Q[0]).max() < 1e-6)
    True
    """
    if cycles == 0:
        return Q
    space = Space.with_sides(a.shape, size, natural=SIDES)
    psi, info = hierarchy(1 / a, space).solve(-_curl_load(Q, a, shift, size), tolerance=0.0, max_iterations=cycles)
    log.debug("stream function: %d steps lower the squared norm by %.3e", info.iterations, info.energy_drop)
    Rx, Ry = rotation(psi)
    return Q[0] + Rx, Q[1] + Ry


def _curl_load(Q: Flux, a: Array, shift: tuple[Array, Array], size: tuple[float, float]) -> Array:
    r"""Functional :math:`q\mapsto(\sigma + s, \operatorname{rot} q)_{1/a}` on the nodes (ny+1, nx+1)."""
    ny, nx = a.shape
    hy, hx = size[0] / ny, size[1] / nx
    edge_x = _edge_functional(Q[0], shift[0], hx / a, hy)
    edge_y = _edge_functional(Q[1].T, shift[1].T, hy / a.T, hx).T
    b = np.zeros((ny + 1, nx + 1))
    b[1:] += edge_x
    b[:-1] -= edge_x
    b[:, :-1] += edge_y
    b[:, 1:] -= edge_y
    return b


def _edge_functional(Q: Array, shift: Array, weight: Array, edge: float) -> Array:
    """Derivative of half the squared norm by the flows (n, m+1): they meet means and slopes only."""
    left, right = Q[:, :-1] / edge, Q[:, 1:] / edge
    out = np.zeros(Q.shape)
    out[:, :-1] = weight * (left / 3 + right / 6 + shift / 2)
    out[:, 1:] += weight * (left / 6 + right / 3 + shift / 2)
    return out
