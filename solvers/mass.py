"""Q1 mass matrices as products of one-dimensional ones: products, inverses, the L2 projection on one field."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from .q1 import interval_mass, mass_apply

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")


def mass_times(v: Array, size: tuple[float, float]) -> Array:
    """Multiply nodal values (..., ny+1, nx+1) on a rectangle of size (Ly, Lx) with the Q1 mass matrix."""
    if isinstance(v, np.ndarray):
        return mass_apply(v, size)
    from .stencil import apply_mass

    return apply_mass(v, size)


def best_multiple(v: np.ndarray, reference: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Compute the multiple of a field that is nearest to a reference in the L2 norm.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values.
    reference : (ny+1, nx+1) nodal values on the same grid.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    Nodal values (ny+1, nx+1); ``v`` itself where it is zero.

    Examples
    --------
    >>> v = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> best_multiple(v, 3 * v, (1.0, 1.0)).round(12).tolist()
    [[0.0, 3.0], [3.0, 0.0]]
    """
    weighted = mass_apply(v, size)
    norm = float(np.sum(weighted * v))
    return v * (float(np.sum(weighted * reference)) / norm) if norm > 0 else v


def both_axes(My: np.ndarray, Mx: np.ndarray, v: Array) -> Array:
    """Apply a matrix (n, N) along y and one (m, M) along x to v (..., N, M): (..., n, m)."""
    from .linalg import apply_x, apply_y, quiet_blas

    if isinstance(v, np.ndarray):
        with quiet_blas():
            return My @ v @ Mx.T
    import torch

    return apply_x(torch.from_numpy(Mx).to(v), apply_y(torch.from_numpy(My).to(v), v))


def projected(b: Array, size: tuple[float, float]) -> Array:
    """Find the Q1 function with load vectors b on their grid: apply the inverse mass matrix, axis by axis."""
    if isinstance(b, np.ndarray):
        for axis, length in zip((-2, -1), size, strict=True):
            b = np.moveaxis(_solve_mass(np.moveaxis(b, axis, 0), length), 0, axis)  # type: ignore[assignment]
        return np.ascontiguousarray(b)  # type: ignore[return-value]
    inverse = [_inverse_mass(n - 1) * ((n - 1) / length) for n, length in zip(b.shape[-2:], size, strict=True)]
    return both_axes(inverse[0], inverse[1], b)


def _solve_mass(b: np.ndarray, length: float) -> np.ndarray:
    """Solve with the one-dimensional mass matrix of the first axis, a band matrix."""
    from scipy.linalg import solveh_banded

    band = np.array([[1.0], [4.0]]) * np.ones(len(b))
    band[1, [0, -1]] = 2.0
    return solveh_banded(band * (length / (6 * (len(b) - 1))), b.reshape(len(b), -1)).reshape(b.shape)


@lru_cache(maxsize=8)
def _inverse_mass(n: int) -> np.ndarray:
    """Invert the one-dimensional mass matrix of ``n`` cells of length 1."""
    return np.linalg.inv(interval_mass(n, float(n)).toarray())
