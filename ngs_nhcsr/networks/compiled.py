"""Parts of networks that are compiled for inference on CPUs, each with its twin in torch.

Owns the choice between the kernels of ``solvers.kernels.decode`` and torch: the kernels take float32 tensors on the CPU
while no gradients are recorded, where numba is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..solvers.backend import compiled
from ..solvers.kernels.workers import Workers
from ..solvers.positions import Nodes, Query
from ..solvers.transfer import prolongate

#: Values at fewer points are computed on one thread: handing out work takes longer than doing it.
SMALL = 20_000
MAX_THREADS = 4


@dataclass(frozen=True)
class Kernels:
    """The kernels that networks use.

    Attributes
    ----------
    gelu, add_products : see ``solvers.kernels.decode``.
    """

    gelu: Callable[..., None]
    add_products: Callable[..., None]


@lru_cache(maxsize=1)
def _kernels() -> Kernels | None:
    """Return the kernels, or ``None`` without numba."""
    if not compiled():
        return None
    from ..solvers.kernels.decode import add_products, gelu

    return Kernels(gelu, add_products)


def _suited(t: Tensor) -> bool:
    """Tell whether kernels take a tensor."""
    return t.device.type == "cpu" and t.dtype == torch.float32 and not torch.is_grad_enabled() and t.numel() > 0


def gelu(x: Tensor, channels: slice = slice(None)) -> Tensor:
    """Apply GELU in its form with tanh to maps in place, without gradients; the kernel takes an eighth of torch's time.

    Parameters
    ----------
    x : (B, C, my, mx), overwritten.
    channels : those to which it is applied.

    Returns
    -------
    Tensor
        The overwritten ``x``.
    """
    rows = _rows(x, channels) if _suited(x) else None
    if rows is None or (kernels := _kernels()) is None:
        x[:, channels] = F.gelu(x[:, channels], approximate="tanh")
    else:
        kernels.gelu(*rows)
    return x


def _rows(x: Tensor, channels: slice) -> tuple[Any, int, int] | None:
    """View a tensor's memory as a matrix and find the columns of some channels; ``None`` where that cannot be."""
    begin, end, _ = channels.indices(x.shape[1])
    if x.is_contiguous(memory_format=torch.channels_last):
        x = x.permute(0, 2, 3, 1)
        if end - begin < x.shape[-1]:
            return x.reshape(-1, x.shape[-1]).numpy(), begin, end
    elif not x.is_contiguous() or end - begin < x.shape[1]:
        return None
    return x.view(1, -1).numpy(), 0, x.numel()


def sum_of_products(base: Tensor, terms: Tensor, fields: Tensor, factor: Tensor, query: Query) -> Tensor:
    """Evaluate base + factor Σ_j o_j t_j at a query.

    Parameters
    ----------
    base : (B, K, n+1, m+1) nodal values, float64.
    terms : (B, K, J, n+1, m+1) nodal values of the terms t_j on the same grid, float64.
    fields : (B, J, *shape of the query) fields o_j.
    factor : (*shape of the query), of the fields' type.
    query : where.

    Returns
    -------
    Values (B, K, *shape of the query), float64.
    """
    kernels = _kernels() if _suited(fields) else None
    if kernels is None or not isinstance(query, Nodes):  # points have no rows
        products = (fields.unsqueeze(1) * prolongate(terms.to(fields.dtype), query)).sum(2)
        return prolongate(base, query) + (products * factor).double()
    n, m = base.shape[-2] - 1, base.shape[-1] - 1
    y, x = (query.axis(d, cells, centred=False) for d, cells in ((0, n), (1, m)))
    places = [v.numpy() for v in (y.base, y.frac, x.base, x.frac)]
    stacked = torch.cat([terms, base.unsqueeze(2)], 2).contiguous().numpy()
    out = base.new_empty((*base.shape[:2], len(y.base), len(x.base)))
    o, damping, result = fields.contiguous().numpy(), factor.contiguous().numpy(), out.numpy()
    workers = Workers(1 if out[0, 0].numel() < SMALL else min(MAX_THREADS, torch.get_num_threads()))
    for b in range(result.shape[0]):
        for k in range(result.shape[1]):
            arguments = stacked[b, k], o[b], damping, *places, result[b, k]
            workers.map(kernels.add_products, workers.ranges(len(y.base)), *arguments)
    return out
