"""Compiled black-box coarsening and its transfers.

Owns the storage of nine-point operators and nodal fields with a ring, and the interpolation weights.

Nodal arrays (ny+3, nx+3) carry one ring of zeros: node (j, i) is at [j+1, i+1]. A symmetric nine-point operator S is
stored as (5, ny+3, nx+3): couplings of a node with itself, east, north, north-east, and (index 4) of its east with its
north neighbour. Coarse nodes have the indices (jc, ic). Interpolation weights ``Wx (Ny+1, Nx)``, ``Wy (Ny, Nx+1)``,
``Wc (Ny, Nx, 4)`` are those of :func:`weights`, for Ny x Nx patches of 2 x 2 cells.

All functions release Python's lock and run on one thread.
"""

from __future__ import annotations

import numpy as np

from .options import kernel


@kernel
def full_elements(elements, entries, K):
    """Set element matrices K (ny, nx, 4, 4) from their distinct entries (10, ny, nx), numbered by entries (4, 4)."""
    ny, nx = elements.shape[1:]
    for r in range(4):
        for c in range(4):
            q = entries[r, c]
            for j in range(ny):
                for i in range(nx):
                    K[j, i, r, c] = elements[q, j, i]


@kernel
def stencil(K):
    """Assemble element matrices (ny, nx, 4, 4) to a nine-point operator with ring (5, ny+3, nx+3)."""
    ny, nx = K.shape[:2]
    S = np.zeros((5, ny + 3, nx + 3))
    for j in range(ny):
        for i in range(nx):
            k = K[j, i]
            S[0, j + 1, i + 1] += k[0, 0]
            S[0, j + 1, i + 2] += k[1, 1]
            S[0, j + 2, i + 1] += k[2, 2]
            S[0, j + 2, i + 2] += k[3, 3]
            S[1, j + 1, i + 1] += k[0, 1]
            S[1, j + 2, i + 1] += k[2, 3]
            S[2, j + 1, i + 1] += k[0, 2]
            S[2, j + 1, i + 2] += k[1, 3]
            S[3, j + 1, i + 1] += k[0, 3]
            S[4, j + 1, i + 1] += k[1, 2]
    return S


@kernel
def _share(first, second):
    """Return first / (first + second), within [0, 1]; half where both vanish."""
    total = first + second
    return min(max(first / total, 0.0), 1.0) if total > 0 else 0.5


@kernel
def _inner_weights(S, Wx, Wy, j, i, jc, ic, w):
    """Fill w with the weights of the four coarse corners at the middle node (j, i) of a patch; indices with ring."""
    sw, se, nw, ne = S[3, j - 1, i - 1], S[4, j - 1, i], S[4, j, i - 1], S[3, j, i]
    south, north, west, east = S[2, j - 1, i], S[2, j, i], S[1, j, i - 1], S[1, j, i]
    total = sw + se + nw + ne + south + north + west + east
    w[0] = (sw + south * Wx[jc, ic] + west * Wy[jc, ic]) / total
    w[1] = (se + south * (1 - Wx[jc, ic]) + east * Wy[jc, ic + 1]) / total
    w[2] = (nw + north * Wx[jc + 1, ic] + west * (1 - Wy[jc, ic])) / total
    w[3] = (ne + north * (1 - Wx[jc + 1, ic]) + east * (1 - Wy[jc, ic + 1])) / total


