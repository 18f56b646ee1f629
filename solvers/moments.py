r"""Load vectors by integration: moments of functions with jumps, of point sources and of fluxes through sides.

The moments :math:`\int f \varphi_i` with the hats of a grid are integrated block by block. In a block f is the
polynomial of degree 4 per axis through its values at 5 x 5 points, outermost ones at the block's edges, so that no jump
hides between blocks. Blocks in which the highest coefficients are not small are halved, along those axes only: a jump
along a grid direction is found by bisection, to round-off; one along a curve to what the number of samples allows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import leggauss, legvander

from ..errors import InvalidProblem

log = logging.getLogger(__name__)

#: Values (k, 5, 5) of f at the tensor products of y (k, 5) and x (k, 5).
Sampler = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: Samples per axis of a block.
POINTS = 5
#: Blocks per side to start from, where the grid has as many cells: 640 samples a side.
START = 128
#: Coefficients of degree 4 below this part of the largest |f| are small; the next one, the error, is 50 times smaller.
SMALL = 3e-5
#: Blocks whose part of the integral is uncertain by less than this share are not halved.
NEGLIGIBLE = 1e-14
#: Samples below the cells of the grid: this many, and this many per cell of a side.
SAMPLES, SAMPLES_PER_CELL = 2_000_000, 2500
#: The outermost samples lie inside their block by this part of its width.
INSIDE = 1e-9

_GAUSS, _WEIGHTS = leggauss(POINTS)
#: Places of the samples in a block [0, 1]: Gauss points, stretched to its edges.
PLACES = 0.5 + 0.5 * (1 - INSIDE) * _GAUSS / _GAUSS[-1]
#: From values at the places to Legendre coefficients.
_TO_LEGENDRE = np.linalg.inv(legvander(2 * PLACES - 1, POINTS - 1))
#: Integrals of 1 and of t times the polynomials that are 1 at one of the places and 0 at the others, (2, 5).
_INTEGRALS = np.stack([_WEIGHTS, _WEIGHTS * (_GAUSS + 1) / 2]) / 2 @ legvander(_GAUSS, POINTS - 1) @ _TO_LEGENDRE


@dataclass(frozen=True)
class Moments:
    """A load vector and how exactly it was integrated.

    Attributes
    ----------
    vector : (ny+1, nx+1) moments with the hats of a grid.
    uncertain : estimate of the part of ∫|f| in blocks with jumps that were not resolved; 0 where there are none.
    """

    vector: np.ndarray
    uncertain: float = 0.0


def function_moments(
    sample: Sampler, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0), lower: tuple[float, float] = (0, 0)
) -> Moments:
    """Integrate a function, which may jump, against the hats of a grid.

    Parameters
    ----------
    sample : values of f, (k, 5, 5), at the tensor products of y (k, 5) and x (k, 5), in the rectangle.
    cells : (ny, nx) of the grid.
    size : (Ly, Lx) of the rectangle.
    lower : (x0, y0), its lower left corner.

    Returns
    -------
    Moments

    Raises
    ------
    InvalidProblem
        If f is not finite.

    Examples
    --------
    >>> box = function_moments(of_callable(lambda x, y: (x < 0.3) & (y < 0.7)), (4, 4))
    >>> round(float(box.vector.sum()), 12), box.uncertain < 1e-12
    (0.21, True)
    """
    out = np.zeros((cells[0] + 1, cells[1] + 1))
    spacing, corner = (size[0] / cells[0], size[1] / cells[1]), (lower[1], lower[0])
    boxes, peak, mass, uncertain = _first(cells), 0.0, 0.0, 0.0
    left = SAMPLES + SAMPLES_PER_CELL * sum(cells)
    while len(boxes):
        y, x = (corner[k] + spacing[k] * _samples(boxes[:, k]) for k in (0, 1))
        values = np.asarray(sample(y, x), dtype=float)
        if not np.isfinite(values).all():
            raise InvalidProblem("f has values that are not finite.")
        peak = max(peak, float(np.abs(values).max()))
        coefficients = np.abs(np.einsum("ai,kij,bj->kab", _TO_LEGENDRE, values, _TO_LEGENDRE))
        along_y = (coefficients[:, -1] + 0.01 * coefficients[:, -2]).max(1)
        along_x = (coefficients[:, :, -1] + 0.01 * coefficients[:, :, -2]).max(1)
        area = np.prod(boxes[:, :, 1] - boxes[:, :, 0], axis=1)
        doubt = np.maximum(along_y, along_x) * area
        mass = mass or float((np.abs(values).mean((1, 2)) * area).sum())
        halve = np.stack([along_y, along_x], 1) > SMALL * peak
        halve &= (doubt > NEGLIGIBLE * mass)[:, None]
        again = halve.any(1)
        left -= int(again.sum()) * 2 * POINTS**2 if area.min() <= 1 else 0
        if left < 0:
            uncertain, again = float(doubt[again].sum()), np.zeros_like(again)
        _add(out, boxes[~again], values[~again])
        boxes = _halved(boxes[again], halve[again])
    share = uncertain / mass if mass > 0 else 0.0
    if share > 0:
        log.info("load integrated with jumps along curves, at most %.1g of it at the wrong place", share)
    return Moments(out * (spacing[0] * spacing[1]), share)


def of_callable(f: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Sampler:
    """Make a sampler of a function f(x, y) of broadcastable arrays."""

    def sample(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        values = np.asarray(f(x[:, None, :], y[:, :, None]), dtype=float)
        shape = (len(x), y.shape[1], x.shape[1])
        try:
            return np.broadcast_to(values, shape)
        except ValueError as error:
            raise InvalidProblem(
                "a function f(x, y) must take arrays that broadcast, and return their values; for x of shape "
                f"{(shape[0], 1, shape[2])} and y of shape {(*shape[:2], 1)} it returned shape {values.shape}."
            ) from error

    return sample


def point_moments(
    points: Sequence[tuple[float, float, float]],
    cells: tuple[int, int],
    size: tuple[float, float] = (1.0, 1.0),
    lower: tuple[float, float] = (0, 0),
) -> np.ndarray:
    """Compute the load vector of point sources: the values of the hats at the points.

    Parameters
    ----------
    points : (x, y, weight) of each.
    cells : (ny, nx) of the grid.
    size : (Ly, Lx) of the rectangle.
    lower : (x0, y0), its lower left corner.

    Returns
    -------
    (ny+1, nx+1) moments.

    Raises
    ------
    InvalidProblem
        If these are no triples of numbers, or a point lies outside the rectangle.

    Examples
    --------
    >>> point_moments([(0.25, 0.0, 8.0)], (1, 2)).tolist()
    [[4.0, 4.0, 0.0], [0.0, 0.0, 0.0]]
    """
    try:
        table = np.asarray(points, dtype=float)
    except (TypeError, ValueError):
        table = np.zeros(1)
    if table.size and (table.ndim != 2 or table.shape[-1] != 3):
        raise InvalidProblem("points= takes a list of (x, y, weight), three numbers each.")
    table = table.reshape(-1, 3)
    out = np.zeros((cells[0] + 1, cells[1] + 1))
    n = np.array(cells)
    at = (table[:, 1::-1] - np.array(lower[::-1])) / np.array(size) * n
    slack = 1e-12 * n
    outside = ~((at >= -slack) & (at <= n + slack)).all(1) | ~np.isfinite(table).all(1)
    if outside.any():
        x, y, weight = table[int(np.argmax(outside))].tolist()
        raise InvalidProblem(f"the point source ({x:g}, {y:g}) of weight {weight:g} does not lie in the domain.")
    at = np.clip(at, 0, n)
    base = np.minimum(at.astype(int), n - 1)
    part = at - base
    for dy in (0, 1):
        for dx in (0, 1):
            share = np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1])
            np.add.at(out, (base[:, 0] + dy, base[:, 1] + dx), share * table[:, 2])
    return out


def line_moments(f: Callable[[np.ndarray], np.ndarray], n: int, length: float, lower: float = 0.0) -> np.ndarray:
    """Integrate a function of one variable, which may jump, against the hats of n intervals.

    Parameters
    ----------
    f : values at an array of coordinates, of the same shape.
    n : intervals.
    length : of all of them.
    lower : coordinate of the first node.

    Returns
    -------
    (n+1,) moments.

    Examples
    --------
    >>> line_moments(lambda x: 1.0 * (x > 0.25), 2, 1.0).round(12).tolist()
    [0.0625, 0.4375, 0.25]
    """

    def sample(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.repeat(f(x)[:, None, :], y.shape[1], axis=1)

    return function_moments(sample, (1, n), (1.0, length), (lower, 0.0)).vector.sum(0)


def _first(cells: tuple[int, int]) -> np.ndarray:
    """Blocks (k, 2, 2) to start from, as (from, to) in y and in x, in cells of the grid."""
    steps = [max(d for d in range(1, n + 1) if n % d == 0 and n // d >= min(n, START)) for n in cells]
    y, x = (np.arange(0, n, step) for n, step in zip(cells, steps, strict=True))
    low = np.stack(np.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
    return np.stack([low, low + steps], -1).astype(float)


def _samples(ends: np.ndarray) -> np.ndarray:
    """Sample coordinates (k, 5) of intervals (k, 2)."""
    return ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * PLACES


def _halved(boxes: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Halve blocks along the axes marked (k, 2); those of several cells between cells."""
    for axis in (0, 1):
        cut = along[:, axis]
        low, high = boxes[cut, axis].T
        middle = np.where(high - low > 1, np.floor((low + high) / 2), (low + high) / 2)
        first, second = boxes[cut].copy(), boxes[cut].copy()
        first[:, axis, 1] = second[:, axis, 0] = middle
        boxes = np.concatenate([boxes[~cut], first, second])
        along = np.concatenate([along[~cut], along[cut], along[cut]])
    return boxes


