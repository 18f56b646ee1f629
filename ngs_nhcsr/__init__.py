"""Learned fine-scale correction of coarse NGSolve solutions with rough coefficients.

The whole public surface is re-exported here and loaded on first use: ``import ngs_nhcsr`` imports neither torch nor
PyVista.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
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
    from .api import correct
    from .comparison import Comparison, compare
    from .corrector import Corrector
    from .files import Solution, load_solution
    from .guard import Status
    from .many import correct_many
    from .models import ModelCard, list_models, load_model
    from .ngsolve_io.fine_solve import solve_fine
    from .ngsolve_io.preconditioner import PixelMultigrid
    from .problem import Problem
    from .result import Correction
    from .solvers.pde import PDE
    from .solvers.substructuring.scheme import Scheme
    from .solvers.target import FineQ1, Target
    from .visual import (
        draw,
        orbit,
        plot_compare,
        plot_field,
        plot_slices,
        plot_spectrum,
        plot_warp,
        plot_zoom,
        to_pyvista,
    )

# In a clone, solvers/ and training/ lie beside this folder. Python started there finds this folder before an installed
# package, and without an editable install nothing else would tell where they are.
if find_spec(f"{__name__}.solvers") is None:
    __path__.append(str(Path(__file__).parent.parent))

__getattr__, __dir__ = lazy(
    globals(),
    {
        "Comparison": "comparison",
        "Correction": "result",
        "Corrector": "corrector",
        "FineQ1": "solvers.target",
        "ModelCard": "models",
        "PDE": "solvers.pde",
        "PixelMultigrid": "ngsolve_io.preconditioner",
        "Problem": "problem",
        "Scheme": "solvers.substructuring.scheme",
        "Solution": "files",
        "Status": "guard",
        "Target": "solvers.target",
        "compare": "comparison",
        "correct": "api",
        "correct_many": "many",
        "draw": "visual",
        "list_models": "models",
        "load_model": "models",
        "load_solution": "files",
        "orbit": "visual",
        "plot_compare": "visual",
        "plot_field": "visual",
        "plot_slices": "visual",
        "plot_spectrum": "visual",
        "plot_warp": "visual",
        "plot_zoom": "visual",
        "solve_fine": "ngsolve_io.fine_solve",
        "to_pyvista": "visual",
    },
)

__all__ = [
    "PDE",
    "Comparison",
    "Correction",
    "Corrector",
    "DependencyMissing",
    "DeviceError",
    "FineQ1",
    "GridMismatch",
    "InvalidProblem",
    "ModelCard",
    "ModelFileError",
    "NhcsrError",
    "NhcsrWarning",
    "NotCoercive",
    "PixelMultigrid",
    "Problem",
    "Scheme",
    "Solution",
    "SolverFailure",
    "Status",
    "Target",
    "UntrustedResult",
    "__version__",
    "compare",
    "correct",
    "correct_many",
    "draw",
    "list_models",
    "load_model",
    "load_solution",
    "orbit",
    "plot_compare",
    "plot_field",
    "plot_slices",
    "plot_spectrum",
    "plot_warp",
    "plot_zoom",
    "solve_fine",
    "to_pyvista",
]
