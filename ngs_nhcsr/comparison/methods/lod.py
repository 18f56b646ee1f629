"""Localized orthogonal decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...solvers.lod.lod import LOD
from ..context import Context
from ..method import Method, methods


class LocalizedOD(Method):
    """LOD on the coarse mesh, its correctors on the fine one.

    Parameters
    ----------
    layers : coarse layers k of the correctors' patches.
    suffix : end of the name.
    label : added to "LOD, k = …".
    **options : of ``solvers.lod.LOD``: ``variant``, ``rhs_correctors``, ``interpolation``.
    """

    def __init__(self, layers: int, suffix: str = "", label: str = "", **options: Any):
        self.name, self.label = f"lod{layers}{suffix}", f"LOD, k = {layers}{label}"
        self.layers, self.options = layers, options

    def offline(self, context: Context) -> LOD:
        """Compute the correctors and the basis."""
        lod = LOD(context.A, context.coarse, context.cells, self.layers, size=context.size, **self.options).assemble()
        _ = lod.basis  # Petrov-Galerkin makes it on first use only, but keeps it for every load
        return lod

    def online(self, context: Context, state: LOD) -> np.ndarray:
        """Solve the coarse system and expand: (ny+1, nx+1)."""
        return state.solve(context.f)


for _k in (1, 2):
    methods.add(LocalizedOD(_k))
    methods.add(LocalizedOD(_k, "-pg", ", Petrov-Galerkin", variant="petrov-galerkin"))
for _k in (2, 3):
    methods.add(LocalizedOD(_k, "-rhs", ", with correctors of the load", rhs_correctors=True))
methods.add(
    LocalizedOD(
        2, "-weighted", ", weighted, with correctors of the load", rhs_correctors=True, interpolation="weighted"
    )
)
