"""Decoders: features on cells to output fields at any query.

A decoder is a module ``Decoder(channels, outputs, **options)`` with ``forward(features, query, ratio)`` returning
(B, outputs, *query shape); ``ratio`` is the number of fine cells per coefficient cell, ε/h. To add one, decorate the
class with ``@decoders.register("name")`` and import its module below.
"""

from . import basis as _basis  # noqa: F401
from . import nhcsr as _nhcsr  # noqa: F401
from ._registry import decoders

__all__ = ["decoders"]
