"""Linear layers that are always one two-dimensional product.

``nn.Linear`` with frozen weights, on an input of three or more axes that is not contiguous, becomes a *batched* product
in torch, and those end the process once ngsolve was imported (``solvers/linalg.py``). These never do.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..solvers.linalg import linear


class Linear(nn.Linear):
    """As ``nn.Linear``, with the same parameters.

    Examples
    --------
    >>> import torch
    >>> layer, x = Linear(3, 5), torch.rand(2, 3, 4, 6).movedim(1, -1)
    >>> layer(x).shape
    torch.Size([2, 4, 6, 5])
    """

    def forward(self, input: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return linear(input, self.weight, self.bias)


def zero_linear(inputs: int, outputs: int) -> Linear:
    """Last layer that starts at zero: an untrained corrector is the prolongation."""
    layer = Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
