"""Encoders: (B, inputs, my, mx) maps on the coefficient's cells to (B, channels, my, mx) features.

To add one, write a module with a class that has an attribute ``channels`` and decorate it with
``@encoders.register("name")``, then import it below.
"""

from . import edsr as _edsr  # noqa: F401
from . import rdn as _rdn  # noqa: F401
from . import swinir as _swinir  # noqa: F401
from . import unet as _unet  # noqa: F401
from ._registry import encoders

__all__ = ["encoders"]
