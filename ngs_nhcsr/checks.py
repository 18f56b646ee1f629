"""One function per rule about arrays and memory; each raises with what is wrong, where, and what to do.

The rules about numbers are in ``number_checks``, those about NGSolve's objects in ``ngsolve_io.checks``.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from .errors import GridMismatch, InvalidProblem, NotCoercive
from .number_checks import is_number

#: Estimated need of a correction, per node of the fine grid.
BYTES_PER_NODE = 600

#: Coefficients outside 10^±LIMIT lose all digits in the stiffness matrix.
EXPONENT_LIMIT = 100
#: Entries xy and yx of a symmetric tensor may differ by so much of the largest entry.
SYMMETRIC = 1e-10
#: Ratio of the eigenvalues of a tensor below which its matrix is singular to round-off.
DEFINITE = 1e-13


def check_kind(value: Any, kind: type, name: str) -> None:
    """Check that an optional argument has its type.

    Parameters
    ----------
    value : ``None`` or an object of the type.
    kind : a type of NGSolve or of this package.
    name : of the argument, for the message.

    Raises
    ------
    InvalidProblem
        If it is of another type.
    """
    if value is not None and not isinstance(value, kind):
        owner = "an NGSolve" if kind.__module__.startswith("ngsolve") else "a"
        raise InvalidProblem(f"{name} must be {owner} {kind.__name__}, not {described(value)}.")


def described(value: Any, limit: int = 80) -> str:
    """Describe a value for an error message by its type and ``repr``.

    Parameters
    ----------
    value : anything.
    limit : characters of the ``repr`` that are kept.

    Returns
    -------
    str
        Both, with white space in the ``repr`` reduced to single blanks.

    Examples
    --------
    >>> described("fine"), described("x" * 200, limit=6)
    ("str 'fine'", "str 'xxxxx…")
    """
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text if len(text) <= limit else text[:limit] + '…'}"


def check_coefficient_values(a: Any, *, sampled: int = 1) -> np.ndarray:
    """Check cell values of a coefficient and copy them.

    Parameters
    ----------
    a : two-dimensional array ``[iy, ix]`` of real numbers or what converts to one.
    sampled : samples per raster cell and axis, where they are samples: messages name the raster cell.

    Returns
    -------
    np.ndarray
        (my, mx) float64, C-contiguous, a new array.

    Raises
    ------
    InvalidProblem
        If they are not real, not two-dimensional, not finite, or beyond 10^±100.
    NotCoercive
        If one is not positive.

    Examples
    --------
    >>> check_coefficient_values([[1, 2]])
    array([[1., 2.]])
    """
    values = _finite_values(a, "coefficient", sampled)
    lo = float(values.min())
    if lo <= 0:
        iy, ix = (int(k) // sampled for k in np.unravel_index(int(values.argmin()), values.shape))
        kind = "changes sign" if values.max() > 0 and lo < 0 else "is not positive"
        raise NotCoercive(
            f"the coefficient {kind}: its minimum is {lo:.3g} in cell (iy={iy}, ix={ix}). −div(a∇u) = f needs a > 0 "
            "everywhere; ngs_nhcsr.media.voids.fill_voids gives zeros a tiny value."
        )
    exponents = np.log10(values)
    if np.abs(exponents).max() > EXPONENT_LIMIT:
        raise InvalidProblem(
            f"the coefficient spans 1e{exponents.min():.0f} … 1e{exponents.max():.0f}; beyond 1e±{EXPONENT_LIMIT} the "
            "stiffness matrix loses all digits. Change the units."
        )
    return values


def check_tensor_values(a: Any, *, sampled: int = 1) -> np.ndarray:
    """Check cell values of a tensor coefficient.

    Parameters
    ----------
    a : array ``[iy, ix, i, j]`` of real symmetric positive definite 2 x 2 matrices, or what converts to one.
    sampled : as for :func:`check_coefficient_values`.

    Returns
    -------
    np.ndarray
        (3, my, mx) entries xx, yy, xy, float64, a new array.

    Raises
    ------
    InvalidProblem
        If they are not real, not finite, not symmetric, or beyond 10^±100.
    NotCoercive
        If one is not positive definite.

    Examples
    --------
    >>> check_tensor_values([[[[2, 1], [1, 3]]]]).tolist()
    [[[2.0]], [[3.0]], [[1.0]]]
    """
    a = np.asarray(a)
    if a.ndim != 4 or a.shape[2:] != (2, 2):
        raise InvalidProblem(f"a tensor coefficient is an array [iy, ix, i, j] of 2 x 2 matrices, not {a.shape}.")
    (xx, xy), (yx, yy) = ([_finite_values(a[..., i, j], "coefficient", sampled) for j in (0, 1)] for i in (0, 1))
    size = np.maximum(np.maximum(abs(xx), abs(yy)), np.maximum(abs(xy), abs(yx)))

    def place(worst: np.ndarray) -> str:
        at = np.unravel_index(int(worst.argmax()), worst.shape)
        rows = [[f"{v[at]:.3g}" for v in row] for row in ((xx, xy), (yx, yy))]
        iy, ix = (int(k) // sampled for k in at)
        return f"[[{', '.join(rows[0])}], [{', '.join(rows[1])}]] in cell (iy={iy}, ix={ix})"

    skew = abs(xy - yx)
    if (skew > SYMMETRIC * size).any():
        raise InvalidProblem(
            f"the coefficient is not symmetric: it is {place(skew / np.maximum(size, 1e-300))}. Only symmetric tensors "
            "are supported; the other part of it is a convection."
        )
    xy = (xy + yx) / 2
    mean, radius = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    if (mean <= 0).any() or (radius >= mean * (1 - DEFINITE)).any():
        worst = (radius - mean) / np.maximum(size, 1e-300)
        raise NotCoercive(
            f"the coefficient is not positive definite: it is {place(worst)}, with an eigenvalue "
            f"{float((mean - radius).flat[int(worst.argmax())]):.3g}. −div(a∇u) = f needs positive ones everywhere."
        )
    if abs(np.log10(mean)).max() > EXPONENT_LIMIT:
        raise InvalidProblem(f"the coefficient has entries beyond 1e±{EXPONENT_LIMIT}, where digits are lost.")
    return np.stack([xx, yy, xy])


def check_reaction_values(c: Any, *, sampled: int = 1) -> np.ndarray | None:
    """Check cell values of a reaction and copy them.

    Parameters
    ----------
    c : number ≥ 0, two-dimensional array ``[iy, ix]`` of such, or ``None``.
    sampled : as for :func:`check_coefficient_values`.

    Returns
    -------
    np.ndarray or None
        (py, px) float64, a new array; ``None`` for no reaction, and for one that is zero.

    Raises
    ------
    InvalidProblem
        If they are not real, not two-dimensional, not finite, or beyond 10^100.
    NotCoercive
        If one is negative.

    Examples
    --------
    >>> check_reaction_values(2), check_reaction_values(0.0)
    (array([[2.]]), None)
    """
    if c is None:
        return None
    values = _finite_values([[c]] if is_number(c) else c, "reaction", sampled)
    lo, hi = float(values.min()), float(values.max())
    if lo < 0:
        iy, ix = (int(k) // sampled for k in np.unravel_index(int(values.argmin()), values.shape))
        raise NotCoercive(
            f"the reaction is negative: its minimum is {lo:.3g} in cell (iy={iy}, ix={ix}). −div(a∇u) + c u = f needs "
            "c ≥ 0 everywhere."
        )
    if hi > 10.0**EXPONENT_LIMIT:
        raise InvalidProblem(f"the reaction reaches {hi:.0e}; beyond 1e{EXPONENT_LIMIT} digits are lost. Change units.")
    return values if hi > 0 else None


def check_magnitude(largest: float, name: str) -> None:
    """Check that squares of data neither vanish nor overflow.

    Parameters
    ----------
    largest : of the absolute values.
    name : of the data, for the message.

    Raises
    ------
    InvalidProblem
        If it lies beyond 10^±100; zero does not.
    """
    if largest and not 10.0**-EXPONENT_LIMIT <= largest <= 10.0**EXPONENT_LIMIT:
        raise InvalidProblem(
            f"the values of {name} reach {largest:.0e}; beyond 1e±{EXPONENT_LIMIT} their squares lose digits. Change "
            "the units."
        )


def refuse_masked(values: Any, name: str) -> None:
    """Refuse masked values, which NumPy would take for numbers.

    Parameters
    ----------
    values : anything.
    name : of the argument, for the message.

    Raises
    ------
    InvalidProblem
        If there are any.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise InvalidProblem(f"the {name} has masked values; give them numbers by its filled(value).")


