"""Compiled element correctors of the LOD on patches of condensed coarse cells (see ``lod.patches``).

Owns the order of elimination: the inner nodes of every strip, then the lines between the strips from both ends of the
patch towards the strip in the middle, which alone is loaded. So the load vectors and most multipliers take part in the
last steps only. The twin, ``lod.saddle``, goes from left to right.

Of symmetric matrices the lower triangle is kept. Couplings and load vectors are rows of the same arrays: for p load
vectors, o outer unknowns of a strip, lines of s nodes, c multipliers

- ``E`` (inner, inner), ``X`` (o + p, inner): the inner nodes of a strip, their coupling with the outer unknowns, their
  load vectors; later the Cholesky factor L and L⁻¹ X;
- ``S`` (o + p, o + p): the condensed matrix of a strip (left side, right side, multipliers), then its load vectors;
- ``D`` (lines, s, s), ``W`` (lines, s + p + c, s): the lines of a patch, their coupling with the next line, load
  vectors, coupling with the multipliers from number ``low`` on; later the Cholesky factors and L⁻¹ W;
- ``Q`` (p + c, p + c): load vectors and multipliers; minus the saddle point system's Schur complement.
"""

from __future__ import annotations

import numpy as np

from .lapack import Routines, add_gram, backward, factorise, forward, product
from .options import kernel


@kernel
def _condense_strip(routines, matrices, b, place, y0, x, loaded, E, X, S, info):
    """Assemble a strip of the cells (y0 …, x) and eliminate its inner nodes; returns 0 or a pivot that is not positive.

    ``place`` (m, q) is −1 at the patch's boundary, else the number of an inner node, or the count of these plus the
    number of an outer unknown. ``b`` (q, p) are the load vectors of the cell number ``loaded``.
    """
    m, q = place.shape
    inner, outer = X.shape[1], S.shape[1] - b.shape[1]
    E[:], X[:], S[:] = 0, 0, 0
    for j in range(m):
        M = matrices[y0 + j, x]
        for i in range(q):
            row = place[j, i]
            for k in range(q):
                col = place[j, k]
                if col < 0 or col > row:
                    continue
                if row < inner:
                    E[row, col] += M[i, k]
                elif col < inner:
                    X[row - inner, col] += M[i, k]
                else:
                    S[row - inner, col - inner] += M[i, k]
    for i in range(q):
        row = place[loaded, i]
        for k in range(b.shape[1]):
            if row >= inner:
                S[outer + k, row - inner] += b[i, k]
            elif row >= 0:
                X[outer + k, row] += b[i, k]
    pivot = factorise(routines, E, info)
    if not pivot:
        forward(routines, E, X)
        add_gram(routines, -1.0, X, 1.0, S)
    return pivot


