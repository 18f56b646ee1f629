"""Rasters of VoxelCoefficients, kept between calls: NGSolve copies their array, so that they cannot change."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import ngsolve as ngs
import numpy as np

from .gauss import gauss_rule
from .quad_cells import QuadCells

T = TypeVar("T")

#: Coefficients that are kept.
ENTRIES = 4


@dataclass(frozen=True)
class _Entry:
    """What was made of a coefficient."""

    coefficient: Callable[[], Any]
    quads: QuadCells
    key: tuple
    probe: np.ndarray
    value: Any


_entries: OrderedDict[int, _Entry] = OrderedDict()


def kept_for(a: ngs.CoefficientFunction, quads: QuadCells, key: tuple, make: Callable[[], T]) -> T:
    """Return what was made of a VoxelCoefficient on a mesh; for any other coefficient, make it.

    The coefficient is held by a weak reference and compared by identity. It may depend on others by its ``trafocf``,
    which nothing tells; so its values at the points of the plain ``dx`` are compared each time, too.

    Parameters
    ----------
    a : the coefficient.
    quads : the mesh on which it is evaluated, compared by identity.
    key : everything else that ``make`` depends on.
    make : makes the object; the caller must not change it.

    Returns
    -------
    T
        What ``make`` returned, now or at an earlier call.
    """
    if not is_voxels(a):
        return make()
    probe = quads.values(a, gauss_rule(0)[0])
    found = _entries.get(id(a))
    if found is not None and found.coefficient() is a and found.quads is quads and found.key == key:
        if np.array_equal(found.probe, probe):
            _entries.move_to_end(id(a))
            return found.value
    value = make()
    _entries[id(a)] = _Entry(weakref.ref(a), quads, key, probe, value)
    while len(_entries) > ENTRIES:
        _entries.popitem(last=False)
    return value


def is_voxels(a: ngs.CoefficientFunction) -> bool:
    """Tell whether a coefficient is a VoxelCoefficient itself, not a function of one.

    Parameters
    ----------
    a : any CoefficientFunction.

    Returns
    -------
    bool
        By what NGSolve prints: Python knows one type for all.
    """
    if type(a) is not ngs.CoefficientFunction:
        return False
    name = str(a)
    return name.startswith("coef ") and "VoxelCoefficientFunction" in name.split("\n", 1)[0]
