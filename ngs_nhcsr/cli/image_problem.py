"""Diffusion on the pixels of an image, from boundary conditions in words to a problem."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..checks import available_memory
from ..errors import GridMismatch, InvalidProblem
from ..media.voids import grounded, leads_through
from ..solvers.space import SIDES
from ..solvers.trace.candidates import LARGEST_CONTRAST

#: Pixels per coarse cell and axis that the networks were trained for.
PIXELS_PER_COARSE = 4
#: Memory in bytes per pixel that the solver of the PDE takes on media with two values and with any values.
TWO_VALUED, ANY_VALUES = 7_000, 27_000
SEALED = "sealed"
#: Of an effective conductivity.
BOUNDARIES = ("periodic", "linear", "sealed")


@dataclass(frozen=True, eq=False)
class ImageProblem:
    r"""Problem :math:`-\nabla\cdot(a\nabla u) = f` on square pixels.

    Attributes
    ----------
    a : (my, mx) coefficients, row 0 at the lowest y.
    pixel : side of a pixel.
    sides : prescribed value of every side, None where it is sealed (no flow).
    load : the constant f, where there is a load.
    voids : (my, mx) mask of the pixels that do not conduct, None without.
    """

    a: np.ndarray
    pixel: float
    sides: dict[str, float | None]
    load: float
    voids: np.ndarray | None = None

    @property
    def size(self) -> tuple[float, float]:
        """(Ly, Lx)."""
        return self.a.shape[0] * self.pixel, self.a.shape[1] * self.pixel

    @property
    def values(self) -> dict[str, float]:
        """Prescribed values of the sides that are not sealed."""
        return {side: value for side, value in self.sides.items() if value is not None}

    @property
    def sealed(self) -> tuple[str, ...]:
        """Sides without flow."""
        return tuple(side for side, value in self.sides.items() if value is None)

    @property
    def loaded(self) -> np.ndarray:
        """Mask (my, mx) of the pixels that the load is on: no voids, and no grains between voids."""
        if self.voids is None:
            return np.ones(self.a.shape, bool)
        return grounded(self.voids, self.values)

    @property
    def f(self) -> float | np.ndarray:
        """The load, a number or values (my, mx) of the pixels."""
        return float(self.load) if self.voids is None or self.load == 0 else self.load * self.loaded

    @property
    def total_load(self) -> float:
        """Integral of the load."""
        return self.load * float(self.loaded.mean()) * self.size[0] * self.size[1]

    @property
    def drop(self) -> tuple[str, str, float] | None:
        """Sides of the larger and the smaller value and their difference, where nothing but that drives a flow."""
        values = self.values
        if self.load or len(values) != 2 or set(values) not in ({"left", "right"}, {"bottom", "top"}):
            return None
        low, high = sorted(values, key=lambda side: values[side])
        return high, low, values[high] - values[low]

    @property
    def cut_off(self) -> str:
        """Sentence for a pressure drop that no way of grains between voids follows, else empty."""
        if self.voids is None or self.drop is None:
            return ""
        return no_way(self.voids, *self.drop[:2])

    @property
    def described(self) -> str:
        """Conditions, load and size in one line for the user."""
        values = self.values
        if len(set(values.values())) == 1:
            parts = [f"u = {next(iter(values.values())):g} on {', '.join(values)}"]
        else:
            parts = [f"u = {value:g} on {side}" for side, value in values.items()]
        parts += [f"sealed: {', '.join(self.sealed)}"] * bool(self.sealed)
        where = "" if self.voids is None or not self.load else f" on {self.loaded.mean():.1%}"
        return "; ".join([*parts, f"load {self.load:g}{where}", f"size {self.size[1]:g} x {self.size[0]:g}"])


def parse_sides(text: str | None) -> dict[str, float | None]:
    """Read boundary conditions from words like ``left=0,right=1,top=sealed``; sides not named have the value 0.

    Parameters
    ----------
    text : as the user wrote it; None: all values 0.

    Returns
    -------
    dict
        Value of every side, None where it is sealed.

    Raises
    ------
    InvalidProblem
        If a side is unknown, named twice, or not followed by a number or "sealed"; if all sides are sealed, or two
        values meet in a corner.

    Examples
    --------
    >>> parse_sides("left=0,right=1,top=sealed,bottom=sealed")
    {'bottom': None, 'right': 1.0, 'top': None, 'left': 0.0}
    """
    given: dict[str, float | None] = {}
    for part in text.split(",") if text else ():
        side, equals, value = (word.strip().lower() for word in part.partition("="))
        if not equals:
            raise InvalidProblem(
                f"--bc needs side=value or side={SEALED}, e.g. left=1,right=0,top={SEALED},bottom={SEALED}, not "
                f"{part.strip()!r}."
            )
        if side not in SIDES:
            raise InvalidProblem(f"there is no side {side!r} in --bc; the sides are {', '.join(SIDES)}.")
        if side in given:
            raise InvalidProblem(f"--bc names the side {side} twice; give it one condition.")
        given[side] = None if value == SEALED else _number(value, f'--bc {side}= needs a number or "{SEALED}"')
    sides = {side: given.get(side, 0.0) for side in SIDES}
    if all(value is None for value in sides.values()):
        raise InvalidProblem("with all sides sealed u is determined up to a constant only; give one side a value.")
    for one, other in zip(SIDES, SIDES[1:] + SIDES[:1], strict=True):
        v, w = sides[one], sides[other]
        if v is not None and w is not None and v != w:
            raise InvalidProblem(
                f"u jumps from {v:g} on {one} to {w:g} on {other} at their corner, and no field of finite energy does "
                f"that; seal a side that is not meant, e.g. --bc {_sealed(sides, given)}."
            )
    return sides


def _sealed(sides: dict[str, float | None], given: dict[str, float | None]) -> str:
    """Example of --bc that keeps the values that were given and seals the other sides, or one of two neighbours."""
    kept = {s: v for s, v in given.items() if v is not None}
    if any(a in kept and b in kept for a, b in zip(SIDES, SIDES[1:] + SIDES[:1], strict=True)):
        kept = dict(list(kept.items())[:1])
    if len(kept) == 1:  # one value alone would be u everywhere: the opposite side keeps its own
        opposite = SIDES[(SIDES.index(next(iter(kept))) + 2) % 4]
        kept[opposite] = sides[opposite] or 0.0
    return ",".join(f"{s}={kept[s]:g}" if s in kept else f"{s}={SEALED}" for s in sides)


def image_problem(
    a: np.ndarray,
    sides: dict[str, float | None],
    load: float | None = None,
    pixel: float | None = None,
    voids: np.ndarray | None = None,
) -> ImageProblem:
    """Put a problem together with its defaults.

    Parameters
    ----------
    a : (my, mx) coefficients, row 0 at the lowest y.
    sides : prescribed value of every side, None where it is sealed.
    load : the constant f; None: 1 where all prescribed values are 0, else 0.
    pixel : side of a pixel; None: the longer side of the image is 1.
    voids : (my, mx) mask of the pixels that do not conduct.

    Returns
    -------
    ImageProblem
        With all defaults set.

    Raises
    ------
    InvalidProblem
        If a number makes no sense, or nothing drives a flow.
    """
    h = 1 / max(a.shape) if pixel is None else pixel
    if not (math.isfinite(h) and h > 0):
        raise InvalidProblem(f"--pixel must be a positive length, not {h:g}.")
    values = {value for value in sides.values() if value is not None}
    f = float(values == {0.0}) if load is None else load
    if not math.isfinite(f):
        raise InvalidProblem(f"--load must be finite, not {f:g}.")
    if f == 0 and len(values) == 1:
        raise InvalidProblem(
            f"without load and with one boundary value, u is {values.pop():g} everywhere; give --load or another value."
        )
    problem = ImageProblem(a, h, sides, f, voids)
    if f and not problem.loaded.any():
        raise InvalidProblem("voids cut all pixels off from the sides with given values; open a way, or --load 0.")
    return problem


def fine_per_pixel(scale: float) -> int:
    """Return the fine cells per pixel and axis of a scale.

    Parameters
    ----------
    scale : fine cells per coarse cell of four pixels and axis.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    GridMismatch
        If that is no whole number.
    """
    ratio = scale / PIXELS_PER_COARSE
    if not math.isfinite(ratio) or ratio < 1 or ratio != round(ratio):
        raise GridMismatch(f"scale {scale:g} gives {ratio:g} fine cells per pixel; choose a multiple of 4.")
    return int(ratio)


def check_pixels(a: np.ndarray) -> None:
    """Check before the work that the solver of the PDE has memory for the pixels.

    Parameters
    ----------
    a : (my, mx) coefficients; media with two values need less.

    Raises
    ------
    InvalidProblem
        If it has not.
    """
    need = a.size * (TWO_VALUED if len(np.unique(a)) <= 2 else ANY_VALUES)
    free = available_memory()
    if free is not None and need > free:
        raise InvalidProblem(
            f"{a.shape[1]} x {a.shape[0]} pixels need about {need / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free; "
            "cut a part out of the image."
        )


def no_way(voids: np.ndarray, start: str, end: str) -> str:
    """Say that no grains lead from one side to another.

    Parameters
    ----------
    voids : (my, mx) mask of the pixels that do not conduct.
    start, end : the sides.

    Returns
    -------
    str
        A sentence; empty if some do.
    """
    if leads_through(voids, start, end):
        return ""
    return (
        f"no way through grains that share edges leads from {start} to {end}: what flows there comes of the small "
        "number that voids have, and of corners."
    )


def check_boundary(boundary: str) -> None:
    """Check the boundary condition of an effective conductivity; raises ``InvalidProblem``."""
    if boundary not in BOUNDARIES:
        raise InvalidProblem(f'--boundary must be "periodic", "linear" or "sealed", not {boundary!r}.')


def check_contrast(a: np.ndarray) -> None:
    """Check before the work that the solvers take the contrast of a coefficient.

    Parameters
    ----------
    a : (my, mx) positive coefficients.

    Raises
    ------
    InvalidProblem
        If they do not.
    """
    contrast = float(a.max() / a.min())
    if contrast > LARGEST_CONTRAST:
        raise InvalidProblem(
            f"the image has contrast {contrast:.1e}; at most {LARGEST_CONTRAST:.0e} is solved: raise the smallest "
            "value."
        )


def _number(text: str, message: str) -> float:
    """Finite number of a text; ``message`` begins the error."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidProblem(f"{message}, not {text!r}.")
    return value
