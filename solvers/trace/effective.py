r"""Effective conductivity of a pixel medium, enclosed between the primal and the dual problem.

Owns homogenised tensors with guaranteed bounds (:func:`effective_conductivity`), for three kinds of boundary
conditions.

For a mean gradient e the energy of any admissible field bounds :math:`e\cdot\sigma e` from above and any admissible
flux q gives :math:`e\cdot\sigma e \ge 2\,e\cdot\langle q\rangle - \langle|q|^2/a\rangle`. Both fields depend
linearly on e, so the bounds hold in the sense of symmetric matrices.

References: G. W. Milton, *The Theory of Composites*, 2002, chapters 13 and 14; two-dimensional duality:
J. B. Keller, J. Math. Phys. 5 (1964) 548-549.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...errors import InvalidProblem
from ...number_checks import check_size
from .bounds import cell_gaps
from .candidates import default_modes, exponents_for
from .cell import TraceCell
from .dual import DualFlux
from .field import TraceField
from .function import without_constants
from .layout import TraceVector, gather
from .problem import apply_cells, balanced
from .schwarz import TraceSolver
from .solve import checked_medium, reference_cell, solve_pde

Array = np.ndarray
log = logging.getLogger(__name__)

Condition = Literal["periodic", "linear", "sealed"]

#: Rotation by a right angle.
TURN = np.array([[0.0, -1.0], [1.0, 0.0]])


@dataclass(frozen=True, eq=False)
class Conductivity:
    """Effective conductivity with guaranteed bounds.

    Attributes
    ----------
    tensor : (2, 2) in the order (x, y): the mean of the bounds, more accurate than each.
    lower : (2, 2) lower bound: tensor - lower is positive semidefinite.
    upper : (2, 2) upper bound: upper - tensor is positive semidefinite.
    boundary : "periodic", "linear" or "sealed"; the last has a diagonal tensor.
    modes : functions per edge.
    """

    tensor: Array
    lower: Array
    upper: Array
    boundary: str
    modes: int

    @classmethod
    def between(cls, lower: Array, upper: Array, boundary: str, modes: int) -> Conductivity:
        """Build from the bounds, whose symmetric parts are taken.

        Parameters
        ----------
        lower : (2, 2) lower bound.
        upper : (2, 2) upper bound.
        boundary : kind of boundary condition.
        modes : functions per edge.

        Returns
        -------
        The tensor half way between them, with both.
        """
        lower, upper = (lower + lower.T) / 2, (upper + upper.T) / 2
        return cls((lower + upper) / 2, lower, upper, boundary, modes)


def effective_conductivity(
    A: Array,
    size: tuple[float, float] | None = None,
    boundary: Condition = "periodic",
    modes: int | None = None,
    tolerance: float = 1e-6,
) -> Conductivity:
    """Return the effective conductivity of a medium.

    Parameters
    ----------
    A : (my, mx) positive cell values, row 0 at the lowest y.
    size : (Ly, Lx) side lengths; ``None``: those of square pixels.
    boundary : "periodic": mean flux for periodic fields with a mean gradient; "linear": for the boundary values x and
        y; "sealed": pressure drop between two opposite sides, the other two without flux.
    modes : functions per edge; None: 6 for media with two values, else 8.
    tolerance : relative algebraic error in the energy norm. The bounds hold whatever it is, and feel its square.

    Returns
    -------
    The tensor with its bounds.

    Raises
    ------
    NotCoercive
        If a coefficient is not positive.
    InvalidProblem
        If an argument is wrong, or the contrast is above 1e7.
    SolverFailure
        If an iteration does not reach its tolerance.

    Examples
    --------
    The checkerboard conducts like the geometric mean of its values (Keller 1964):

    >>> sigma = effective_conductivity(np.array([[1.0, 100.0], [100.0, 1.0]]), modes=8)
    >>> sigma.tensor.diagonal().round(4).tolist()
    [10.0, 10.0]
    """
    a = checked_medium(A)
    size = check_size((a.shape[0] / max(a.shape), a.shape[1] / max(a.shape)) if size is None else size)
    count = default_modes(a) if modes is None else modes
    if boundary == "periodic":
        cell = reference_cell(exponents_for(a, count), count, a.shape, size)
        area = size[0] * size[1]
        upper = _periodic(a, cell, size, tolerance, "upper bound") / area
        # of the fluxes' stream functions
        inverse = _periodic(1 / a, cell, size, tolerance, "lower bound") / area
        return Conductivity.between(TURN.T @ np.linalg.inv(inverse) @ TURN, upper, boundary, count)
    if boundary == "linear":
        return Conductivity.between(*_linear(a, size, count, tolerance), boundary, count)
    if boundary == "sealed":
        return Conductivity.between(*_sealed(a, size, count, tolerance), boundary, count)
    raise InvalidProblem(f'boundary must be "periodic", "linear" or "sealed", not {boundary!r}.')


def _periodic(a: Array, cell: TraceCell, size: tuple[float, float], tolerance: float, purpose: str) -> Array:
    """Return the energies (2, 2) of the fields with mean gradients along x and y."""
    log.info("%s: preparing the periodic cell problems", purpose)
    solver = TraceSolver(a, cell.stiffness, cell.modes, periodic=True)
    fields = []
    for axis, linear in zip("xy", _coordinates(a.shape, cell.modes, size), strict=True):
        log.info("%s: periodic cell problem, mean gradient along %s", purpose, axis)
        force = solver.boundary.fold(apply_cells(-a, solver.stiffness, linear))
        force = balanced(force, solver.boundary, float(a.max() * linear.corners.max()))
        periodic, _ = solver.solve(force, tolerance=tolerance)
        fields.append(linear.combine(1.0, periodic))
    return _energies(a, solver.stiffness, fields)


def _linear(a: Array, size: tuple[float, float], modes: int, tolerance: float) -> tuple[Array, Array]:
    """Return (lower, upper) for the boundary values x and y."""
    fields = []
    for axis, g in (("x", lambda x, y: x), ("y", lambda x, y: y)):
        log.info("upper bound: boundary values %s", axis)
        fields.append(solve_pde(a, 0.0, g=g, size=size, modes=modes, tolerance=tolerance))
    log.info("lower bound: fluxes of both fields")
    area = size[0] * size[1]
    upper = _energies(a, fields[0].cell.stiffness, [u.vector for u in fields]) / area
    # the identity int |q - a grad u|^2/a = upper - lower, and polarisation for the mixed entry
    one, two = (float(cell_gaps(u, u.flux).sum()) for u in fields)
    both = float(cell_gaps(_sum_of_fields(*fields), _sum_of_fluxes(fields[0].flux, fields[1].flux)).sum())
    mixed = (both - one - two) / 2
    return upper - np.array([[one, mixed], [mixed, two]]) / area, upper


def _sealed(a: Array, size: tuple[float, float], modes: int, tolerance: float) -> tuple[Array, Array]:
    """Return (lower, upper), diagonal, for pressure drops along x and y."""
    bounds = []
    for start, end, walls in (("left", "right", ("bottom", "top")), ("bottom", "top", ("left", "right"))):
        log.info("pressure drop from %s to %s, with both bounds", end, start)
        u = solve_pde(a, 0.0, g={start: 0.0, end: 1.0}, natural=walls, size=size, modes=modes, tolerance=tolerance)
        length, width = (size[1], size[0]) if start == "left" else size
        bounds.append([e * length / width for e in u.energy_bounds])
    low, high = np.array(bounds).T
    return np.diag(low), np.diag(high)


def _coordinates(cells: tuple[int, int], modes: int, size: tuple[float, float]) -> list[TraceVector]:
    """Return x and y as functions of the trace space."""
    x, y = TraceVector.zeros(cells, modes), TraceVector.zeros(cells, modes)
    x.corners[:] = np.linspace(0, size[1], cells[1] + 1)
    y.corners[:] = np.linspace(0, size[0], cells[0] + 1)[:, None]
    return [x, y]


def _energies(a: Array, stiffness: Array, fields: list[TraceVector]) -> Array:
    """Return the matrix of the energy products of functions that are harmonic in the cells."""
    local = [without_constants(gather(v)).reshape(a.size, -1) for v in fields]
    weight = a.reshape(-1, 1)
    return np.array([[float(np.sum(weight * (v @ stiffness) * w)) for w in local] for v in local])


def _sum_of_fields(u: TraceField, v: TraceField) -> TraceField:
    """Return the field u + v of two problems without load on one medium."""
    return replace(u, vector=u.vector.combine(1.0, v.vector), interior=u.interior + v.interior)


def _sum_of_fluxes(p: DualFlux, q: DualFlux) -> DualFlux:
    """Return the flux p + q of two problems on one medium."""
    stream = p.stream
    total = replace(
        stream, vector=stream.vector.combine(1.0, q.stream.vector), interior=stream.interior + q.stream.interior
    )
    return replace(p, stream=total, particular=p.particular + q.particular)
