"""The multigrid of this package as a matrix of NGSolve, to precondition its Krylov solvers."""

from __future__ import annotations

from typing import Any

import ngsolve as ngs

from ..number_checks import check_iteration
from ..solvers.hierarchy import Solved, hierarchy
from ..solvers.medium import Medium
from ..solvers.neumann import balanced, is_neumann, with_mean
from .quad_space import QuadSpace
from .robin import read_robin


class PixelMultigrid(ngs.BaseMatrix):
    """One V-cycle for −div(a∇u) + c u: a symmetric positive definite approximation of the inverse of its Q1 matrix.

    On coefficients of pixels that the mesh does not cut the steps of conjugate gradients hardly depend on mesh and
    contrast: 8 to 13 for 1:10 to 1:1000. The form may be assembled with any quadrature rule; where cells cut pixels,
    rules mean different operators, and steps are more. It belongs to the coefficient at the time it was made. Set-up
    and application run in compiled kernels where numba is installed, else in torch; they have threads of their own.
    Inside NGSolve's ``TaskManager``, whose threads spin while they wait, they can be slower.

    Parameters
    ----------
    a : coefficient: CoefficientFunction (taken as its mean over the 2 x 2 Gauss points of every element), number, or
        array ``[iy, ix]`` of cell values on any raster of the rectangle.
    fes : real scalar H1 space of order 1 on a uniform mesh of quads of a rectangle, with any Dirichlet conditions.
    reaction : c ≥ 0, likewise number, CoefficientFunction or array on any raster; default: none.
    robin : α ≥ 0 of natural sides, a number for all or a dict of numbers by boundary name; default: none.
    cells_per_element : takes a CoefficientFunction on so many cells per element and axis, where it varies inside.

    Attributes
    ----------
    solved : what the last :meth:`solve` did: steps, residual; ``None`` before.

    Raises
    ------
    InvalidProblem, NotCoercive, GridMismatch
        If the space is of another kind, or the coefficient not positive and finite.

    Examples
    --------
    >>> import numpy as np
    >>> from ngsolve.krylovspace import CGSolver
    >>> from ngsolve.meshes import MakeStructured2DMesh
    >>> fes = ngs.H1(MakeStructured2DMesh(quads=True, nx=64, ny=64), order=1, dirichlet=".*")
    >>> pixels = np.where(np.random.default_rng(0).random((16, 16)) < 0.5, 1.0, 1000.0)
    >>> a = ngs.VoxelCoefficient((0, 0), (1, 1), pixels, linear=False)
    >>> u, v = fes.TnT()
    >>> form = ngs.BilinearForm(a * ngs.grad(u) * ngs.grad(v) * ngs.dx).Assemble()
    >>> load = ngs.LinearForm(v * ngs.dx).Assemble()
    >>> solver = CGSolver(form.mat, pre=PixelMultigrid(a, fes), tol=1e-8)
    >>> gfu = ngs.GridFunction(fes)
    >>> gfu.vec.data = solver * load.vec
    >>> solver.iterations < 15
    True
    """

    def __init__(
        self, a: Any, fes: ngs.FESpace, *, reaction: Any = None, robin: Any = None, cells_per_element: int = 1
    ):
        super().__init__()
        self._fine = QuadSpace.of(fes)
        a, c = self._fine.raster(a, cells_per_element), self._fine.reaction(reaction, cells_per_element)
        medium = Medium(a, c).with_robin(read_robin(robin, fes.mesh, self._fine.grid))
        self._hierarchy, self._neumann = hierarchy(medium, self._fine.grid), is_neumann(self._fine.grid, medium)
        self.solved: Solved | None = None

    def solve(
        self, f: Any = 1.0, g: Any = 0.0, *, tolerance: float = 1e-8, max_iterations: int = 300
    ) -> ngs.GridFunction:
        """Solve −div(a∇u) + c u = f with u = g at Dirichlet nodes by conjugate gradients, without a matrix of NGSolve.

        Parameters
        ----------
        f : number, CoefficientFunction, callable f(x, y) of arrays, nodal values ``[iy, ix]``, or an assembled
            LinearForm (which may have terms on natural sides) or its vector.
        g : number, CoefficientFunction, callable g(x, y) of arrays, or nodal values (ny+1, nx+1).
        tolerance : stop when the energy error, about, is this share of the solution's energy norm.
        max_iterations : give up after so many steps.

        Returns
        -------
        ngs.GridFunction
            The Q1 solution for the cell values of ``a`` and c, a new one in the space. Without Dirichlet nodes and
            reaction that of mean zero.

        Raises
        ------
        InvalidProblem
            If f or g cannot be read, or there are no Dirichlet nodes, no reaction, and f does not integrate to zero; or
            if tolerance or steps make no sense.
        SolverFailure
            If the tolerance is not reached.

        Examples
        --------
        >>> import numpy as np
        >>> from ngsolve.meshes import MakeStructured2DMesh
        >>> fes = ngs.H1(MakeStructured2DMesh(quads=True, nx=16, ny=16), order=1, dirichlet="left|right")
        >>> multigrid = PixelMultigrid(np.ones((4, 4)), fes)
        >>> u = multigrid.solve(f=0.0, g=ngs.x)
        >>> round(u(fes.mesh(0.3, 0.5)), 6), multigrid.solved.converged
        (0.3, True)
        """
        check_iteration(tolerance, max_iterations)
        b, lift = self._fine.load_vector(f), self._fine.boundary_values(g)
        if self._neumann:
            b = balanced(b)
        start = lift if lift.any() else None
        u, info = self._hierarchy.solve(b, start, tolerance=tolerance, max_iterations=max_iterations)
        self.solved = info
        info.check(tolerance, "take a larger tolerance, or NGSolve's sparsecholesky")
        if self._neumann:
            u = with_mean(u)
        out = ngs.GridFunction(self._fine.space)
        self._fine.write(u, out.vec)
        return out

    def Mult(self, x: ngs.BaseVector, y: ngs.BaseVector) -> None:  # noqa: D102 - NGSolve's interface from here on
        z = self._fine.nodes(y)  # where dofs are numbered by rows, y itself
        self._fine.write(self._hierarchy.precondition(self._fine.nodes(x), out=z), y)

    def MultAdd(self, scale: float, x: ngs.BaseVector, y: ngs.BaseVector) -> None:  # noqa: D102
        z = self._hierarchy.precondition(self._fine.nodes(x))
        self._fine.write(self._fine.nodes(y) + scale * z, y)

    def MultTrans(self, x: ngs.BaseVector, y: ngs.BaseVector) -> None:  # noqa: D102
        self.Mult(x, y)

    def MultTransAdd(self, scale: float, x: ngs.BaseVector, y: ngs.BaseVector) -> None:  # noqa: D102
        self.MultAdd(scale, x, y)

    def Height(self) -> int:  # noqa: D102
        return self._fine.space.ndof

    def Width(self) -> int:  # noqa: D102
        return self._fine.space.ndof

    def IsComplex(self) -> bool:  # noqa: D102
        return False

    def CreateRowVector(self) -> ngs.BaseVector:  # noqa: D102
        return ngs.BaseVector(self._fine.space.ndof)

    def CreateColVector(self) -> ngs.BaseVector:  # noqa: D102
        return ngs.BaseVector(self._fine.space.ndof)
