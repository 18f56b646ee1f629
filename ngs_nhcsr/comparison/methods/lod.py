"""Localized orthogonal decomposition."""

from __future__ import annotations

import numpy as np

from ...solvers.lod.lod import LOD
from ..context import Context
from ..method import Method, methods


def _method(
    name: str, label: str, layers: int, variant: str, rhs_correctors: bool = False, interpolation: str = "plain"
) -> Method:
    def offline(context: Context) -> LOD:
        lod = LOD(
            context.A,
            context.coarse,
            context.cells,
            layers,
            variant,
            rhs_correctors,
            size=context.size,
            interpolation=interpolation,
        ).assemble()
        _ = lod.basis  # Petrov-Galerkin makes it on first use only, but keeps it for every load
        return lod

    def online(context: Context, lod: LOD) -> np.ndarray:
        return lod.solve(context.f)

    return Method(name, label, offline, online)


for _k in (1, 2):
    methods.add(_method(f"lod{_k}", f"LOD, k = {_k}", _k, "galerkin"))
    methods.add(_method(f"lod{_k}-pg", f"LOD, k = {_k}, Petrov-Galerkin", _k, "petrov-galerkin"))
for _k in (2, 3):
    methods.add(_method(f"lod{_k}-rhs", f"LOD, k = {_k}, with correctors of the load", _k, "galerkin", True))
methods.add(
    _method("lod2-weighted", "LOD, k = 2, weighted, with correctors of the load", 2, "galerkin", True, "weighted")
)
