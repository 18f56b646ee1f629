"""Families of coefficient fields, all seeded; arrays are ``[iy, ix]``, row 0 at the lowest y.

Every family is a function ``(shape, rng, contrast) -> A``:

- ``shape`` : (my, mx) cells of the raster.
- ``rng`` : generator of everything random; a generator in the same state gives the same field.
- ``contrast`` : largest over smallest value, > 1; reached by two-valued families, a bound for the others.
- ``A`` : (my, mx) positive cell values, float64.

Regular patterns are kept out of training: :func:`test_only` knows them. To add a family, decorate a function here, or
anywhere before its name is used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..registry import Registry

Shape = tuple[int, int]
Family = Callable[[Shape, np.random.Generator, float], np.ndarray]

families: Registry[Family] = Registry("coefficient family")


def test_only(name: str) -> bool:
    """Tell whether a family is a regular pattern that no configuration may train on, as the maps of the paper are."""
    return name in ("checkerboard", "wave", "stripes", "mixture") or name.startswith("map ")


def _smoothed(noise: np.ndarray, length: float) -> np.ndarray:
    """Noise after a Gaussian filter of standard deviation ``length`` in cells, reflected at the boundary."""
    from scipy.ndimage import gaussian_filter  # here, so that the names of the families are there at once

    return gaussian_filter(noise, length, mode="reflect")


def two_valued(mask: np.ndarray, contrast: float) -> np.ndarray:
    """Make the field that is ``contrast`` where ``mask`` (my, mx) is true, and 1 elsewhere."""
    return np.where(mask, float(contrast), 1.0)


@families.register("iid")
def iid(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Draw independent cells, 1 or ``contrast`` with equal probability (the NH-CSR paper's medium).

    Parameters
    ----------
    shape : (my, mx).
    rng : generator.
    contrast : > 1.

    Returns
    -------
    Cell values (my, mx).

    Examples
    --------
    >>> iid((2, 4), np.random.default_rng(0), 10.0)
    array([[ 1., 10., 10., 10.],
           [ 1.,  1.,  1.,  1.]])
    """
    return two_valued(rng.random(shape) < 0.5, contrast)


@families.register("iid-fraction")
def iid_fraction(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Draw independent cells with a random volume fraction of 0.1 … 0.9."""
    return two_valued(rng.random(shape) < rng.uniform(0.1, 0.9), contrast)


@families.register("multivalued")
def multivalued(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Draw independent cells, log-uniform in [1, contrast]."""
    return contrast ** rng.random(shape)


@families.register("blocks")
def blocks(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Draw independent two-valued blocks of 2 to 8 cells, shifted at random."""
    by, bx = rng.integers(2, 9, 2)
    coarse = rng.random((shape[0] // by + 2, shape[1] // bx + 2)) < 0.5
    oy, ox = rng.integers(0, by), rng.integers(0, bx)
    fine = coarse.repeat(by, 0).repeat(bx, 1)[oy : oy + shape[0], ox : ox + shape[1]]
    return two_valued(fine, contrast)


@families.register("lognormal")
def lognormal(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Draw a log-normal field with a correlation length of 1 to 8 cells, rescaled to the given contrast."""
    g = _smoothed(rng.standard_normal(shape), rng.uniform(1.0, 8.0))
    g = (g - g.min()) / (g.max() - g.min())
    return contrast**g


@families.register("soil")
def soil(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Draw a thresholded Gaussian field: correlated two-valued grains, like a segmented micro-CT image of soil."""
    length = rng.uniform(1.0, 4.0)
    g = _smoothed(rng.standard_normal(shape), length)
    return two_valued(g > np.quantile(g, rng.uniform(0.3, 0.7)), contrast)


@families.register("inclusions")
def inclusions(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Draw discs and rings of random radius; matrix 1, inclusions ``contrast`` or the reverse."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    mask = np.zeros(shape, bool)
    for _ in range(int(rng.integers(10, 80))):
        cy, cx = rng.random(2) * shape
        radius = rng.uniform(1.5, 8.0)
        d = np.hypot(y - cy, x - cx)
        inner = radius - rng.uniform(1.0, 2.5) if rng.random() < 0.5 else 0.0
        mask |= (d < radius) & (d >= inner)
    return two_valued(mask ^ bool(rng.random() < 0.5), contrast)


@families.register("channels")
def channels(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Draw long conducting channels through the whole domain, in one or both directions."""
    mask = np.zeros(shape, bool)
    for axis in (0, 1):
        for _ in range(int(rng.integers(0, 8))):
            at, width = int(rng.integers(0, shape[axis])), int(rng.integers(1, 4))
            if axis == 0:
                mask[at : at + width] = True
            else:
                mask[:, at : at + width] = True
    return two_valued(mask, contrast)


@families.register("periodic")
def periodic(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Repeat a random two-valued unit cell of 2 to 8 cells."""
    py, px = rng.integers(2, 9, 2)
    cell = rng.random((py, px)) < 0.5
    return two_valued(np.tile(cell, (shape[0] // py + 1, shape[1] // px + 1))[: shape[0], : shape[1]], contrast)


@families.register("checkerboard")
def checkerboard(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Make a checkerboard with squares of 1, 2 or 4 cells."""
    s = int(rng.choice([1, 2, 4]))
    y, x = np.mgrid[: shape[0], : shape[1]] // s
    return two_valued((y + x) % 2 == 0, contrast)


@families.register("wave")
def wave(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Sample smooth waves crossing at random angles at the cell centres, scaled to [1, contrast]."""
    y, x = (np.mgrid[: shape[0], : shape[1]] + 0.5) / max(shape)
    total = np.zeros(shape)
    for _ in range(2):
        angle, waves, phase = rng.uniform(0, np.pi), rng.uniform(4, 16), rng.uniform(0, 2 * np.pi)
        total += np.sin(2 * np.pi * waves * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    t = (total - total.min()) / (total.max() - total.min())
    return 1.0 + (contrast - 1.0) * t


@families.register("stripes")
def stripes(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Make parallel stripes of 1 to 4 cells along x or y: cell values (my, mx), 1 and ``contrast`` in turn."""
    width = int(rng.integers(1, 5))
    axis = int(rng.integers(2))
    index = np.mgrid[: shape[0], : shape[1]][axis] // width
    return two_valued(index % 2 == 0, contrast)


@families.register("mixture")
def mixture(shape: Shape, rng: np.random.Generator, contrast: float = 10.0) -> np.ndarray:
    """Fill four quadrants, each with checkerboard, stripes or wave."""
    out = np.empty(shape)
    half = (shape[0] // 2, shape[1] // 2)
    for ys in (slice(0, half[0]), slice(half[0], None)):
        for xs in (slice(0, half[1]), slice(half[1], None)):
            name = ("checkerboard", "stripes", "wave")[int(rng.integers(3))]
            out[ys, xs] = families[name](out[ys, xs].shape, rng, contrast)
    return out
