"""What a solution approximates: u_h, the Q1 solution of a fine mesh, or u, that of the differential equation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidProblem
from ..number_checks import is_number
from .dirichlet import with_data
from .hierarchy import hierarchy
from .medium import Medium
from .neumann import is_neumann, with_mean
from .space import Space, cell_aspect
from .transfer import prolongate

if TYPE_CHECKING:
    from .bvp import BoundaryValueProblem
    from .substructuring.cell import Cell

#: Relative energy error at which a fine solve by multigrid stops.
MULTIGRID_TOLERANCE = 1e-10
#: Relative distance from a whole number of cells that is round-off.
WHOLE = 1e-9


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
    """u_h, the Q1 solution on the fine mesh: what networks are trained to give; :meth:`solve` finds it by multigrid.

    Parameters
    ----------
    scale : fine cells per coarse cell and axis; as target of a correction it takes the place of the correction's.
    tolerance : relative energy error at which :meth:`solve` stops; networks know none.

    Raises
    ------
    InvalidProblem
        If the tolerance does not lie between 0 and 1.
    """

    scale: float
    tolerance: float = MULTIGRID_TOLERANCE
    name: str = "fine"

    def __post_init__(self) -> None:
        if not is_number(self.tolerance) or not 0 < self.tolerance < 1:
            raise InvalidProblem(f"tolerance of FineQ1 must lie between 0 and 1, not {self.tolerance!r}.")

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
        solver, b, start = hierarchy(problem.medium, fine), problem.known_load.vector(fine.cells), None
        if problem.dirichlet or problem.U[~problem.space.free].any():
            start = with_data(prolongate(problem.U, fine.cells), problem.dirichlet, problem.space, fine)
        u, info = solver.solve(b, start, tolerance=self.tolerance, max_iterations=300)
        info.check(self.tolerance, "the contrast is too large for it")
        return with_mean(u) if is_neumann(fine, problem.medium) else u

    def ratio(self, medium: Medium, space: Space) -> float:
        """Compute ε/h: fine cells per coefficient cell, along y."""
        return _whole(self.scale * space.cells[0] / medium.cells[0])

    def aligned(self, medium: Medium, space: Space) -> FineQ1:
        """Return the target on the nearest mesh that is aligned with the raster.

        A mesh whose cells cut those of the raster is stiffer than a coarser one that is aligned with them: at scale 5
        on 4 pixels per coarse cell its solution is 0.34 (energy) off that at scale 4, which is the better
        approximation of the solution of the differential equation.

        Parameters
        ----------
        medium : the raster.
        space : the coarse space.

        Returns
        -------
        FineQ1 with a whole number of fine cells per cell of the raster, or the power of 2 below where that is less
        than one.
        """
        return replace(self, scale=aligned_ratio(self.ratio(medium, space)) * medium.cells[0] / space.cells[0])

    def refinement(self, medium: Medium, space: Space) -> tuple[int, int]:
        """Count the fine cells per coefficient cell, (ry, rx), rounded down, at least 1."""
        along_x = _whole(self.scale * space.cells[1] / medium.cells[1])
        return max(1, int(self.ratio(medium, space))), max(1, int(along_x))

    def mesh(self, medium: Medium, coarse: Space) -> Space:
        """Choose the mesh to solve on: that of the target, or the nearest aligned one where its cells would cut pixels.

        Parameters
        ----------
        medium : the raster; it need not refine the coarse cells.
        coarse : the coarse space.

        Returns
        -------
        Space. Meshes of whole pixels per cell are those of the target; others have one cell per pixel at least.

        Examples
        --------
        >>> pixels = Medium(np.ones((300, 450)))
        >>> FineQ1(16).mesh(pixels, Space((32, 32))).cells, FineQ1(4).mesh(pixels, Space((32, 32))).cells
        ((600, 450), (300, 450))
        """
        if medium.refines(coarse.cells) and self.ratio(medium, coarse) >= 1:
            ny, nx = (_whole(n * self.aligned(medium, coarse).scale) for n in coarse.cells)
            if nx == round(nx) and round(nx) % medium.cells[1] == 0:
                return coarse.with_cells((round(ny), round(nx)))
        ny, nx = (_aligned_cells(n * self.scale, m) for n, m in zip(coarse.cells, medium.cells, strict=True))
        return coarse.with_cells((ny, nx))

    @staticmethod
    def nested(medium: Medium, coarse: Space, mesh: Space) -> bool:
        """Tell whether coarse cells, pixels and a mesh are nested as networks need it.

        Parameters
        ----------
        medium : the raster.
        coarse : the coarse space.
        mesh : as of :meth:`mesh`.

        Returns
        -------
        Whether coarse cells consist of whole pixels, and the mesh has one scale in both directions.
        """
        (ny, nx), (Ny, Nx) = mesh.cells, coarse.cells
        return medium.refines(coarse.cells) and ny * Nx == nx * Ny

    def cell(self, medium: Medium, space: Space) -> Cell:
        """Condense a coefficient cell of this target's fine cells, a = 1."""
        from .substructuring.cell import nodal_cell

        return nodal_cell(self.refinement(medium, space), cell_aspect(medium.cells, space.size))


def aligned_ratio(ratio: float) -> float:
    """Round a number of fine cells per coefficient cell to a whole one, or below one down to a power of 2.

    Parameters
    ----------
    ratio : ε/h, positive.

    Returns
    -------
    A whole number, or 2^k ≤ ratio.

    Examples
    --------
    >>> aligned_ratio(3.0), aligned_ratio(1.25), aligned_ratio(2.5), aligned_ratio(0.75)
    (3.0, 1.0, 2.0, 0.5)
    """
    return float(round(ratio)) if ratio >= 1 else 2.0 ** math.floor(math.log2(ratio))


def _whole(cells: float) -> float:
    """Return a number of cells, which is n times k/n, without its round-off where it should be whole."""
    return float(round(cells)) if abs(cells - round(cells)) < WHOLE * max(cells, 1.0) else cells


def _aligned_cells(asked: float, pixels: int) -> int:
    """Number of cells nearest to the one asked for of which pixels consist, or that consist of whole pixels."""
    asked = _whole(asked)
    if asked == round(asked) and pixels % round(asked) == 0:
        return round(asked)
    return max(1, round(asked / pixels)) * pixels
