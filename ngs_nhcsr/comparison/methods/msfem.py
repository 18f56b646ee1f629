"""Multiscale finite elements, with and without oversampling."""

from __future__ import annotations

import numpy as np

from ...solvers.msfem.msfem import MsFEM
from ..context import Context
from ..method import Method, methods


def _method(name: str, label: str, oversampling: int, variant: str) -> Method:
    def offline(context: Context) -> MsFEM:
        return MsFEM(context.A, context.coarse, context.cells, oversampling, variant, context.size)

    def online(context: Context, msfem: MsFEM) -> np.ndarray:
        return msfem.solve(context.f)

    return Method(name, label, offline, online)


methods.add(_method("msfem-linear", "MsFEM, linear boundary data", 0, "galerkin"))
methods.add(_method("msfem-galerkin", "MsFEM, oversampling 1", 1, "galerkin"))
methods.add(_method("msfem-pg", "MsFEM, oversampling 1, Petrov-Galerkin", 1, "petrov-galerkin"))
methods.add(_method("msfem-averaged", "MsFEM, oversampling 1, averaged", 1, "averaged"))
