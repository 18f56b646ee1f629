"""Coarse solutions of problems that are given as arrays, solved in NGSolve."""

from __future__ import annotations

import ngsolve as ngs
import numpy as np

from ..solvers.space import Space
from .meshes import structured_mesh


def coarse_solution(
    a: np.ndarray, cells: tuple[int, int], size: tuple[float, float], values: dict[str, float], load: float
) -> ngs.GridFunction:
    """Solve −div(a∇u) = f with Q1 on a uniform mesh of quads, as an ordinary NGSolve script does it.

    The form is assembled with the plain ``dx``, which only samples a coefficient that the mesh does not resolve.

    Parameters
    ----------
    a : (my, mx) coefficients, row 0 at the lowest y.
    cells : (ny, nx) coarse cells.
    size : (Ly, Lx) of the rectangle.
    values : Dirichlet value by side, among "bottom", "right", "top", "left"; the other sides are natural.
    load : the constant f.

    Returns
    -------
    ngs.GridFunction
        The coarse solution.
    """
    mesh = structured_mesh(Space(cells, (0.0, 0.0), size))
    space = ngs.H1(mesh, order=1, dirichlet="|".join(values))
    u, v = space.TnT()
    coefficient = ngs.VoxelCoefficient((0.0, 0.0), size[::-1], a, linear=False)
    form = ngs.BilinearForm(coefficient * ngs.grad(u) * ngs.grad(v) * ngs.dx).Assemble()
    moments = ngs.LinearForm(space)
    if load:  # NGSolve takes 0 * v for a form without test function
        moments += load * v * ngs.dx
    moments.Assemble()
    solution = ngs.GridFunction(space)
    solution.Set(mesh.BoundaryCF(values, default=ngs.CoefficientFunction(0.0)), ngs.BND)
    residual = (moments.vec - form.mat * solution.vec).Evaluate()
    solution.vec.data += form.mat.Inverse(space.FreeDofs(), "sparsecholesky") * residual
    return solution
