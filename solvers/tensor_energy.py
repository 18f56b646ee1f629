"""Energies of Q1 functions in tensor media, and in all media where raster cells cut mesh cells; ``norms`` adds up."""

from __future__ import annotations

from typing import Any

import numpy as np

from .medium import Medium
from .q1 import SYMMETRIC_PAIRS, element_matrices
from .tensor_medium import TensorMedium, parts_of


def tensor_product(v: Any, w: Any, medium: TensorMedium, size: tuple[float, float]) -> Any:
    r"""Integrate :math:`\int a\,\nabla v\cdot\nabla w` exactly, for any raster.

    Parameters
    ----------
    v : (..., ny+1, nx+1) nodal values, numpy or torch.
    w : (..., ny+1, nx+1) nodal values on the same grid.
    medium : the tensor; its reaction is left out.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    The products (...).

    Examples
    --------
    >>> skew = TensorMedium(np.array([2.0, 3.0, 1.0])[:, None, None] * np.ones((1, 2, 2)))
    >>> x, y = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 5))
    >>> [round(float(tensor_product(x, v, skew, (1.0, 1.0))), 12) for v in (x, y)]
    [2.0, 1.0]
    """
    (ny, nx), (my, mx) = (v.shape[-2] - 1, v.shape[-1] - 1), medium.cells
    if ny % my or nx % mx:
        return product_by_elements(v, w, medium, size)
    # Differences between nodes, not values: constants have no energy, and should leave no round-off.
    (vx, vy), (wx, wy) = ((p[..., 1:] - p[..., :-1], p[..., 1:, :] - p[..., :-1, :]) for p in (v, w))
    (v0, v1), (w0, w1) = ((p[..., :-1, :], p[..., 1:, :]) for p in (vx, wx))
    (vl, vr), (wl, wr) = ((p[..., :, :-1], p[..., :, 1:]) for p in (vy, wy))
    ratio = (size[0] / ny) / (size[1] / nx)
    along_x = (2 * (v0 * w0 + v1 * w1) + v0 * w1 + v1 * w0) * (ratio / 6)
    along_y = (2 * (vl * wl + vr * wr) + vl * wr + vr * wl) / (6 * ratio)
    mixed = ((v0 + v1) * (wl + wr) + (vl + vr) * (w0 + w1)) / 4
    total: Any = 0.0
    for a, density in zip(parts_of(medium.components), (along_x, along_y, mixed), strict=True):
        cells = density.reshape(*density.shape[:-2], my, ny // my, mx, nx // mx).sum((-3, -1))
        total = total + (cells * a).sum((-2, -1))
    return total


def product_by_elements(v: Any, w: Any, medium: Medium, size: tuple[float, float]) -> Any:
    r"""Integrate :math:`\int a\,\nabla v\cdot\nabla w` by element matrices: raster cells may cut mesh cells.

    Parameters
    ----------
    v : (..., ny+1, nx+1) nodal values, numpy or torch.
    w : (..., ny+1, nx+1) nodal values on the same grid.
    medium : scalar or tensor; what does not differentiate is left out.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    The products (...).

    Examples
    --------
    >>> x = np.linspace(0, 1, 9) * np.ones((9, 1))
    >>> [round(float(product_by_elements(v, v, Medium(np.ones((3, 3))), (1.0, 1.0))), 6) for v in (x, 1e8 + x)]
    [1.0, 1.0]
    """
    cells = v.shape[-2] - 1, v.shape[-1] - 1
    if isinstance(v, np.ndarray):
        K: Any = element_matrices(medium.diffusion(), cells, size)
    else:
        from .stencil import galerkin_elements

        K = galerkin_elements(medium.diffusion(), cells, size).to(v)
    p, q = _from_first(v), _from_first(w)
    total: Any = 0.0
    for k, (i, j) in enumerate(SYMMETRIC_PAIRS):
        both = p[i] * q[j] if i == j else p[i] * q[j] + p[j] * q[i]
        total = total + (K[..., k, :, :] * both).sum((-2, -1))
    return total


def _from_first(v: Any) -> tuple[Any, ...]:
    """Values at the four nodes of every cell, less that at the first."""
    first = v[..., :-1, :-1]
    return first * 0, v[..., :-1, 1:] - first, v[..., 1:, :-1] - first, v[..., 1:, 1:] - first
