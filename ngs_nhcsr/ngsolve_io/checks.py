"""One function per rule about NGSolve objects; each raises with what is wrong, where, and what to do."""

from __future__ import annotations

from typing import Any

import ngsolve as ngs
import numpy as np

from ..checks import check_kind
from ..errors import GridMismatch, InvalidProblem
from .meshes import free_vertices, vertices

#: NGSolve's name of the type of its H1 spaces.
SCALAR_H1 = "h1ho"


def check_kinds(*, form: Any = None, mesh: Any = None, coarse_space: Any = None) -> None:
    """Check that optional arguments are of NGSolve's types.

    Parameters
    ----------
    form : ``None`` or a BilinearForm.
    mesh : ``None`` or a Mesh.
    coarse_space : ``None`` or an FESpace.

    Raises
    ------
    InvalidProblem
        If one is neither.
    """
    check_kind(form, ngs.BilinearForm, "form")
    check_kind(mesh, ngs.Mesh, "mesh")
    check_kind(coarse_space, ngs.FESpace, "coarse_space")


def check_coefficient_function(a: ngs.CoefficientFunction, *, tensors: bool = False) -> None:
    """Check that a coefficient is real, and scalar or a 2 x 2 tensor.

    Parameters
    ----------
    a : the coefficient.
    tensors : whether it may be a tensor.

    Raises
    ------
    InvalidProblem
        If it is complex, a vector, or a tensor where that is not allowed.
    """
    if a.is_complex:
        raise InvalidProblem("the coefficient is complex; only real ones are supported.")
    if a.dim != 1 and not (tensors and tuple(a.dims) == (2, 2)):
        allowed = "scalars and 2 x 2 tensors (dims=(2, 2)) are supported" if tensors else "it must be a scalar here"
        raise InvalidProblem(f"the coefficient has dimensions {tuple(a.dims)}; {allowed}.")


def check_coarse_field(u: Any) -> tuple[np.ndarray, np.ndarray]:
    """Check that a coarse solution can be read.

    Parameters
    ----------
    u : must be a finite, real, scalar GridFunction in H1 on a serial, straight, two-dimensional
        mesh of an axis-parallel rectangle.

    Returns
    -------
    coordinates : np.ndarray
        (nv, 2) of the mesh's vertices.
    free : np.ndarray
        (nv,) mask of the vertices whose degree of freedom is free.

    Raises
    ------
    InvalidProblem
        If it is not.
    GridMismatch
        If the domain is no axis-parallel rectangle.
    """
    if not isinstance(u, ngs.GridFunction):
        raise InvalidProblem(
            f"u_coarse must be an NGSolve GridFunction, not {type(u).__name__}; on arrays alone "
            "ngs_nhcsr.solvers.solve_pde and Problem.from_arrays need none."
        )
    _check_mesh(u.space.mesh)
    _check_space(u)
    _check_domain(u)
    values = u.vec.FV().NumPy()
    if not np.isfinite(values).all():
        raise InvalidProblem(
            f"u_coarse has {int((~np.isfinite(values)).sum())} values that are not finite; the coarse solve failed. "
            "Check its coefficient for NaN or zeros."
        )
    coordinates = check_rectangle(u.space.mesh)
    return coordinates, check_inside(u, coordinates)


def _check_mesh(mesh: ngs.Mesh) -> None:
    if mesh.comm.size > 1:
        raise InvalidProblem(
            f"the mesh is distributed over {mesh.comm.size} MPI ranks; corrections run on one process. Gather the "
            "coarse solution (it is small) or solve it serially."
        )
    if mesh.dim != 2:
        raise InvalidProblem(f"the mesh is {mesh.dim}-dimensional; only two-dimensional meshes are supported.")
    if mesh.GetCurveOrder() > 1:
        raise InvalidProblem(f"the mesh is curved (order {mesh.GetCurveOrder()}); only straight meshes are supported.")


