"""A model on a device: corrections of coarse solutions towards u_h, the Q1 solution of a fine mesh."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import check_kind, check_scale
from .errors import DeviceError, GridMismatch
from .guard import FLAGGED_FROM, Status, guard
from .options import Options, Request
from .pipeline import Lap, Outcome, make_reader, run, run_with_target
from .refine import ErrorEstimator, judge_raster
from .refine import refine as refine_field
from .solvers.substructuring.scheme import Scheme
from .solvers.target import FineQ1

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .models import Model
    from .ngsolve_io.read import Reader
    from .ngsolve_io.types import FESpace, GridFunction, Mesh
    from .prepared import PreparedCorrector
    from .problem import Problem
    from .proposer import NetworkSolver
    from .result import Correction
    from .solvers.positions import Query
    from .solvers.space import Space


class Corrector:
    """A model on a device, ready for many corrections.

    Parameters
    ----------
    model : name of a shipped model, ``pathlib.Path`` of a model card, or a loaded ``Model``; default: the best one
        for the device.
    device : "auto", "cpu", "cuda", …, or a ``torch.device``.
    symmetrize : average the network over the symmetries of the square (eight times the work, a little more accurate).
    scheme : how often the effective problem is solved again for the residual, and until when; default
        ``Scheme(corrections=4, tolerance=3e-4)``.

    Raises
    ------
    ModelFileError, DeviceError
    """

    def __init__(
        self,
        model: str | Path | Model | None = None,
        device: Any = "auto",
        *,
        symmetrize: bool = False,
        scheme: Scheme | None = None,
    ):
        from .models import Model, default_model, load_model, resolve_device

        if isinstance(model, Model):
            self.model = model
        else:
            resolved = resolve_device(device)
            self.model = load_model(default_model(resolved) if model is None else model, resolved)
        check_kind(scheme, Scheme, "scheme")
        self.symmetrize, self.scheme = symmetrize, scheme or Scheme()

    def __call__(self, u_coarse: GridFunction, a: Any, scale: float = 16, **options: Unpack[Options]) -> Correction:
        """Correct a coarse solution.

        Parameters
        ----------
        u_coarse : coarse solution, as for :func:`correct`.
        a : coefficient, as for :func:`correct`.
        scale : fine cells per coarse cell and axis.
        **options : ``f``, ``form``, ``mesh``, ``cells_per_coarse``, ``fes``, ``refine``, ``refine_to``, ``target``,
            ``accuracy``, ``g``, ``on_untrusted`` as for :func:`correct`.

        Returns
        -------
        Correction

        Raises
        ------
        InvalidProblem, NotCoercive, GridMismatch, DeviceError, UntrustedResult
        """
        request = Request.of(options)
        reader = self._reader(a, request)
        if not request.fine:
            return run_with_target(u_coarse, reader, scale, request)
        if isinstance(request.target, FineQ1):
            scale = request.target.scale
        return run(u_coarse, reader, scale, request, partial(self.solve, request=request), self.model.card.name)

    def prepare(
        self,
        a: Any,
        coarse_space: FESpace,
        scale: float = 16,
        *,
        mesh: Mesh | None = None,
        cells_per_coarse: int | None = None,
    ) -> PreparedCorrector:
        """Encode a coefficient once, for any number of loads and boundary values.

        Parameters
        ----------
        a : coefficient, as for :func:`correct`.
        coarse_space : the H1 space of the coarse solutions.
        scale : fine cells per coarse cell and axis.
        mesh : mesh of a region-wise coefficient, if another than that of the space.
        cells_per_coarse : raster cells per coarse cell for CoefficientFunctions; default 4.

        Returns
        -------
        PreparedCorrector, to be called with coarse solutions of that space.

        Raises
        ------
        InvalidProblem, NotCoercive, GridMismatch, DeviceError
        """
        from .prepared import PreparedCorrector

        reader = self._reader(a, Request(mesh=mesh, cells_per_coarse=cells_per_coarse))
        return PreparedCorrector(self, reader, coarse_space, check_scale(scale))

    def correct_problem(
        self,
        problem: Problem,
        scale: float,
        *,
        refine: int = 0,
        refine_to: float | None = None,
        lap: Lap = lambda name: None,
    ) -> Outcome:
        """Do everything between reading and writing: network, guard, refinement, status. No NGSolve.

        Parameters
        ----------
        problem : read from NGSolve, or ``Problem.from_arrays(...)``.
        scale : fine cells per coarse cell and axis.
        refine : number of multigrid-CG steps after the network.
        refine_to : relative energy error against u_h to reach by them instead.
        lap : called with "network", "guard", and "refine" or "estimate" when these are done.

        Returns
        -------
        Outcome

        Raises
        ------
        GridMismatch, DeviceError
        """
        request = Request(refine=refine, refine_to=refine_to)
        return self.solve(problem, problem.space.refined(scale), lap, request=request)

    def evaluate(
        self, points: np.ndarray, u_coarse: GridFunction, a: Any, scale: float = 16, **options: Unpack[Options]
    ) -> np.ndarray:
        """Evaluate the network's continuous field at any points of the domain.

        At the nodes of the fine mesh it equals the network's nodal values, before the guard.

        Parameters
        ----------
        points : (P, 2) as (x, y).
        u_coarse : coarse solution, as for :func:`correct`.
        a : coefficient, as for :func:`correct`.
        scale : fine cells per coarse cell and axis.
        **options : ``f``, ``form``, ``mesh``, ``cells_per_coarse`` as for :func:`correct`.

        Returns
        -------
        Values (P,), float64.

        Raises
        ------
        GridMismatch
            If a point lies outside the domain.
        """
        import torch

        from .solvers.positions import Points

        request = Request.of(options)
        problem = self._reader(a, request).read(u_coarse, **request.reading)
        space = problem.space
        yx = (np.asarray(points, dtype=float)[:, ::-1] - np.array(space.lower)[::-1]) / np.array(space.size)
        if (yx < -1e-12).any() or (yx > 1 + 1e-12).any():
            k = int(np.argmax(((yx < -1e-12) | (yx > 1 + 1e-12)).any(1)))
            raise GridMismatch(f"point {tuple(np.asarray(points)[k].tolist())} lies outside the domain.")
        return self._predict(problem, check_scale(scale), Points(torch.from_numpy(np.clip(yx, 0, 1))))

    def _reader(self, a: Any, request: Request) -> Reader:
        return make_reader(a, request, self.model.card.contract.mean)

    def solve(
        self,
        problem: Problem,
        fine: Space,
        lap: Lap,
        *,
        request: Request,
        solver: NetworkSolver | None = None,
        estimator: ErrorEstimator | None = None,
    ) -> Outcome:
        """Solve one problem as a request asks: field, guard, refinement or estimate, status.

        Parameters
        ----------
        problem : in numpy.
        fine : the fine space.
        lap : called with the name of each stage when it is done.
        request : the options.
        solver : the network prepared for this medium and scale; default: made here.
        estimator : likewise.

        Returns
        -------
        Outcome

        Raises
        ------
        DeviceError
        """
        scale = fine.cells[0] / problem.space.cells[0]
        raw = self._predict(problem, scale, solver=solver)
        lap("network")
        b = problem.load_vector(fine.cells)
        verdict = guard(raw, problem.U, problem.medium, b, fine.size)
        status, notes = self._status(verdict.status, problem, scale)
        lap("guard")
        values, refinement, estimate = verdict.field, None, None
        if b is None:
            notes += ("not refined: the load is not known; pass f= or form=.",) * bool(
                request.refine or request.refine_to
            )
        elif request.refine or request.refine_to:
            refinement = refine_field(
                values, problem.medium, b, fine, steps=request.refine, tolerance=request.refine_to
            )
            values, estimate = refinement.field, refinement.after
            if request.refine_to and not refinement.converged:
                reached = f"{refinement.after:.1e} after {refinement.steps} steps"
                notes += (f"refinement reached {reached}, not {request.refine_to:g}.",)
            lap("refine")
        elif status in (Status.ACCEPTED, Status.OUT_OF_CONTRACT, Status.INCONSISTENT):
            estimate = (estimator or ErrorEstimator(problem.medium, fine))(values, b)
            lap("estimate")
        unsure = (Status.ACCEPTED, Status.OUT_OF_CONTRACT)
        if status in unsure and estimate is not None and estimate > FLAGGED_FROM:
            status = Status.INACCURATE
            notes += (f"its relative energy error against the fine solution is estimated at {estimate:.0%}.",)
        status, notes = judge_raster(status, notes, values, problem)
        return Outcome(values, status, notes, verdict, refinement, estimate)

    def _predict(
        self, problem: Problem, scale: float, query: Query | None = None, solver: NetworkSolver | None = None
    ) -> np.ndarray:
        import torch

        try:
            if solver is not None:
                return solver(problem, query)
            return self.model.solve(problem, scale, query, scheme=self.scheme, symmetrize=self.symmetrize)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{self.model.device} ran out of memory at scale {scale:g} of {problem.space.cells[1]} x "
                f'{problem.space.cells[0]} coarse cells; pass device="cpu" or a smaller scale.'
            ) from error

    def _status(self, status: Status, problem: Problem, scale: float) -> tuple[Status, tuple[str, ...]]:
        violations = self.model.card.contract.violations(
            scale=scale,
            contrast=problem.medium.contrast,
            coarse=problem.space.cells,
            per=problem.medium.per(problem.space.cells),
            dirichlet=all(problem.space.sides),
        )
        notes = problem.notes
        if not problem.consistent and status is Status.ACCEPTED:
            status = Status.INCONSISTENT
        if violations:
            notes += (f"outside the contract of model {self.model.card.name!r}: {'; '.join(violations)}.",)
            if status is Status.ACCEPTED:
                status = Status.OUT_OF_CONTRACT
        return status, notes
