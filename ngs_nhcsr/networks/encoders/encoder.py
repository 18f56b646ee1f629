"""What an encoder is, and the registry of those that exist."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from ...registry import Registry


class Encoder(nn.Module, ABC):
    """Map from the network's input on the raster to features on the raster, one vector per coefficient cell.

    What a subclass promises:

    - It is made as ``encoder(inputs, **options)``, where ``inputs`` is the number of channels of the input map
      (``features.py`` makes it) and every option has a default.
    - It sets :attr:`channels`, from which the decoder is made.
    - It accepts every raster, also one of odd size or of a single cell, and keeps its shape: features of the wrong
      size would put every local coordinate wrong. What it needs to pad, it cuts off again.
    - A problem's features do not depend on the other problems of its batch, and by preference those of a cell not on
      cells far away (no normalisation over the map): what is learned on small domains then holds on large ones.
    - It multiplies no batches of matrices itself but uses ``solvers.linalg.batched`` and ``dense.Linear``:
      ``torch.bmm`` may end the process after ``import ngsolve``.

    Attributes
    ----------
    channels : number of feature channels.

    Examples
    --------
    To add an encoder: one file with a registered class, and one import line in ``encoders/__init__.py``.

    >>> class Smooth(Encoder):
    ...     def __init__(self, inputs, channels=8):
    ...         super().__init__()
    ...         self.channels = channels
    ...         self.conv = nn.Conv2d(inputs, channels, 3, padding=1)
    ...
    ...     def forward(self, x):
    ...         return self.conv(x)
    >>> Smooth(5).channels
    8
    """

    channels: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Encode a batch of maps.

        Parameters
        ----------
        x : (B, inputs, my, mx) maps on the raster, of the parameters' type.

        Returns
        -------
        Features (B, channels, my, mx).
        """


#: Encoders by name: classes, or functions of ``inputs`` and options that return an :class:`Encoder`.
encoders: Registry[Callable[..., Encoder]] = Registry("encoder")
