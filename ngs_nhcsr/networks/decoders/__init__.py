"""Decoders: features (B, channels, my, mx) on the raster to fields (B, outputs, *shape) at any query.

``decoder.py`` has the contract (:class:`Decoder`, :class:`GenerativeDecoder`). To add a decoder: one file and one line
below. What decoders share is in ``networks/local.py``.
"""

from . import basis as _basis  # noqa: F401
from . import bicubic as _bicubic  # noqa: F401
from . import frl as _frl  # noqa: F401
from . import idm as _idm  # noqa: F401
from . import ipe_liif as _ipe_liif  # noqa: F401
from . import liif as _liif  # noqa: F401
from . import lit as _lit  # noqa: F401
from . import lmf as _lmf  # noqa: F401
from . import lte as _lte  # noqa: F401
from . import metasr as _metasr  # noqa: F401
from . import nhcsr as _nhcsr  # noqa: F401
from . import srno as _srno  # noqa: F401
from .decoder import Decoder, GenerativeDecoder, decoders

__all__ = ["Decoder", "GenerativeDecoder", "decoders"]
