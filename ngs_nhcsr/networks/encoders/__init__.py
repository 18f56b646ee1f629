"""Encoders: input maps (B, inputs, my, mx) on the raster to features (B, channels, my, mx).

``encoder.py`` has the contract (:class:`Encoder`). To add an encoder: one file and one line below.
"""

from . import edsr as _edsr  # noqa: F401
from . import rdn as _rdn  # noqa: F401
from . import swinir as _swinir  # noqa: F401
from . import unet as _unet  # noqa: F401
from .encoder import Encoder, encoders

__all__ = ["Encoder", "encoders"]
