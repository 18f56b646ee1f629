"""Media of the suite "beyond": random pixels, patterns, and photographs that are thresholded at their median."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import DependencyMissing
from ..media.families import families, two_valued
from ..media.maps import paper_map

#: Pixels a side, and those of the large photographs.
PIXELS, LARGE = 128, 512
CONTRASTS = (10.0, 100.0, 1000.0)
#: Photographs that scikit-image carries in its package, without a download, and whether they have ``LARGE`` pixels.
PHOTOGRAPHS = {"gravel": True, "grass": True, "page": False}


@dataclass(frozen=True)
class MediumKind:
    """A kind of medium.

    Attributes
    ----------
    name : for tables; ends in its contrast.
    make : seed -> (pixels, pixels) positive cell values, row 0 at the lowest y.
    pixels : a side.
    random : whether seeds matter.
    """

    name: str
    make: Callable[[int], np.ndarray]
    pixels: int = PIXELS
    random: bool = True


def family(name: str, contrast: float) -> Callable[[int], np.ndarray]:
    """Return the maker (see :class:`MediumKind`) of the seeded media of one of ``media.families``."""
    return lambda seed: families[name]((PIXELS, PIXELS), np.random.default_rng(seed), contrast)


def three_phases(seed: int) -> np.ndarray:
    """Draw independent pixels (128, 128) with the values 1, 10 and 100."""
    return np.random.default_rng(seed).choice([1.0, 10.0, 100.0], (PIXELS, PIXELS))


@lru_cache(maxsize=8)
def photograph(name: str) -> np.ndarray:
    """Read a photograph in scikit-image's package.

    Parameters
    ----------
    name : of the file, without its ending.

    Returns
    -------
    Grey values (rows, columns), turned so that row 0 is the lowest.

    Raises
    ------
    DependencyMissing
        If scikit-image, or the photograph in its package, is not there. Nothing is downloaded.
    """
    found = importlib.util.find_spec("skimage")
    path = Path(found.origin).parent / "data" / f"{name}.png" if found is not None and found.origin else None
    if path is None or not path.exists():
        raise DependencyMissing(
            f"the photograph {name!r} comes with scikit-image: pip install 'ngs-nhcsr[train]'; it is not downloaded."
        )
    from skimage.io import imread

    return np.asarray(imread(path), dtype=float)[::-1]


def thresholded(name: str, pixels: int, contrast: float) -> Callable[[int], np.ndarray]:
    """Return the maker (see :class:`MediumKind`) of a two-valued medium from a photograph.

    Parameters
    ----------
    name : of the photograph.
    pixels : a side; its lower left corner is taken.
    contrast : value where it is brighter than the median; elsewhere 1.

    Returns
    -------
    A function seed -> (pixels, pixels) cell values, the same for all seeds.
    """

    def make(seed: int) -> np.ndarray:
        crop = photograph(name)[:pixels, :pixels]
        return two_valued(crop > np.median(crop), contrast)

    return make


def _photographs(pixels: int) -> tuple[MediumKind, ...]:
    names = [name for name, large in PHOTOGRAPHS.items() if large or pixels < LARGE]
    return tuple(
        MediumKind(f"{name}, {pixels}² pixels, 1:{c:g}", thresholded(name, pixels, c), pixels, random=False)
        for name in names
        for c in CONTRASTS
    )


MEDIA: tuple[MediumKind, ...] = (
    *(MediumKind(f"random 1:{c:g}", family("iid", c)) for c in CONTRASTS),
    MediumKind("log-uniform 1:100", family("multivalued", 100.0)),
    MediumKind("three phases 1:10:100", three_phases),
    MediumKind("smooth wave 1:19", family("wave", 19.0)),
    MediumKind("checkerboard 1:10", lambda seed: paper_map("checkerboard 1", (PIXELS, PIXELS), 10.0), random=False),
    MediumKind("channels 1:1000", family("channels", 1000.0)),
    *_photographs(PIXELS),
    *_photographs(LARGE),
)
