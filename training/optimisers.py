"""Optimisers by name: one function ``(network, rate, weight_decay) -> Optimizer`` and one registration line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..registry import Registry

Factory = Callable[[nn.Module, float, float], torch.optim.Optimizer]
optimisers: Registry[Factory] = Registry("optimiser")


@optimisers.register("adamw")
def adamw(network: nn.Module, rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """Make Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101)."""
    return torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=weight_decay)


@optimisers.register("muon")
def muon(network: nn.Module, rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """Make :class:`Muon`: orthogonalised momentum for weights of two and more axes, Adam for the others (biases)."""
    return Muon(network.parameters(), rate, weight_decay)


def orthogonalised(G: Tensor, steps: int = 5) -> Tensor:
    """Approximate U Vᵀ of the singular value decomposition G = U S Vᵀ, by a quintic Newton-Schulz iteration.

    Parameters
    ----------
    G : (n, m) matrix.
    steps : of the iteration.

    Returns
    -------
    Matrix (n, m) whose singular values are about 1.

    Examples
    --------
    >>> s = torch.linalg.svdvals(orthogonalised(torch.randn(8, 20, generator=torch.Generator().manual_seed(0))))
    >>> bool(s.min() > 0.5 and s.max() < 1.3)
    True
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    X = G.T if G.shape[0] > G.shape[1] else G
    X = X / (X.norm() + 1e-12)
    for _ in range(steps):
        S = X @ X.T
        X = a * X + (b * S + c * (S @ S)) @ X
    return X.T if G.shape[0] > G.shape[1] else X


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by layer (K. Jordan et al., 2024), convolutions as matrices (out, in x kernel).

    Updates are scaled to the root mean square of Adam's (0.2, J. Liu et al., arXiv 2502.16982), so that learning rates
    mean the same. Parameters with one axis follow Adam.

    Parameters
    ----------
    params : as for every optimiser of torch.
    lr : learning rate.
    weight_decay : decoupled, relative to the learning rate.
    momentum : decay of the running mean of the gradients.
    """

    def __init__(self, params: Any, lr: float, weight_decay: float = 0.0, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; ``closure`` is not called."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"] = torch.zeros(())
                    state["mean"] = torch.zeros_like(p)
                    if p.dim() < 2:
                        state["square"] = torch.zeros_like(p)
                state["step"] += 1
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(self._direction(p, p.grad, state, group["momentum"]), alpha=-group["lr"])

    @staticmethod
    def _direction(p: Tensor, g: Tensor, state: dict[str, Tensor], momentum: float) -> Tensor:
        mean = state["mean"]
        if p.dim() < 2:
            t = float(state["step"])
            mean.lerp_(g, 0.1)
            state["square"].lerp_(g.square(), 0.001)
            return (mean / (1 - 0.9**t)) / ((state["square"] / (1 - 0.999**t)).sqrt() + 1e-8)
        mean.lerp_(g, 1 - momentum)
        look_ahead = g.lerp(mean, momentum).flatten(1)
        return orthogonalised(look_ahead).view_as(p) * (0.2 * max(look_ahead.shape) ** 0.5)
