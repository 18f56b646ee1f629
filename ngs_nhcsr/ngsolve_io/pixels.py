"""The pixels of a piecewise constant coefficient, found by where it jumps: then its array is the coefficient itself."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

log = logging.getLogger(__name__)

#: Values (n,) of a coefficient at points y (n,) and x (n,) of the unit square that is mapped to the rectangle.
Values = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: Jumps that are located per axis, in a first and, where they miss narrow pixels, in a second attempt.
JUMPS = (16, 768)
#: Parts of an interval per step of the search, and steps: from 1/100 to 1e-14.
PARTS, STEPS = 16, 10
#: A change by less than this share of the values is none: the function is continuous there.
CONTINUOUS = 1e-6
#: Jumps lie on a grid if they are so close to its lines, in parts of the side.
ROUND_OFF = 1e-10
#: Pixels per axis and in all, up to which they are looked for.
MOST, MOST_IN_ALL = 4096, 2**22
#: Jumps are searched for along lines that are so far from samples, in their distances.
BESIDE = 0.1234567
#: Random points that must have the value of their pixel.
CHECKS = 10_000
#: Where in a pixel (y, x) its value is read: on no line of a grid that is twice or three times as fine.
PLACE = (0.41, 0.57)
#: A cell "varies" if its samples differ by more than this fraction of their mean.
VARIATION = 0.05


def find_pixels(
    values: Values, samples: np.ndarray, raster: tuple[int, int] | None = None, seed: int = 0
) -> np.ndarray | None:
    """Find the coarsest grid on whose cells a coefficient is constant, and its values there.

    Between samples that differ a jump is located to round-off, for some of them. The numbers of pixels are the least
    for which all these jumps lie on the grid's lines. All samples, and random points, must then have their pixel's
    value.

    Parameters
    ----------
    values : the coefficient.
    samples : (sy, sx) its values at the middles of sy x sx equal parts of the rectangle.
    raster : (my, mx) cells on which all samples agree, if there are such: if the jumps lie on its lines, it is enough.
    seed : of the choice of jumps and points.

    Returns
    -------
    Cell values (my, mx); ``None`` if the coefficient varies continuously, or jumps elsewhere than on such a grid, or
    on ``raster``.

    Examples
    --------
    >>> image = np.random.default_rng(1).random((7, 5))
    >>> def values(y, x):
    ...     return image[(7 * y).astype(int), (5 * x).astype(int)]
    >>> y, x = np.meshgrid((np.arange(24) + 0.5) / 24, (np.arange(24) + 0.5) / 24, indexing="ij")
    >>> bool((find_pixels(values, values(y, x)) == image).all()), find_pixels(lambda y, x: x + y, x + y) is None
    (True, True)
    """
    rng = np.random.default_rng(seed)
    for count in JUMPS:
        cells = _cells(values, samples, count, rng)
        if cells is None or cells[0] * cells[1] > MOST_IN_ALL:
            return None
        if raster is not None and all(n % m == 0 for n, m in zip(raster, cells, strict=True)):
            return None
        y, x = ((np.arange(m) + at) / m for m, at in zip(cells, PLACE, strict=True))
        pixels = values(np.repeat(y, cells[1]), np.tile(x, cells[0])).reshape(cells)
        if _agree(pixels, samples) and _agree_at_random(values, pixels, rng):
            log.info("the coefficient is constant on %d x %d pixels", *cells[::-1])
            return pixels
    return None


def _cells(values: Values, samples: np.ndarray, count: int, rng: np.random.Generator) -> tuple[int, int] | None:
    """Numbers of pixels (my, mx) that explain ``count`` jumps per axis."""
    y = (np.arange(samples.shape[0]) + 0.5) / samples.shape[0]
    x = (np.arange(samples.shape[1]) + 0.5) / samples.shape[1]
    along_y = _chosen(samples[1:] != samples[:-1], count, rng)
    along_x = _chosen(samples[:, 1:] != samples[:, :-1], count, rng)
    low = np.concatenate([y[along_y[0]], x[along_x[1]]])
    high = np.concatenate([y[along_y[0] + 1], x[along_x[1] + 1]])
    # Beside the samples: these may lie on lines of the grid, along which rounding decides.
    across = np.concatenate([x[along_y[1]] + BESIDE / len(x), y[along_x[0]] + BESIDE / len(y)])
    vertical = np.arange(len(low)) < len(along_y[0])
    jumps = _located(values, low, high, across, vertical)
    if jumps is None:
        return None
    my, mx = _common(jumps[vertical]), _common(jumps[~vertical])
    return None if my is None or mx is None else (my, mx)


def _chosen(differ: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Indices (iy, ix) of some places that are marked."""
    marked = np.flatnonzero(differ)
    return np.unravel_index(rng.choice(marked, min(count, len(marked)), replace=False), differ.shape)


def _located(
    values: Values, low: np.ndarray, high: np.ndarray, across: np.ndarray, vertical: np.ndarray
) -> np.ndarray | None:
    """Positions (n,) of jumps between ``low`` and ``high``, nan where values do not differ; ``None`` if one is none."""

    def at(t: np.ndarray) -> np.ndarray:
        y, x = np.where(vertical[:, None], t, across[:, None]), np.where(vertical[:, None], across[:, None], t)
        return values(y.ravel(), x.ravel()).reshape(t.shape)

    before, after = at(np.stack([low, high], 1)).T
    differ, row = before != after, np.arange(len(low))
    for _ in range(STEPS):
        t = low[:, None] + (high - low)[:, None] * np.arange(PARTS + 1) / PARTS
        found = at(t)
        found[:, 0], found[:, -1] = before, after  # where jumps are to round-off, another bit may decide
        first = (found != before[:, None]).argmax(1)
        first[~differ] = PARTS
        low, high, after = t[row, first - 1], t[row, first], found[row, first]
    jump = np.abs(after - before)[differ]
    if (jump <= CONTINUOUS * np.maximum(np.abs(after), np.abs(before))[differ]).any():
        return None
    return np.where(differ, (low + high) / 2, np.nan)


def _common(jumps: np.ndarray) -> int | None:
    """Least number of equal parts of [0, 1] between which all jumps lie; ``None`` if there is none."""
    parts = np.arange(1, MOST + 1)
    for jump in jumps[np.isfinite(jumps)]:
        parts = parts[np.abs(jump * parts - np.rint(jump * parts)) <= ROUND_OFF * parts]
    return int(parts[0]) if len(parts) else None


def _agree(pixels: np.ndarray, samples: np.ndarray) -> bool:
    """Whether all samples that lie on no line of the grid have the values of their pixels."""
    inside, place = [], []
    for m, s in zip(pixels.shape, samples.shape, strict=True):
        twice = (2 * np.arange(s) + 1) * m  # 2 s times the coordinate in pixels
        inside.append(twice % (2 * s) != 0)
        place.append((twice // (2 * s))[inside[-1]])
    return np.array_equal(pixels[np.ix_(*place)], samples[np.ix_(*inside)])


def _agree_at_random(values: Values, pixels: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether random points have the values of their pixels."""
    yx = rng.random((2, CHECKS))
    place = yx * np.array(pixels.shape)[:, None]
    inside = (np.abs(place - np.rint(place)) > ROUND_OFF * np.array(pixels.shape)[:, None]).all(0)
    iy, ix = place[:, inside].astype(int)
    return np.array_equal(values(*yx[:, inside]), pixels[iy, ix])
