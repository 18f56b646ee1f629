"""Coefficients that do not fit the coarse cells, and meshes that are no uniform quads."""

# pyright: reportAttributeAccessIssue=false
# (Netgen's modules have no stubs for what they import from C++)

from __future__ import annotations

from functools import partial
from typing import Any

import ngsolve as ngs
import numpy as np
from netgen.geom2d import SplineGeometry, unit_square
from netgen.occ import Glue, MoveTo, OCCGeometry
from ngsolve import cos, sin, x, y
from ngsolve.meshes import MakeStructured2DMesh

from .pde import Pde, quads, voxels
from .registry import Inputs, Setting, case


def triangles(n: int) -> ngs.Mesh:
    """Make Netgen triangles of the unit square."""
    return ngs.Mesh(unit_square.GenerateMesh(maxh=1 / n))


def standard(
    s: Setting, mesh: ngs.Mesh, pixels: np.ndarray | None = None, array: bool = True, **options: Any
) -> Inputs:
    """Make f = 1 on a mesh with pixels, as VoxelCoefficient and as array."""
    pde = Pde(pixels=s.pixels() if pixels is None else pixels)
    u, form, _ = pde.coarse(mesh)
    variants = {"nothing given": {}, "f= given": {"f": 1.0}, "form= given": {"form": form}}
    return Inputs(u, pde.pixels if array else pde.a, pde, variants, s.scale, **options)


def _register_images() -> None:
    """Register images of three sizes on two meshes, as VoxelCoefficient and as array."""
    for shape in ((300, 450), (1000, 1000), (97, 61)):
        for name, mesh in (("quads", quads), ("triangles", triangles)):
            for array in (False, True):
                section = "1" if shape == (300, 450) and not array else "2"
                title = f"image {shape[0]} x {shape[1]} on {name}, {'array' if array else 'VoxelCoefficient'}"
                case(title, section)(partial(_image, shape=shape, mesh=mesh, array=array))


def _image(s: Setting, shape: tuple[int, int], mesh: Any, array: bool) -> Inputs:
    # Resampling makes values that are in no material: no advice for a binary image.
    made = standard(s, mesh(s.n), s.pixels(shape), array, denied=("esample",))
    made.variants = {"nothing given": {}, "f= given": {"f": 1.0}}
    pde = made.pde
    assert pde is not None
    # The reference is the solution of the mesh that the result names: one that cuts no pixels.
    made.truth = lambda r: pde.error_of(r.values if r.aligned is None else r.aligned)
    return made


_register_images()


@case("4 pixels per coarse cell, VoxelCoefficient on triangles")
def voxels_on_triangles(s: Setting) -> Inputs:
    """Make the standard image on Netgen triangles."""
    return standard(s, triangles(s.n), array=False)


@case("4 pixels per coarse cell, array on triangles", "more")
def array_on_triangles(s: Setting) -> Inputs:
    """Make the same, the array passed."""
    return standard(s, triangles(s.n))


@case("VoxelCoefficient, linear=True")
def linear_voxels(s: Setting) -> Inputs:
    """Make NGSolve's default interpolation of an image: continuous, not piecewise constant."""
    pde = Pde(a=voxels(s.pixels(), linear=True), bonus=8)
    u, _, _ = pde.coarse(quads(s.n))
    return Inputs(u, pde.a, pde, {"nothing given": {}, "f= given": {"f": 1.0}}, s.scale)


@case("formula 1 + 0.9 sin 50x cos 40y")
def formula(s: Setting) -> Inputs:
    """Make a smooth coefficient; the raster is chosen by number."""
    pde = Pde(a=1 + 0.9 * sin(50 * x) * cos(40 * y), bonus=8)
    u, _, _ = pde.coarse(quads(s.n))
    variants = {f"cells_per_coarse={k}": {"cells_per_coarse": k} for k in (4, 8, 16)}
    return Inputs(u, pde.a, pde, {"nothing given": {}, **variants, "f= given": {"f": 1.0}}, s.scale)


@case("two materials of quads, image")
def two_materials(s: Setting) -> Inputs:
    """Make a coarse mesh of two regions; the coefficient knows nothing of them."""
    return standard(s, halves(s.n), array=False)


