"""Multiscale finite elements (MsFEM), with and without oversampling."""

from .msfem import MsFEM

__all__ = ["MsFEM"]
