"""Every way to a fine-mesh field, side by side on one problem: errors, seconds, memory.

::

    rows <- report, picture <- result <- run        what came out; compare
    context <- method <- methods/ <- reference      problem, contract, every method; what errors are measured against
    method, context <- measure <- run

An arrow points to what is imported by the next; there is no way back. NGSolve is only needed by ``run``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy
from . import methods as _families  # noqa: F401  (registers them, and before the registry takes the folder's name here)
from .method import Method, methods

if TYPE_CHECKING:
    from .context import Context
    from .picture import draw_panels
    from .report import side_by_side
    from .result import Comparison
    from .rows import Row
    from .run import compare

__getattr__, __dir__ = lazy(
    globals(),
    {
        "Comparison": "result",
        "Context": "context",
        "Row": "rows",
        "compare": "run",
        "draw_panels": "picture",
        "side_by_side": "report",
    },
)

__all__ = ["Comparison", "Context", "Method", "Row", "compare", "draw_panels", "methods", "side_by_side"]
