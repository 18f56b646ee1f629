"""Learned fine-scale correction of coarse NGSolve solutions with rough coefficients.

The whole public surface is re-exported here and loaded on first use: ``import ngs_nhcsr`` imports neither torch nor
PyVista.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy
from ._version import __version__
from .errors import (
    DependencyMissing,
    DeviceError,
    GridMismatch,
    InvalidProblem,
    ModelFileError,
    NhcsrError,
    NhcsrWarning,
    NotCoercive,
    SolverFailure,
    UntrustedResult,
)

if TYPE_CHECKING:
    from .comparison import Comparison, compare
    from .corrector import Corrector, correct
    from .guard import Status
    from .models import ModelCard, list_models, load_model
    from .result import Correction
    from .solvers.substructuring.scheme import Scheme
    from .visual import plot_compare, plot_field, plot_warp, to_pyvista

__getattr__, __dir__ = lazy(
    globals(),
    {
        "Comparison": "comparison",
        "Correction": "result",
        "Corrector": "corrector",
        "ModelCard": "models",
        "Scheme": "solvers.substructuring.scheme",
        "Status": "guard",
        "compare": "comparison",
        "correct": "corrector",
        "list_models": "models",
        "load_model": "models",
        "plot_compare": "visual",
        "plot_field": "visual",
        "plot_warp": "visual",
        "to_pyvista": "visual",
    },
)

__all__ = [
    "Comparison",
    "Correction",
    "Corrector",
    "DependencyMissing",
    "DeviceError",
    "GridMismatch",
    "InvalidProblem",
    "ModelCard",
    "ModelFileError",
    "NhcsrError",
    "NhcsrWarning",
    "NotCoercive",
    "Scheme",
    "SolverFailure",
    "Status",
    "UntrustedResult",
    "__version__",
    "compare",
    "correct",
    "list_models",
    "load_model",
    "plot_compare",
    "plot_field",
    "plot_warp",
    "to_pyvista",
]
