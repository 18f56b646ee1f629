"""Scales, contrasts, and what is said of the error there."""

from __future__ import annotations

from functools import partial
from typing import Any

from ngs_nhcsr import Correction

from .pde import Pde, quads
from .registry import Inputs, Setting, case

#: Coarse cells of the rows about scales: the finest meshes have 520 cells a side.
FEW = 8


def _register_scales() -> None:
    """Register scales; the truth is u_h of the mesh that the result names where fine cells would cut pixels."""
    for scale in (5, 6, 7.5, 10, 33, 12, 20):
        case(f"scale {scale:g}", "2")(partial(_scale, scale=scale))


def _scale(s: Setting, scale: float) -> Inputs:
    pde = Pde(pixels=s.pixels(4 * FEW))
    u, _, _ = pde.coarse(quads(FEW))

    def truth(r: Correction) -> float:
        return pde.error_of(r.values if r.aligned is None else r.aligned)

    return Inputs(u, pde.a, pde, {"nothing given": {}}, scale, truth)


_register_scales()


def _contrast(s: Setting, contrast: float, n: int, scale: float, variants: dict, **more: Any) -> Inputs:
    pde = Pde(pixels=s.pixels(4 * n, contrast))
    u, _, _ = pde.coarse(quads(n))
    return Inputs(u, pde.a, pde, variants, scale, **more)


@case("contrast 1e6")
def extreme(s: Setting) -> Inputs:
    """Make a contrast where the estimate is a fraction of the error, unless somebody works for it."""
    variants = {
        "f= given": {"f": 1.0},
        "refine=5": {"f": 1.0, "refine": 5},
        "refine_to=1e-3": {"f": 1.0, "refine_to": 1e-3},
    }
    return _contrast(s, 1e6, s.n, s.scale, variants, judge_estimate=True, denied=("which is returned instead",))


@case("contrast 1000, float32")
def thousand(s: Setting) -> Inputs:
    """Make an error that is below what an estimate in single precision can see."""
    return _contrast(s, 1e3, s.n, s.scale, {"f= given": {"f": 1.0}}, judge_estimate=True)


@case("scale 32, float32")
def thirty_two(s: Setting) -> Inputs:
    """Make a fine mesh whose smooth errors are small."""
    return _contrast(s, 10.0, 16, 32, {"f= given": {"f": 1.0}}, judge_estimate=True)


@case("scale 64, float32")
def sixty_four(s: Setting) -> Inputs:
    """Make a finer one."""
    return _contrast(s, 10.0, FEW, 64, {"f= given": {"f": 1.0}}, judge_estimate=True)
