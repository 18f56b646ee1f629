r"""Solve :math:`-\nabla\cdot(a\nabla u) = f` on a pixel medium to the accuracy of the differential equation.

Owns the entry point :func:`solve_pde`: the checks of its arguments, the choice of the number of functions per edge and
of the tolerance.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterable, Mapping

import numpy as np

from ...checks import check_coefficient_values
from ...errors import InvalidProblem, NhcsrWarning
from ...number_checks import check_size, is_number, is_whole
from .boundary import Data, boundary_data
from .bounds import reachable
from .candidates import LARGEST_CONTRAST, default_modes, exponents_for
from .cell import TraceCell, trace_cell
from .field import TraceField, TraceInfo
from .layout import TraceVector
from .loads import CellLoad, Load, cell_load
from .problem import TraceProblem
from .start import trace_of

Array = np.ndarray
log = logging.getLogger(__name__)

#: Numbers of functions per edge that an accuracy may ask for.
MODES = (6, 8, 10, 12)


def solve_pde(
    A: Array,
    f: Load = 1.0,
    *,
    g: Data = 0.0,
    natural: Iterable[str] = (),
    size: tuple[float, float] = (1.0, 1.0),
    tolerance: float | None = None,
    accuracy: float | None = None,
    modes: int | None = None,
    flux: Mapping[str, float] | None = None,
    start: Array | None = None,
) -> TraceField:
    """Solve the diffusion equation itself: no mesh below the pixels, error bounds against the equation.

    The field is a Galerkin solution in a space of traces on the pixels' edges that contains the singular functions
    of the vertices where pixels meet; inside the pixels it satisfies the equation exactly.

    Parameters
    ----------
    A : (my, mx) positive cell values, row 0 at the lowest y.
    f : load: a number; a callable f(x, y) of arrays; cell values (my, mx); linear polynomials (3, my, mx) with
        coefficients of 1, ξ, η in unit coordinates of every cell; or nodal values on a grid that refines the raster.
        Enters as its linear projection on every cell; what that changes is part of the error bound.
    g : Dirichlet data on the sides that are not natural: a number; a callable g(x, y); nodal values; or one of these
        per side, as a mapping ``{"left": 0.0, "right": 1.0}`` or in the order bottom, right, top, left.
    natural : sides among "bottom", "right", "top", "left" with given a du/dn, not all four.
    size : (Ly, Lx) side lengths.
    tolerance : relative algebraic error in the energy norm, in (0, 1); None: 1e-3 with up to seven functions per edge,
        else 3e-4, so that it stays below the error of the space.
    accuracy : total relative energy error wanted, guaranteed: functions per edge are added until the bound of the dual
        problem is below it. ``modes`` must be None then.
    modes : functions per edge; None: 6 for media with two values, else 8 (relative errors about 0.2 % and less).
    flux : natural side -> a du/dn, a number; 0 where not given.
    start : nodal values of an approximate solution on a grid that refines the raster; saves steps (docs/pde.md says
        how many).

    Returns
    -------
    :class:`TraceField`.

    Raises
    ------
    NotCoercive
        If a coefficient is not positive.
    InvalidProblem
        If an argument is wrong, the contrast is above 1e7, all sides are natural, or Dirichlet data jump.
    SolverFailure
        If the iteration does not reach its tolerance.

    Warns
    -----
    NhcsrWarning
        If ``accuracy`` is not reached with twelve functions per edge; the most accurate field is returned.

    Examples
    --------
    >>> A = np.where(np.indices((8, 8)).sum(0) % 2, 1.0, 100.0)
    >>> u = solve_pde(A, 1.0)
    >>> bool(u.relative_error_bound < 0.01), u.nodes(32).shape
    (True, (33, 33))
    """
    field = solve_with(
        A,
        f,
        g=g,
        natural=natural,
        size=size,
        tolerance=tolerance,
        accuracy=accuracy,
        modes=modes,
        flux=flux,
        start=start,
    )
    if accuracy is not None and field.relative_error_bound > accuracy:
        warnings.warn(
            f"a relative energy error of {accuracy:.1e} is out of reach: the largest trace space that is tried, with "
            f"{MODES[-1]} functions per edge, has a field with {field.relative_error_bound:.1e} guaranteed, which is "
            f"returned; ask for {reachable(field.relative_error_bound):.0e} or more, or give a load that is linear in "
            "the pixels and smooth Dirichlet data, where these dominate.",
            NhcsrWarning,
            stacklevel=2,
        )
    return field


def solve_with(
    A: Array,
    f: Load = 1.0,
    *,
    g: Data = 0.0,
    natural: Iterable[str] = (),
    size: tuple[float, float] = (1.0, 1.0),
    tolerance: float | None = None,
    accuracy: float | None = None,
    modes: int | None = None,
    flux: Mapping[str, float] | None = None,
    start: Array | None = None,
    lower: tuple[float, float] = (0.0, 0.0),
) -> TraceField:
    """Solve like :func:`solve_pde`, with the same arguments, result and errors, but without its warning.

    ``lower`` is the rectangle's lower left corner (x0, y0), for what is asked of the field; f and g count from it.
    """
    a, size = checked_medium(A), check_size(size)
    load = cell_load(f, a.shape, size)
    if accuracy is None:
        problem = trace_problem(a, size, default_modes(a) if modes is None else modes, g, natural, flux, lower)
        return solve_load(problem, load, tolerance, start)
    if modes is not None:
        raise InvalidProblem("accuracy chooses the functions per edge: give accuracy or modes, not both.")
    if not is_number(accuracy) or not accuracy > 0:
        raise InvalidProblem(f"accuracy must be a positive number, not {accuracy!r}.")
    best: TraceField | None = None
    for count in MODES:
        problem = trace_problem(a, size, count, g, natural, flux, lower)
        field = solve_load(
            problem, load, min(default_tolerance(count) if tolerance is None else tolerance, accuracy / 5), start
        )
        log.info(
            "%d functions per edge: relative energy error at most %.2e, guaranteed", count, field.relative_error_bound
        )
        if best is None or field.relative_error_bound < best.relative_error_bound:
            best = field
        if best.relative_error_bound <= accuracy:
            return best
    if best is None:
        raise InvalidProblem("no number of functions per edge was tried.")
    return best


def solve_load(
    problem: TraceProblem, load: CellLoad, tolerance: float | None = None, start: Array | None = None
) -> TraceField:
    """Solve one problem for one load.

    Parameters
    ----------
    problem : medium and boundary data.
    load : linear on every cell.
    tolerance : relative algebraic error in the energy norm, in (0, 1); None: :func:`default_tolerance`.
    start : nodal values on a grid that refines the raster; None: the lift of the Dirichlet data.

    Returns
    -------
    The field, with the seconds of this solve.

    Raises
    ------
    InvalidProblem
        If the tolerance is out of range, or the start's grid does not refine the raster.
    SolverFailure
        If the iteration does not reach its tolerance.
    """
    if tolerance is None:
        tolerance = default_tolerance(problem.cell.modes)
    if not 0 < tolerance < 1:
        raise InvalidProblem(f"tolerance must be between 0 and 1, not {tolerance}.")
    begin = time.perf_counter()
    trace = None if start is None else with_data(trace_of(start, problem.cell, problem.a.shape), problem)
    u, info = problem.solve(load, tolerance, trace)
    seconds = time.perf_counter() - begin
    found = TraceInfo.of(problem.cell.modes, info, seconds)
    return TraceField(u.cell, u.size, u.vector, u.interior, problem, load, found, lower=problem.lower)


def default_tolerance(modes: int) -> float:
    """Return a relative algebraic error that stays below the error of the space.

    Parameters
    ----------
    modes : functions per edge. The space's error is 1e-3 and more with six, 1e-4 and more with eight.

    Returns
    -------
    1e-3 below eight functions, else 3e-4.
    """
    return 1e-3 if modes < 8 else 3e-4


def with_data(trace: TraceVector, problem: TraceProblem) -> TraceVector:
    """Return a trace with the Dirichlet data of a problem at the fixed unknowns.

    Parameters
    ----------
    trace : coefficients on the problem's raster.
    problem : medium and boundary data.

    Returns
    -------
    A new vector: ``trace`` where unknowns are free, the lift elsewhere.
    """
    free = problem.data.boundary.free(problem.a.shape, problem.cell.modes)
    parts = zip(trace.parts(), problem.data.lift.parts(), free.parts(), strict=True)
    return TraceVector(*(np.where(mask, own, lift) for own, lift, mask in parts))


def trace_problem(
    a: Array,
    size: tuple[float, float],
    modes: int,
    g: Data = 0.0,
    natural: Iterable[str] = (),
    flux: Mapping[str, float] | None = None,
    lower: tuple[float, float] = (0.0, 0.0),
) -> TraceProblem:
    """Set up a medium with its boundary conditions: choose the reference cell and read the boundary data.

    Parameters
    ----------
    a : (my, mx) coefficient, checked by :func:`checked_medium`.
    size : (Ly, Lx) side lengths.
    modes : functions per edge, at least 1.
    g : Dirichlet data as in :func:`solve_pde`.
    natural : sides with a natural condition.
    flux : natural side -> a du/dn.
    lower : (x0, y0) the rectangle's lower left corner, for what is asked of its fields.

    Returns
    -------
    The problem; its solver is set up on first use.

    Raises
    ------
    InvalidProblem
        If ``modes`` is no whole number from 1 on or boundary data are wrong.
    """
    if not is_whole(modes) or modes < 1:
        raise InvalidProblem(f"modes, the functions per edge, must be a whole number ≥ 1, not {modes!r}.")
    exponents = exponents_for(a, int(modes))
    cell = reference_cell(exponents, int(modes), a.shape, size)
    return TraceProblem(a, size, exponents, cell, boundary_data(g, natural, flux, cell, a, size), lower)


def reference_cell(
    exponents: tuple[float, ...], modes: int, shape: tuple[int, int], size: tuple[float, float]
) -> TraceCell:
    """Return the reference cell for a raster; its aspect is rounded so that equal rasters share it.

    Parameters
    ----------
    exponents : exponents of the candidates, see :func:`exponents_for`.
    modes : functions per edge.
    shape : (my, mx) cells of the raster.
    size : (Ly, Lx) side lengths.

    Returns
    -------
    The cell of aspect (Ly / my) / (Lx / mx).

    Raises
    ------
    InvalidProblem
        If the aspect or the number of functions per edge is out of range.
    """
    aspect = round((size[0] / shape[0]) / (size[1] / shape[1]), 12)
    return trace_cell(exponents, modes, aspect)


def checked_medium(A: Array) -> Array:
    """Return the coefficient as a contiguous float64 array after checks.

    Parameters
    ----------
    A : (my, mx) real cell values.

    Returns
    -------
    (my, mx) positive, finite values with a contrast of at most 1e7.

    Raises
    ------
    InvalidProblem
        If it is no two-dimensional array of finite real numbers, or the contrast is too high.
    NotCoercive
        If a value is not positive.

    Examples
    --------
    >>> checked_medium([[1, 2]]).dtype
    dtype('float64')
    """
    a = check_coefficient_values(A)
    low, high = float(a.min()), float(a.max())
    if high > LARGEST_CONTRAST * low:
        raise InvalidProblem(
            f"the coefficient has contrast {high / low:.1e}; at most {LARGEST_CONTRAST:.0e} is solved. Clip it."
        )
    return a
