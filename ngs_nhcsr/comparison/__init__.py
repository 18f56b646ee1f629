"""Every way to a fine-mesh field, side by side on one problem: errors, seconds, memory.

To add a method, write a file like ``means.py`` that calls ``methods.add(Method(...))`` and import it below; the order
of the imports is the order of the rows.
"""

# isort: off
from . import interpolation as _interpolation  # noqa: F401
from . import means as _means  # noqa: F401
from . import cells as _cells  # noqa: F401
from . import msfem as _msfem  # noqa: F401
from . import lod as _lod  # noqa: F401
from . import network as _network  # noqa: F401
from . import multigrid as _multigrid  # noqa: F401
from . import fine as _fine  # noqa: F401
from . import trace as _trace  # noqa: F401

# isort: on
from ._registry import Method, methods
from .picture import draw_panels
from .report import side_by_side
from .run import Comparison, Row, compare

__all__ = ["Comparison", "Method", "Row", "compare", "draw_panels", "methods", "side_by_side"]
