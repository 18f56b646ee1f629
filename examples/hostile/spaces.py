"""Spaces that cannot be corrected: each is to be refused in a sentence that helps."""

# pyright: reportAttributeAccessIssue=false
# (Netgen's modules have no stubs for what they import from C++)

from __future__ import annotations

from functools import partial
from typing import Any

import ngsolve as ngs
from netgen.csg import unit_cube
from netgen.occ import OCCGeometry, Rectangle, X
from ngsolve import H1, GridFunction, Periodic, VectorH1

from .images import halves
from .pde import quads, voxels
from .registry import Inputs, Setting, case

#: Advice that cannot work in these spaces: there is no scalar field to set, or its periodicity would be lost.
NO_HELP, UNSETTABLE = ("v.Set(u)",), ("VectorH1", "Periodic", "product")


def _periodic(n: int) -> ngs.FESpace:
    face = Rectangle(1, 1).Face()
    for name, edge in zip(("left", "right"), (face.edges.Min(X), face.edges.Max(X)), strict=True):
        edge.name = name
    right = face.edges.Max(X)
    face.edges.Min(X).Identify(right, "periodic")
    mesh = ngs.Mesh(OCCGeometry(face, dim=2).GenerateMesh(maxh=1 / n))
    return Periodic(H1(mesh, order=1, dirichlet="default"))


def _surface(n: int) -> ngs.FESpace:
    mesh = ngs.Mesh(unit_cube.GenerateMesh(maxh=4 / n))
    return H1(mesh, order=1, definedon=mesh.Boundaries(".*"))


def _register_spaces() -> None:
    makers: dict[str, Any] = {
        "VectorH1": lambda n: VectorH1(quads(n), order=1, dirichlet=".*"),
        "Periodic": _periodic,
        "product": lambda n: H1(quads(n), order=1, dirichlet=".*") * H1(quads(n), order=1),
        "complex H1": lambda n: H1(quads(n), order=1, dirichlet=".*", complex=True),
        "surface H1": _surface,
        "SurfaceL2": lambda n: ngs.SurfaceL2(ngs.Mesh(unit_cube.GenerateMesh(maxh=4 / n)), order=1),
        "L2": lambda n: ngs.L2(quads(n), order=1),
        "no Dirichlet side": lambda n: H1(quads(n), order=1),
    }
    for name, make in makers.items():
        case(f"space: {name}", "2")(partial(_space, make=make, denied=NO_HELP if name in UNSETTABLE else ()))


def _space(s: Setting, make: Any, denied: tuple[str, ...]) -> Inputs:
    return Inputs(GridFunction(make(s.n)), voxels(s.pixels()), scale=s.scale, denied=denied)


_register_spaces()


@case("H1 on one of two materials", "more")
def half(s: Setting) -> Inputs:
    """Make a solution that lives on the left half only; the other half is no part of its problem."""
    mesh, pixels = halves(s.n), s.pixels()
    space = H1(mesh, order=1, dirichlet=".*", definedon="left")
    u, v = space.TnT()
    form = ngs.BilinearForm(voxels(pixels) * ngs.grad(u) * ngs.grad(v) * ngs.dx("left")).Assemble()
    load = ngs.LinearForm(v * ngs.dx("left")).Assemble()
    solution = GridFunction(space)
    solution.vec.data = form.mat.Inverse(space.FreeDofs(), "sparsecholesky") * load.vec
    return Inputs(solution, voxels(pixels), None, {"nothing given": {}, "f= given": {"f": 1.0}}, s.scale)
