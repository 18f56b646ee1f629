"""Localized orthogonal decomposition (LOD): correctors on patches, condensed by static condensation of coarse cells."""

from .lod import LOD

__all__ = ["LOD"]