@kernel
def weights(S: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return black-box interpolation weights from the nodes with even numbers (and the last) of a grid.

    With an odd number of cells the last patch is one cell wide: its middle is its right end. See J. Dendy, *Black box
    multigrid*, J. Comput. Phys. 48 (1982).

    Parameters
    ----------
    S : (5, ny+3, nx+3) operator.

    Returns
    -------
    Wx : (Ny+1, Nx) weight of the left end at the middle of horizontal edges.
    Wy : (Ny, Nx+1) weight of the lower end at the middle of vertical edges.
    Wc : (Ny, Nx, 4) weights of the corners at the middle of a patch.
    """
    ny, nx = S.shape[1] - 3, S.shape[2] - 3
    Ny, Nx = (ny + 1) // 2, (nx + 1) // 2
    Wx, Wy, Wc = np.zeros((Ny + 1, Nx)), np.zeros((Ny, Nx + 1)), np.zeros((Ny, Nx, 4))
    for jc in range(Ny + 1):
        j = min(2 * jc, ny) + 1
        for ic in range(nx // 2):
            i = 2 * ic + 2
            west = S[1, j, i - 1] + S[3, j - 1, i - 1] + S[4, j, i - 1]
            east = S[1, j, i] + S[3, j, i] + S[4, j - 1, i]
            Wx[jc, ic] = _share(-west, -east)
    for jc in range(ny // 2):
        j = 2 * jc + 2
        for ic in range(Nx + 1):
            i = min(2 * ic, nx) + 1
            south = S[2, j - 1, i] + S[3, j - 1, i - 1] + S[4, j - 1, i]
            north = S[2, j, i] + S[3, j, i] + S[4, j, i - 1]
            Wy[jc, ic] = _share(-south, -north)
    for jc in range(Ny):
        for ic in range(Nx):
            w = Wc[jc, ic]
            narrow, low = 2 * ic + 1 >= nx, 2 * jc + 1 >= ny
            if narrow and low:
                w[3] = 1
            elif narrow:
                w[1], w[3] = Wy[jc, ic + 1], 1 - Wy[jc, ic + 1]
            elif low:
                w[2], w[3] = Wx[jc + 1, ic], 1 - Wx[jc + 1, ic]
            else:
                _inner_weights(S, Wx, Wy, 2 * jc + 2, 2 * ic + 2, jc, ic, w)
    return Wx, Wy, Wc


@kernel
def galerkin(
    K: np.ndarray, Wx: np.ndarray, Wy: np.ndarray, Wc: np.ndarray, coarse: np.ndarray, j0: int, j1: int
) -> None:
    """Add to the element matrices of the patches the sum over their cells of P^T K P.

    Parameters
    ----------
    K : (ny, nx, 4, 4) element matrices.
    Wx : (Ny+1, Nx) interpolation weights along x.
    Wy : (Ny, Nx+1) interpolation weights along y.
    Wc : (Ny, Nx, 4) interpolation weights inside.
    coarse : (Ny, Nx, 4, 4) matrices, changed.
    j0 : first row of patches.
    j1 : end of these rows.
    """
    ny, nx = K.shape[:2]
    Nx = Wc.shape[1]
    P = np.zeros((9, 4))
    KP = np.empty((4, 4))
    P[0, 0] = P[2, 1] = P[6, 2] = P[8, 3] = 1
    for jc in range(j0, j1):
        for ic in range(Nx):
            P[1, 0], P[1, 1] = Wx[jc, ic], 1 - Wx[jc, ic]
            P[7, 2], P[7, 3] = Wx[jc + 1, ic], 1 - Wx[jc + 1, ic]
            P[3, 0], P[3, 2] = Wy[jc, ic], 1 - Wy[jc, ic]
            P[5, 1], P[5, 3] = Wy[jc, ic + 1], 1 - Wy[jc, ic + 1]
            for c in range(4):
                P[4, c] = Wc[jc, ic, c]
            for cell in range(4):
                cy, cx = cell // 2, cell % 2
                if 2 * jc + cy >= ny or 2 * ic + cx >= nx:
                    continue
                n = 3 * cy + cx
                k = K[2 * jc + cy, 2 * ic + cx]
                for r in range(4):
                    for c in range(4):
                        KP[r, c] = (
                            k[r, 0] * P[n, c] + k[r, 1] * P[n + 1, c] + k[r, 2] * P[n + 3, c] + k[r, 3] * P[n + 4, c]
                        )
                for r in range(4):
                    for c in range(4):
                        coarse[jc, ic, r, c] += (
                            P[n, r] * KP[0, c]
                            + P[n + 1, r] * KP[1, c]
                            + P[n + 3, r] * KP[2, c]
                            + P[n + 4, r] * KP[3, c]
                        )


@kernel
def fix(S, free):
    """Give the nodes that are not ``free`` (ny+1, nx+1) an identity row in S (5, ny+3, nx+3), in place."""
    for j in range(free.shape[0]):
        for i in range(free.shape[1]):
            if free[j, i]:
                continue
            y, x = j + 1, i + 1
            S[0, y, x] = 1
            S[1, y, x] = S[1, y, x - 1] = 0
            S[2, y, x] = S[2, y - 1, x] = 0
            S[3, y, x] = S[3, y - 1, x - 1] = 0
            S[4, y, x - 1] = S[4, y - 1, x] = 0


@kernel
def restrict(
    r: np.ndarray, Wx: np.ndarray, Wy: np.ndarray, Wc: np.ndarray, free: np.ndarray, coarse: np.ndarray
) -> None:
    """Set ``coarse`` to the transpose of the interpolation times r.

    Parameters
    ----------
    r : (ny+3, nx+3) fine moments.
    Wx : (Ny+1, Nx) interpolation weights along x.
    Wy : (Ny, Nx+1) interpolation weights along y.
    Wc : (Ny, Nx, 4) interpolation weights inside.
    free : (Ny+1, Nx+1) coarse nodes, zero where they are fixed.
    coarse : (Ny+3, Nx+3) coarse moments, written.
    """
    ny, nx = r.shape[0] - 3, r.shape[1] - 3
    Ny, Nx = Wc.shape[:2]
    for jc in range(Ny + 1):
        for ic in range(Nx + 1):
            coarse[jc + 1, ic + 1] = r[min(2 * jc, ny) + 1, min(2 * ic, nx) + 1]
    for jc in range(Ny + 1):
        j = min(2 * jc, ny) + 1
        for ic in range(nx // 2):
            v, w = r[j, 2 * ic + 2], Wx[jc, ic]
            coarse[jc + 1, ic + 1] += w * v
            coarse[jc + 1, ic + 2] += v - w * v
    for jc in range(ny // 2):
        j = 2 * jc + 2
        for ic in range(Nx + 1):
            v, w = r[j, min(2 * ic, nx) + 1], Wy[jc, ic]
            coarse[jc + 1, ic + 1] += w * v
            coarse[jc + 2, ic + 1] += v - w * v
        for ic in range(nx // 2):
            v = r[j, 2 * ic + 2]
            coarse[jc + 1, ic + 1] += Wc[jc, ic, 0] * v
            coarse[jc + 1, ic + 2] += Wc[jc, ic, 1] * v
            coarse[jc + 2, ic + 1] += Wc[jc, ic, 2] * v
            coarse[jc + 2, ic + 2] += Wc[jc, ic, 3] * v
    for jc in range(Ny + 1):
        for ic in range(Nx + 1):
            coarse[jc + 1, ic + 1] *= free[jc, ic]


@kernel
def prolong(x: np.ndarray, Wx: np.ndarray, Wy: np.ndarray, Wc: np.ndarray, coarse: np.ndarray) -> None:
    """Add the interpolation of ``coarse`` to x.

    Parameters
    ----------
    x : (ny+3, nx+3) fine values, changed in place.
    Wx : (Ny+1, Nx) interpolation weights along x.
    Wy : (Ny, Nx+1) interpolation weights along y.
    Wc : (Ny, Nx, 4) interpolation weights inside.
    coarse : (Ny+3, Nx+3) coarse values.
    """
    ny, nx = x.shape[0] - 3, x.shape[1] - 3
    Ny, Nx = Wc.shape[:2]
    for jc in range(Ny + 1):
        j = min(2 * jc, ny) + 1
        for ic in range(Nx + 1):
            x[j, min(2 * ic, nx) + 1] += coarse[jc + 1, ic + 1]
        for ic in range(nx // 2):
            right = coarse[jc + 1, ic + 2]
            x[j, 2 * ic + 2] += right + Wx[jc, ic] * (coarse[jc + 1, ic + 1] - right)
    for jc in range(ny // 2):
        j = 2 * jc + 2
        for ic in range(Nx + 1):
            upper = coarse[jc + 2, ic + 1]
            x[j, min(2 * ic, nx) + 1] += upper + Wy[jc, ic] * (coarse[jc + 1, ic + 1] - upper)
        for ic in range(nx // 2):
            x[j, 2 * ic + 2] += (
                Wc[jc, ic, 0] * coarse[jc + 1, ic + 1]
                + Wc[jc, ic, 1] * coarse[jc + 1, ic + 2]
                + Wc[jc, ic, 2] * coarse[jc + 2, ic + 1]
                + Wc[jc, ic, 3] * coarse[jc + 2, ic + 2]
            )
