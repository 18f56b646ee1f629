"""The target u: the solution of the differential equation on the raster, by trace spaces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidProblem
from .dirichlet import jumps
from .medium import refuse_reaction, repeated
from .space import EDGES, SIDES, cell_aspect
from .target import Target
from .tensor_medium import refuse_tensor
from .transfer import prolongate

if TYPE_CHECKING:
    from .bvp import BoundaryValueProblem
    from .medium import Medium
    from .space import Space
    from .substructuring.cell import Cell
    from .trace import TraceField

#: Algebraic tolerance of PDE solves. In L2 at the nodes the space has 4e-6, 6e-6, 9e-6 at contrast 10, 100, 1000 (128 x
#: 128 pixels); a solve to 1e-4 adds 1e-6, 2e-6, 6e-6, one to 3e-4 adds 3e-6, 7e-6, 2e-5, one to 1e-3 up to 6e-5.
TOLERANCE = 1e-4
#: Boundary values that differ by less than this part of their size are constant.
CONSTANT = 1e-12
#: Pixels are divided until they are at most so many times longer than wide: a layer may be found as 1000 x 1 pixels.
SLENDER = 4.0


@dataclass(frozen=True)
class PDE(Target):
    """u, the solution of the differential equation on the raster, by trace spaces (``solvers.trace``).

    Parameters
    ----------
    modes : functions per edge; ``None``: by the medium.
    accuracy : relative energy error against u to be guaranteed; where it is not reached, the best field.
    """

    modes: int | None = None
    accuracy: float | None = None
    name: str = "pde"

    def solve(self, problem: BoundaryValueProblem, fine: Space | None = None) -> TraceField:
        """Solve the equation; the mesh plays no role.

        Parameters
        ----------
        problem : in numpy, with a known load; every side either Dirichlet as a whole or natural.
        fine : not used.

        Returns
        -------
        The field, in the coordinates of the problem's rectangle.

        Raises
        ------
        InvalidProblem
            If the load is not known, there is a reaction, no Dirichlet side, one that is Dirichlet in part only, or
            Dirichlet data jump.
        SolverFailure
            If the iteration does not converge.
        """
        from .trace.solve import solve_with

        refuse_tensor(problem.medium, "the trace space", 'use target="fine"')
        refuse_reaction(problem.medium, "the trace space", 'use target="fine" with a larger scale')
        space = problem.space
        A = _divided(np.asarray(problem.medium.values), space.size)
        natural = natural_sides(space)
        if len(natural) == len(SIDES):
            raise InvalidProblem('the trace space needs a Dirichlet side; use target="fine" for Neumann problems.')
        if problem.dirichlet is None:
            U = prolongate(problem.U, (A.shape[0], A.shape[1]))
            traces = {side: U[edge] for side, edge in EDGES.items()}
        else:
            traces = problem.dirichlet
            for jump in jumps(traces, space):
                raise InvalidProblem(
                    f"g jumps by {jump}: no function of finite energy has such values, so there is no solution to "
                    'bound an error against. Smooth them over a pixel or more, or use target="fine".'
                )
        edges = {side: A.shape[1] if side in ("bottom", "top") else A.shape[0] for side in SIDES}
        g = {side: _constant_or_all(_refined(v, edges[side])) for side, v in traces.items() if side not in natural}
        load = problem.known_load
        nested = tuple(m * -(-n // m) for n, m in zip(load.cells, A.shape, strict=True))
        return solve_with(
            A,
            load.at((nested[0], nested[1])),
            g=g,
            natural=natural,
            size=space.size,
            tolerance=TOLERANCE,
            accuracy=self.accuracy,
            modes=self.modes,
            lower=space.lower,
        )

    def nodes(self, solution: Any, fine: Space) -> np.ndarray:
        """Evaluate the solution at the fine nodes: (ny+1, nx+1)."""
        return solution.nodes(fine.cells)

    def energy(self, solution: Any, problem: BoundaryValueProblem) -> float:
        """Compute ½ a(u, u) − f(u) of the trace field."""
        return solution.functional

    def bound(self, solution: Any) -> float | None:
        """Return the guaranteed bound of the relative energy error against u; it takes a solve of the dual problem."""
        return solution.relative_error_bound

    def notes(self, solution: Any, problem: BoundaryValueProblem) -> tuple[str, ...]:
        """Say so where the accuracy was not reached."""
        if self.accuracy is None or not solution.relative_error_bound > self.accuracy:
            return ()
        return (f"accuracy {self.accuracy:g} was not reached: {solution.relative_error_bound:.1e} is guaranteed.",)

    def cell(self, medium: Medium, space: Space) -> Cell:
        """Build the reference cell of the trace space for a medium, a = 1."""
        from .trace.candidates import default_modes, exponents_for
        from .trace.solve import reference_cell

        modes = default_modes(medium.values) if self.modes is None else self.modes  # type: ignore[arg-type]
        return reference_cell(exponents_for(medium.values, modes), modes, medium.cells, space.size)  # type: ignore[arg-type]


def natural_sides(space: Space) -> tuple[str, ...]:
    """List the sides that are natural as a whole.

    Parameters
    ----------
    space : with boundary conditions.

    Returns
    -------
    Names among "bottom", "right", "top", "left".

    Raises
    ------
    InvalidProblem
        If a side has both kinds of nodes: the solution then has a singularity that is not in the trace space.

    Examples
    --------
    >>> from ngs_nhcsr.solvers.space import Space
    >>> natural_sides(Space.with_sides((4, 4), natural=("left",)))
    ('left',)
    """
    if space.mixed_sides:
        raise InvalidProblem(
            f'the {space.mixed_sides[0]} side is Dirichlet in part only, which target="pde" cannot solve: make it '
            'Dirichlet or natural as a whole, or use target="fine".'
        )
    return tuple(side for side, fixed in zip(SIDES, space.sides, strict=True) if not fixed)


def _divided(A: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Divide pixels (my, mx) that are longer than ``SLENDER`` times their width, into 2, 4, 8 … parts."""
    my, mx = A.shape
    aspect = cell_aspect((my, mx), size)
    tall, wide = (2 ** max(0, math.ceil(math.log2(v / SLENDER))) for v in (aspect, 1 / aspect))
    return repeated(A, (my * tall, mx * wide))


def _refined(values: np.ndarray, edges: int) -> np.ndarray:
    """Interpolate nodal values of a side, whose number of cells is a power of two times ``edges``, or a part of it."""
    n = max(len(values) - 1, edges)
    return values if n == len(values) - 1 else np.interp(np.arange(n + 1) / n, np.linspace(0, 1, len(values)), values)


def _constant_or_all(values: np.ndarray) -> float | np.ndarray:
    """Dirichlet values of a side as one number where they are constant: bounds of its flux need to know."""
    return float(values.mean()) if np.ptp(values) <= CONSTANT * np.abs(values).max() else values
