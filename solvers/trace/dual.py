r"""The dual problem: the best flux with divergence -f, from a stream function in the same trace space.

Owns equilibrated fluxes: the set-up that serves any number of loads (:class:`DualProblem`) and the result
(:class:`DualFlux`).

:math:`q = q_0 + \operatorname{rot}\psi`, rot ψ = (dψ/dy, -dψ/dx), minimises
:math:`\tfrac12\int |q|^2/a - \int_{\Gamma_D} g\,q\cdot n` among all fluxes with divergence -f and the given flow
through natural sides. ψ is natural where u is given and given where u is natural; the coefficient is 1/a and the
cells' matrix is the same. In a cell the best q is curl-free, so :math:`-\Delta\psi` is the linear polynomial
:math:`\operatorname{curl} q_0`: particular solutions as for u. With functions φ of the trace space,

.. math:: \tfrac1a S c = -\tfrac1a \int q_0\cdot\operatorname{rot} H\varphi
          + \int_{\Gamma_D} g\,\partial_\tau\varphi .

References: W. Prager and J. L. Synge, Quart. Appl. Math. 5 (1947) 241-269; the stream function as in D. Braess and
J. Schöberl, Math. Comp. 77 (2008) 651-672.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...errors import InvalidProblem
from ...short_repr import ShortRepr
from ..space import SIDES, cell_pair
from .boundary import axis_of, edge_line, extend
from .edges import circulation
from .function import TraceFunction, quadratic, without_constants
from .layout import TraceVector, gather, scatter
from .loads import CellLoad
from .particular import (
    GRAM,
    MEANS,
    evaluate,
    outflow_moments,
    particular_flux,
    rotation_load,
    rotation_moments,
    through_vertical,
)
from .problem import TraceProblem, apply_cells, balanced, solve_lifted
from .schwarz import TraceSolved, TraceSolver

Array = np.ndarray

#: Sides in counterclockwise order: whether that runs along the coordinate.
FORWARD = {"bottom": True, "right": True, "top": False, "left": False}


class DualProblem:
    """The dual of a problem; it serves any number of loads.

    Parameters
    ----------
    problem : the primal problem, with at least one Dirichlet side.

    Attributes
    ----------
    weight : (my, mx) the coefficient 1/a.
    natural : natural sides of the stream function, the Dirichlet sides of u.
    circulation : (n, n) integrals of gradients against rotated gradients, see :func:`circulation`.
    lift : the stream function's values on the natural sides of u, continued into the domain.
    second_component : 1 on the second connected part of those sides, zero if there is one part only.
    """

    def __init__(self, problem: TraceProblem):
        self.problem = problem
        self.weight = 1 / problem.a
        self.natural = frozenset(s for s in SIDES if s not in problem.data.boundary.natural)
        self.circulation = circulation(problem.cell)
        units = np.eye(12).reshape(2, 6, 1, 12)
        self._rotation = rotation_moments(units, problem.cell, problem.sides)[0]
        self._outflow = outflow_moments(units, problem.cell, problem.sides)[0]
        self.lift, self.second_component = _prescribed(problem)

    @cached_property
    def solver(self) -> TraceSolver:
        """The iterative solver with coefficient 1/a, set up on first use."""
        cell = self.problem.cell
        return TraceSolver(self.weight, cell.stiffness, cell.modes, natural=self.natural)

    @cached_property
    def _loop(self) -> TraceVector:
        """Best stream function that is 1 on the second connected part of the natural sides and 0 on the first."""
        zero = TraceVector.zeros(self.problem.a.shape, self.problem.cell.modes)
        return solve_lifted(self.solver, self.weight, zero, self.second_component, 1e-8)[0]

    @cached_property
    def gap_forms(self) -> tuple[Array, Array, Array]:
        r"""Matrices of the products of fluxes and gradients in a cell; see ``function_kernels.fill_gaps``."""
        cell, (hy, hx) = self.problem.cell, self.problem.sides
        n, S = cell.size, cell.stiffness
        square = np.zeros((n + 15, n + 15))
        square[:n, :n], square[n + 12 :, n + 12 :] = S, -cell.particular
        square[n : n + 12, :n], square[:n, n : n + 12] = self._rotation, self._rotation.T
        square[n : n + 12, n : n + 12] = hx * hy * np.kron(np.eye(2), GRAM)
        # Green's formula for q · grad v: the trace of v against q · n, and v against f
        mixed = np.zeros((n + 3, n + 15))
        mixed[:n, :n], mixed[:n, n : n + 12] = self.circulation, self._outflow.T
        mixed[:n, n + 12 :], mixed[n:, n + 12 :] = hx**2 * cell.moments.T, hx**2 * cell.particular
        energy = np.zeros((n + 3, n + 3))
        energy[:n, :n], energy[n:, n:] = S, cell.particular
        return square, mixed, energy

    def rotation_moments(self, q0: Array) -> Array:
        r"""Return :math:`\int_K q_0\cdot\operatorname{rot} H\varphi_k` (my, mx, n) of polynomials (2, 6, my, mx)."""
        return (q0.reshape(12, -1).T @ self._rotation).reshape(*q0.shape[2:], -1)

    def outflow_moments(self, q0: Array) -> Array:
        r"""Return :math:`\oint_{\partial K} \varphi_k\, q_0\cdot n` (my, mx, n) of polynomials (2, 6, my, mx)."""
        return (q0.reshape(12, -1).T @ self._outflow).reshape(*q0.shape[2:], -1)

    def solve(self, load: CellLoad, tolerance: float, energy: float | None = None) -> DualFlux:
        """Return the best flux for a load.

        Parameters
        ----------
        load : linear on every cell.
        tolerance : of the algebraic error in the norm of q, relative to the root of ``energy``; any flux returned is
            admissible, whatever the tolerance.
        energy : square of the norm of q, as well as it is known; None: the norm of the particular flux.

        Returns
        -------
        The flux.

        Raises
        ------
        SolverFailure
            If the iteration does not reach its tolerance.
        """
        problem = self.problem
        q0 = particular_flux(load.coefficients, problem.a, problem.sides, problem.data.boundary.natural)
        cells = -self.weight[..., None] * self.rotation_moments(q0)
        if not problem.data.homogeneous:
            local = without_constants(gather(problem.data.lift))
            cells += (local.reshape(-1, local.shape[-1]) @ self.circulation).reshape(local.shape)
        b = balanced(scatter(cells), self.solver.boundary, float(np.abs(cells).max()))
        if energy:
            area = problem.sides[0] * problem.sides[1]
            largest = float(np.sum(self.weight * area * np.einsum("kmji,mn,knji->ji", q0, GRAM, q0, optimize=True)))
            tolerance *= min(1.0, math.sqrt(energy / largest)) if largest > 0 else 1.0
        psi, info = solve_lifted(self.solver, self.weight, b, self.lift, max(tolerance, 1e-10))
        if self.second_component.corners.any():
            loop = self._loop
            applied = apply_cells(self.weight, self.solver.stiffness, loop)
            psi = psi.combine((b.dot(loop) - applied.dot(psi)) / applied.dot(loop), loop)
        interior = rotation_load(q0, problem.sides)
        stream = TraceFunction(problem.cell, problem.size, psi, interior, lower=problem.lower)
        return DualFlux(problem, stream, q0, info)


@dataclass(frozen=True, eq=False, repr=False)
class DualFlux(ShortRepr):
    """A flux q with divergence -f, exactly, and continuous normal components.

    Attributes
    ----------
    problem : the primal problem.
    stream : stream function ψ.
    particular : (2, 6, my, mx) polynomials q0, so that q = q0 + (dψ/dy, -dψ/dx).
    info : how the dual problem was solved.
    """

    problem: TraceProblem
    stream: TraceFunction
    particular: Array
    info: TraceSolved

    def band(self, rows: slice) -> DualFlux:
        """Return the flux on the rows of cells of the slice ``rows``; shares memory."""
        return replace(self, stream=self.stream.band(rows), particular=self.particular[:, :, rows])

    def local(self) -> tuple[Array, Array]:
        """Return the flux cell by cell, the mean of q0 moved to ψ as a linear function.

        q0 adds up over the domain and ψ takes that away again; so nothing large is left to cancel in the cell.

        Returns
        -------
        (my, mx, n) coefficients of ψ less its value at the cell's first vertex; (2, 6, my, mx) polynomials of mean
        zero.
        """
        (hy, hx), q0 = self.problem.sides, self.particular.copy()
        mean = np.einsum("m,kmji->kji", MEANS, q0)
        q0[:, 0] -= mean
        c = self.stream.centred()
        c[..., -3] -= mean[1] * hx
        c[..., -2] += mean[0] * hy
        c[..., -1] += mean[0] * hy - mean[1] * hx
        return c, q0

    def squares(self) -> Array:
        r"""Return :math:`\int_K |q|^2` of every cell (my, mx)."""
        d, cell, (hy, hx) = self.stream.interior, self.problem.cell, self.problem.sides
        out = -np.einsum("mji,mn,nji->ji", d, cell.particular, d, optimize=True)
        for rows in self.stream.bands():
            c, q0 = self.band(rows).local()
            out[rows] += hx * hy * np.einsum("kmji,mn,knji->ji", q0, GRAM, q0, optimize=True)
            out[rows] += 2 * np.einsum("jin,jin->ji", self.problem.dual.rotation_moments(q0), c)
            out[rows] += quadratic(c, cell.stiffness)
        return out

    @cached_property
    def energy(self) -> float:
        r""":math:`\int |q|^2/a`; for zero Dirichlet data an upper bound of :math:`\int a|\nabla u|^2`."""
        return float(np.sum(self.squares() / self.problem.a))

    def at(self, points: Array) -> Array:
        """Return the flux at points.

        Parameters
        ----------
        points : (P, 2) coordinates (x, y) in the domain, not at vertices of the raster.

        Returns
        -------
        (P, 2) components (x, y) of q.

        Raises
        ------
        InvalidProblem
            If a point is outside the domain or at a vertex of the raster.
        """
        dx, dy = self.stream.gradient(points).T
        cells, places = self.stream._locate(points)
        qx, qy = evaluate(self.particular[:, :, cells[0], cells[1]], places)
        return np.stack([qx + dy, qy - dx], axis=1)

    def fluxes(self, cells: tuple[int, int] | int) -> tuple[Array, Array]:
        """Return the flow through every edge of a uniform grid that refines the raster.

        The degrees of freedom of a lowest-order HDiv field that is in balance with f on every cell of the grid.

        Parameters
        ----------
        cells : (ny, nx), multiples of the raster's, or one number for both.

        Returns
        -------
        (ny, nx+1) through vertical edges in direction +x; (ny+1, nx) through horizontal edges in direction +y.

        Raises
        ------
        InvalidProblem
            If the grid does not refine the raster.
        """
        ny, nx = cell_pair(cells, "cells")
        my, mx = self.problem.a.shape
        if ny % my or nx % mx:
            raise InvalidProblem(f"a grid of {(ny, nx)} cells does not refine the raster {(my, mx)}; take multiples.")
        psi = self.stream.nodes((ny, nx))
        Fx, Fy = np.diff(psi, axis=0), -np.diff(psi, axis=1)
        hy, hx = self.problem.sides
        if self.particular[0].any():
            Fx += hy * _lines(self.particular[0], ny // my, nx // mx)
        if self.particular[1].any():
            swapped = self.particular[1][[0, 2, 1, 5, 4, 3]].swapaxes(1, 2)
            Fy += hx * _lines(swapped, nx // mx, ny // my).T
        return Fx, Fy

    def through(self, side: str) -> float:
        """Return the total flow out of the domain through a side.

        Parameters
        ----------
        side : "bottom", "right", "top" or "left".

        Returns
        -------
        The integral of q·n over the side.

        Raises
        ------
        InvalidProblem
            If there is no such side.
        """
        if side not in SIDES:
            raise InvalidProblem(f"side {side!r} is unknown; choose among {SIDES}.")
        Fx, Fy = self.fluxes(self.problem.a.shape)
        lines = {"bottom": -Fy[0], "top": Fy[-1], "left": -Fx[:, 0], "right": Fx[:, -1]}
        return float(lines[side].sum())


def _lines(q_x: Array, ry: int, rx: int) -> Array:
    """Integrate polynomials (6, my, mx) over vertical edges of the refined grid, lengths in cells: (ry*my, rx*mx+1)."""
    my, mx = q_x.shape[1:]
    low, high = np.arange(ry)[:, None, None] / ry, np.arange(1, ry + 1)[:, None, None] / ry
    out = np.empty((my, ry, mx * rx + 1))
    c = q_x[:, :, None, :, None]  # (6, my, 1, mx, 1)
    xi = np.arange(rx) / rx
    out[..., :-1] = through_vertical(c, xi, low, high).reshape(my, ry, -1)
    out[..., -1:] = through_vertical(c[:, :, :, -1:], np.ones(1), low, high)[..., 0]
    return out.reshape(my * ry, -1)


def _prescribed(problem: TraceProblem) -> tuple[TraceVector, TraceVector]:
    """Return the stream function's values on natural sides, and 1 on their second connected part if there are two.

    Counterclockwise its derivative is the flow out, a constant on every side. Each connected part starts at 0.
    """
    natural = problem.data.boundary.natural
    lift = TraceVector.zeros(problem.a.shape, problem.cell.modes)
    second = TraceVector.zeros(problem.a.shape, problem.cell.modes)
    order = list(FORWARD)
    first = next(k for k, side in enumerate(order) if side not in natural)
    value, part, inside = 0.0, -1, False
    for side in order[first + 1 :] + order[: first + 1]:  # the last one is not natural: no part is cut
        if side not in natural:
            inside = False
            continue
        if not inside:
            value, part, inside = 0.0, part + 1, True
        _, vertices = edge_line(lift, side)
        end = value + problem.data.flux.get(side, 0.0) * problem.size[1 - axis_of(side)]
        line = np.linspace(value, end, vertices.size)
        vertices[:] = line if FORWARD[side] else line[::-1]
        value = end
        if part:
            edge_line(second, side)[1][:] = 1.0
    for v in (lift, second):
        extend(v, natural)
    return lift, second
