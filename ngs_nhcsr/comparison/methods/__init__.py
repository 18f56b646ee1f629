"""The methods of a comparison, one family to a file; importing them registers them.

The order of the imports is the order of the rows. Every other place that needs one of these fields calls the method:
``methods["prolongation"](context)``.
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
