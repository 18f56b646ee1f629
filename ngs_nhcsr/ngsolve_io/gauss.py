"""Q1 element matrices by tensor Gauss rules, and the load vectors of grid functions without assembling."""

from __future__ import annotations

from functools import lru_cache

import ngsolve as ngs
import numpy as np

from ..solvers.q1 import ENTRIES, SYMMETRIC_PAIRS
from .forms import NO_LOAD

#: Number of the pair of one-dimensional functions (0,0), (0,1) = (1,0), (1,1).
_PAIR = ((0, 1), (1, 2))


@lru_cache(maxsize=16)
def gauss_rule(bonus: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rule that NGSolve takes along x and y on quads of order 1 with ``bonus_intorder=bonus``.

    The points are NGSolve's to the last bit: where a jump of the coefficient lies in a point, that decides its side.

    Parameters
    ----------
    bonus : ``bonus_intorder`` ≥ 0.

    Returns
    -------
    points, weights : np.ndarray
        (q,) on [0, 1], points ascending.

    Examples
    --------
    >>> [len(gauss_rule(bonus)[0]) for bonus in (0, 1, 2, 20)]
    [2, 2, 3, 12]
    """
    rule = ngs.IntegrationRule(ngs.SEGM, 2 + bonus)  # a form of gradients of order 1 on quads is integrated to order 2
    points, weights = np.array([p[0] for p in rule.points]), np.array(rule.weights)
    order = np.argsort(points)
    return points[order], weights[order]


def gauss_elements(
    a: np.ndarray, rule: tuple[np.ndarray, np.ndarray], cells: tuple[int, int], size: tuple[float, float]
) -> np.ndarray:
    r"""Integrate the element matrices :math:`\int_T a\,\nabla\phi_i\cdot\nabla\phi_j` by a tensor rule.

    Parameters
    ----------
    a : (ny q, nx q) coefficient at the points of the rule in every cell.
    rule : points and weights (q,) on [0, 1].
    cells : (ny, nx) cells of the mesh.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    np.ndarray
        (10, ny, nx) the distinct entries, in the order of ``solvers.q1.SYMMETRIC_PAIRS``.

    Examples
    --------
    >>> gauss_elements(np.ones((4, 4)), gauss_rule(0), (2, 2), (1.0, 1.0))[0, 0, 0].round(12)
    np.float64(0.666666666667)
    """
    t, w = rule
    products = np.stack([w, w * (1 - t) ** 2, w * t * (1 - t), w * t**2])
    return _elements(a, products, products, cells, size)


def gauss_mass(
    c: np.ndarray, rule: tuple[np.ndarray, np.ndarray], cells: tuple[int, int], size: tuple[float, float]
) -> np.ndarray:
    r"""Integrate the element matrices :math:`\int_T c\,\phi_i\phi_j` by a tensor rule; as :func:`gauss_elements`.

    Parameters
    ----------
    c : (ny q, nx q) reaction at the points of the rule in every cell.
    rule : points and weights (q,) on [0, 1].
    cells : (ny, nx) cells of the mesh.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    np.ndarray
        (10, ny, nx) the distinct entries.
    """
    (ny, nx), (t, w) = cells, rule
    products = np.stack([w * (1 - t) ** 2, w * t * (1 - t), w * t**2])
    values = c.reshape(ny, len(t), nx, len(t)) * (size[0] / ny * size[1] / nx)
    parts = np.einsum("yaxb,pa,qb->pqyx", values, products, products, optimize=True)
    return np.stack([parts[_PAIR[i // 2][j // 2], _PAIR[i % 2][j % 2]] for i, j in SYMMETRIC_PAIRS])


def exact_elements(A: np.ndarray, cells: tuple[int, int], size: tuple[float, float]) -> np.ndarray:
    """Integrate the element matrices exactly, as ``solvers.q1.element_matrices`` does, on a raster of whole cells.

    Parameters
    ----------
    A : (my, mx) cell values, multiples of the mesh's cells.
    cells : (ny, nx) cells of the mesh.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    np.ndarray
        (10, ny, nx) the distinct entries.

    Examples
    --------
    >>> exact_elements(np.ones((4, 4)), (2, 2), (1.0, 1.0))[0, 0, 0].round(12)
    np.float64(0.666666666667)
    """
    (my, mx), (ny, nx) = A.shape, cells
    return _elements(A, _exact_products(my // ny), _exact_products(mx // nx), cells, size)


@lru_cache(maxsize=16)
def _exact_products(per: int) -> np.ndarray:
    """Integrals of 1, (1−t)², t(1−t), t² over ``per`` equal parts of [0, 1], (4, per)."""
    t = np.arange(per + 1) / per
    return np.diff(np.stack([t, ((t - 1) ** 3 + 1) / 3, t**2 / 2 - t**3 / 3, t**3 / 3]), axis=1)


def _elements(
    a: np.ndarray, along_y: np.ndarray, along_x: np.ndarray, cells: tuple[int, int], size: tuple[float, float]
) -> np.ndarray:
    """Element matrices (10, ny, nx) from integrals (4, q) of products of derivatives (1) and of hats, along y and x."""
    ny, nx = cells
    parts = np.einsum("yqxp,sp->sqyx", a.reshape(ny, along_y.shape[1], nx, along_x.shape[1]), along_x)
    aspect = (size[0] * nx) / (size[1] * ny)
    of_dx = np.einsum("qyx,sq->syx", parts[0], along_y[1:]) * aspect
    of_dy = np.einsum("sqyx,q->syx", parts[1:], along_y[0]) / aspect
    out = np.empty((len(SYMMETRIC_PAIRS), ny, nx))
    for entry, (i, j) in zip(out, SYMMETRIC_PAIRS, strict=True):
        (iy, ix), (jy, jx) = divmod(i, 2), divmod(j, 2)
        sign_x, sign_y = (1 if ix == jx else -1), (1 if iy == jy else -1)
        entry[:] = sign_x * of_dx[_PAIR[iy][jy]] + sign_y * of_dy[_PAIR[ix][jx]]
    return out


def grid_loads(elements: np.ndarray, U: np.ndarray, free: np.ndarray, *, mass: bool = False) -> np.ndarray:
    """Compute the load vectors A U of nodal values for several matrices; zero where all of one is round-off.

    The same as :func:`ngs_nhcsr.ngsolve_io.forms.load_of` with the assembled matrix, as sums over neighbours of
    A_ij (u_j − u_i), with a reaction or Robin sides plus (A·1)_i u_i.

    Parameters
    ----------
    elements : (K, 10, ny, nx) element matrices in the order of ``solvers.q1.SYMMETRIC_PAIRS``.
    U : (ny+1, nx+1) nodal values.
    free : (ny+1, nx+1) mask of the free nodes.
    mass : whether A·1 is not zero.

    Returns
    -------
    np.ndarray
        (K, ny+1, nx+1) load vectors.

    Examples
    --------
    >>> from ngs_nhcsr.solvers.q1 import element_matrices
    >>> U = np.outer([1.0, 1.0, 1.0], [0.0, 0.5 + 1e-14, 1.0])
    >>> grid_loads(element_matrices(np.ones((2, 2)), (2, 2))[None], U, np.pad([[True]], 1))[0, 1].tolist()
    [0.0, 0.0, 0.0]
    """
    load, flow, total, diagonal = (np.zeros((len(elements), *U.shape)) for _ in range(4))
    for coupling, one, other in _couplings(elements):
        u, v = U[one[1:]], U[other[1:]]
        current, size = coupling * (v - u), np.abs(coupling)
        load[one] += current
        load[other] -= current
        np.abs(current, out=current)
        flow[one] += current
        flow[other] += current
        total[one] += size * np.abs(v)
        total[other] += size * np.abs(u)
        diagonal[one] -= coupling
        diagonal[other] -= coupling
    total += np.abs(diagonal * U)
    if mass:
        load += _row_sums(elements) * U
    noise = NO_LOAD[0] * flow + NO_LOAD[1] * total
    load[(np.abs(load) <= noise)[:, free].all(1)] = 0.0
    return load


def _row_sums(elements: np.ndarray) -> np.ndarray:
    """A·1 of assembled matrices, (K, ny+1, nx+1)."""
    count, _, ny, nx = elements.shape
    sums = np.zeros((count, ny + 1, nx + 1))
    for i, row in enumerate(ENTRIES):
        y, x = divmod(i, 2)
        sums[:, y : y + ny, x : x + nx] += elements[:, row].sum(1)
    return sums


def _couplings(elements: np.ndarray) -> list[tuple[np.ndarray, tuple, tuple]]:
    """Off-diagonal entries of assembled matrices with the nodes they couple: along x, along y, both diagonals."""
    count, _, ny, nx = elements.shape
    along_x, along_y = np.zeros((count, ny + 1, nx)), np.zeros((count, ny, nx + 1))
    along_x[:, :-1] += elements[:, 4]
    along_x[:, 1:] += elements[:, 5]
    along_y[:, :, :-1] += elements[:, 6]
    along_y[:, :, 1:] += elements[:, 7]
    low, high, every = slice(None, -1), slice(1, None), slice(None)
    return [
        (along_x, (every, every, low), (every, every, high)),
        (along_y, (every, low, every), (every, high, every)),
        (elements[:, 8], (every, low, low), (every, high, high)),
        (elements[:, 9], (every, low, high), (every, high, low)),
    ]
