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
from functools import lru_cache

import numpy as np
from numpy.polynomial.legendre import leggauss, legvander
from scipy.sparse import csr_array

from ..errors import InvalidProblem
from .axes import along
from .nodal import values_of

log = logging.getLogger(__name__)

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
#: Share of ∫|f| that was not integrated to the end from which the user is told.
UNCERTAIN = 0.01
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
class Sampler:
    """Values of a function f at points in a rectangle.

    Attributes
    ----------
    blocks : (k, 5, 5) at the tensor products of y (k, 5) and x (k, 5), block by block.
    whole : (p, q) at the tensor product of y (p,) and x (q,), five points in each of equal blocks; ``None``: by blocks.
    """

    blocks: Callable[[np.ndarray, np.ndarray], np.ndarray]
    whole: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None

    def grid(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Sample equal blocks that fill the rectangle.

        Parameters
        ----------
        y : (5 p,) coordinates, five in each of p intervals.
        x : (5 q,), likewise.

        Returns
        -------
        (5 p, 5 q) values.
        """
        if self.whole is not None:
            return self.whole(y, x)
        p, q = len(y) // POINTS, len(x) // POINTS
        values = self.blocks(np.repeat(y.reshape(p, POINTS), q, 0), np.tile(x.reshape(q, POINTS), (p, 1)))
        return values.reshape(p, q, POINTS, POINTS).transpose(0, 2, 1, 3).reshape(len(y), len(x))


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

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of it, in sentences."""
        if self.uncertain <= UNCERTAIN:
            return ()
        return (
            "f jumps along so many lines, or oscillates so fast, that it was not integrated to the end: up to "
            f"{min(self.uncertain, 1.0):.0%} of it may be wrong by parts of a fine cell.",
        )


def function_moments(
    sample: Sampler, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0), lower: tuple[float, float] = (0, 0)
) -> Moments:
    """Integrate a function, which may jump, against the hats of a grid.

    Parameters
    ----------
    sample : values of f in the rectangle.
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
    spacing, corner = (size[0] / cells[0], size[1] / cells[1]), (lower[1], lower[0])
    (ends_y, hats_y), (ends_x, hats_x) = (_equal_blocks(n) for n in cells)
    shape = len(ends_y), POINTS, len(ends_x), POINTS
    y, x = (corner[k] + spacing[k] * _samples(ends).ravel() for k, ends in ((0, ends_y), (1, ends_x)))
    values = _checked(sample.grid(y, x)).reshape(shape)
    boxes = np.stack([np.repeat(ends_y, len(ends_x), 0), np.tile(ends_x, (len(ends_y), 1))], 1)
    area = np.prod(boxes[:, :, 1] - boxes[:, :, 0], axis=1)
    mass = float((np.abs(values).mean((1, 3)).ravel() * area).sum())
    peak, left, uncertain = 0.0, SAMPLES + SAMPLES_PER_CELL * sum(cells), 0.0
    out: np.ndarray | None = None
    while True:  # first the equal blocks, then halves of those in which f is not smooth
        peak = max(peak, float(np.abs(values).max()))
        rough = _roughness(values)
        doubt = rough.max(1) * area
        halve = (rough > SMALL * peak) & (doubt > NEGLIGIBLE * mass)[:, None]
        again = halve.any(1)
        left -= int(again.sum()) * 2 * POINTS**2 if area.min() <= 1 else 0
        if left < 0:
            uncertain, again = float(doubt[again].sum()), np.zeros_like(again)
        if out is None:  # as tensor products, several times as fast as block by block
            smooth = np.where(again.reshape(shape[0], 1, shape[2], 1), 0.0, values) if again.any() else values
            out = along(hats_y, along(hats_x, smooth.reshape(len(y), len(x)), -1), -2)
        else:
            _add(out, boxes[~again], values[~again, :, 0])
        if not again.any():
            break
        boxes = _halved(boxes[again], halve[again])
        area = np.prod(boxes[:, :, 1] - boxes[:, :, 0], axis=1)
        y, x = (corner[k] + spacing[k] * _samples(boxes[:, k]) for k in (0, 1))
        values = _checked(sample.blocks(y, x))[:, :, None, :]
    share = uncertain / mass if mass > 0 else 0.0
    if share > 0:
        log.info("load integrated with jumps along curves, at most %.1g of it at the wrong place", share)
    return Moments(out * (spacing[0] * spacing[1]), share)


def of_callable(f: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Sampler:
    """Make a sampler of a function f(x, y) of broadcastable arrays."""
    return Sampler(
        lambda y, x: values_of(f, x[:, None, :], y[:, :, None]), lambda y, x: values_of(f, x[None, :], y[:, None])
    )


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

    def blocks(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.repeat(f(x)[:, None, :], y.shape[1], axis=1)

    return function_moments(Sampler(blocks), (1, n), (1.0, length), (lower, 0.0)).vector.sum(0)


@lru_cache(maxsize=16)
def _equal_blocks(n: int) -> tuple[np.ndarray, csr_array]:
    """Blocks to start from on an axis of n cells: ends (p, 2) in cells, and integrals (n+1, 5 p) against the hats."""
    width = max(d for d in range(1, n + 1) if n % d == 0 and n // d >= min(n, START))
    ends = np.arange(0, n, width, dtype=float)[:, None] + [0, width]
    first, integrals = _hat_integrals(ends, width)  # (p, width+1, 5)
    rows = np.broadcast_to((first[:, None] + np.arange(width + 1))[:, :, None], integrals.shape)
    columns = np.broadcast_to(np.arange(len(ends) * POINTS).reshape(-1, 1, POINTS), integrals.shape)
    entries = (integrals.ravel(), (rows.ravel(), columns.ravel()))
    return ends, csr_array(entries, shape=(n + 1, len(ends) * POINTS))


def _checked(values: np.ndarray) -> np.ndarray:
    """Check that samples are finite."""
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        raise InvalidProblem("f has values that are not finite.")
    return values


def _roughness(values: np.ndarray) -> np.ndarray:
    """Highest coefficients (p q, 2) along y and x of values (p, 5, q, 5) in blocks, with a part of the next ones."""
    p, points, q, _ = values.shape
    # Products so small that BLAS takes one thread: others would spin afterwards, and take a core from what follows.
    found = _TO_LEGENDRE @ values.reshape(p, points, q * points)
    found = np.abs(found.reshape(p, points * q, points) @ _TO_LEGENDRE.T).reshape(values.shape)
    in_y = (found[:, -1] + 0.01 * found[:, -2]).max(-1)
    in_x = (found[..., -1] + 0.01 * found[..., -2]).max(1)
    return np.stack([in_y.ravel(), in_x.ravel()], 1)


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
        moments = My @ values[mine] @ Mx.transpose(0, 2, 1)
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