def _check_space(u: ngs.GridFunction) -> None:
    space, mesh = u.space, u.space.mesh
    if space.is_complex:
        raise InvalidProblem("u_coarse is complex; correct its real and imaginary parts separately.")
    if isinstance(space, ngs.Periodic):
        raise InvalidProblem(
            "u_coarse lives in a periodic space; a scalar H1 space is needed, with Dirichlet or natural conditions on "
            "every side. For cell problems of homogenisation there is ngs_nhcsr.solvers.effective_conductivity."
        )
    if isinstance(space, (ngs.ProductSpace, ngs.VectorH1)):
        raise InvalidProblem(
            f"u_coarse has {len(space.components)} components; a scalar H1 space is needed. A component that solves "
            "−div(a∇u) = f by itself can be corrected: correct(u_coarse.components[0], …)."
        )
    if space.type != SCALAR_H1 or space.dim != 1:
        raise InvalidProblem(
            f"u_coarse lives in a space of type {space.type!r} (dimension {space.dim}); a scalar H1 space is needed. "
            "Set it into one:  v = GridFunction(H1(mesh, order=1)); v.Set(u)."
        )
    if space.globalorder < 1:
        raise InvalidProblem("u_coarse has order 0; use H1(mesh, order=1).")
    if len(u.vec) != space.ndof or space.ndof < mesh.nv:
        raise InvalidProblem(
            f"u_coarse has {len(u.vec)} values, its space {space.ndof} and its mesh {mesh.nv} vertices: the mesh was "
            "refined after the GridFunction was made. Call fes.Update(); u.Update() and solve again."
        )


def _check_domain(u: ngs.GridFunction) -> None:
    """Refuse spaces that live on some of the materials only."""
    mesh = u.space.mesh
    used = np.fromiter(u.space.GetDofs(mesh.Materials(".*")), bool, u.space.ndof)[: mesh.nv]  # type: ignore[call-overload]
    if not used.all():
        raise InvalidProblem(
            f"u_coarse is defined on part of the mesh only (definedon=; {int((~used).sum())} of {mesh.nv} vertices "
            "have no value). Only solutions on the whole rectangle are corrected."
        )


def check_rectangle(mesh: ngs.Mesh) -> np.ndarray:
    """Check that a mesh fills its bounding box: no holes, no L-shape, no rotation.

    Parameters
    ----------
    mesh : two-dimensional mesh.

    Returns
    -------
    np.ndarray
        (nv, 2) coordinates of its vertices.

    Raises
    ------
    GridMismatch
        If it does not.
    """
    coordinates = vertices(mesh)
    box = float(np.prod(np.ptp(coordinates, axis=0)))
    area = float(ngs.Integrate(ngs.CoefficientFunction(1.0), mesh))
    if abs(area - box) > 1e-8 * box:
        raise GridMismatch(
            f"the mesh covers {area:.6g} of its bounding box of area {box:.6g}; only axis-parallel rectangles without "
            "holes are supported."
        )
    return coordinates


def check_inside(u: ngs.GridFunction, coordinates: np.ndarray) -> np.ndarray:
    """Check that no vertex inside the rectangle carries a Dirichlet condition.

    Parameters
    ----------
    u : its space is what counts.
    coordinates : (nv, 2) of the vertices.

    Returns
    -------
    np.ndarray
        (nv,) mask of the vertices whose degree of freedom is free.

    Raises
    ------
    InvalidProblem
        If one does; the message names a place.
    """
    free = free_vertices(u)
    lower, upper = coordinates.min(0), coordinates.max(0)
    near = 1e-9 * (upper - lower)
    inside = ~free & ((coordinates > lower + near) & (coordinates < upper - near)).all(1)
    if inside.any():
        x, y = coordinates[inside][0]
        raise InvalidProblem(
            f"{int(inside.sum())} vertices inside the rectangle carry Dirichlet conditions (one at x = {x:.3g}, "
            f"y = {y:.3g}); only its outer sides can. A pattern like '.*' names edges between materials too: name the "
            f"outer sides, of {', '.join(map(repr, dict.fromkeys(u.space.mesh.GetBoundaries())))}, and solve again."
        )
    return free


def check_neumann(mesh: ngs.Mesh, given: bool) -> None:
    """Check that a problem without Dirichlet nodes and reaction is meant to be one.

    Its coarse solution cannot tell: that of a misspelt boundary name looks the same.

    Parameters
    ----------
    mesh : of the coarse solution.
    given : whether the user gave the load.

    Raises
    ------
    InvalidProblem
        If not; the message lists the boundaries.
    """
    if not given:
        raise InvalidProblem(
            "the space has no Dirichlet nodes, so the problem is pure Neumann (or the boundary name is misspelt). "
            f"The mesh has the boundaries {', '.join(map(repr, mesh.GetBoundaries()))}; use "
            "H1(mesh, order=1, dirichlet=...), or pass f= (and flux=, points=) that sum to zero."
        )
