"""The fine Q1 solution as NGSolve computes it: its own assembly and its sparse Cholesky factorisation."""

from __future__ import annotations

import ngsolve as ngs
import numpy as np

from ..errors import GridMismatch
from ..solvers.load import Function, boundary_values, nodal_values
from ..solvers.space import Cells, Space, cell_pair
from .meshes import structured_mesh


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
