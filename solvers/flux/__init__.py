"""Equilibrated fluxes and the guaranteed error bounds that they give (Prager and Synge)."""

from .flux import EquilibratedFlux

__all__ = ["EquilibratedFlux"]
