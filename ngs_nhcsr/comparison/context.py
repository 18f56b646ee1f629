"""What every method is given: one problem as arrays, and the building blocks that several methods share.

The only file of the comparison that knows what a ``Problem`` consists of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..checks import check_memory
from ..errors import GridMismatch, InvalidProblem
from ..problem import Problem
from ..short_repr import ShortRepr
from ..solvers.direct import DirichletSystem
from ..solvers.hierarchy import Hierarchy, hierarchy
from ..solvers.medium import Medium, refuse_reaction
from ..solvers.q1 import stiffness
from ..solvers.space import EDGES, Space
from ..solvers.tensor_medium import refuse_tensor

if TYPE_CHECKING:
    from ..solvers.bvp import BoundaryValueProblem
    from ..solvers.trace import TraceField

#: Boundary values below this fraction of the largest value are zero.
ZERO = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Context(ShortRepr):
    """One problem with zero boundary values on a coarse and a fine mesh; made by :meth:`of`.

    Attributes
    ----------
    problem : the coarse problem; methods read it through the properties below.
    fine : the fine space, on which fields are wanted.
    f : (ny+1, nx+1) nodal values of the load on the fine mesh.
    b : (ny+1, nx+1) load vector on the fine mesh.
    model : of the network, as for ``Corrector``.
    device : where the network and multigrid run.
    reference : (ny+1, nx+1) the field that errors are measured against, once it is known; for methods that say in
        their label that they need it.
    solution : the PDE's solution, if errors are measured against it; ``reference`` then are its nodal values.
    """

    problem: Problem
    fine: Space
    f: np.ndarray
    b: np.ndarray
    model: Any = None
    device: torch.device | str = "cpu"
    reference: np.ndarray | None = None
    solution: TraceField | None = None

    @classmethod
    def of(cls, problem: Problem, scale: float, *, model: Any = None, device: torch.device | str = "cpu") -> Context:
        """Make the context of a problem, still without a reference.

        Parameters
        ----------
        problem : read from NGSolve, or ``Problem.from_arrays(...)``; zero on the boundary, with a known load.
        scale : fine cells per coarse cell and axis, above 1.
        model : of the network, as for ``Corrector``.
        device : where the network and multigrid run.

        Returns
        -------
        Context

        Raises
        ------
        InvalidProblem
            If the load is not known, boundary values are not zero, or the fine mesh does not fit into memory.
        GridMismatch
            If ``scale`` does not give whole fine cells, or coarse cells cut those of the coefficient.

        Examples
        --------
        >>> context = Context.of(Problem.from_arrays(np.ones((16, 16)), coarse=4), scale=8)
        >>> context.coarse, context.cells, context.b.shape
        ((4, 4), (32, 32), (33, 33))
        """
        if problem.load is None:
            raise InvalidProblem(
                "the load of the coarse solution is not known, and every method needs it; pass f= (the load) or form= "
                f"(the BilinearForm u_coarse was solved with). {' '.join(problem.notes)}".strip()
            )
        _check_zero_boundary(problem)
        if not problem.medium.refines(problem.space.cells):
            (my, mx), (Ny, Nx) = problem.medium.cells, problem.space.cells
            raise GridMismatch(
                f"most methods need whole pixels per coarse cell, and {mx} x {my} pixels do not fit {Nx} x {Ny} cells; "
                "compare on a coarse mesh that divides them. correct() takes these as they are."
            )
        fine = problem.space.refined(scale)
        return cls(problem, fine, *_load_on(fine, problem), model, device)

    def on_mesh(self, cells: tuple[int, int]) -> Context:
        """Return the same problem with another fine mesh, without the reference's nodal values.

        Parameters
        ----------
        cells : (ny, nx) fine cells.

        Returns
        -------
        Context
        """
        fine = self.fine.with_cells(cells)
        f, b = _load_on(fine, self.problem)
        return replace(self, fine=fine, f=f, b=b, reference=None)

    @property
    def medium(self) -> Medium:
        """The coefficient."""
        return self.problem.medium

    @property
    def A(self) -> np.ndarray:
        """Coefficient cell values (my, mx), for methods of scalars without reaction; InvalidProblem for others."""
        refuse_tensor(self.medium, "this method", "compare multigrid and fine solves")
        refuse_reaction(self.medium, "this method", "compare those with local solves, multigrid or fine solves")
        return np.asarray(self.medium.values)

    @property
    def F(self) -> np.ndarray:
        """Coarse load vector (Ny+1, Nx+1)."""
        return self.problem.known_load.vector(self.coarse, matched=True)

    @property
    def U(self) -> np.ndarray:
        """Canonical coarse solution (Ny+1, Nx+1): Galerkin, the coefficient integrated exactly."""
        return self.problem.U

    @property
    def given(self) -> np.ndarray:
        """Coarse solution (Ny+1, Nx+1) as the user computed it."""
        return self.problem.given

    @property
    def space(self) -> Space:
        """The coarse space."""
        return self.problem.space

    @property
    def coarse(self) -> tuple[int, int]:
        """Coarse cells (Ny, Nx)."""
        return self.problem.space.cells

    @property
    def cells(self) -> tuple[int, int]:
        """Fine cells (ny, nx)."""
        return self.fine.cells

    @property
    def scale(self) -> float:
        """Fine cells per coarse cell and axis."""
        return self.cells[0] / self.coarse[0]

    @property
    def size(self) -> tuple[float, float]:
        """(Ly, Lx) of the rectangle."""
        return self.problem.space.size

    @property
    def notes(self) -> tuple[str, ...]:
        """Reservations about the problem as it was read."""
        return self.problem.notes

    @property
    def title(self) -> str:
        """The problem in one line."""
        (Ny, Nx), (ny, nx), (my, mx) = self.coarse, self.cells, self.medium.cells
        contrast = self.medium.contrast
        return f"contrast 1:{contrast:.4g}, {Nx} x {Ny} coarse, {mx} x {my} coefficient, {nx} x {ny} fine cells"

    def tensors(self) -> BoundaryValueProblem:
        """Convert the coarse problem to torch on the device, with a batch of one medium and one load."""
        return self.problem.tensors(self.device)

    def dirichlet_system(self, cells: tuple[int, int], A: np.ndarray | None = None) -> DirichletSystem:
        """Assemble and factorise the Q1 system with zero boundary values on a grid.

        Parameters
        ----------
        cells : (ny, nx) of the grid; with ``context.coarse`` it is the system of the canonical coarse solution.
        A : cell values of another coefficient; default: the problem's. Integrated exactly on any grid, as the reaction.

        Returns
        -------
        DirichletSystem, whose ``solve`` takes a load vector (ny+1, nx+1).
        """
        medium = self.medium if A is None else Medium(A, self.medium.reaction)
        K = stiffness(medium, cells, self.size)
        return DirichletSystem(K, Space(cells, size=self.size).free).factorise()

    def hierarchy(self) -> Hierarchy:
        """Set up the multigrid hierarchy of the fine mesh on the device."""
        return hierarchy(self.medium, self.fine, self.device)


def _load_on(fine: Space, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Nodal values and load vector of the problem's load on a fine mesh that fits into memory."""
    check_memory(fine.cells)
    return problem.known_load.at(fine.cells), problem.known_load.vector(fine.cells)


def _check_zero_boundary(problem: Problem) -> None:
    """Check that all sides carry zero Dirichlet values; the message names those that do not."""
    free, U = problem.space.free, problem.U
    limit = ZERO * float(np.abs(U).max())
    wrong = []
    for side, at in EDGES.items():
        if free[at].any():
            wrong.append(f"{side} (no Dirichlet condition on all of it)")
        elif float(np.abs(U[at]).max()) > limit:
            wrong.append(f"{side} (values up to {float(np.abs(U[at]).max()):.3g})")
    if wrong:
        raise InvalidProblem(
            f"the comparison needs zero Dirichlet values on all sides, which u_coarse has not on: {', '.join(wrong)}. "
            "Compare on a problem with zero boundary values, or use correct(), which takes any Dirichlet data."
        )
