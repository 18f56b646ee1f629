"""Decoders: features on cells to output fields at any query.

A decoder is a module ``Decoder(channels, outputs, **options)`` with ``forward(features, query, ratio)`` returning
(B, outputs, *query shape); ``ratio`` is the number of fine cells per coefficient cell, ε/h. To add one, decorate the
class with ``@decoders.register("name")`` and import its module below. What decoders share is in ``networks/local.py``.

Every decoder gives the same values for the same points whether asked as a grid or scattered, and in whatever pieces.
Those with whole-field operations (``srno``, ``idm``) therefore work on the node grid that belongs to ``ratio``.
"""

from . import basis as _basis  # noqa: F401
from . import bicubic as _bicubic  # noqa: F401
from . import frl as _frl  # noqa: F401
from . import idm as _idm  # noqa: F401
from . import ipe_liif as _ipe_liif  # noqa: F401
from . import liif as _liif  # noqa: F401
from . import lit as _lit  # noqa: F401
from . import lte as _lte  # noqa: F401
from . import metasr as _metasr  # noqa: F401
from . import nhcsr as _nhcsr  # noqa: F401
from . import srno as _srno  # noqa: F401
from ._registry import decoders

__all__ = ["decoders"]
