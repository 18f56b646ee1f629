"""NGSolve's solvers on a fine mesh, as its users call them: for timings only."""

from __future__ import annotations

import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, Mesh, Preconditioner, VoxelCoefficient, dx, grad
from ngsolve.krylovspace import CGSolver
from ngsolve.meshes import MakeStructured2DMesh

#: A direct solver, and preconditioners of conjugate gradients to 1e-8.
NGSOLVE_SOLVERS = ("sparsecholesky", "bddc", "h1amg")
TOLERANCE, MAX_STEPS = 1e-8, 2000


class FineProblem:
    """−div(a∇u) = 1 with zero boundary values on a mesh of quads.

    Parameters
    ----------
    mesh : from :meth:`mesh_of`.
    a : (my, mx) cell values of the coefficient.
    """

    def __init__(self, mesh: Mesh, a: np.ndarray):
        self.space = H1(mesh, order=1, dirichlet=".*")
        self._u, self._v = self.space.TnT()
        self._a = VoxelCoefficient((0, 0), (1, 1), a, linear=False)
        self.load = LinearForm(self._v * dx)

    @staticmethod
    def mesh_of(n: int) -> Mesh:
        """Make a mesh of n x n quads."""
        return MakeStructured2DMesh(quads=True, nx=n, ny=n)

    def assemble(self, preconditioner: str = "") -> BilinearForm:
        """Assemble the form, with a preconditioner of this name if one is given."""
        form = BilinearForm(self._a * grad(self._u) * grad(self._v) * dx)
        self._pre = Preconditioner(form, preconditioner) if preconditioner else None
        return form.Assemble()

    def solve(self, name: str) -> int:
        """Assemble and solve.

        Parameters
        ----------
        name : of ``NGSOLVE_SOLVERS``.

        Returns
        -------
        Conjugate gradient steps; 0 for a direct solver.
        """
        if name != "sparsecholesky":
            return self.iterate(self.assemble(name))
        solution = GridFunction(self.space)
        form = self.assemble()
        solution.vec.data = form.mat.Inverse(self.space.FreeDofs(), name) * self.load.Assemble().vec
        return 0

    def iterate(self, form: BilinearForm) -> int:
        """Solve by conjugate gradients with the preconditioner of an assembled form; return the steps."""
        solution = GridFunction(self.space)
        solver = CGSolver(form.mat, self._pre, tol=TOLERANCE, maxiter=MAX_STEPS)
        solution.vec.data = solver * self.load.Assemble().vec
        return int(solver.iterations)  # type: ignore[attr-defined]


def geometric_multigrid(n: int, a: np.ndarray) -> int:
    """Refine a mesh of quads uniformly, assemble on every mesh, and solve with NGSolve's multigrid.

    Parameters
    ----------
    n : cells a side of the finest mesh; the first one has ``n`` over the largest power of 2 that leaves 8 or more.
    a : (my, mx) cell values of the coefficient.

    Returns
    -------
    Conjugate gradient steps.
    """
    cells = n
    while cells % 2 == 0 and cells >= 16:
        cells //= 2
    problem = FineProblem(FineProblem.mesh_of(cells), a)
    form = problem.assemble("multigrid")
    while cells < n:
        problem.space.mesh.Refine()
        problem.space.Update()
        form.Assemble()
        cells *= 2
    return problem.iterate(form)
