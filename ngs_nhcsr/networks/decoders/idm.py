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

from ...solvers.positions import Nodes, Query
from ...solvers.transfer import prolongate
from ..local import in_pieces, interpolate, rows, shaped
from ._unet import DiffusionUNet
from .decoder import GenerativeDecoder, decoders

#: Noise levels of the diffusion.
LEVELS = 2000


def signal_shares() -> Tensor:
    """Compute √ᾱ_t (LEVELS,) of the linear schedule, float64: the factor of the clean field at noise level t."""
    return (1 - torch.linspace(1e-6, 1e-2, LEVELS, dtype=torch.float64)).cumprod(0).sqrt()


@decoders.register("idm")
class IDM(GenerativeDecoder):
    """Implicit diffusion model; one decoding takes ``steps * samples`` evaluations of a large network.

    Parameters
    ----------
    channels : channels of the features.
    outputs : number of decoded fields.
    width : channels of the U-Net's first level. The defaults are as published; width 32, multipliers (1, 2, 4) and one
        block run on a CPU.
    multipliers : channels of the U-Net's levels, as multiples of ``width``.
    blocks : residual blocks per level on the way down, and as many on the way up.
    attention_level : number of the level with attention, besides the coarsest.
    steps : denoising steps of the sampling (DDIM).
    samples : sampled fields whose mean is the decoded one.
    seed : seed of the starting noise; in training mode noise is drawn from torch's global generator.

    Raises
    ------
    ValueError
        For fewer than one step or sample.
    """

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
        """Interpolate features (B, channels, my, mx) at the nodes and convolve them: (B, width, ny+1, nx+1)."""
        maps, size = rows(features), (features.shape[-2], features.shape[-1])
        return self.condition(in_pieces(lambda p: shaped(interpolate(maps, p, size), p), grid, len(features)))

    def denoise(self, noisy: Tensor, share: float, condition: Tensor, pyramid: list[Tensor], ratio: float) -> Tensor:
        """Predict the clean fields from noisy ones.

        Parameters
        ----------
        noisy : (B, outputs, ny+1, nx+1) share · clean + √(1 − share²) · noise.
        share : √ᾱ, 0 … 1.
        condition : from :meth:`conditions`.
        pyramid : from the U-Net's ``condition_pyramid``.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Clean fields (B, outputs, ny+1, nx+1).
        """
        return self.network(torch.cat([noisy, condition], 1), share, pyramid, ratio)

    def sample(self, features: Tensor, grid: Nodes, ratio: float) -> Tensor:
        """Sample fields by few-step DDIM (Song et al., ICLR 2021) without added noise.

        Parameters
        ----------
        features : (B, channels, my, mx).
        grid : nodes at which the fields are sampled.
        ratio : ε/h, fine cells per coefficient cell.

        Returns
        -------
        Means (B, outputs, ny+1, nx+1) over the samples.
        """
        condition = self.conditions(features, grid)
        pyramid = self.network.condition_pyramid(condition)
        shares = signal_shares()
        times = torch.linspace(LEVELS - 1, 0, self.steps + 1).long()[:-1]
        generator = None if self.training else torch.Generator().manual_seed(self.seed)
        total = torch.zeros((), dtype=features.dtype, device=features.device)
        for _ in range(self.samples):
            # One noise for all problems of the batch: fields do not depend on what is batched together.
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
        """Compute the published loss: L1 error at one random noise level; see :class:`GenerativeDecoder`.

        The clean fields are known for ``output="residual"`` only; else the network can be trained through
        :meth:`sample`, by any other loss.
        """
        condition = self.conditions(features, Nodes((clean.shape[-2] - 1, clean.shape[-1] - 1)))
        share = float(signal_shares()[int(torch.randint(LEVELS, (), generator=generator))])
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        noisy = share * clean + (1 - share**2) ** 0.5 * noise
        pyramid = self.network.condition_pyramid(condition)
        return F.l1_loss(self.denoise(noisy, share, condition, pyramid, ratio), clean)

    def evaluate(self, prepared: Tensor, query: Query, ratio: float) -> Tensor:
        """Sample on the mesh of the ratio and interpolate bilinearly; see :meth:`Decoder.evaluate`."""
        grid = Nodes((max(1, round(ratio * prepared.shape[-2])), max(1, round(ratio * prepared.shape[-1]))))
        field = self.sample(prepared, grid, ratio)
        return field if query == grid else prolongate(field, query)
