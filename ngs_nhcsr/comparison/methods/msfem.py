"""Multiscale finite elements, with and without oversampling."""

from __future__ import annotations

import numpy as np

from ...solvers.msfem.msfem import MsFEM
from ..context import Context
from ..method import Method, methods


class MultiscaleFEM(Method):
    """MsFEM on the coarse mesh, its basis functions on the fine one.

    Parameters
    ----------
    suffix : end of the name.
    label : for tables.
    oversampling : coarse cells around a cell in its local problems; 0: linear boundary data.
    variant : of ``solvers.msfem.MsFEM``.
    """

    def __init__(self, suffix: str, label: str, oversampling: int, variant: str):
        self.name, self.label = f"msfem-{suffix}", label
        self.oversampling, self.variant = oversampling, variant

    def offline(self, context: Context) -> MsFEM:
        """Compute the basis."""
        return MsFEM(context.A, context.coarse, context.cells, self.oversampling, self.variant, context.size)

    def online(self, context: Context, state: MsFEM) -> np.ndarray:
        """Solve the coarse system and expand: (ny+1, nx+1)."""
        return state.solve(context.f)


methods.add(MultiscaleFEM("linear", "MsFEM, linear boundary data", 0, "galerkin"))
methods.add(MultiscaleFEM("galerkin", "MsFEM, oversampling 1", 1, "galerkin"))
methods.add(MultiscaleFEM("pg", "MsFEM, oversampling 1, Petrov-Galerkin", 1, "petrov-galerkin"))
methods.add(MultiscaleFEM("averaged", "MsFEM, oversampling 1, averaged", 1, "averaged"))