@case("two materials of quads, MaterialCF times image")
def material_times_image(s: Setting) -> Inputs:
    """Make a coefficient that is a product of a region-wise one and an image."""
    mesh, pixels = halves(s.n), s.pixels()
    factor = np.where(np.arange(pixels.shape[1]) < pixels.shape[1] // 2, 1.0, 5.0)
    pde = Pde(pixels=pixels * factor)
    user = Pde(a=mesh.MaterialCF({"left": 1.0, "right": 5.0}) * voxels(pixels))
    u, form, _ = user.coarse(mesh)
    return Inputs(u, user.a, pde, {"nothing given": {}, "f= given": {"f": 1.0}, "form= given": {"form": form}}, s.scale)


def _layers(s: Setting, dirichlet: str) -> tuple[ngs.Mesh, Pde, Pde]:
    """Three layers of triangles: the mesh, the problem as the user writes it, and the same for pixels."""
    heights, values, parts = (0.0, 0.25, 0.625, 1.0), (1.0, 10.0, 3.0), []
    for name, low, high in zip("abc", heights, heights[1:], strict=False):
        face = MoveTo(0, low).Rectangle(1, high - low).Face()
        face.faces.name = name
        for edge in face.edges:
            edge.name = "inner" if min(abs(edge.center.y - h) for h in heights[1:3]) < 1e-9 else "outer"
        parts.append(face)
    mesh = ngs.Mesh(OCCGeometry(Glue(parts), dim=2).GenerateMesh(maxh=1 / s.n))
    user = Pde(a=mesh.MaterialCF(dict(zip("abc", values, strict=True))), dirichlet=dirichlet)
    pixels = np.repeat(values, (2, 3, 3))[:, None] * np.ones(8)
    return mesh, user, Pde(pixels=pixels, fixed_y=() if dirichlet == "outer" else heights[1:3])


def _layered(s: Setting, dirichlet: str) -> Inputs:
    mesh, user, pde = _layers(s, dirichlet)
    u, form, _ = user.coarse(mesh)
    return Inputs(u, user.a, pde, {"nothing given": {}, "f= given": {"f": 1.0}, "form= given": {"form": form}}, s.scale)


@case("three materials of triangles, MaterialCF")
def three_materials(s: Setting) -> Inputs:
    """Make three layers that end on lines of the fine grid, with Dirichlet conditions on the outer edges."""
    return _layered(s, "outer")


@case("three materials of triangles, dirichlet='.*' fixes inner edges", "more")
def fixed_inside(s: Setting) -> Inputs:
    """Make the same with NGSolve's usual pattern: it means the edges between the materials too."""
    return _layered(s, ".*")


def halves(n: int) -> ngs.Mesh:
    """Make n x n quads of the unit square, in two materials left and right of x = ½, by Netgen's own interface."""
    from netgen.meshing import Element1D, Element2D, FaceDescriptor, MeshPoint, Pnt
    from netgen.meshing import Mesh as NetgenMesh

    mesh = NetgenMesh(dim=2)
    points = [mesh.Add(MeshPoint(Pnt(i / n, j / n, 0))) for j in range(n + 1) for i in range(n + 1)]
    regions = [mesh.Add(FaceDescriptor(surfnr=k, domin=k, bc=k)) for k in (1, 2)]
    at = lambda j, i: points[j * (n + 1) + i]  # noqa: E731
    for j in range(n):
        for i in range(n):
            corners = [at(j, i), at(j, i + 1), at(j + 1, i + 1), at(j + 1, i)]
            mesh.Add(Element2D(regions[i >= n // 2], corners))
    for k in range(n):
        sides = ((at(0, k), at(0, k + 1)), (at(k, n), at(k + 1, n)), (at(n, k + 1), at(n, k)), (at(k + 1, 0), at(k, 0)))
        for number, ends in enumerate(sides, 1):
            mesh.Add(Element1D(list(ends), index=number))
    for number, name in enumerate(("left", "right"), 1):
        mesh.SetMaterial(number, name)
    for number, name in enumerate(("bottom", "right", "top", "left")):
        mesh.SetBCName(number, name)
    return ngs.Mesh(mesh)


@case("mesh graded towards a corner", "more")
def graded(s: Setting) -> Inputs:
    """Make triangles that were refined near the origin, as adaptive meshes are."""
    mesh = triangles(s.n // 2)
    for k in range(3):
        for element in mesh.Elements(ngs.VOL):
            centre = np.mean([mesh[v].point for v in element.vertices], axis=0)
            mesh.SetRefinementFlag(element, bool(np.hypot(*centre) < 0.5 / 2**k))
        mesh.Refine()
    return standard(s, mesh, array=False)


@case("quads graded in x", "more")
def graded_quads(s: Setting) -> Inputs:
    """Make a tensor grid of quads that is not uniform."""
    mesh = MakeStructured2DMesh(quads=True, nx=s.n, ny=s.n, mapping=lambda t, r: (t**1.5, r))
    return standard(s, mesh, array=False)


@case("disc with curved boundary", "2")
def disc(s: Setting) -> Inputs:
    """Make a domain that is no rectangle, with curved elements."""
    geometry = SplineGeometry()
    geometry.AddCircle((0.5, 0.5), 0.5, bc="rim")
    mesh = ngs.Mesh(geometry.GenerateMesh(maxh=1 / s.n))
    mesh.Curve(3)
    pde = Pde(pixels=s.pixels())
    return Inputs(pde.coarse(mesh)[0], pde.a, None, scale=s.scale)


@case("rectangle after mesh.Curve(2)", "2")
def curved_square(s: Setting) -> Inputs:
    """Make a mesh whose elements are straight though their mapping is of order 2."""
    mesh = triangles(s.n)
    mesh.Curve(2)
    made = standard(s, mesh)
    made.variants = {"nothing given": {}}
    return made
