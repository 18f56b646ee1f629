"""Coefficients that are tensors: directions that differ from pixel to pixel."""

from __future__ import annotations

import numpy as np
from ngsolve import CF

from .pde import Pde, quads, voxels
from .registry import Inputs, Setting, case


def rotated(s: Setting, ratio: float) -> np.ndarray:
    """Draw tensors (my, mx, 2, 2): pixels 1 or 10, along random directions ``ratio`` times that."""
    k, t = s.pixels(), np.pi * np.random.default_rng(s.seed + 1).random((4 * s.n, 4 * s.n))
    c, d = np.cos(t), np.sin(t)
    a = np.array([[ratio * c * c + d * d, (ratio - 1) * c * d], [(ratio - 1) * c * d, ratio * d * d + c * c]])
    return np.moveaxis(k * a, (0, 1), (2, 3))


def function(a: np.ndarray) -> CF:
    """Make the 2 x 2 CoefficientFunction of tensors (my, mx, 2, 2)."""
    return CF(tuple(voxels(np.ascontiguousarray(a[..., i, j])) for i, j in np.ndindex(2, 2)), dims=(2, 2))


def _inputs(s: Setting, ratio: float) -> Inputs:
    tensors = rotated(s, ratio)
    pde = Pde(a=function(tensors))
    u, form, load = pde.coarse(quads(s.n))
    variants = {
        "nothing given": {},
        "f= given": {"f": 1.0},
        "form= given": {"form": form},
        "f= LinearForm": {"f": load},
    }
    return Inputs(u, pde.a, pde, variants, s.scale)


@case("tensor pixels, ratio 10", "more")
def moderate(s: Setting) -> Inputs:
    """Make pixels that conduct ten times better along a direction of their own."""
    return _inputs(s, 10.0)


@case("tensor pixels, ratio 100", "more")
def strong(s: Setting) -> Inputs:
    """Make pixels that conduct a hundred times better along a direction of their own."""
    return _inputs(s, 100.0)


@case("tensor, not symmetric", "more")
def skew(s: Setting) -> Inputs:
    """Make a tensor with an antisymmetric part, which is a convection where it varies."""
    a = rotated(s, 10.0)
    a[..., 0, 1] += 0.5
    pde = Pde(a=function(a))
    u, _, _ = Pde(a=function(rotated(s, 10.0))).coarse(quads(s.n))
    return Inputs(u, pde.a, pde, {"f= given": {"f": 1.0}}, s.scale)
