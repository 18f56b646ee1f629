r"""IDM (Gao et al., CVPR 2023): implicit diffusion on the node grid. Stochastic and expensive: a comparator only.

A RECONSTRUCTION in parts. Kept: conditional diffusion of the field itself by a U-Net with noise level, implicit
functions on its way up and a scale-conditioned condition pyramid; 2,000 linear noise levels from 1e-6 to 1e-2. Ours:
the network predicts the clean field rather than the noise, so that an untrained one gives no correction and few steps
suffice; the sampling is DDIM without added noise from a seeded start, the same for every problem; layers of the public
code that its forward pass never reaches are left out, so parameter counts differ.

It is a whole-field operation: it runs on the node grid of the given ratio, and other points are interpolated
bilinearly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...solvers.positions import Nodes, Query, bilinear
from ..local import in_pieces, interpolate, rows, shaped
from ._registry import decoders
from ._unet import DiffusionUNet

#: Noise levels of the diffusion.
LEVELS = 2000


def signal_shares() -> Tensor:
    """√ᾱ_t of the linear schedule (LEVELS,), float64: share of the clean field at level t."""
    return (1 - torch.linspace(1e-6, 1e-2, LEVELS, dtype=torch.float64)).cumprod(0).sqrt()


@decoders.register("idm")
class IDM(nn.Module):
    """Implicit diffusion model.

    Parameters
    ----------
    channels, outputs : of the features and of the decoded field.
    width, multipliers, blocks : of the U-Net, as published by default; (32, (1, 2, 4), 1) runs on a CPU.
    attention_level : number of the level with attention, besides the coarsest.
    steps : of DDIM. samples : fields averaged. seed : of the starting noise; in training it is drawn anew.
    """

    #: Depends on a seed; takes ``steps * samples`` evaluations of a large network.
    stochastic = True
    expensive = True

    def __init__(
        self,
        channels: int,
        outputs: int,
        width: int = 64,
        multipliers: tuple[int, ...] = (1, 2, 4, 8, 8),
        blocks: int = 2,
        attention_level: int = 3,
        steps: int = 4,
        samples: int = 1,
        seed: int = 0,
    ):
        super().__init__()
        if steps < 1 or samples < 1:
            raise ValueError(f"steps and samples must be at least 1, not {steps} and {samples}")
        self.outputs, self.steps, self.samples, self.seed = outputs, steps, samples, seed
        self.condition = nn.Conv2d(channels, width, 3, padding=1)
        self.network = DiffusionUNet(outputs + width, outputs, width, tuple(multipliers), blocks, attention_level)

    def conditions(self, features: Tensor, grid: Nodes) -> Tensor:
        """Features at the nodes, convolved: (B, width, ny+1, nx+1)."""
        maps, size = rows(features), (features.shape[-2], features.shape[-1])
        return self.condition(in_pieces(lambda p: shaped(interpolate(maps, p, size), p), grid, len(features)))

    def denoise(self, noisy: Tensor, share: float, condition: Tensor, pyramid: list[Tensor], ratio: float) -> Tensor:
        """The clean field, predicted from a noisy one in which it has this share."""
        return self.network(torch.cat([noisy, condition], 1), share, pyramid, ratio)

    def sample(self, features: Tensor, grid: Nodes, ratio: float) -> Tensor:
        """Fields (B, outputs, ny+1, nx+1) by few-step DDIM, mean over the samples."""
        condition = self.conditions(features, grid)
        pyramid = self.network.condition_pyramid(condition)
        shares = signal_shares()
        times = torch.linspace(LEVELS - 1, 0, self.steps + 1).long()[:-1]
        generator = None if self.training else torch.Generator().manual_seed(self.seed)
        total = torch.zeros((), dtype=features.dtype, device=features.device)
        for _ in range(self.samples):
            # One noise for all problems of the batch: the answer does not depend on what is batched together.
            noise = torch.randn(1, self.outputs, *condition.shape[2:], generator=generator)
            x = noise.to(condition).expand(len(features), -1, -1, -1)
            clean = x
            for i, t in enumerate(times):
                a = float(shares[t])
                clean = self.denoise(x, a, condition, pyramid, ratio)
                if i + 1 < len(times):
                    b = float(shares[times[i + 1]])
                    x = b * clean + ((1 - b * b) / (1 - a * a)) ** 0.5 * (x - a * clean)
            total = total + clean
        return total / self.samples

    def denoising_loss(self, features: Tensor, clean: Tensor, ratio: float, generator: torch.Generator) -> Tensor:
        """The published way to train: L1 error at one random noise level, given the clean fields on the node grid.

        Only for output terms whose true values are known (``output="residual"``); else train through :meth:`sample`.
        """
        condition = self.conditions(features, Nodes((clean.shape[-2] - 1, clean.shape[-1] - 1)))
        share = float(signal_shares()[int(torch.randint(LEVELS, (), generator=generator))])
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        noisy = share * clean + (1 - share**2) ** 0.5 * noise
        pyramid = self.network.condition_pyramid(condition)
        return F.l1_loss(self.denoise(noisy, share, condition, pyramid, ratio), clean)

    def forward(self, features: Tensor, query: Query, ratio: float) -> Tensor:
        """Evaluate at a query; see the package docstring."""
        grid = Nodes((max(1, round(ratio * features.shape[-2])), max(1, round(ratio * features.shape[-1]))))
        field = self.sample(features, grid, ratio)
        return field if query == grid else bilinear(field, query)
