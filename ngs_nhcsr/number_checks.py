"""One function per rule about single numbers: what counts as one, and the scale, steps and lengths that users give."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np

from .errors import InvalidProblem


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a real number, Python's or NumPy's; truth values are none.

    Parameters
    ----------
    value : anything.

    Returns
    -------
    bool

    Examples
    --------
    >>> [is_number(v) for v in (2, np.float32(2), True, 2j, "2", np.ones(1))]
    [True, True, False, False, False, False]
    """
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def is_whole(value: Any) -> TypeGuard[int]:
    """Tell whether a value is a whole number by its type, Python's or NumPy's; truth values are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_scale(scale: Any) -> float:
    """Check a scale and convert it to a float.

    Parameters
    ----------
    scale : fine cells per coarse cell and axis; a finite number ≥ 1.

    Returns
    -------
    float
        The scale.

    Raises
    ------
    InvalidProblem
        If it is anything else.

    Examples
    --------
    >>> check_scale(16)
    16.0
    """
    if not is_number(scale):
        raise InvalidProblem(
            f"scale must be a number (fine cells per coarse cell), not {type(scale).__name__} {scale!r}."
        )
    if not math.isfinite(scale) or scale < 1:
        raise InvalidProblem(f"scale must be finite and at least 1 (fine cells per coarse cell), not {scale}.")
    return float(scale)


def check_refinement(steps: Any, tolerance: Any) -> None:
    """Check what stops the multigrid steps after a correction.

    Parameters
    ----------
    steps : whole number ≥ 0.
    tolerance : relative energy error between 0 and 1, or ``None``.

    Raises
    ------
    InvalidProblem
        If one of them is anything else.
    """
    if not is_whole(steps) or steps < 0:
        raise InvalidProblem(f"refine must be a whole number of multigrid steps ≥ 0, not {steps!r}.")
    if tolerance is not None and not (is_number(tolerance) and 0 < tolerance < 1):
        raise InvalidProblem(f"refine_to must be a relative energy error between 0 and 1, not {tolerance!r}.")


def check_iteration(tolerance: Any, steps: Any) -> None:
    """Check what stops an iterative solve.

    Parameters
    ----------
    tolerance : between 0 and 1.
    steps : whole number ≥ 1.

    Raises
    ------
    InvalidProblem
        If one of them is anything else.
    """
    if not is_number(tolerance) or not 0 < tolerance < 1:
        raise InvalidProblem(f"tolerance must lie between 0 and 1, not {tolerance!r}.")
    if not is_whole(steps) or steps < 1:
        raise InvalidProblem(f"max_iterations must be a whole number ≥ 1, not {steps!r}.")


def check_size(size: Any) -> tuple[float, float]:
    """Check the sides of a rectangle and convert them to floats.

    Parameters
    ----------
    size : (Ly, Lx), positive, within 1e±25: energies grow with the fourth power.

    Returns
    -------
    tuple
        (Ly, Lx).

    Raises
    ------
    InvalidProblem
        If these are not two such lengths.

    Examples
    --------
    >>> check_size((1, 2))
    (1.0, 2.0)
    """
    try:
        values = tuple(float(v) for v in size)
    except (TypeError, ValueError):
        values = ()
    if len(values) != 2 or not all(math.isfinite(v) and v > 0 for v in values):
        raise InvalidProblem(f"size must be two positive lengths (Ly, Lx), not {size!r}.")
    if not all(1e-25 <= v <= 1e25 for v in values):
        raise InvalidProblem(f"size is {values[0]:g} x {values[1]:g}; beyond 1e±25 energies vanish. Change the units.")
    return values[0], values[1]
