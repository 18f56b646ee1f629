"""Loss on the sine spectrum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .loss import Batch, Loss, losses
from .norms import FLOOR


def sine_transform(v: Tensor) -> Tensor:
    """Compute the type-I discrete sine transform of the interior of nodal fields, along both axes.

    Its modes are the eigenfunctions of the Dirichlet Laplacian: no jump at the boundary as a periodic transform would
    have.

    Parameters
    ----------
    v : (..., ny+1, nx+1) nodal values; those on the boundary do not count.

    Returns
    -------
    Coefficients (..., ny-1, nx-1), normalised as ``scipy.fft.dstn(type=1)``.
    """
    for dim in (-1, -2):
        w = v.movedim(dim, -1)[..., 1:-1]
        zero = torch.zeros_like(w[..., :1])
        odd = torch.cat([zero, w, zero, -w.flip(-1)], -1)
        out = -torch.fft.rfft(odd, dim=-1).imag[..., 1:-1]
        v = F.pad(out, (1, 1)).movedim(-1, dim)
    return v[..., 1:-1, 1:-1]


@losses.register("spectral")
class Spectral(Loss):
    """Relative distance of the sine spectra, every frequency weighted by its modulus: like the H1 seminorm.

    After FRL's spectral consistency term (arXiv 2512.05132, from second-hand notes), with the transform that suits
    Dirichlet data.
    """

    needs_grid = True

    def __call__(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch."""
        error, truth = sine_transform(batch.field - batch.target), sine_transform(batch.target)
        ky, kx = (torch.arange(1, n + 1, device=error.device, dtype=error.dtype) for n in error.shape[-2:])
        weight = ky.square()[:, None] + kx.square()[None, :]
        squares = [(weight * w.square()).sum((-2, -1)) for w in (error, truth)]
        return (squares[0] / squares[1]).clamp_min(FLOOR).sqrt().mean()
