"""What the papers report about a field and a network: image errors, structural similarity, cost of one correction."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..memory import PeakMemory, release_memory
from .losses import relative_errors


def field_metrics(v: Tensor, target: Tensor, A: Tensor) -> dict[str, float]:
    """Errors of nodal values v (1, n+1, n+1) against ``target``, both divided by max |target|.

    "MSE" and "MAE" are means over nodes, "SSIM" (scikit-image, 7 x 7 window) of the normalised fields, "L2" and
    "energy" relative norms.
    """
    from skimage.metrics import structural_similarity

    peak = target.abs().max()
    a, b = (v / peak)[0].numpy(), (target / peak)[0].numpy()
    energy, l2 = relative_errors(v, target, A)
    return {
        "MSE": float(np.mean((a - b) ** 2)),
        "MAE": float(np.mean(np.abs(a - b))),
        "SSIM": float(np.asarray(structural_similarity(a, b, data_range=float(b.max() - b.min())))),
        "L2": float(l2),
        "energy": float(energy),
    }


@dataclass(frozen=True)
class Cost:
    """Cost of one correction.

    Attributes
    ----------
    parameters : of the network.
    gmac : multiply-adds of convolutions and matrix products, in 1e9.
    seconds : median of three runs.
    memory : growth in MiB beyond the weights: of the process, or of what torch holds on a GPU; ``None`` if not told.
    """

    parameters: int
    gmac: float
    seconds: float
    memory: float | None = None


@torch.inference_mode()
def cost(network: nn.Module, U: Tensor, A: Tensor, load: Tensor, n: int) -> Cost:
    """Cost of one correction (B = 1) to n x n cells."""

    def correct() -> float:
        start = time.perf_counter()
        network(U, A, (n, n), load=load)
        if A.is_cuda:
            torch.cuda.synchronize(A.device)
        return time.perf_counter() - start

    with FlopCounterMode(display=False) as counter:
        network(U, A, (n, n), load=load)
    if A.is_cuda:
        before = torch.cuda.memory_allocated(A.device)
        torch.cuda.reset_peak_memory_stats(A.device)
        correct()
        growth: float | None = (torch.cuda.max_memory_allocated(A.device) - before) / 2**20
    else:
        release_memory()
        with PeakMemory() as memory:
            correct()
        growth = memory.growth
    seconds = statistics.median(correct() for _ in range(3))
    parameters = sum(p.numel() for p in network.parameters())
    return Cost(parameters, counter.get_total_flops() / 2e9, seconds, growth)
