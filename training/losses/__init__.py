"""Losses by name, for ``TrainConfig.loss``: weighted sums such as ``"l1 + 0.1 scs"``.

``loss.py`` has the contract (:class:`Loss`, :class:`Batch`). To add a loss: one file and one line below. "Error" is
that of the network's field against u_h, the Q1 solution of the fine mesh.
"""

from . import cosine as _cosine  # noqa: F401
from . import cycle as _cycle  # noqa: F401
from . import denoising as _denoising  # noqa: F401
from . import norms as _norms  # noqa: F401
from . import spectral as _spectral  # noqa: F401
from .loss import Batch, Loss, combine, losses

__all__ = ["Batch", "Loss", "combine", "losses"]