def _finite_values(a: Any, name: str, sampled: int) -> np.ndarray:
    """Copy cell values, checked to be a two-dimensional array of finite real numbers."""
    refuse_masked(a, name)
    if isinstance(a, (str, Path)):
        raise InvalidProblem(
            f"the {name} must hold real numbers, and is a name, {str(a)!r}; read an image's values by read_medium()."
        )
    try:
        values = np.asarray(a)
    except Exception as error:
        raise InvalidProblem(f"the {name} cannot be read as an array: {error}") from error
    if np.iscomplexobj(values):
        raise InvalidProblem(f"the {name} is complex; only real scalars are supported. Pass its real part.")
    if values.dtype == object or values.dtype.kind not in "fiu":
        raise InvalidProblem(f"the {name} must hold real numbers, not {values.dtype}.")
    if values.ndim != 2 or not values.size:
        raise InvalidProblem(
            f"the {name} array must be two-dimensional [iy, ix] (row 0 at the lowest y), not of shape {values.shape}."
        )
    values = np.array(values, dtype=float, order="C")
    finite = np.isfinite(values)
    if not finite.all():
        iy, ix = (int(k) // sampled for k in np.argwhere(~finite)[0])
        raise InvalidProblem(
            f"the {name} is {values[~finite][0]} in cell (iy={iy}, ix={ix}) of its raster, and not finite in "
            f"{int((~finite).sum())} place(s); replace these values."
        )
    return values


def check_raster_shape(
    shape: tuple[int, ...],
    cells: tuple[int, int],
    cells_per_coarse: int | None,
    size: tuple[float, float] = (1.0, 1.0),
) -> None:
    """Check that a raster is not transposed by mistake, and has the cells that were asked for.

    Parameters
    ----------
    shape : (my, mx) cells of the coefficient; they need not be multiples of the coarse cells.
    cells : (ny, nx) coarse cells.
    cells_per_coarse : raster cells per coarse cell and axis that were asked for; ``None`` for any number.
    size : (Ly, Lx) of the rectangle.

    Raises
    ------
    GridMismatch
        If the transposed array fits the coarse cells, the array does not, and its pixels are no closer to squares; or
        if ``cells_per_coarse`` asks for another raster.
    """
    (ny, nx), (my, mx) = cells, shape
    fits, turned = my % ny == mx % nx == 0, my % nx == mx % ny == 0
    aspect, other = (abs(math.log(size[0] * w / (size[1] * h))) for h, w in ((my, mx), (mx, my)))
    if turned and not fits and aspect >= other - 1e-9:
        raise GridMismatch(
            f"the coefficient array of shape {shape} is no multiple of the {ny} x {nx} (y, x) coarse cells, but the "
            f"transposed array is: rows are y, columns are x. If it is right, give it as VoxelCoefficient."
        )
    if cells_per_coarse is not None and shape != (ny * cells_per_coarse, nx * cells_per_coarse):
        raise GridMismatch(
            f"cells_per_coarse={cells_per_coarse} asks for a raster of {(ny * cells_per_coarse, nx * cells_per_coarse)}"
            f", but the coefficient array has shape {shape}; leave cells_per_coarse out."
        )


def check_memory(cells: tuple[int, int]) -> None:
    """Check before anything is allocated that a fine grid fits into memory.

    Parameters
    ----------
    cells : (ny, nx) fine cells.

    Raises
    ------
    InvalidProblem
        If it does not fit.
    """
    need = (cells[0] + 1) * (cells[1] + 1) * BYTES_PER_NODE
    free = available_memory() if need > 2**27 else None  # asking takes as long as ten passes over a smaller grid
    if free is not None and need > free:
        raise InvalidProblem(
            f"a fine grid of {cells[1]} x {cells[0]} cells needs about {need / 2**30:.1f} GiB, {free / 2**30:.1f} GiB "
            "are free; choose a smaller scale."
        )


def available_memory() -> int | None:
    """Return the free memory in bytes, or ``None`` where the system does not tell."""
    try:
        with open("/proc/meminfo") as f:
            for line in f:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
