"""What ``correct`` returns: the field with its provenance, status, estimates and bounds."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import ngsolve as ngs
import numpy as np

from .errors import InvalidProblem, NhcsrWarning, UntrustedResult
from .guard import Status
from .ngsolve_io.velocity import velocity_field
from .pde import energy_distance, solve_problem
from .problem import Problem
from .refine import Refinement, estimate_error
from .solvers.transfer import prolongate

if TYPE_CHECKING:
    from .solvers.flux.flux import EquilibratedFlux
    from .solvers.trace import TraceField

#: Multigrid-CG steps for the flux of the error bounds.
BOUND_CYCLES = 3
NEEDS_LOAD = "this needs the load; pass f= or form= to correct()."
OnUntrusted = Literal["raise", "warn", "return"]
Target = Literal["fine", "pde"]


@dataclass(frozen=True, repr=False)
class Correction:
    """A corrected solution with its provenance.

    With ``target="pde"`` the values are those of the PDE's solution at the nodes, estimate and bounds are those of
    :attr:`field`, and no network took part.

    Attributes
    ----------
    u_fine : GridFunction on the fine mesh (H1, order 1), or in the space given by ``fes``.
    values : (ny+1, nx+1) its nodal values on the fine tensor grid.
    status : see :class:`Status`.
    problem : what was read from NGSolve.
    notes : everything the user should know, in sentences.
    timings : seconds per stage.
    model : name of the model.
    energy, coarse_energy : E(v) = ½ a(v, v) − f(v) of the result and of the canonical coarse solution, where the load
        is known; their difference is half the difference of the squared energy errors against u_h.
    refinement : steps and error estimates, where ``refine`` or ``refine_to`` was asked for.
    damping : 1 for the network's own field, 0 for the coarse solution, between them for a damped one.
    estimate : relative energy error as estimated for the status, where that was needed; see :attr:`error_estimate`.
    target : "fine" for u_h, the Q1 solution on the fine mesh, or "pde" for the solution of the PDE.
    trace : the PDE's solution itself, where that was the target; see :attr:`field`.
    """

    u_fine: ngs.GridFunction
    values: np.ndarray
    status: Status
    problem: Problem | None
    notes: tuple[str, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    model: str = ""
    energy: float | None = None
    coarse_energy: float | None = None
    damping: float = 1.0
    refinement: Refinement | None = None
    estimate: float | None = None
    target: Target = "fine"
    trace: TraceField | None = None

    def __repr__(self) -> str:
        ny, nx = (n - 1 for n in self.values.shape)
        return f"<Correction {self.status.name}, target {self.target!r}, {nx} x {ny} cells, {len(self.notes)} notes>"

    @cached_property
    def field(self) -> TraceField:
        """The PDE's own solution of this problem, without a mesh below the pixels; made on first use.

        Values, gradients, fluxes and guaranteed bounds come from it (``solvers.trace.TraceField``); about 0.05 s at
        128 x 128 pixels.

        Raises
        ------
        InvalidProblem
            If the load is not known, or a side is Dirichlet in part only.
        """
        return self.trace if self.trace is not None else solve_problem(self._known())

    @cached_property
    def discretisation_error(self) -> float:
        """Relative energy distance |||u − u_h||| / |||u||| of the fine Q1 solution u_h from the solution u of the PDE.

        Measured from this field, which is u_h to :attr:`error_estimate`; made on first use. It is what pixelation and
        mesh cost: large where pixels of high contrast meet in points (docs/pde.md).

        Raises
        ------
        InvalidProblem
            Like :attr:`field`; and with ``target="pde"``, whose values are not those of u_h.
        """
        if self.target == "pde":
            raise InvalidProblem('discretisation_error is that of a fine solution; correct with target="fine" for it.')
        problem = self._known()
        load = problem.load((self.values.shape[0] - 1, self.values.shape[1] - 1))
        if load is None:
            raise InvalidProblem(NEEDS_LOAD)
        return energy_distance(self.values, problem.A, load, problem.grid.size, self.field)

    def velocity(self) -> ngs.GridFunction:
        """−a∇u of the PDE's solution on the fine mesh, an HDiv GridFunction of order 0: conservative to round-off.

        The integral of its divergence over a fine cell is that of f; its flux through a facet is that of the dual
        field (``field.flux``), which has guaranteed bounds.

        Raises
        ------
        InvalidProblem
            Like :attr:`field`, or if the fine mesh cuts pixels.
        """
        return velocity_field(self.u_fine.space.mesh, self.values.shape, self.field)

    def _known(self) -> Problem:
        if self.problem is None or self.problem.f is None:
            raise InvalidProblem(NEEDS_LOAD)
        return self.problem

    @cached_property
    def error_estimate(self) -> float:
        """Estimate of the relative energy error |||u_h − v||| / |||u_h||| against the Q1 solution of the fine mesh.

        With ``target="pde"`` the guaranteed bound of the relative energy error of :attr:`field` against u.

        What one multigrid step would take off, close to a lower bound: ``refinement.after`` where the field was
        refined, else the figure the status was found with, else made on first use (about 0.05 s at 512 x 512).
        docs/trust.md tells how near it comes.

        Raises
        ------
        InvalidProblem
            If the load is not known.
        """
        if self.target == "pde":
            return self.field.relative_error_bound
        if self.refinement is not None:
            return self.refinement.after
        if self.estimate is not None:
            return self.estimate
        problem = self.problem
        if problem is None or not problem.decided:
            raise InvalidProblem("an error estimate needs the load; pass f= or form= to correct().")
        cells = (self.values.shape[0] - 1, self.values.shape[1] - 1)
        load = problem.load(cells)
        if load is None:
            raise InvalidProblem("an error estimate needs the load; pass f= or form= to correct().")
        return estimate_error(self.values, problem.A, load, problem.field.free, problem.grid.size)

    @cached_property
    def flux(self) -> EquilibratedFlux:
        """The equilibrated flux behind the bounds, made on first use (about 0.2 s at 512 x 512).

        Raises
        ------
        InvalidProblem
            If the load is not known, a side is free, or the fine cells cut raster cells.
        """
        from .solvers.flux.flux import EquilibratedFlux

        if self.target == "pde":
            raise InvalidProblem(
                'with target="pde" the dual field is field.flux, and field.bounds.indicator is cellwise.'
            )
        problem = self.problem
        if problem is None or problem.reading.f is None or not problem.decided:
            raise InvalidProblem("an error bound needs the load; pass f= or form= to correct().")
        if not all(problem.field.sides):
            raise InvalidProblem("error bounds need Dirichlet conditions on all sides.")
        cells = (self.values.shape[0] - 1, self.values.shape[1] - 1)
        boundary = np.concatenate([self.values[0], self.values[-1], self.values[:, 0], self.values[:, -1]])
        return EquilibratedFlux(
            problem.A,
            cells,
            prolongate(problem.reading.f, cells),
            problem.grid.size,
            cycles=BOUND_CYCLES,
            start=self.values if np.abs(boundary).max() > 0 else None,
        )

    @property
    def error_bound(self) -> float:
        """Guaranteed bound of the energy error |||u − v||| against the solution u of the PDE, not against u_h.

        It is a bound for the load as it was given or recovered; with ``target="pde"`` that of :attr:`field`. Raises
        like :attr:`flux`, or like :attr:`field`.
        """
        return self.field.error_bound if self.target == "pde" else self.flux.bound(self.values)

    @property
    def relative_error_bound(self) -> float:
        """Guaranteed bound of |||u − v||| / |||u|||; see :attr:`error_bound`."""
        return self.field.relative_error_bound if self.target == "pde" else self.flux.relative_bound(self.values)

    @cached_property
    def indicator(self) -> ngs.GridFunction:
        """Cellwise contributions to the bound, an L2 GridFunction of order 0 on the fine mesh."""
        space = ngs.L2(self.u_fine.space.mesh, order=0)
        out = ngs.GridFunction(space)
        values = self.flux.indicator(self.values).ravel()
        if space.ndof != len(values):
            raise InvalidProblem("the indicator lives on the fine tensor mesh; leave fes= out.")
        out.vec.FV().NumPy()[:] = values
        return out


def check_on_untrusted(value: object) -> None:
    """Raise ``InvalidProblem`` unless the value is one of ``OnUntrusted``."""
    if value not in ("raise", "warn", "return"):
        raise InvalidProblem(f'on_untrusted must be "raise", "warn" or "return", not {value!r}.')


def report(result: Correction, on_untrusted: OnUntrusted) -> None:
    """Raise or warn as asked; notes on an accepted result are always warnings, at the line of the user's call."""
    message = " ".join(result.notes)
    if not result.status.trusted:
        message = f"{result.status.name}: {result.status.value} {message}".strip()
        if on_untrusted == "raise":
            raise UntrustedResult(message)
    if message and on_untrusted != "return":
        warnings.warn(message, NhcsrWarning, stacklevel=_levels_to_user())


def _levels_to_user() -> int:
    """Frames from :func:`report` to the first one outside ``correct`` and ``Corrector``."""
    inside = (__name__, f"{__package__}.corrector", f"{__package__}.exact")
    frame, levels = sys._getframe(1), 1
    while frame is not None and frame.f_globals.get("__name__") in inside:
        frame, levels = frame.f_back, levels + 1
    return levels
