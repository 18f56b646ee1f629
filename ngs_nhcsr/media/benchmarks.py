"""Coefficients of published benchmarks of neural operators, made by their formulas; arrays [iy, ix] on the unit square.

All are seeded by a generator. Values belong to the centres of pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.fft import idctn

Shape = tuple[int, int]


def gaussian_field(shape: Shape, rng: np.random.Generator, tau: float, alpha: float = 2.0) -> np.ndarray:
    """Draw a Gaussian field with covariance (−Δ + τ²)^(−α), Neumann conditions and mean zero, by cosines.

    Source: Li et al., *Fourier Neural Operator for Parametric PDEs*, arXiv:2010.08895, and the generator it came with.

    Parameters
    ----------
    shape : (my, mx) pixels.
    rng : generator.
    tau : inverse correlation length.
    alpha : decay of the spectrum.

    Returns
    -------
    Values (my, mx) at the centres.
    """
    k = [np.arange(n) for n in shape]
    decay = (np.pi**2 * (k[0][:, None] ** 2 + k[1][None, :] ** 2) + tau**2) ** (-alpha / 2)
    modes = tau ** (alpha - 1) * np.sqrt(shape[0] * shape[1]) * decay * rng.standard_normal(shape)
    modes[0, 0] = 0.0
    return np.asarray(idctn(modes, norm="ortho"))


def darcy(shape: Shape, rng: np.random.Generator, high: float, low: float, tau: float = 3.0) -> np.ndarray:
    """Draw the two-valued medium of the Darcy benchmarks: ``high`` where a Gaussian field is positive, else ``low``.

    Parameters
    ----------
    shape : (my, mx) pixels.
    rng : generator.
    high : value where the field is positive: 12.
    low : value elsewhere: 3 (FNO's data; its generator has 4) or 2 ("Darcy rough").
    tau : 3, or 5 for "Darcy rough".

    Returns
    -------
    Cell values (my, mx).

    Examples
    --------
    >>> a = darcy((20, 20), np.random.default_rng(0), 12.0, 3.0)
    >>> np.unique(a).tolist()
    [3.0, 12.0]
    """
    return np.where(gaussian_field(shape, rng, tau) >= 0, high, low)


def trigonometric(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Draw the multiscale trigonometric coefficient, a product over six scales, at the centres of pixels.

    a = Π_{k=1…6} (1 + ½ cos(a_k π (x + y))) (1 + ½ sin(a_k π (y − 3x))), a_k uniform in (2^(k−1), 1.5 · 2^(k−1)).
    Source: Liu, Xu, Cao, Zhang, *Mitigating spectral bias for the multiscale operator learning* (HANO),
    arXiv:2210.10890.

    Parameters
    ----------
    shape : (my, mx) pixels.
    rng : generator.

    Returns
    -------
    Cell values (my, mx), positive.
    """
    y, x = ((np.arange(n) + 0.5) / n for n in shape)
    y, x = y[:, None], x[None, :]
    out = np.ones(shape)
    for k in range(6):
        a = np.pi * rng.uniform(2.0**k, 1.5 * 2.0**k)
        out *= (1 + 0.5 * np.cos(a * (x + y))) * (1 + 0.5 * np.sin(a * (y - 3 * x)))
    return out


#: Correlations over the distance in correlation lengths.
CORRELATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gaussian": lambda d: np.exp(-(d**2)),
    "exponential": lambda d: np.exp(-d),
    "cubic": lambda d: np.where(d < 1, 1 - 7 * d**2 + 8.75 * d**3 - 3.5 * d**5 + 0.75 * d**7, 0.0),
}


def condiff(
    shape: Shape, rng: np.random.Generator, correlation: str, variance: float = 1.0, length: float = 0.05
) -> np.ndarray:
    """Draw exp(φ), φ a stationary Gaussian field, by circulant embedding.

    Source: Trifonov et al., *ConDiff: A Challenging Dataset for Neural Solvers of PDEs*, arXiv:2406.04709.

    Parameters
    ----------
    shape : (my, mx) pixels.
    rng : generator.
    correlation : "gaussian", "exponential" or "cubic".
    variance : of φ.
    length : correlation length.

    Returns
    -------
    Cell values (my, mx), positive.

    Examples
    --------
    >>> phi = np.log(condiff((256, 256), np.random.default_rng(0), "exponential", 0.4))
    >>> bool(abs(phi.var() - 0.4) < 0.1)
    True
    """
    double = tuple(2 * n for n in shape)
    d = [np.minimum(np.arange(m), m - np.arange(m)) / n for m, n in zip(double, shape, strict=True)]
    correlations = CORRELATIONS[correlation](np.hypot(d[0][:, None], d[1][None, :]) / length)
    spectrum = np.fft.fft2(correlations).real.clip(min=0.0)
    noise = rng.standard_normal(double) + 1j * rng.standard_normal(double)
    field = np.fft.fft2(np.sqrt(spectrum / spectrum.size) * noise).real
    return np.exp(np.sqrt(variance) * field[: shape[0], : shape[1]])
