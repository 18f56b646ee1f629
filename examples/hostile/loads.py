"""Loads that users have: boxes, steps, waves, points, fluxes, none at all; recovered or given."""

from __future__ import annotations

from typing import Any

from ngsolve import CF, IfPos, sin, x, y

from .pde import Pde, quads
from .registry import Inputs, Setting, case


def box(x0: float, x1: float, y0: float, y1: float) -> CF:
    """Make the function that is 1 in a box, and 0 elsewhere."""
    inside = IfPos(x - x0, 1.0, 0.0) * IfPos(x1 - x, 1.0, 0.0)
    return inside * IfPos(y - y0, 1.0, 0.0) * IfPos(y1 - y, 1.0, 0.0)


def with_load(s: Setting, f: Any) -> Inputs:
    """Make the standard medium with a load, in three variants."""
    pde = Pde(pixels=s.pixels(), f=f, bonus=20)
    u, form, load = pde.coarse(quads(s.n))
    variants = {"recovered": {}, "form= given": {"form": form}, "f= CoefficientFunction": {"f": CF(f)}}
    return Inputs(u, pde.a, pde, {**variants, "f= LinearForm": {"f": load}}, s.scale)


@case("plain, f = 1", "more")
def plain(s: Setting) -> Inputs:
    """Make what must work: the README's problem."""
    return with_load(s, 1.0)


@case("box load")
def box_load(s: Setting) -> Inputs:
    """Make a load that jumps inside coarse and fine cells."""
    return with_load(s, box(0.31, 0.62, 0.2, 0.47))


@case("step load at 0.51")
def step_load(s: Setting) -> Inputs:
    """Make a load that jumps along a line."""
    return with_load(s, IfPos(x - 0.51, 2.0, 1.0))


@case("load 1 + sin 200x")
def wave_load(s: Setting) -> Inputs:
    """Make a load with one wave per coarse cell, about."""
    return with_load(s, 1 + sin(200 * x))


@case("f = 0, u = x on left and right", "2")
def pressure_drop(s: Setting) -> Inputs:
    """Make the standard porous problem."""
    pde = Pde(pixels=s.pixels(), f=0.0, g=x, dirichlet="left|right")
    u, form, load = pde.coarse(quads(s.n))
    variants = {
        "nothing given": {},
        "f=0 given": {"f": 0.0},
        "form= given": {"form": form},
        "f= LinearForm": {"f": load},
    }
    return Inputs(u, pde.a, pde, variants, s.scale)


@case("f = 0, u = x on all sides", "2")
def linear_data(s: Setting) -> Inputs:
    """Make the problem of linear boundary conditions."""
    pde = Pde(pixels=s.pixels(), f=0.0, g=x)
    u, _, _ = pde.coarse(quads(s.n))
    return Inputs(u, pde.a, pde, {"nothing given": {}, "f=0 given": {"f": 0.0}}, s.scale)


@case("u = x + y² on all sides", "more")
def curved_data(s: Setting) -> Inputs:
    """Make boundary values that the coarse solution has at its nodes only."""
    pde = Pde(pixels=s.pixels(), g=x + y * y)
    u, _, _ = pde.coarse(quads(s.n))
    return Inputs(u, pde.a, pde, {"nothing given": {}, "f= given": {"f": 1.0}}, s.scale)


@case("point load", "2")
def point_load(s: Setting) -> Inputs:
    """Make a source and a sink in points of no grid."""
    points = ((0.31, 0.43, 1.0), (0.72, 0.58, -0.5))
    pde = Pde(pixels=s.pixels(), f=0.0, points=points)
    u, form, load = pde.coarse(quads(s.n))
    variants = {"recovered": {}, "form= given": {"form": form}, "f= LinearForm": {"f": load}}
    return Inputs(u, pde.a, pde, {**variants, "points= given": {"f": 0.0, "points": list(points)}}, s.scale)


@case("Neumann flux", "2")
def neumann(s: Setting) -> Inputs:
    """Make a flux through the right side that depends on the place."""
    q = 1 + y
    pde = Pde(pixels=s.pixels(), f=1.0, flux={"right": q}, dirichlet="left|top|bottom")
    u, form, load = pde.coarse(quads(s.n))
    variants = {"recovered": {}, "form= given": {"form": form}, "f= only": {"f": 1.0}, "f= LinearForm": {"f": load}}
    return Inputs(u, pde.a, pde, {**variants, "flux= given": {"f": 1.0, "flux": {"right": q}}}, s.scale)


@case("points, flux and f together", "more")
def together(s: Setting) -> Inputs:
    """Make all kinds of loads at once."""
    points = ((0.4, 0.6, 1.0),)
    pde = Pde(pixels=s.pixels(), f=sin(3 * x), points=points, flux={"right": 1.0}, dirichlet="left|top|bottom")
    u, _, load = pde.coarse(quads(s.n))
    given = {"f": sin(3 * x), "points": list(points), "flux": 1.0}
    return Inputs(u, pde.a, pde, {"recovered": {}, "f= LinearForm": {"f": load}, "all given": given}, s.scale)


@case("Robin side", "more")
def robin(s: Setting) -> Inputs:
    """Make a side with a ∂u/∂n + 10 u = 0."""
    pde = Pde(pixels=s.pixels(), robin={"right": 10.0}, dirichlet="left|top|bottom")
    u, form, _ = pde.coarse(quads(s.n))
    variants = {"nothing given": {}, "f= given": {"f": 1.0}, "form= given": {"form": form}}
    return Inputs(u, pde.a, pde, {**variants, "robin= given": {"f": 1.0, "robin": {"right": 10.0}}}, s.scale)
