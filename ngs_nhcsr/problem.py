"""A coarse problem as arrays: what every solver and network works on, read from NGSolve or made from arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .checks import check_coefficient_values, check_raster_shape, check_reaction_values, check_tensor_values
from .errors import InvalidProblem
from .number_checks import check_size
from .reading import galerkin_solve
from .solvers.bvp import BoundaryValueProblem
from .solvers.direct_fine import check_constants
from .solvers.load import Load, load_cells
from .solvers.medium import Mean
from .solvers.moments import function_moments, of_callable
from .solvers.neumann import balanced, is_neumann
from .solvers.nodal import Function, boundary_values, real_values, refuse_cell_values
from .solvers.robin import robin_sides
from .solvers.space import Cells, Space, cell_pair
from .solvers.tensor_medium import medium_of

if TYPE_CHECKING:
    from .reading import Reading

#: Relative energy distance below which a coarse solution solves the problem as read.
MATCHING = 0.05
#: … and below which it does so up to quadrature and the tolerance of a solver.
MATCHED = 1e-3
#: How raster cells in which the coefficient varies get their value, where no model says how it was trained. They lie
#: far below the coarse mesh: the geometric mean is what a chequered cell conducts, the arithmetic one what layers along
#: the flow do, too much for others. On a mesh that is solved on itself (``QuadSpace.coefficient``) the mean is
#: arithmetic, because that is what its element matrices integrate.
MEAN: Mean = "geometric"


@dataclass(frozen=True, eq=False, repr=False)
class Problem(BoundaryValueProblem):
    """One problem with what is known about its origin; in numpy.

    Attributes
    ----------
    space, medium, load, U : see ``solvers.bvp.BoundaryValueProblem``; U is the canonical coarse solution, of
        mean zero for a Neumann problem.
    given : (N+1, M+1) nodal values of the coarse solution as the user computed it; U where it was made from arrays.
    variation : (my, mx) 1 − harmonic / arithmetic mean of the coefficient's samples in a raster cell; ``None`` where it
        is constant in every cell.
    notes : reservations to tell the user.
    decided : False where the load is not known, or several quadrature rules explain the solution.
    mismatch : relative energy distance of the user's solution from that of the problem as read, where f or the form
        was given: about zero if all belongs together; 0 where it was not compared.
    reading : how the load was found; ``None`` where it was given as an array.
    load_error : estimated relative energy error from a load that was recovered; 0 for one that was given.
    """

    given: np.ndarray = field(kw_only=True)
    variation: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    decided: bool = True
    mismatch: float = 0.0
    reading: Reading | None = None
    load_error: float = 0.0

    @classmethod
    def from_arrays(
        cls,
        A: np.ndarray,
        *,
        coarse: Cells,
        f: Function = 1.0,
        g: Function = 0.0,
        size: tuple[float, float] = (1.0, 1.0),
        natural: str | Iterable[str] = (),
        reaction: np.ndarray | float | None = None,
        robin: float | Mapping[str, float] | None = None,
    ) -> Problem:
        """Make a problem from arrays, without NGSolve; ``Corrector.correct_problem`` takes it.

        Parameters
        ----------
        A : (my, mx) positive cell values of the coefficient, row 0 at the lowest y; or (my, mx, 2, 2) symmetric
            positive definite tensors.
        coarse : coarse cells a side, or (Ny, Nx). Where they do not divide the raster, no network takes part.
        f : load: a number, a callable f(x, y) of arrays, integrated with its jumps, or nodal values on any grid.
        g : Dirichlet data, linear between coarse nodes: a number, a callable g(x, y), or coarse nodal values of which
            those on the boundary count.
        size : (Ly, Lx).
        natural : sides with homogeneous natural conditions, among "bottom", "right", "top", "left". If these are all
            and there is neither reaction nor Robin side, f must integrate to zero; the solution has the mean zero.
        reaction : c ≥ 0 of −div(a∇u) + c u = f: a number, or cell values (py, px) whose raster divides that of ``A``.
        robin : α ≥ 0 of a∂u/∂n + α u = 0 on natural sides: a number for all of them, or a dict by side. No network
            takes part then.

        Returns
        -------
        Problem with its coarse Galerkin solution.

        Raises
        ------
        InvalidProblem, NotCoercive, GridMismatch
            If the coefficient is not positive and finite, or seems to be transposed; likewise the reaction and α; if
            f or g is not real and finite, or there is no such side; or if f is to integrate to zero and does not.

        Examples
        --------
        >>> p = Problem.from_arrays(np.ones((16, 16)), coarse=4)
        >>> p.U.shape, round(float(p.U.max()), 4)
        ((5, 5), 0.0777)
        """
        cells, size = cell_pair(coarse, "coarse"), check_size(size)
        A = check_tensor_values(A) if np.ndim(A) == 4 else check_coefficient_values(A)
        check_raster_shape(A.shape[-2:], cells, None, size)
        medium = medium_of(A, check_reaction_values(reaction))
        medium.reaction_on_raster()  # says what is wrong with its raster
        space = Space.with_sides(cells, size, natural)
        medium = medium.with_robin(robin_sides(robin, space))
        check_constants(medium, space)
        notes: tuple[str, ...] = ()
        if callable(f):
            integral = function_moments(of_callable(f), space.refined(load_cells(cells)).cells, size)
            load, notes = Load.from_vector(integral.vector, size), integral.notes
        else:
            values = real_values(f, "f")
            if values.ndim == 0:  # a number needs no grid
                load = Load.of(float(values), (1, 1), size)
            elif values.ndim == 2 and min(values.shape) > 1:
                refuse_cell_values(values.shape, cells, "f")
                load = Load(values, size)
            else:
                raise InvalidProblem(
                    f"f has shape {values.shape}; give a number, a callable f(x, y), or nodal values (n+1, m+1)."
                )
        if is_neumann(space, medium):
            balanced(load.vector(cells))
        U = galerkin_solve(medium, space, load.vector(cells), boundary_values(g, cells, size))
        return cls(space=space, medium=medium, load=load, U=U, given=U, notes=notes)

    @property
    def consistent(self) -> bool:
        """Whether the user's solution is that of the problem as read, as far as it was compared."""
        return self.mismatch <= MATCHING

    @property
    def load_recovered(self) -> bool:
        """Whether there is a load, and only the coarse solution tells it."""
        return self.reading is not None and self.reading.recovered and self.load is not None and self.load.values.any()

    @property
    def A(self) -> np.ndarray:
        """Coefficient cell values (my, mx); InvalidProblem for a tensor, which has none."""
        return self.medium.values  # type: ignore[return-value]

    def load_vector(self, cells: tuple[int, int]) -> np.ndarray | None:
        """Compute the load vector (ny+1, nx+1) on the grid with ``cells`` = (ny, nx); ``None`` if it is not decided."""
        return self.load.vector(cells) if self.load is not None and self.decided else None
