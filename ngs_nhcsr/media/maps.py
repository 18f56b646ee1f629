"""Thirteen deterministic test maps after the NH-CSR paper (arXiv 2411.07576, section IV): wave, checkerboard, stripes.

The paper shows them without parameters, so these are ours: three checkerboards, four stripe patterns, three waves, and
three mixtures that fill the quadrants from the other ten. Never trained on.
"""

from __future__ import annotations

import numpy as np

from .families import Family, Shape, families, two_valued

Pattern = tuple[str, dict[str, float]]

_PLAIN: dict[str, Pattern] = {
    "checkerboard 1": ("checkerboard", {"side": 1}),
    "checkerboard 2": ("checkerboard", {"side": 2}),
    "checkerboard 4": ("checkerboard", {"side": 4}),
    "stripes x 1": ("stripes", {"width": 1, "axis": 1}),
    "stripes x 3": ("stripes", {"width": 3, "axis": 1}),
    "stripes y 2": ("stripes", {"width": 2, "axis": 0}),
    "stripes y 4": ("stripes", {"width": 4, "axis": 0}),
    "wave x": ("wave", {"kx": 16, "ky": 0}),
    "wave xy": ("wave", {"kx": 9, "ky": 9}),
    "wave crossed": ("wave", {"kx": 12, "ky": -5}),
}
_MIXTURES: dict[str, tuple[str, str, str, str]] = {
    "mixture a": ("checkerboard 1", "stripes x 1", "wave xy", "checkerboard 4"),
    "mixture b": ("wave x", "checkerboard 2", "stripes y 4", "wave crossed"),
    "mixture c": ("stripes y 2", "wave x", "checkerboard 4", "stripes x 3"),
}


def _plain(name: str, shape: Shape, contrast: float) -> np.ndarray:
    kind, p = _PLAIN[name]
    y, x = np.mgrid[: shape[0], : shape[1]]
    if kind == "checkerboard":
        return two_valued((y // p["side"] + x // p["side"]) % 2 == 0, contrast)
    if kind == "stripes":
        return two_valued(((y, x)[int(p["axis"])] // p["width"]) % 2 == 0, contrast)
    phase = 2 * np.pi * (p["kx"] * (x + 0.5) / shape[1] + p["ky"] * (y + 0.5) / shape[0])
    return 1.0 + (contrast - 1.0) * (1 + np.sin(phase)) / 2


def paper_map(name: str, shape: Shape, contrast: float) -> np.ndarray:
    """Make one of the maps; waves are sampled at the cell centres.

    Parameters
    ----------
    name : one of ``MAPS``.
    shape : (my, mx).
    contrast : largest over smallest value.

    Returns
    -------
    Cell values (my, mx) in [1, contrast].

    Examples
    --------
    >>> paper_map("checkerboard 2", (4, 4), 10.0)[0]
    array([10., 10.,  1.,  1.])
    """
    if name in _PLAIN:
        return _plain(name, shape, contrast)
    out = np.empty(shape)
    half = (shape[0] // 2, shape[1] // 2)
    quadrants = [
        (ys, xs) for ys in (slice(0, half[0]), slice(half[0], None)) for xs in (slice(0, half[1]), slice(half[1], None))
    ]
    for part, quadrant in zip(_MIXTURES[name], quadrants, strict=True):
        out[quadrant] = _plain(part, shape, contrast)[quadrant]
    return out


def _family(name: str) -> Family:
    """A map as a coefficient family; it needs no generator."""
    return lambda shape, rng, contrast=10.0: paper_map(name, shape, contrast)


#: Names of the maps; as coefficient families they are called "map NAME".
MAPS = (*_PLAIN, *_MIXTURES)
for _name in MAPS:
    families.register(f"map {_name}")(_family(_name))
