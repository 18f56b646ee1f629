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
from ..solvers.norms import relative_errors
from .prediction import predict


def field_metrics(v: Tensor, target: Tensor, A: Tensor) -> dict[str, float]:
    """Measure nodal values against those of u_h as papers on images do, and in the norms of ``solvers.norms``.

    Parameters
    ----------
    v : (1, n+1, n+1) nodal values.
    target : (1, n+1, n+1) nodal values of u_h.
    A : (1, m, m) coefficient.

    Returns
    -------
    "MSE" and "MAE", means over the nodes of (v - u_h) / max |u_h|; "SSIM" (scikit-image, 7 x 7 window) of v and u_h,
    both divided by max |u_h|; "L2" and "energy", relative errors in these norms.
    """
    from skimage.metrics import structural_similarity

    peak = target.abs().max()
    a, b = (v / peak)[0].numpy(), (target / peak)[0].numpy()
    errors = relative_errors(v.double(), target.double(), A)
    return {
        "MSE": float(np.mean((a - b) ** 2)),
        "MAE": float(np.mean(np.abs(a - b))),
        "SSIM": float(np.asarray(structural_similarity(a, b, data_range=float(b.max() - b.min())))),
        "L2": float(errors["L2"]),
        "energy": float(errors["energy"]),
    }


@dataclass(frozen=True)
class Cost:
    """Cost of one correction.

    Attributes
    ----------
    parameters : number of the network's parameters.
    gmac : multiply-adds of convolutions and matrix products, in 1e9.
    seconds : median of three runs.
    memory : growth in MiB beyond the weights: of the process, or of what torch holds on a GPU; ``None`` where the
        system does not say.
    """

    parameters: int
    gmac: float
    seconds: float
    memory: float | None = None


@torch.inference_mode()
def cost(network: nn.Module, U: Tensor, A: Tensor, F: Tensor, scale: float) -> Cost:
    """Measure the cost of one correction, prolongation and effective problem included.

    Parameters
    ----------
    network : a row of a table, see ``prediction.predict``.
    U : (1, 1, N+1, N+1) coarse solution.
    A : (1, m, m) coefficient.
    F : (1, 1, L+1, L+1) load vector.
    scale : fine cells per coarse cell.

    Returns
    -------
    Cost
    """

    def correct() -> float:
        start = time.perf_counter()
        predict(network, U, A, F, scale)
        if A.is_cuda:
            torch.cuda.synchronize(A.device)
        return time.perf_counter() - start

    with FlopCounterMode(display=False) as counter:
        predict(network, U, A, F, scale)
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
