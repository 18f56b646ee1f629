"""Loads on the unit square for training and testing, all seeded; arrays are ``[iy, ix]``, row 0 at the lowest y."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Shape = tuple[int, int]

#: Kinds of loads that training draws.
LOADS = ("constant", "smooth", "localised", "sign-changing")

#: Loads for testing only, functions of (x, y).
TEST_LOADS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "sin sin": lambda x, y: np.sin(np.pi * x) * np.sin(np.pi * y),
    "sine + 0.2": lambda x, y: np.sin(2 * np.pi * x) + 0.2 + 0 * y,
    "corner source": lambda x, y: np.exp(-50 * (x * x + y * y)),
    "corner square": lambda x, y: 1.0 * ((x <= 0.25) & (y <= 0.25)),
}


def load(kind: str, nodes: Shape, rng: np.random.Generator) -> np.ndarray:
    """Draw the nodal values of a load f on a grid of the unit square; they are of order 1.

    Parameters
    ----------
    kind : "constant"; "smooth", a sum of cosines that stays positive; "sign-changing", one of mean 0; "localised", a
        Gaussian of width 0.04 to 0.25, often near the boundary; or a name in ``TEST_LOADS``.
    nodes : (ny+1, nx+1).
    rng : generator of everything random.

    Returns
    -------
    Nodal values (ny+1, nx+1).

    Raises
    ------
    ValueError
        For another kind.
    """
    y, x = np.linspace(0, 1, nodes[0])[:, None], np.linspace(0, 1, nodes[1])[None, :]
    if kind == "constant":
        return np.ones(nodes)
    if kind in ("smooth", "sign-changing"):
        k = np.arange(4)
        weights = rng.standard_normal((4, 4)) / (1 + k[:, None] ** 2 + k[None, :] ** 2)
        f = np.cos(np.pi * y * k) @ weights @ np.cos(np.pi * k[:, None] * x)
        f /= np.abs(f).max()
        return f - f.mean() if kind == "sign-changing" else f + 1.2
    if kind == "localised":
        # Half of the centres lie on the boundary or near it, where narrow sources are hardest.
        cy, cx = np.clip(rng.uniform(-0.2, 1.2, 2), 0, 1)
        width = 0.04 * (0.25 / 0.04) ** rng.random()
        return np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2))
    if kind in TEST_LOADS:
        return TEST_LOADS[kind](x, y)
    raise ValueError(f"no load called {kind!r}; there are: {', '.join((*LOADS, *TEST_LOADS))}")
