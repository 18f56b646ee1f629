r"""The set-up of one medium with its boundary conditions; it serves any number of loads.

Owns the discrete problem: the load vector, the lift of Dirichlet data, the solver with its set-up, the dual problem.

Unknowns are the coefficients of the trace. With :math:`\varepsilon` the width of a cell and :math:`f_m` the
coefficients of the load's linear polynomial, cell by cell,

.. math:: a S c = \varepsilon^2 \sum_m f_m \int g_m H\varphi + \int_{\text{natural}} a\,\partial_n u\,\varphi ,
          \qquad d_m = \varepsilon^2 f_m / a .
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .boundary import BoundaryData, flux_moments
from .cell import TraceCell
from .function import TraceFunction
from .layout import Boundary, TraceVector, gather, scatter
from .loads import CellLoad
from .schwarz import TraceSolved, TraceSolver

if TYPE_CHECKING:
    from .dual import DualProblem

Array = np.ndarray

#: Relative accuracy that the reference cell has at every contrast that is accepted.
CELL_ACCURACY = 1e-9
#: Solves in which a tolerance relative to the whole field is reached.
REPEATS = 4


def apply_cells(a: Array, stiffness: Array, x: TraceVector) -> TraceVector:
    """Return A x on all unknowns, fixed ones included: the values there are reactions.

    Parameters
    ----------
    a : (my, mx) coefficient.
    stiffness : (n, n) matrix of a cell with a = 1.
    x : coefficients on my x mx cells.

    Returns
    -------
    The moments A x.

    Examples
    --------
    >>> Q1 = np.array([[4.0, -1, -1, -2], [-1, 4, -2, -1], [-1, -2, 4, -1], [-2, -1, -1, 4]]) / 6
    >>> x = TraceVector.zeros((1, 1), 0)
    >>> x.corners[:, 1] = 1.0  # the function x: a du/dn = -3 at the left, 3 at the right
    >>> apply_cells(np.array([[3.0]]), Q1, x).corners.round(12).tolist()
    [[-1.5, 1.5], [-1.5, 1.5]]
    """
    local = gather(x)
    flat = local.reshape(-1, local.shape[-1]) @ stiffness
    return scatter(a[..., None] * flat.reshape(local.shape))


def balanced(b: TraceVector, boundary: Boundary, scale: float) -> TraceVector:
    """Return moments without what the accuracy of the reference cell leaves in them.

    Parameters
    ----------
    b : moments of a right-hand side.
    boundary : says whether constants are free. If so, the moments at the vertices are made to add up to zero, where
        they do up to that accuracy.
    scale : size of the terms whose sum ``b`` is; where they cancel up to that accuracy, the result is zero.

    Returns
    -------
    The moments; ``b`` itself is not changed.
    """
    largest = max(float(np.abs(v).max()) for v in b.parts())
    if largest <= CELL_ACCURACY * scale:
        return TraceVector.zeros(b.cells, b.modes)
    if not boundary.singular:
        return b
    j0, j1, i0, i1 = boundary.ranges(b.cells)
    corners = b.corners.copy()
    total = corners[j0:j1, i0:i1].sum()
    if abs(total) <= CELL_ACCURACY * max(largest, scale):
        corners[j0:j1, i0:i1] -= total / ((j1 - j0) * (i1 - i0))
    return TraceVector(b.level, b.upright, corners)


@dataclass(frozen=True, eq=False)
class TraceProblem:
    """A medium with its boundary conditions.

    Attributes
    ----------
    a : (my, mx) positive coefficient of the cells.
    size : (Ly, Lx) side lengths.
    exponents : candidate exponents of the reference cell.
    cell : the reference cell, of the raster's aspect.
    data : boundary data.
    lower : (x0, y0) the rectangle's lower left corner, for what is asked of its fields.
    """

    a: Array
    size: tuple[float, float]
    exponents: tuple[float, ...]
    cell: TraceCell
    data: BoundaryData
    lower: tuple[float, float] = (0.0, 0.0)

    @property
    def sides(self) -> tuple[float, float]:
        """Sides (hy, hx) of a cell."""
        return self.size[0] / self.a.shape[0], self.size[1] / self.a.shape[1]

    @cached_property
    def solver(self) -> TraceSolver:
        """The iterative solver with its preconditioner, set up on first use."""
        return TraceSolver(self.a, self.cell.stiffness, self.cell.modes, natural=self.data.boundary.natural)

    @cached_property
    def dual(self) -> DualProblem:
        """The dual problem, set up on first use."""
        from .dual import DualProblem

        return DualProblem(self)

    def moments(self, load: CellLoad) -> TraceVector:
        """Assemble the load vector: moments of load and flux data with the trace functions.

        Parameters
        ----------
        load : linear on every cell.

        Returns
        -------
        Moments on all unknowns, fixed ones included.
        """
        f = np.moveaxis(load.coefficients, 0, -1)
        b = scatter(f @ (self.sides[1] ** 2 * self.cell.moments))
        return b.combine(1.0, flux_moments(self.data, self.cell, self.size)) if self.data.flux else b

    def solve(
        self, load: CellLoad, tolerance: float, start: TraceVector | None = None
    ) -> tuple[TraceFunction, TraceSolved]:
        """Solve for one load.

        Parameters
        ----------
        load : linear on every cell.
        tolerance : of the algebraic error in the energy norm, relative to the solution.
        start : trace of a field to start from; None: the lift of the Dirichlet data.

        Returns
        -------
        The solution, and how it was found.

        Raises
        ------
        SolverFailure
            If the tolerance is not reached.
        """
        steps, seconds = 0, 0.0
        b, lift, work = self.moments(load), self.data.lift, tolerance
        for _ in range(REPEATS):
            vector, info = solve_lifted(self.solver, self.a, b, lift, work, start)
            u = TraceFunction(self.cell, self.size, vector, self.interior(load), lower=self.lower)
            if self.data.homogeneous:
                return u, info
            # the solver's error is relative to u less the lift of the Dirichlet data
            free = replace(u, vector=vector.combine(-1.0, lift), interior=np.zeros_like(u.interior))
            part, whole = (float(np.sum(self.a * v.dirichlet())) for v in (free, u))
            error = info.relative_error * math.sqrt(part / whole) if part > 0 and whole > 0 else 0.0
            steps += info.steps
            seconds += info.seconds
            if error <= tolerance:
                break
            start, work = vector, max(0.5 * tolerance * math.sqrt(whole / part), 1e-13)
        return u, TraceSolved(steps, error, error <= tolerance, seconds)

    def interior(self, load: CellLoad) -> Array:
        """Return the factors of the particular solutions in the cells.

        Parameters
        ----------
        load : linear on every cell.

        Returns
        -------
        (3, my, mx) factors d of the module's formula.
        """
        return self.sides[1] ** 2 * load.coefficients / self.a


def solve_lifted(
    solver: TraceSolver,
    a: Array,
    b: TraceVector,
    lift: TraceVector,
    tolerance: float,
    start: TraceVector | None = None,
) -> tuple[TraceVector, TraceSolved]:
    """Solve ``A x = b`` with given values at fixed unknowns.

    Parameters
    ----------
    solver : with the matrix A of the coefficient ``a``.
    a : (my, mx) coefficient.
    b : moments on all unknowns; those at fixed ones are ignored.
    lift : values at fixed unknowns; at free ones any continuation.
    tolerance : of the algebraic error in the energy norm, relative to the solution less the lift.
    start : first iterate, with the lift in it; None: the lift.

    Returns
    -------
    The solution, which shares no memory with the solver, and :class:`TraceSolved`.

    Raises
    ------
    SolverFailure
        If the tolerance is not reached.
    """
    if not any(v.any() for v in lift.parts()):
        x, info = solver.solve(b, start, tolerance=tolerance)
        return x.copy(), info  # the solver works in place: its next solve must not change this one
    b = b.combine(-1.0, apply_cells(a, solver.stiffness, lift))
    x, info = solver.solve(b, None if start is None else start.combine(-1.0, lift), tolerance=tolerance)
    return x.combine(1.0, lift), info
