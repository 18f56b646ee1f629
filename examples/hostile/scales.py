"""Scales, contrasts, and what is said of the error there."""

from __future__ import annotations

from functools import partial
from math import lcm
from typing import Any

from ngs_nhcsr import Correction

from .pde import Pde, quads
from .registry import Inputs, Setting, case

#: Coarse cells of the rows about scales: the finest meshes have 520 cells a side.
FEW = 8


def _register_scales() -> None:
    """Register scales, those that cut pixels against two references."""
    for scale in (5, 6, 7.5, 10, 33, 12, 20):
        case(f"scale {scale:g}, against u_h there", "2")(partial(_scale, scale=scale, aligned=False))
        if scale % 4:
            case(f"scale {scale:g}, against a grid that keeps the pixels", "2")(
                partial(_scale, scale=scale, aligned=True)
            )


def _scale(s: Setting, scale: float, aligned: bool) -> Inputs:
    pde = Pde(pixels=s.pixels(4 * FEW))
    u, _, _ = pde.coarse(quads(FEW))
    cells = lcm(int(FEW * scale), 4 * FEW)

    def truth(r: Correction) -> float:
        return pde.error_on(r.u_fine, (cells, cells))

    return Inputs(u, pde.a, pde, {"nothing given": {}}, scale, truth if aligned else None)


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
