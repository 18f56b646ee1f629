"""Every way to a fine-mesh field, side by side on one problem: errors, seconds, memory."""

from . import methods as _methods  # noqa: F401
from .method import Method, methods
from .picture import draw_panels
from .report import side_by_side
from .run import Comparison, Row, compare

__all__ = ["Comparison", "Method", "Row", "compare", "draw_panels", "methods", "side_by_side"]
