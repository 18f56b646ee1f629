"""Mathematics behind the figures: spectra by wave number, the paper's mod-255 view, errors between resolutions.

Wave numbers k count half-waves per side of the unit square, so a mesh of n cells a side resolves k < n.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..solvers.norms import relative_errors
from ..solvers.positions import Nodes
from ..solvers.transfer import prolongate
from .losses.spectral import sine_transform


@dataclass(frozen=True)
class Spectrum:
    """Mean power of the modes around each wave number; ``power @ count`` is the power of the field.

    Attributes
    ----------
    k : (R,) wave numbers.
    power : (R,) mean power of the modes around each.
    count : (R,) numbers of these modes.
    """

    k: np.ndarray
    power: np.ndarray
    count: np.ndarray

    def grouped(self, per_octave: int = 6) -> Spectrum:
        """Join bins; the total power stays.

        Solutions for symmetric loads hold hardly anything in every other mode: in single bins they zigzag.

        Parameters
        ----------
        per_octave : most bins per doubling of k.

        Returns
        -------
        Spectrum
        """
        group = np.floor(per_octave * np.log2(np.maximum(self.k, 1.0)) + 0.5).astype(int)
        _, index = np.unique(group, return_inverse=True)
        count = np.bincount(index, self.count)
        # Logarithmic axes: the place of a group is the geometric mean of its modes'.
        k = np.exp(np.bincount(index, self.count * np.log(np.maximum(self.k, 1e-300))) / count)
        return Spectrum(k, np.bincount(index, self.count * self.power) / count, count)


def radial_spectrum(power: np.ndarray, ky: np.ndarray, kx: np.ndarray) -> Spectrum:
    """Average the power of modes over rings of width 1 of their wave number's modulus.

    Parameters
    ----------
    power : (ny, nx) power of each mode.
    ky : (ny,) wave numbers along y.
    kx : (nx,) wave numbers along x.

    Returns
    -------
    Spectrum; k is the middle of each ring.

    Examples
    --------
    >>> s = radial_spectrum(np.ones((2, 2)), np.array([0, 3]), np.array([0, 4]))
    >>> s.k, s.count
    (array([0., 3., 4., 5.]), array([1., 1., 1., 1.]))
    """
    ring = np.rint(np.hypot(ky[:, None], kx[None, :])).astype(int)
    k, index = np.unique(ring.ravel(), return_inverse=True)
    count = np.bincount(index).astype(float)
    return Spectrum(k.astype(float), np.bincount(index, power.ravel()) / count, count)


def sine_spectrum(v: Tensor) -> Spectrum:
    r"""Compute the radially averaged power spectral density (RAPSD) of a field that vanishes on the boundary.

    With :math:`v = \sum_{jk} b_{jk} \sin(jπy) \sin(kπx)` the power of a mode is :math:`b_{jk}^2/4`, its part of the
    squared L2 norm of that sum, which is what the trapezoidal rule makes of the nodal values. A periodic transform
    would see the kink of the field across the boundary and smear it as :math:`k^{-2}` over all wave numbers.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values.

    Returns
    -------
    Spectrum over half-waves per side.

    Examples
    --------
    >>> t = torch.linspace(0, 1, 17, dtype=torch.float64)
    >>> s = sine_spectrum(torch.outer(torch.sin(3 * torch.pi * t), torch.sin(4 * torch.pi * t)))
    >>> float(s.k[s.power.argmax()]), round(float(s.power @ s.count), 12)
    (5.0, 0.25)
    """
    ny, nx = v.shape[-2] - 1, v.shape[-1] - 1
    power = (sine_transform(v.double()) / (2 * ny * nx)).square().numpy()
    return radial_spectrum(power, np.arange(1, ny), np.arange(1, nx))


def fourier_power(v: Tensor) -> np.ndarray:
    """Compute the power of the Fourier modes of fields without boundary conditions.

    The mean is taken off, and a Hann window hides the jump between opposite sides, which would draw a bright cross. The
    sum over all modes is the mean square of the windowed fields.

    Parameters
    ----------
    v : (C, n+1, n+1) nodal values.

    Returns
    -------
    Power (n, n), mean over the C fields; frequency 0 in the middle.
    """
    n = v.shape[-1] - 1
    w = v.double()[..., :n, :n]
    hann = torch.hann_window(n, periodic=True, dtype=torch.float64)
    w = (w - w.mean((-2, -1), keepdim=True)) * hann[:, None] * hann[None, :]
    modes = torch.fft.fftshift(torch.fft.fft2(w), dim=(-2, -1))
    return (modes.abs() / n**2).square().mean(0).numpy()


def fourier_spectrum(power: np.ndarray) -> Spectrum:
    """Average :func:`fourier_power` (n, n) radially; one wave is two half-waves, so k = 2, 4, 6 …."""
    n = power.shape[-1]
    waves = np.arange(n) - n // 2
    rings = radial_spectrum(power, waves, waves)
    return Spectrum(2 * rings.k, rings.power, rings.count)


def mod255(v: Tensor, truth: Tensor, factor: int) -> np.ndarray:
    """Compute the NH-CSR paper's view of small differences: 0 … 255 over the range of u_h, times a factor, modulo 255.

    Parameters
    ----------
    v : values of a field.
    truth : values of u_h, anywhere.
    factor : by which differences are enlarged.

    Returns
    -------
    0 … 255, of the shape of ``v``.

    Examples
    --------
    >>> mod255(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.0, 1.0]), 8)
    array([0., 0., 0.])
    >>> mod255(torch.tensor([0.1]), torch.tensor([0.0, 1.0]), 8).round(1)
    array([204.])
    """
    low, high = truth.min().double(), truth.max().double()
    return np.mod((255 * factor * (v.double() - low) / (high - low)).numpy(), 255.0)


def resolution_errors(fields: Mapping[int, Tensor], reference: Tensor, A: Tensor) -> dict[str, Any]:
    """Compute relative "energy" and "L2" errors of Q1 fields against the solution on a finer mesh, and their ratios.

    The measure of FRL's scale anchoring (arXiv 2512.05132, from second-hand notes): the error at the highest
    resolution over that at a lower one. A field that knows nothing of what finer meshes add has the ratio 1; that of
    the Galerkin solutions falls as fast as it can in energy.

    Parameters
    ----------
    fields : nodal values (n+1, n+1) by scale, smallest first, on meshes whose nodes are nodes of the reference's: the
        prolongation is exact.
    reference : (n_ref+1, n_ref+1) nodal values of the solution on the finer mesh.
    A : (1, m, m) coefficient cells.

    Returns
    -------
    By norm: ``errors`` by scale, and ``ratios`` of the largest scale's to every other's.
    """
    finest = Nodes((reference.shape[-2] - 1, reference.shape[-1] - 1))
    found = {s: relative_errors(prolongate(v.double(), finest)[None], reference[None], A) for s, v in fields.items()}
    out = {}
    for norm in ("energy", "L2"):
        errors = {str(s): float(e[norm]) for s, e in found.items()}
        *lower, last = errors
        out[norm] = {"errors": errors, "ratios": {f"{last}/{s}": errors[last] / errors[s] for s in lower}}
    return out


def resolution_table(rows: Mapping[str, Mapping[str, Any]], ratios: list[str]) -> str:
    """Write tables of :func:`resolution_errors`.

    Parameters
    ----------
    rows : errors by row.
    ratios : names of the ratios, like "32/8", that make the last columns.

    Returns
    -------
    Markdown, one table per norm.

    Examples
    --------
    >>> found = {"errors": {"2": 0.5, "4": 0.25}, "ratios": {"4/2": 0.5}}
    >>> print(resolution_table({"LIIF": {"energy": found, "L2": found}}, ["4/2"]).splitlines()[4])
    | LIIF | 0.5 | 0.25 | 0.5 |
    """
    lines: list[str] = []
    for norm in ("energy", "L2"):
        scales = [*next(iter(rows.values()))[norm]["errors"]]
        head = [*(f"{s}x" for s in scales), *(f"error {r.replace('/', 'x / ')}x" for r in ratios)]
        lines += [f"**{norm}**", "", "| | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
        for row, found in rows.items():
            values = [*found[norm]["errors"].values(), *(found[norm]["ratios"][r] for r in ratios)]
            lines.append(f"| {row} | " + " | ".join(f"{v:.3g}" for v in values) + " |")
        lines.append("")
    return "\n".join(lines)