@kernel
def _assemble_line(line, following, centre, low, left, right, p, D, W):
    """Set block ``line`` of D and W from the condensed strips on its left and on its right.

    ``centre`` is the number of the loaded strip, ``following`` the line that is eliminated after this one, or −1.
    """
    s = D.shape[1]
    t = left.shape[0] - 2 * s - p  # multipliers of a strip
    A, B = D[line], W[line]
    B[:] = 0
    for i in range(s):
        for j in range(i + 1):
            A[i, j] = left[s + i, s + j] + right[i, j]
    for i in range(t):
        k = s + p + line * (t // 2) - low + i
        for j in range(s):
            B[k, j] += left[2 * s + i, s + j]
            B[k + t // 2, j] += right[2 * s + i, j]
    for i in range(p):
        for j in range(s):
            if line == centre:
                B[s + i, j] = left[2 * s + t + i, s + j]
            elif line + 1 == centre:
                B[s + i, j] = right[2 * s + t + i, j]
    if following == line + 1:
        for i in range(s):
            for j in range(s):
                B[i, j] = right[s + i, j]
    elif following >= 0:
        for i in range(s):
            for j in range(s):
                B[i, j] = left[s + j, i]


@kernel
def _add_multipliers(loaded, s, first, p, S, Q):
    """Subtract the block of the multipliers of a strip, and its load vectors if it is ``loaded``, from Q."""
    t = S.shape[0] - 2 * s - p
    for i in range(t):
        for j in range(i + 1):
            Q[p + first + i, p + first + j] -= S[2 * s + i, 2 * s + j]
        for j in range(p):
            if loaded:
                Q[p + first + i, j] -= S[2 * s + t + j, 2 * s + i]


@kernel
def _eliminate(routines, line, following, low, end, p, D, W, Q, T, info):
    """Factorise a line and subtract what follows from its successor and from Q; returns 0 or a wrong pivot.

    ``low[i]`` and ``end[i]`` are the multipliers that line i is coupled with. ``T`` (s + p + c)² is work space.
    """
    s = D.shape[1]
    begin = 0 if following >= 0 else s
    count = s + p + end[line] - low[line]
    pivot = factorise(routines, D[line], info)
    if pivot:
        return pivot
    Z = W[line, begin:count]
    forward(routines, D[line], Z)
    add_gram(routines, 1.0, Z, 0.0, T)
    if following >= 0:
        A, B = D[following], W[following]
        for i in range(s):
            for j in range(i + 1):
                A[i, j] -= T[i, j]
        for i in range(s, count):
            k = i if i < s + p else i + low[line] - low[following]
            for j in range(s):
                B[k, j] -= T[i, j]
    for i in range(s, count):
        k = i - s if i < s + p else i - s + low[line]
        for j in range(s, i + 1):
            Q[k, j - s if j < s + p else j - s + low[line]] += T[i - begin, j - begin]
    return 0


@kernel
def _solve_multipliers(routines, Q, mu, H, info):
    """Set mu (p, c) to the multipliers; returns 0 or a wrong pivot. ``H`` (c, c) is work space."""
    p, count = mu.shape
    for i in range(count):
        for j in range(i + 1):
            H[i, j] = Q[p + i, p + j]
        if H[i, i] == 0:  # the constraint was dropped at a Dirichlet node: its row is zero
            H[i, i] = 1
        for k in range(p):
            mu[k, i] = Q[p + i, k]
    pivot = factorise(routines, H, info)
    if not pivot:
        forward(routines, H, mu)
        backward(routines, H, mu)
    return pivot


@kernel
def _solve_line(routines, line, following, low, end, D, W, mu, x, V):
    """Set x[line] (p, s) from x[following] and the multipliers mu (p, c); ``V`` is work space."""
    p, s = x.shape[1:]
    begin = 0 if following >= 0 else s
    count = s + p + end[line] - low[line] - begin
    v = V[: p * count].reshape((p, count))
    for k in range(p):
        if following >= 0:
            for i in range(s):
                v[k, i] = x[following, k, i]
        for i in range(p):
            v[k, s - begin + i] = -1.0 if i == k else 0.0
        for i in range(low[line], end[line]):
            v[k, s - begin + p - low[line] + i] = mu[k, i]
    product(routines, -1.0, v, W[line, begin : begin + count], 0.0, x[line])
    backward(routines, D[line], x[line])


@kernel
def _write_strip(routines, strip, centre, strips, place, E, X, x, mu, V, inside, out, row, column):
    """Write the vectors out[k, row + j, column] (p, ·, ·, q) of the cells j of a strip."""
    p, s = x.shape[1:]
    m, q = place.shape
    t, inner, count = 2 * (m + 1), X.shape[1], X.shape[0]
    v = V[: p * count].reshape((p, count))
    v[:] = 0
    for k in range(p):
        for i in range(s):
            if strip > 0:
                v[k, i] = x[strip - 1, k, i]
            if strip < strips - 1:
                v[k, s + i] = x[strip, k, i]
        for i in range(t):
            v[k, 2 * s + i] = mu[k, strip * (m + 1) + i]
        if strip == centre:
            v[k, 2 * s + t + k] = -1
    product(routines, -1.0, v, X, 0.0, inside)
    backward(routines, E, inside)
    for k in range(p):
        for j in range(m):
            for i in range(q):
                a = place[j, i]
                out[k, row + j, column, i] = 0.0 if a < 0 else inside[k, a] if a < inner else v[k, a - inner]


@kernel
def _plan(strips, centre, corners):
    """Return the order of the lines, the line after each (or −1), and the multipliers low … end that it sees."""
    lines = strips - 1
    order, following = np.empty(lines, np.int64), np.empty(lines, np.int64)
    low, end = np.zeros(lines, np.int64), np.empty(lines, np.int64)
    end[:] = corners * (strips + 1)
    for i in range(centre):
        order[i], following[i], end[i] = i, i + 1, corners * (i + 3)
    for i in range(centre + 1, lines):
        order[centre + lines - 1 - i], following[i], low[i] = i, i - 1, corners * i
    last = min(centre, lines - 1)
    order[lines - 1], following[last] = last, -1
    return order, following, low, end


@kernel
def _solve_patch(routines, strips, centre, ring, corners, S, D, W, Q, T, H, V, x, mu, info):
    """Solve a patch for its lines x (lines, p, s) and multipliers mu (p, c); returns a wrong pivot or 0, and its block.

    ``ring[i]`` is the place of strip i in S.
    """
    p, s = x.shape[1:]
    order, following, low, end = _plan(strips, centre, corners)
    Q[:] = 0
    for i in range(strips):
        _add_multipliers(i == centre, s, i * corners, p, S[ring[i]], Q)
    for i in range(strips - 1):
        _assemble_line(i, following[i], centre, low[i], S[ring[i]], S[ring[i + 1]], p, D, W)
    for i in order:
        pivot = _eliminate(routines, i, following[i], low, end, p, D, W, Q, T, info)
        if pivot:
            return pivot, s
    pivot = _solve_multipliers(routines, Q, mu, H, info)
    if pivot:
        return pivot, mu.shape[1]
    for i in order[::-1]:
        _solve_line(routines, i, following[i], low, end, D, W, mu, x, V)
    return 0, 0


@kernel
def solve_row(
    routines: Routines,
    matrices: np.ndarray,
    loads: np.ndarray,
    place: np.ndarray,
    inner: int,
    outer: int,
    wanted: np.ndarray,
    y0: int,
    y: int,
    out: np.ndarray,
) -> tuple[int, int]:
    """Compute the element correctors of a row of coarse cells.

    Parameters
    ----------
    routines : ``lapack.ROUTINES``.
    matrices : (Ny, Nx, q, q) condensed matrices of all cells.
    loads : (Ny, Nx, q, p) condensed load vectors.
    place : (m, q) for the cells of a strip: −1 at the patch's boundary, else number of an unknown, inner ones first.
    inner : unknowns inside a strip.
    outer : other unknowns of a strip: left side, right side, multipliers on the left, on the right.
    wanted : (Nx,) cells whose correctors are computed.
    y0 : lowest row of the patches.
    y : row of the cells.
    out : (Nx, p, 2k+1, 2k+1, q) vectors of the cells in the patches; those outside the domain stay as they are.

    Returns
    -------
    A pivot, from 1, that is not positive, and the size of its matrix; (0, 0) if there is none.
    """
    Nx, p, width = out.shape[:3]
    k, corners = width // 2, place.shape[0] + 1
    n = min(width, Nx)  # strips in a patch, at most
    s, c = (outer - 2 * corners) // 2, corners * (n + 1)
    E, X = np.empty((n, inner, inner)), np.empty((n, outer + p, inner))
    S, T = np.empty((n, outer + p, outer + p)), np.empty((s + p + c, s + p + c))
    D, W = np.empty((n - 1, s, s)), np.empty((n - 1, s + p + c, s))
    x, inside, V = np.empty((n - 1, p, s)), np.empty((p, inner)), np.empty(p * max(s + p + c, outer + p))
    info, ring, ready = np.empty(1, np.int32), np.empty(n, np.int64), 0
    for column in range(Nx):
        if not wanted[column]:
            continue
        x0, x1 = max(0, column - k), min(Nx, column + k + 1)
        for i in range(max(x0, ready), x1):
            r = i % n
            pivot = _condense_strip(routines, matrices, loads[y, i], place, y0, i, y - y0, E[r], X[r], S[r], info)
            if pivot:
                return pivot, inner
        ready = x1
        strips, centre = x1 - x0, column - x0
        c = corners * (strips + 1)
        Q, H, mu = np.empty((p + c, p + c)), np.empty((c, c)), np.empty((p, c))
        for i in range(strips):
            ring[i] = (x0 + i) % n
        pivot, size = _solve_patch(  # type: ignore[misc]
            routines, strips, centre, ring, corners, S, D, W, Q, T, H, V, x, mu, info
        )
        if pivot:
            return pivot, size
        row, first = k - (y - y0), x0 - column + k
        for i in range(strips):
            e, f = E[ring[i]], X[ring[i]]
            _write_strip(routines, i, centre, strips, place, e, f, x, mu, V, inside, out[column], row, first + i)
    return 0, 0
