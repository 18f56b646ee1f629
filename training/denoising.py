"""The loss that a decoder brings along: denoising at one random level, for diffusion models."""

from __future__ import annotations

import torch
from torch import Tensor

from ..networks import features as ft
from ..networks.nhcsr import CorrectorNetwork
from ..solvers.positions import Nodes, bilinear

#: Stands in ``TrainConfig.loss`` for the decoder's own one.
DENOISING = "denoising"


def denoising_loss(
    network: CorrectorNetwork, U: Tensor, A: Tensor, F: Tensor, target: Tensor, rng: torch.Generator
) -> Tensor:
    """The decoder's ``denoising_loss`` on the fields o for which the network's output is the target.

    They are known where the output is P U* + |U*| o, so for ``output="residual"`` only; on Dirichlet nodes, where any
    o will do, they are zero. Shapes as in a training batch: U (B, K, N+1, N+1), target (B, K, n+1, n+1).

    Raises
    ------
    ValueError
        For another output, or a decoder that is not a diffusion model.
    """
    if network.architecture.output != "residual" or not hasattr(network.decoder, "denoising_loss"):
        raise ValueError(
            f"loss {DENOISING!r} needs the decoder idm and output='residual', not "
            f"{network.architecture.decoder} and {network.architecture.output!r}"
        )
    grid = Nodes((target.shape[-2] - 1, target.shape[-1] - 1))
    e = network.encode(U, A, grid.cells[0] / A.shape[-2], load=F)
    m = (e.features.shape[-2], e.features.shape[-1])
    factor = bilinear(e.terms, grid).flatten(0, 2) * ft.boundary_factor(grid, m, e.sides).to(e.terms)
    missing = target.double().flatten(0, 1) - bilinear(e.base, grid).flatten(0, 1)
    clean = torch.where(factor > 0, missing / factor.clamp_min(1e-300), torch.zeros_like(missing)).unsqueeze(1)
    features = e.features if len(e.features) == len(clean) else e.features.repeat_interleave(U.shape[1], 0)
    return network.decoder.denoising_loss(features, clean.to(features.dtype), e.ratio, rng)  # type: ignore[operator]
