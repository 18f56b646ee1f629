"""What a solution approximates: u_h, the Q1 solution of a fine mesh, or u, that of the differential equation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SolverFailure
from .hierarchy import hierarchy
from .transfer import prolongate

if TYPE_CHECKING:
    from .bvp import BoundaryValueProblem
    from .medium import Medium
    from .space import Space
    from .substructuring.cell import Cell

#: Relative energy error at which a fine solve by multigrid stops.
MULTIGRID_TOLERANCE = 1e-10


class Target(ABC):
    """What "the solution" means: pass one as ``correct(..., target=...)``.

    A subclass says how the solution is found and, where it is no function of the fine mesh, what its nodal values and
    its energy are. To add a target, write a subclass; nothing has to be registered.

    Attributes
    ----------
    name : for tables and messages.
    accuracy : relative energy error against u that was asked for; ``None``: no particular one.
    """

    name: str = "solution"
    accuracy: float | None = None

    @abstractmethod
    def solve(self, problem: BoundaryValueProblem, fine: Space) -> Any:
        """Solve a problem.

        Parameters
        ----------
        problem : in numpy, with a known load.
        fine : the fine space on which nodal values will be asked for; same rectangle and boundary conditions.

        Returns
        -------
        The solution, of any type that the other methods understand; by default nodal values (ny+1, nx+1).

        Raises
        ------
        InvalidProblem, SolverFailure
        """

    def nodes(self, solution: Any, fine: Space) -> np.ndarray:
        """Evaluate a solution at the nodes of the fine space.

        Parameters
        ----------
        solution : as :meth:`solve` returned it.
        fine : the fine space.

        Returns
        -------
        Nodal values (ny+1, nx+1) in float64.
        """
        return solution

    def energy(self, solution: Any, problem: BoundaryValueProblem) -> float:
        """Compute the energy functional E(v) = ½ a(v, v) − f(v) of a solution; E(v) − E(w) compares their errors.

        Parameters
        ----------
        solution : as :meth:`solve` returned it.
        problem : the problem that was solved.

        Returns
        -------
        E(v) of the function, not only of its interpolant.
        """
        from .norms import functional

        cells = (solution.shape[-2] - 1, solution.shape[-1] - 1)
        return functional(solution, problem.medium, problem.known_load.vector(cells), problem.space.size)

    def bound(self, solution: Any) -> float | None:
        """Bound the relative energy error of a solution against u, where the method guarantees one; else ``None``."""
        return None

    def notes(self, solution: Any, problem: BoundaryValueProblem) -> tuple[str, ...]:
        """Tell what the user should know of this solution, in sentences."""
        return ()


@dataclass(frozen=True)
class FineQ1(Target):
    """u_h, the Q1 solution on the fine mesh, found by multigrid; what networks are trained to give.

    Parameters
    ----------
    scale : fine cells per coarse cell and axis.
    tolerance : relative energy error at which multigrid stops.
    """

    scale: float
    tolerance: float = MULTIGRID_TOLERANCE
    name: str = "fine"

    def solve(self, problem: BoundaryValueProblem, fine: Space) -> np.ndarray:
        """Solve on the fine mesh; parameters as for :meth:`Target.solve`.

        Parameters
        ----------
        problem : in numpy, with a known load.
        fine : the fine space.

        Returns
        -------
        Nodal values (ny+1, nx+1) of u_h.

        Raises
        ------
        SolverFailure
            If multigrid does not converge.
        """
        solver = hierarchy(problem.medium, fine)
        b, start = problem.known_load.vector(fine.cells), prolongate(problem.U, fine.cells)
        u, info = solver.solve(b, start, tolerance=self.tolerance, max_iterations=300)
        if not info.converged:
            raise SolverFailure(
                f"multigrid on {fine.cells[1]} x {fine.cells[0]} fine cells reached a relative residual of "
                f"{info.relative_residual:.1e} after {info.iterations} steps, not {self.tolerance:.0e}; "
                "the contrast is too large for it."
            )
        return u

    def ratio(self, medium: Medium, space: Space) -> float:
        """Compute ε/h: fine cells per coefficient cell, along y."""
        return self.scale * space.cells[0] / medium.cells[0]

    def aligned(self, medium: Medium, space: Space) -> FineQ1:
        """Return the target on the mesh that is aligned with the raster.

        A mesh whose cells cut raster cells is about as stiff as the next coarser one that is aligned with them: at
        scale 6 on 16 coarse cells, the solution at scale 4 differs from that at 6 by 0.028 in L2, the one at scale 8 by
        0.098.

        Parameters
        ----------
        medium : the raster.
        space : the coarse space.

        Returns
        -------
        FineQ1 whose ratio is a whole number as it was, else the power of 2 below.
        """
        return replace(self, scale=aligned_ratio(self.ratio(medium, space)) * medium.cells[0] / space.cells[0])

    def refinement(self, medium: Medium, space: Space) -> tuple[int, int]:
        """Count the fine cells per coefficient cell, (ry, rx); 1 where there is no whole one."""
        along_x = self.scale * space.cells[1] / medium.cells[1]
        return max(1, int(self.ratio(medium, space) + 1e-9)), max(1, int(along_x + 1e-9))

    def cell(self, medium: Medium, space: Space) -> Cell:
        """Condense a coefficient cell of this target's fine cells, a = 1."""
        from .substructuring.cell import nodal_cell

        hy, hx = space.with_cells(medium.cells).spacing
        return nodal_cell(self.refinement(medium, space), hy / hx)


def aligned_ratio(ratio: float) -> float:
    """Round a number of fine cells per coefficient cell down to a power of 2, unless it is whole.

    Parameters
    ----------
    ratio : ε/h, positive.

    Returns
    -------
    A whole number, or 2^k ≤ ratio.

    Examples
    --------
    >>> aligned_ratio(3.0), aligned_ratio(1.25), aligned_ratio(0.75)
    (3.0, 1.0, 0.5)
    """
    return ratio if ratio == int(ratio) else 2.0 ** math.floor(math.log2(ratio))
