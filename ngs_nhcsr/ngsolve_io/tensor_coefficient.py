"""Tensor coefficients on cells: from 2 x 2 CoefficientFunctions or arrays (my, mx, 2, 2) to entries per raster cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ngsolve as ngs
import numpy as np

from ..errors import InvalidProblem
from ..solvers.space import Space
from ..solvers.tensor_medium import eigenvalues
from .pixels import PLACE, VARIATION, Values, find_pixels

#: Entries xx, yy, xy, yx of a 2 x 2 coefficient.
PLACES = ((0, 0), (1, 1), (0, 1), (1, 0))
#: Weights of a combination of the entries that jumps where one of them does.
GENERIC = (1.0, 0.6180339887, 0.3819660113)

Sampler = Callable[[ngs.CoefficientFunction], np.ndarray]


def is_tensor(a: Any) -> bool:
    """Tell whether a coefficient is given as 2 x 2 matrices.

    Parameters
    ----------
    a : CoefficientFunction, or what converts to an array.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_tensor(ngs.CF((1, 0, 0, 1), dims=(2, 2))), is_tensor(np.ones((3, 4, 2, 2))), is_tensor(1.0)
    (True, True, False)
    """
    if isinstance(a, ngs.CoefficientFunction):
        return tuple(a.dims) == (2, 2)
    return np.ndim(a) == 4 and np.shape(a)[2:] == (2, 2)


def entries(a: ngs.CoefficientFunction, sampler: Sampler) -> np.ndarray:
    """Sample the entries of a tensor coefficient.

    Parameters
    ----------
    a : real 2 x 2 CoefficientFunction.
    sampler : samples a scalar one, as an array (sy, sx).

    Returns
    -------
    np.ndarray
        (sy, sx, 2, 2).
    """
    found = {place: sampler(a[place]) for place in PLACES}
    return np.stack([np.stack([found[i, j] for j in range(2)], -1) for i in range(2)], -2)


def averaged(samples: np.ndarray, cells: tuple[int, int], mean: str) -> tuple[np.ndarray, int, np.ndarray | None]:
    """Make one tensor per raster cell from samples.

    The means are those of scalars in the eigenvalues: arithmetic of a, harmonic of its inverse, geometric of its
    logarithm (V. Arsigny et al., *Log-Euclidean metrics*, 2006).

    Parameters
    ----------
    samples : (3, sy, sx) entries xx, yy, xy; sy and sx are multiples of ``cells``.
    cells : (my, mx) of the raster.
    mean : "arithmetic", "geometric" or "harmonic".

    Returns
    -------
    components : np.ndarray
        (3, my, mx).
    varying : int
        Number of cells in which the coefficient varies.
    variation : np.ndarray or None
        (my, mx) 1 − the smallest eigenvalue of the harmonic relative to the arithmetic mean; ``None`` if it is constant
        in every cell.

    Raises
    ------
    InvalidProblem
        If the mean is none of these.
    """
    (my, mx), (_, sy, sx) = cells, samples.shape
    blocks = samples.reshape(3, my, sy // my, mx, sx // mx)
    first = np.ascontiguousarray(blocks[:, :, 0, :, 0])
    if (blocks == first[:, :, None, :, None]).all():
        return first, 0, None
    arithmetic, harmonic = _mean(samples, cells, lambda v: v), _mean(samples, cells, lambda v: 1 / v)
    if mean == "geometric":
        values = _spectral(_mean(samples, cells, np.log), np.exp)
    elif mean in ("arithmetic", "harmonic"):
        values = arithmetic if mean == "arithmetic" else _spectral(harmonic, lambda v: 1 / v)
    else:
        raise InvalidProblem(f"mean must be arithmetic, harmonic or geometric, not {mean!r}.")
    spread = np.ptp(blocks, (2, 4)).max(0)
    # an entry, by more than that share of the largest eigenvalue
    varying = int((spread > VARIATION * eigenvalues(arithmetic)[1]).sum())
    # (harmonic mean) = (mean of the inverses)⁻¹, so its least share of the arithmetic one is 1 / λ_max(M H)
    variation = 1 - 1 / np.linalg.eigvals(_full(arithmetic) @ _full(harmonic)).real.max(-1)
    return values, varying, variation.clip(0, 1)


def pixels_of(
    a: ngs.CoefficientFunction,
    values_of: Callable[[ngs.CoefficientFunction], Values],
    samples: np.ndarray,
    raster: tuple[int, int] | None,
) -> np.ndarray | None:
    """Find the pixels of a tensor coefficient; see :func:`ngs_nhcsr.ngsolve_io.pixels.find_pixels`.

    Parameters
    ----------
    a : 2 x 2 CoefficientFunction.
    values_of : makes a function of points of a scalar one.
    samples : (3, sy, sx) entries xx, yy, xy at the middles of equal parts.
    raster : (my, mx) cells on which all samples agree, if there are such.

    Returns
    -------
    Tensors (my, mx, 2, 2); ``None`` where it has no pixels, or those of ``raster``.
    """
    functions = [values_of(a[place]) for place in PLACES]

    def combined(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return sum((w * f(y, x) for w, f in zip(GENERIC, functions, strict=False)), np.zeros(1))

    weights = np.array(GENERIC)
    found = find_pixels(combined, np.tensordot(weights, samples, 1), raster)
    if found is None:
        return None
    my, mx = found.shape
    y, x = np.repeat((np.arange(my) + PLACE[0]) / my, mx), np.tile((np.arange(mx) + PLACE[1]) / mx, my)
    parts = dict(zip(PLACES, (f(y, x).reshape(my, mx) for f in functions), strict=True))
    return np.stack([np.stack([parts[i, j] for j in range(2)], -1) for i in range(2)], -2)


def tensor_function(components: np.ndarray, grid: Space) -> ngs.CoefficientFunction:
    """Make a 2 x 2 CoefficientFunction that is constant on the cells of a raster.

    Parameters
    ----------
    components : (3, my, mx) entries xx, yy, xy.
    grid : any grid on the rectangle.

    Returns
    -------
    ngs.CoefficientFunction
    """
    from .cell_rules import raster_function

    xx, yy, xy = (raster_function(np.ascontiguousarray(v), grid) for v in components)
    return ngs.CoefficientFunction((xx, xy, xy, yy), dims=(2, 2))


def _full(components: np.ndarray) -> np.ndarray:
    """Matrices (my, mx, 2, 2) of entries (3, my, mx)."""
    xx, yy, xy = components
    return np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -2)


def _spectral(components: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a function to the eigenvalues of symmetric matrices (3, …)."""
    values, vectors = np.linalg.eigh(_full(components))
    full = (vectors * function(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return np.stack([full[..., 0, 0], full[..., 1, 1], full[..., 0, 1]])


def _mean(samples: np.ndarray, cells: tuple[int, int], function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Mean (3, my, mx) over the cells of a function of the samples' matrices."""
    (my, mx), (_, sy, sx) = cells, samples.shape
    return _spectral(samples, function).reshape(3, my, sy // my, mx, sx // mx).mean((2, 4))
