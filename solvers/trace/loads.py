r"""Loads as one linear polynomial per cell, with the oscillation that the projection drops.

Owns how the trace space reads a right-hand side f (:func:`cell_load`) and what that costs
(:meth:`CellLoad.oscillation`).

The trace space solves :math:`-\nabla\cdot(a\nabla u) = \Pi f` exactly inside the cells, where :math:`\Pi f` is the
best linear polynomial on every cell in L2. The remainder is orthogonal to constants, so by Cauchy-Schwarz and the
Poincaré inequality of a rectangle with longer side h it moves the solution by at most

.. math:: |||u(f) - u(\Pi f)|||^2 \le \sum_K \frac{h^2}{\pi^2 a_K}\,\|f - \Pi f\|_K^2 .

Reference: L. E. Payne and H. F. Weinberger, Arch. Rational Mech. Anal. 5 (1960) 286-292.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import leggauss

from ...checks import check_magnitude
from ...errors import InvalidProblem
from ..nodal import real_values, values_of

Array = np.ndarray
Load = float | Array | Callable[[Array, Array], Array]

#: Gauss points per direction and cell for a callable load: exact for its projection up to degree 6.
GAUSS_POINTS = 4


@dataclass(frozen=True)
class CellLoad:
    r"""A load that is linear on every cell, with the norms of what the projection dropped.

    Attributes
    ----------
    coefficients : (3, my, mx) of 1, ξ, η, the cell's unit coordinates.
    remainder : (my, mx) norms :math:`\|f - \Pi f\|_K` in L2 of what the polynomials leave out.
    """

    coefficients: Array
    remainder: Array

    def oscillation(self, a: Array, cell: tuple[float, float]) -> float:
        """Bound the energy norm of the part of the solution that belongs to f less its projection.

        Parameters
        ----------
        a : (my, mx) coefficient.
        cell : (hy, hx) sides of a cell.

        Returns
        -------
        The root of the sum in the module's formula.
        """
        return max(cell) / math.pi * math.sqrt(float(np.sum(self.remainder**2 / a)))


def cell_load(f: Load, shape: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> CellLoad:
    """Project a load to one linear polynomial per cell.

    Parameters
    ----------
    f : a number; a callable f(x, y) of broadcastable arrays; cell values (my, mx); polynomials (3, my, mx) with the
        coefficients of 1, ξ, η on every cell; or nodal values (r*my+1, s*mx+1) of a bilinear function on a grid
        that refines the raster, projected exactly.
    shape : (my, mx) cells of the raster.
    size : (Ly, Lx) side lengths.

    Returns
    -------
    The projection; a callable is integrated by 4 x 4 Gauss points per cell.

    Raises
    ------
    InvalidProblem
        If the shape fits none of these, a value is not finite, or all are beyond 1e±100.

    Examples
    --------
    >>> load = cell_load(lambda x, y: 1 + 4 * x, (1, 2))
    >>> np.abs(load.coefficients[:, 0]).round(12).tolist()
    [[1.0, 3.0], [2.0, 2.0], [0.0, 0.0]]
    >>> bool(load.remainder.max() < 1e-14)
    True
    """
    load = _from_callable(f, shape, size) if callable(f) else _from_values(f, shape, size)
    check_magnitude(float(np.abs(load.coefficients).max()), "f")
    return load


def _from_values(f: float | Array, shape: tuple[int, int], size: tuple[float, float]) -> CellLoad:
    """Project a number, cell values, polynomials or nodal values."""
    values = real_values(f, "f")
    coefficients = np.zeros((3, *shape))
    if values.ndim == 0 or values.shape == shape:
        coefficients[0] = values
    elif values.shape == (3, *shape):
        coefficients[:] = values
    elif values.ndim == 2 and not any((n - 1) % m or n < m + 1 for n, m in zip(values.shape, shape, strict=True)):
        return _from_nodes(values, shape, size)
    else:
        raise InvalidProblem(
            f"f has shape {values.shape}; give cell values {shape}, polynomials {(3, *shape)}, or nodal values "
            f"(r*{shape[0]}+1, s*{shape[1]}+1) of a grid that refines the raster."
        )
    return CellLoad(coefficients, np.zeros(shape))


def _from_callable(f: Callable[[Array, Array], Array], shape: tuple[int, int], size: tuple[float, float]) -> CellLoad:
    """Project a function f(x, y), sampled at the Gauss points of all cells in one call."""
    points, weights = _gauss(GAUSS_POINTS)
    y, x = ((np.arange(m)[:, None] + points).ravel() * (length / m) for m, length in zip(shape, size, strict=True))
    values = values_of(f, x[None, :], y[:, None])
    return _project(values, (points, points), (weights, weights), shape, size)


def _from_nodes(values: Array, shape: tuple[int, int], size: tuple[float, float]) -> CellLoad:
    """Project a bilinear function; two Gauss points per fine interval integrate its square exactly."""
    gauss, weight = _gauss(2)
    ry, rx = ((n - 1) // m for n, m in zip(values.shape, shape, strict=True))
    points = tuple(((np.arange(r)[:, None] + gauss) / r).ravel() for r in (ry, rx))
    weights = tuple(np.tile(weight / r, r) for r in (ry, rx))
    rows = np.empty((2 * (values.shape[0] - 1), values.shape[1]))
    full = np.empty((rows.shape[0], 2 * (values.shape[1] - 1)))
    for k, t in enumerate(gauss):
        rows[k::2] = (1 - t) * values[:-1] + t * values[1:]
    for k, t in enumerate(gauss):
        full[:, k::2] = (1 - t) * rows[:, :-1] + t * rows[:, 1:]
    return _project(full, points, weights, shape, size)


def _project(
    values: Array, points: tuple[Array, ...], weights: tuple[Array, ...], shape: tuple[int, int], size: tuple
) -> CellLoad:
    """Fit linear polynomials to values (my*ky, mx*kx) at quadrature points (y, x) that are the same in every cell."""
    (my, mx), (t, s), (wy, wx) = shape, points, weights
    v = values.reshape(my, t.size, mx, s.size)
    root = math.sqrt(3.0)  # 1, √3(2ξ-1), √3(2η-1) are orthonormal on the unit square
    along = v @ np.stack([wx, wx * root * (2 * s - 1)], axis=1)  # (my, ky, mx, 2)
    mean, slope_x = np.moveaxis(np.tensordot(wy, along, (0, 1)), -1, 0)
    slope_y = np.tensordot(wy * root * (2 * t - 1), along[..., 0], (0, 1))
    coefficients = np.stack([mean - root * (slope_x + slope_y), 2 * root * slope_x, 2 * root * slope_y])
    # the difference is squared, not the squares subtracted: exact zeros stay at rounding
    base = coefficients[0][:, None] + coefficients[2][:, None] * t[:, None]  # (my, ky, mx)
    left = v - base[..., None] - coefficients[1][:, None, :, None] * s
    square = np.tensordot(wy, np.square(left, out=left) @ wx, (0, 1))
    return CellLoad(coefficients, np.sqrt(square * (size[0] * size[1] / (my * mx))))


def _gauss(n: int) -> tuple[Array, Array]:
    """Gauss-Legendre points and weights of the unit interval."""
    x, w = leggauss(n)
    return (x + 1) / 2, w / 2
