"""Inputs that users bring, with their own NGSolve solution as truth: for hostile_inputs.py and random_problems.py."""

from . import images, loads, operators, reports, scales, spaces, tensors  # noqa: F401 - they register their cases
from .registry import Case, Row, Setting, cases, run

__all__ = ["Case", "Row", "Setting", "cases", "run"]
