"""Fine Q1 solutions on NGSolve's side: by this package's multigrid on a user's space, and as NGSolve computes them."""

from __future__ import annotations

from typing import Any

import ngsolve as ngs
import numpy as np

from ..errors import GridMismatch
from ..solvers.nodal import Function, boundary_values, nodal_values
from ..solvers.space import Cells, Space, cell_pair
from .meshes import structured_mesh
from .preconditioner import PixelMultigrid


def solve_fine(
    a: Any,
    fes: ngs.FESpace,
    f: Any = 1.0,
    g: Any = 0.0,
    *,
    reaction: Any = None,
    robin: Any = None,
    tolerance: float = 1e-8,
    max_iterations: int = 300,
    cells_per_element: int = 1,
) -> ngs.GridFunction:
    """Compute the Q1 solution of −div(a∇u) + c u = f on a space of the user's by multigrid; no matrix is assembled.

    For several loads keep a :class:`PixelMultigrid` and call its ``solve``.

    Parameters
    ----------
    a : coefficient: CoefficientFunction (taken as its mean over the 2 x 2 Gauss points of every element), number, or
        array ``[iy, ix]`` of cell values on any raster of the rectangle, integrated exactly. Elements that cut pixels
        are too stiff: take a mesh with a whole number of them in a pixel.
    fes : real scalar H1 space of order 1 on a uniform mesh of quads of a rectangle; sides that are not marked Dirichlet
        in it are natural.
    f : number, CoefficientFunction, callable f(x, y) of arrays, nodal values ``[iy, ix]``, or an assembled LinearForm
        (which may have terms on natural sides) or its vector.
    g : Dirichlet data: number, CoefficientFunction, callable g(x, y) of arrays, or nodal values (ny+1, nx+1).
    reaction : c ≥ 0, likewise number, CoefficientFunction or array on any raster; default: none.
    robin : α ≥ 0 in a∂u/∂n + α u = q on natural sides, a number for all or a dict of numbers by boundary name; default:
        none. q belongs to a LinearForm given as f.
    tolerance : stop when the energy error, about, is this share of the solution's energy norm.
    max_iterations : give up after so many steps.
    cells_per_element : takes a CoefficientFunction on so many cells per element and axis, where it varies inside.

    Returns
    -------
    ngs.GridFunction
        The solution, a new one in ``fes``. Without Dirichlet nodes that of mean zero.

    Raises
    ------
    InvalidProblem, NotCoercive, GridMismatch
        If an argument breaks a rule, or there are no Dirichlet nodes and f does not integrate to zero.
    SolverFailure
        If the tolerance is not reached.

    Examples
    --------
    >>> from ngsolve.meshes import MakeStructured2DMesh
    >>> fes = ngs.H1(MakeStructured2DMesh(quads=True, nx=64, ny=64), order=1, dirichlet=".*")
    >>> u = solve_fine(np.ones((4, 4)), fes, f=1.0)
    >>> round(u(fes.mesh(0.5, 0.5)), 4)
    0.0737
    """
    multigrid = PixelMultigrid(a, fes, reaction=reaction, robin=robin, cells_per_element=cells_per_element)
    return multigrid.solve(f, g, tolerance=tolerance, max_iterations=max_iterations)


def ngsolve_solve(
    A: np.ndarray,
    cells: Cells,
    f: Function = 1.0,
    *,
    size: tuple[float, float] = (1.0, 1.0),
    g: Function = 0.0,
) -> np.ndarray:
    """Compute u_h, the Q1 solution of −div(a∇u) = f, u = g on the boundary, in NGSolve.

    It shares no assembly and no solver with ``solvers.fine.fine_solve``, whose result it checks and whose time it is
    compared with.

    Parameters
    ----------
    A : (my, mx) positive cell values of the coefficient, row 0 at the lowest y.
    cells : (ny, nx) cells of the mesh, multiples of the raster's, or one number for both.
    f : number, callable f(x, y) of arrays with x in [0, Lx] and y in [0, Ly], or nodal values (ny+1, nx+1).
    size : (Ly, Lx) of the rectangle.
    g : likewise a number, a callable g(x, y), or nodal values of which those on the boundary count.

    Returns
    -------
    np.ndarray
        Nodal values (ny+1, nx+1).

    Raises
    ------
    GridMismatch
        If the mesh does not resolve the raster: the quadrature would not be exact.
    InvalidProblem
        If nodal values have another shape.

    Examples
    --------
    >>> round(float(ngsolve_solve(np.ones((4, 4)), 16).max()), 4)
    0.0739
    """
    A, (ny, nx) = np.asarray(A, dtype=float), cell_pair(cells, "cells")
    if ny % A.shape[0] or nx % A.shape[1]:
        raise GridMismatch(
            f"the mesh of {(ny, nx)} cells does not resolve the raster {A.shape}; take multiples of the raster's "
            "cells, or fine_solve(), which integrates any coefficient exactly."
        )
    fes = ngs.H1(structured_mesh(Space((ny, nx), size=size)), order=1, dirichlet=".*")
    u, v = fes.TnT()
    load, out = ngs.GridFunction(fes), ngs.GridFunction(fes)
    load.vec.FV().NumPy()[:] = nodal_values(f, (ny, nx), size).ravel()
    out.vec.FV().NumPy()[:] = boundary_values(g, (ny, nx), size).ravel()
    a = ngs.VoxelCoefficient((0.0, 0.0), (size[1], size[0]), A, linear=False)
    with ngs.TaskManager():
        matrix = ngs.BilinearForm(a * ngs.grad(u) * ngs.grad(v) * ngs.dx).Assemble()
        vector = ngs.LinearForm(load * v * ngs.dx(bonus_intorder=1)).Assemble()
        vector.vec.data -= matrix.mat * out.vec
        out.vec.data += matrix.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * vector.vec
    return out.vec.FV().NumPy().reshape(ny + 1, nx + 1).copy()
