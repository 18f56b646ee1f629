"""Matrix products that are safe after ``import ngsolve``.

NGSolve's wheels load an OpenBLAS that exports ``cblas_?gemm_batch`` to the whole process. PyTorch's CPU build looks up
the same names for its own MKL, with another signature, and ``torch.bmm`` (also behind ``@``, ``einsum`` and ``matmul``
of batches) then ends the process with a segmentation fault whenever ngsolve was imported first (seen with ngsolve
6.2.2608, ngsolve_openblas 0.3.33, torch 2.13). Plain two-dimensional products have the same signature everywhere. So
batches are written as two-dimensional products, here and nowhere else.

Those two-dimensional products then run in NGSolve's OpenBLAS, whose idle threads spin for some milliseconds and keep
torch's own threads from their cores: a correction took 0.42 s on two cores instead of 0.29 s. ``quiet_blas`` holds it
to one thread meanwhile.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@lru_cache(maxsize=1)
def _controller() -> Any:
    """Return the handle on the thread pools of the loaded BLAS libraries."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def quiet_blas() -> AbstractContextManager[Any]:
    """Hold BLAS to one thread in a context, if ngsolve is loaded; torch's own threads stay.

    Returns
    -------
    The context manager; the former number of threads is restored at its end.
    """
    if "ngsolve" not in sys.modules:
        return nullcontext()
    return _controller().limit(limits=1, user_api="blas")


def apply_x(P: Tensor, v: Tensor) -> Tensor:
    """Apply a matrix (n, m) along the last axis of ``v`` (..., k, m) -> (..., k, n)."""
    return (v.reshape(-1, v.shape[-1]) @ P.T).reshape(*v.shape[:-1], P.shape[0])


def apply_y(P: Tensor, v: Tensor) -> Tensor:
    """Apply a matrix (n, m) along the last but one axis of ``v`` (..., m, k) -> (..., n, k)."""
    return apply_x(P, v.transpose(-1, -2)).transpose(-1, -2)


def batched(a: Tensor, b: Tensor) -> Tensor:
    """Multiply batches of matrices (B, n, k) @ (B, k, m) -> (B, n, m)."""
    if a.device.type != "cpu":
        return torch.bmm(a, b)
    return torch.stack([x @ y for x, y in zip(a, b, strict=True)])


def batched_vectors(a: Tensor, x: Tensor) -> Tensor:
    """Multiply a batch of matrices (B, n, k) with one vector each (B, k) -> (B, n)."""
    if a.device.type != "cpu":
        return torch.bmm(a, x.unsqueeze(-1)).squeeze(-1)
    return torch.cat([(m * v.unsqueeze(-2)).sum(-1) for m, v in zip(a.split(1024), x.split(1024), strict=True)])


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply a linear map along the last axis, (..., K) to (..., J), as one two-dimensional product.

    ``F.linear`` with frozen weights becomes a batched product on an input of three or more axes that is not contiguous.

    Parameters
    ----------
    x : (..., K).
    weight : (J, K).
    bias : (J,).

    Returns
    -------
    Tensor (..., J).
    """
    return F.linear(x.reshape(-1, x.shape[-1]), weight, bias).reshape(*x.shape[:-1], weight.shape[0])
