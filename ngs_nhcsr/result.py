"""What ``correct`` returns: the field with its provenance, status, estimates and bounds."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .budget import Budget
from .errors import InvalidProblem, NhcsrWarning, UntrustedResult
from .guard import Status
from .options import OnUntrusted
from .problem import Problem
from .refine import Refinement, Refiner
from .solvers.bvp import NEEDS_LOAD
from .solvers.medium import refuse_reaction
from .solvers.norms import energy_distance, functional
from .solvers.pde import PDE
from .solvers.tensor_medium import refuse_tensor

if TYPE_CHECKING:
    from .ngsolve_io.types import GridFunction
    from .solvers.flux import EquilibratedFlux
    from .solvers.trace import TraceField

#: Multigrid-CG steps for the flux of the error bounds.
BOUND_CYCLES = 3
#: Modules whose frames a warning skips: it is to point at the user's line.
INSIDE = ("result", "pipeline", "corrector", "prepared", "api")


@dataclass(frozen=True, repr=False, kw_only=True)
class Correction:
    """A corrected solution with its provenance; ``print`` it for a summary.

    With ``target="pde"`` the values are those of the PDE's solution u at the nodes, estimate and bounds are those of
    :attr:`field`, and no network took part.

    Attributes
    ----------
    write : makes :attr:`u_fine`.
    values : (ny+1, nx+1) nodal values on the fine tensor grid.
    status : see :class:`Status`.
    problem : what was read from NGSolve; ``None`` at scale 1.
    notes : everything the user should know, in sentences.
    remarks : those of them that only say how the values were made: no warning where the result is accepted.
    timings : seconds per stage.
    model : name of the model; "coarse solution" where multigrid took its place, from there; empty with other targets.
    energy, coarse_energy : E(v) = ½ a(v, v) − f(v) of the result and of the canonical coarse solution, where the load
        is known; their difference is half the difference of the squared energy errors against u_h.
    refinement : steps and error estimates, where multigrid steps were asked for or the estimate asked for them.
    damping : 1 for the network's own field, 0 for the coarse solution, between them for a damped one.
    budget : estimated relative energy errors by cause; the status is judged by their sum.
    target : "fine" for u_h, the Q1 solution on the fine mesh, "pde" for the solution u of the PDE, or the name of
        another ``Target``.
    solution : what the target's ``solve`` returned, where it was not "fine"; see :attr:`field`.
    aligned : values on the mesh that was solved on, where fine cells would cut those of the coefficient: ``values`` are
        those of this Q1 function at the nodes, and errors are its own.
    """

    write: Callable[[], GridFunction]
    values: np.ndarray
    status: Status
    problem: Problem | None
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    model: str = ""
    energy: float | None = None
    coarse_energy: float | None = None
    damping: float = 1.0
    refinement: Refinement | None = None
    budget: Budget | None = None
    target: str = "fine"
    solution: Any = None
    aligned: np.ndarray | None = None

    def __repr__(self) -> str:
        ny, nx = self.cells
        return f"<Correction {self.status.name}, target {self.target!r}, {nx} x {ny} cells, {len(self.notes)} notes>"

    def __str__(self) -> str:
        from .printed import summary

        return summary(self)

    @property
    def _computed(self) -> np.ndarray:
        """Values on the mesh that was solved on."""
        return self.values if self.aligned is None else self.aligned

    @property
    def _solved_cells(self) -> tuple[int, int]:
        return self._computed.shape[0] - 1, self._computed.shape[1] - 1

    @property
    def estimate(self) -> float | None:
        """The budget's error of the fine scales: against the target, for load and raster as they were read."""
        return None if self.budget is None else self.budget.fine_scales

    @property
    def cells(self) -> tuple[int, int]:
        """Fine cells (ny, nx)."""
        return self.values.shape[0] - 1, self.values.shape[1] - 1

    @cached_property
    def u_fine(self) -> GridFunction:
        """The field as GridFunction on the fine mesh (H1, order 1), or in the space given by ``fes``.

        Made on first use, of :attr:`values` as they then are: NGSolve takes longer for a fine mesh than the solution
        took (1 s at 512 x 512 cells).

        Returns
        -------
        A GridFunction of its own, on a mesh that later corrections share.
        """
        return self.write()

    @cached_property
    def field(self) -> TraceField:
        """The PDE's own solution u of this problem, without a mesh below the pixels; made on first use.

        Values, gradients, fluxes and guaranteed bounds come from it (``solvers.trace.TraceField``); about 0.05 s at
        128 x 128 pixels.

        Returns
        -------
        The field, in the coordinates of the mesh.

        Raises
        ------
        InvalidProblem
            If the load is not known, or a side is Dirichlet in part only.
        """
        return self.solution if self.target == "pde" else PDE().solve(self._known())

    @cached_property
    def discretisation_error(self) -> float:
        """Relative energy distance |||u − u_h||| / |||u||| of the fine Q1 solution u_h from the solution u of the PDE.

        Measured from this field, which is u_h to :attr:`error_estimate`; made on first use. It is what pixelation and
        mesh cost: large where pixels of high contrast meet in points (docs/pde.md).

        Returns
        -------
        The distance, 0 … 1 and more.

        Raises
        ------
        InvalidProblem
            Like :attr:`field`; and for other targets than "fine", whose values are not those of u_h.
        """
        if self.target != "fine":
            raise InvalidProblem('discretisation_error is that of a fine solution; correct with target="fine" for it.')
        problem = self._known()
        b = problem.known_load.vector(self._solved_cells)
        E_v = functional(self._computed, problem.medium, b, problem.space.size)
        return energy_distance(E_v, PDE().energy(self.field, problem), self.field.energy)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the field to a file, with coarse solution, coefficient, provenance, and bounds if they were made.

        Parameters
        ----------
        path : .vtu for ParaView, .npz for NumPy and ``load_solution``, or .png; what is in them: ``files.write``.
        force : replace an existing file.

        Raises
        ------
        InvalidProblem
            If the suffix is unknown, the file exists or cannot be written, or the correction has scale 1.
        DependencyMissing
            If PyVista is missing, for .vtu and .png.
        """
        from .files import check_outputs, solution_of, write

        check_outputs([path], force)
        write(path, solution_of(self))

    def velocity(self) -> GridFunction:
        """Make −a∇u of the PDE's solution on the fine mesh: conservative to round-off.

        The integral of its divergence over a fine cell is that of f; its flux through a facet is that of the dual
        field (``field.flux``), which has guaranteed bounds.

        Returns
        -------
        HDiv GridFunction of order 0.

        Raises
        ------
        InvalidProblem
            Like :attr:`field`, or if the fine mesh cuts pixels.
        """
        from .ngsolve_io.velocity import velocity_field

        return velocity_field(self.u_fine.space.mesh, self.values.shape, self.field)

    def _known(self) -> Problem:
        if self.problem is None or self.problem.load is None or not self.problem.decided:
            raise InvalidProblem(NEEDS_LOAD)
        return self.problem

    @cached_property
    def error_estimate(self) -> float:
        """Estimate of the relative energy error |||u_h − v||| / |||u_h||| against the Q1 solution of the fine mesh.

        With ``target="pde"`` the guaranteed bound of the relative energy error of :attr:`field` against u.

        What one multigrid step would take off, close to a lower bound: ``refinement.after`` where the field was
        refined, else the figure the status was found with, else made on first use (about 0.05 s at 512 x 512).
        docs/trust.md tells how near it comes.

        Returns
        -------
        The estimate, or the bound.

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
        problem = self._known()
        refiner = Refiner(problem.medium, problem.space.with_cells(self._solved_cells))
        return refiner.error(self._computed, problem.known_load.vector(self._solved_cells))

    @cached_property
    def flux(self) -> EquilibratedFlux:
        """The equilibrated flux behind the bounds, made on first use (about 0.2 s at 512 x 512).

        Returns
        -------
        The flux; it bounds the error of any field with these Dirichlet data.

        Raises
        ------
        InvalidProblem
            If the load is not known, there is a reaction, or a side is free.
        """
        from .solvers.flux import EquilibratedFlux

        if self.target == "pde":
            raise InvalidProblem(
                'with target="pde" the dual field is field.flux, and field.bounds.indicator is cellwise.'
            )
        problem = self._known()
        refuse_tensor(problem.medium, "the equilibrated flux", "error_estimate has the error against u_h")
        refuse_reaction(problem.medium, "the equilibrated flux", "error_estimate has the error against u_h")
        if not all(problem.space.sides):
            raise InvalidProblem(
                'bounds for u_h need Dirichlet conditions on all sides; target="pde" bounds its own on others too.'
            )
        v, cells = self._computed, self._solved_cells
        boundary = np.concatenate([v[0], v[-1], v[:, 0], v[:, -1]])
        return EquilibratedFlux(
            problem.A,
            cells,
            problem.known_load.at(cells),
            problem.space.size,
            cycles=BOUND_CYCLES,
            start=v if np.abs(boundary).max() > 0 else None,
        )

    @property
    def error_bound(self) -> float:
        """Guaranteed bound of the energy error |||u − v||| against the solution u of the PDE, not against u_h.

        It is a bound for the load as it was given or recovered; with ``target="pde"`` that of :attr:`field`. Raises
        like :attr:`flux`, or like :attr:`field`.
        """
        return self.field.error_bound if self.target == "pde" else self.flux.bound(self._computed)

    @property
    def relative_error_bound(self) -> float:
        """Guaranteed bound of |||u − v||| / |||u|||; see :attr:`error_bound`."""
        return self.field.relative_error_bound if self.target == "pde" else self.flux.relative_bound(self._computed)

    @cached_property
    def indicator(self) -> GridFunction:
        """Cellwise contributions to the bound, an L2 GridFunction of order 0 on the fine mesh; raises like ``flux``."""
        from .ngsolve_io.write_back import cell_field

        if self.aligned is not None:
            raise InvalidProblem("the fine mesh cuts pixels; flux.indicator(aligned) has the cellwise contributions.")
        return cell_field(self.u_fine.space.mesh, self.flux.indicator(self.values))


def report(result: Correction, on_untrusted: OnUntrusted) -> None:
    """Raise or warn as asked; notes on an accepted result are warnings, at the user's call, if they are no remarks.

    Parameters
    ----------
    result : what was found.
    on_untrusted : "raise", "warn" or "return".

    Raises
    ------
    UntrustedResult
        With "raise", if the status is not ACCEPTED.
    """
    message = " ".join(note for note in result.notes if note not in result.remarks or not result.status.trusted)
    if not result.status.trusted:
        message = f"{result.status.name}: {result.status.value} {message}".strip()
        if on_untrusted == "raise":
            raise UntrustedResult(message)
    if message and on_untrusted != "return":
        warnings.warn(message, NhcsrWarning, stacklevel=_levels_to_user())


def _levels_to_user() -> int:
    """Frames from :func:`report` to the first one outside this package's own calls."""
    inside = tuple(f"{__package__}.{name}" for name in INSIDE)
    frame, levels = sys._getframe(1), 1
    while frame is not None and frame.f_globals.get("__name__") in inside:
        frame, levels = frame.f_back, levels + 1
    return levels