def _add(out: np.ndarray, boxes: np.ndarray, values: np.ndarray) -> None:
    """Add the integrals of blocks to the moments, in units of a cell's area."""
    if not len(boxes):
        return
    width = np.maximum(np.rint(boxes[:, :, 1] - boxes[:, :, 0]), 1).astype(int)  # cells that a block touches
    for wy, wx in np.unique(width, axis=0):
        mine = (width == (wy, wx)).all(1)
        (iy, My), (ix, Mx) = (_hat_integrals(boxes[mine, axis], w) for axis, w in ((0, wy), (1, wx)))
        moments = np.einsum("kay,kyx,kbx->kab", My, values[mine], Mx, optimize=True)
        rows, columns = iy[:, None] + np.arange(wy + 1), ix[:, None] + np.arange(wx + 1)
        flat = (rows[:, :, None] * out.shape[1] + columns[:, None, :]).ravel()
        out += np.bincount(flat, moments.ravel(), out.size).reshape(out.shape)


def _hat_integrals(ends: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """First cell (k,) of intervals (k, 2), and integrals (k, width+1, 5) of the basis at the places times the hats."""
    first = np.floor(ends[:, 0]).astype(int)
    if width > 1:
        return first, np.broadcast_to(_wide_integrals(width), (len(ends), width + 1, POINTS))
    start, length = ends[:, :1] - first[:, None], ends[:, 1:] - ends[:, :1]
    rising = length * (start * _INTEGRALS[0] + length * _INTEGRALS[1])
    return first, np.stack([length * _INTEGRALS[0] - rising, rising], 1)


def _wide_integrals(width: int) -> np.ndarray:
    """Integrals (width+1, 5) of the basis at the places of an interval of several cells times the hats of its nodes."""
    out = np.zeros((width + 1, POINTS))
    t = (_GAUSS + 1) / 2
    for cell in range(width):
        basis = legvander(2 * (cell + t) / width - 1, POINTS - 1) @ _TO_LEGENDRE
        out[cell] += _WEIGHTS / 2 * (1 - t) @ basis
        out[cell + 1] += _WEIGHTS / 2 * t @ basis
    return out
