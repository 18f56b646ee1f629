"""Every way to a fine-mesh field, side by side on one problem: errors, seconds, memory.

To add a method, write a file like ``means.py`` that calls ``methods.add(Method(...))`` and import it below; the order
of the imports is the order of the rows.
"""

# isort: off
from . import interpolation as _interpolation  # noqa: F401
from . import means as _means  # noqa: F401
from . import msfem as _msfem  # noqa: F401
from . import lod as _lod  # noqa: F401
from . import network as _network  # noqa: F401
from . import multigrid as _multigrid  # noqa: F401
from . import fine as _fine  # noqa: F401

# isort: on
import sys
from types import ModuleType
from typing import Any

from ._registry import Method, methods
from .comparison import Comparison, Row, compare


class _CallablePackage(ModuleType):
    """``ngs_nhcsr.compare`` names this package and its function; so the package can be called like the function."""

    def __call__(self, *arguments: Any, **options: Any) -> Comparison:
        return compare(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage

__all__ = ["Comparison", "Method", "Row", "compare", "methods"]
