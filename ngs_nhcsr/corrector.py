"""``correct``: from an NGSolve coarse solution and a rough coefficient to a fine-mesh GridFunction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ngsolve as ngs
import numpy as np

from .checks import check_kind, check_memory, check_refinement, check_scale, check_target
from .clock import Clock
from .errors import DeviceError, GridMismatch, InvalidProblem
from .exact import correct_to_pde
from .guard import FLAGGED_FROM, Status, Verdict, guard
from .ngsolve_io.raster import read_coarse
from .ngsolve_io.write_back import write_back
from .problem import Problem, read_problem
from .refine import Refinement, estimate_error, judge_raster
from .refine import refine as refine_field
from .result import Correction, OnUntrusted, Target, check_on_untrusted, report
from .solvers.threads import suited_threads
from .solvers.transfer import prolongate

if TYPE_CHECKING:
    from .models import Model
    from .solvers.substructuring.scheme import Scheme


@dataclass(frozen=True)
class Outcome:
    """A correction on arrays, before anything is written back to NGSolve; attributes as in :class:`Correction`."""

    values: np.ndarray
    status: Status
    notes: tuple[str, ...]
    verdict: Verdict
    refinement: Refinement | None = None
    estimate: float | None = None


class Corrector:
    """A model on a device, ready for many corrections.

    Parameters
    ----------
    model : name of a shipped model, ``pathlib.Path`` of a model card, or a loaded ``Model``; default: the best one
        for the device.
    device : "auto", "cpu", "cuda", …
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
        from .solvers.substructuring.scheme import Scheme

        if isinstance(model, Model):
            self.model = model
        else:
            resolved = resolve_device(device)
            self.model = load_model(default_model(resolved) if model is None else model, resolved)
        check_kind(scheme, Scheme, "scheme")
        self.symmetrize, self.scheme = symmetrize, scheme or Scheme()

    def __call__(
        self,
        u_coarse: ngs.GridFunction,
        a: Any,
        scale: float = 16,
        *,
        f: Any = None,
        form: ngs.BilinearForm | None = None,
        mesh: ngs.Mesh | None = None,
        cells_per_coarse: int | None = None,
        fes: ngs.FESpace | None = None,
        refine: int = 0,
        refine_to: float | None = None,
        target: Target = "fine",
        accuracy: float | None = None,
        g: Any = None,
        on_untrusted: OnUntrusted = "warn",
    ) -> Correction:
        """Correct a coarse solution; parameters, warnings and errors as for :func:`correct`."""
        check_on_untrusted(on_untrusted)
        check_target(target, accuracy, g, refine or refine_to)
        if target == "pde":
            read = {"f": f, "form": form, "mesh": mesh, "cells_per_coarse": cells_per_coarse}
            return correct_to_pde(
                u_coarse, a, scale, g=g, fes=fes, accuracy=accuracy, on_untrusted=on_untrusted, **read
            )
        clock = Clock()
        scale = check_scale(scale)
        check_refinement(refine, refine_to)
        check_kind(fes, ngs.FESpace, "fes")
        if scale == 1:
            values = read_coarse(u_coarse).U
            same = ngs.GridFunction(u_coarse.space)
            same.vec.data = u_coarse.vec
            return Correction(same, values, Status.ACCEPTED, None, model=self.model.card.name)
        with suited_threads():
            problem = self._read(u_coarse, a, f, form, mesh, cells_per_coarse)
            fine = problem.grid.refined(scale)
            check_memory(fine.cells)
            clock.lap("read")
            out = self.correct_problem(problem, scale, refine=refine, refine_to=refine_to, lap=clock.lap)
        u_fine = write_back(u_coarse, problem.grid, fine, out.values, fes)
        clock.lap("write")
        result = Correction(
            u_fine=u_fine,
            values=out.values,
            status=out.status,
            problem=problem,
            notes=out.notes,
            timings=clock.laps,
            model=self.model.card.name,
            energy=out.verdict.energy,
            coarse_energy=out.verdict.coarse_energy,
            damping=out.verdict.damping,
            refinement=out.refinement,
            estimate=out.estimate,
        )
        report(result, on_untrusted)
        return result

    def correct_problem(
        self,
        problem: Problem,
        scale: float,
        *,
        refine: int = 0,
        refine_to: float | None = None,
        lap: Callable[[str], None] = lambda name: None,
    ) -> Outcome:
        """Everything between reading and writing: network, guard, refinement, status. No NGSolve.

        Parameters
        ----------
        problem : as read by ``problem.read_problem``, or made from arrays.
        scale, refine, refine_to : see :func:`correct`.
        lap : called with "network", "guard", and "refine" or "estimate" when these are done.
        """
        from .solvers.positions import Nodes

        grid, A, free = problem.grid, problem.A, problem.field.free
        fine = grid.refined(scale)
        raw = self._predict(problem, Nodes(fine.cells), scale)
        lap("network")
        load = problem.load(fine.cells) if problem.decided else None
        verdict = guard(raw, prolongate(problem.U, fine.cells), A, load, grid.size, problem.U)
        status, notes = self._status(verdict.status, problem, scale)
        lap("guard")
        values, refinement, estimate = verdict.field, None, None
        if load is None:
            notes += ("not refined: the load is not known; pass f= or form=.",) * bool(refine or refine_to)
        elif refine or refine_to:
            refinement = refine_field(values, A, load, free, grid.size, steps=refine, tolerance=refine_to)
            values, estimate = refinement.field, refinement.after
            if refine_to and not refinement.converged:
                reached = f"{refinement.after:.1e} after {refinement.steps} steps"
                notes += (f"refinement reached {reached}, not {refine_to:g}.",)
            lap("refine")
        elif status in (Status.ACCEPTED, Status.OUT_OF_CONTRACT, Status.INCONSISTENT):
            estimate = estimate_error(values, A, load, free, grid.size)
            lap("estimate")
        unsure = (Status.ACCEPTED, Status.OUT_OF_CONTRACT)
        if status in unsure and estimate is not None and estimate > FLAGGED_FROM:
            status = Status.INACCURATE
            notes += (f"its relative energy error against the fine solution is estimated at {estimate:.0%}.",)
        status, notes = judge_raster(status, notes, values, problem)
        return Outcome(values, status, notes, verdict, refinement, estimate)

    def evaluate(
        self, points: np.ndarray, u_coarse: ngs.GridFunction, a: Any, scale: float = 16, **options: Any
    ) -> np.ndarray:
        """Values (P,) of the network's continuous field at any points (P, 2) as (x, y) in the domain.

        At the nodes of the fine mesh they equal the network's nodal values (before the guard); options ``f``, ``form``,
        ``mesh``, ``cells_per_coarse`` as for :func:`correct`.

        Raises
        ------
        GridMismatch
            If a point lies outside the domain.
        """
        import torch

        from .solvers.positions import Points

        problem = self._read(u_coarse, a, *(options.pop(k, None) for k in ("f", "form", "mesh", "cells_per_coarse")))
        if options:
            raise InvalidProblem(f"unknown option(s) {', '.join(options)}.")
        grid = problem.grid
        yx = (np.asarray(points, dtype=float)[:, ::-1] - np.array(grid.lower)[::-1]) / np.array(grid.size)
        if (yx < -1e-12).any() or (yx > 1 + 1e-12).any():
            k = int(np.argmax(((yx < -1e-12) | (yx > 1 + 1e-12)).any(1)))
            raise GridMismatch(f"point {tuple(np.asarray(points)[k].tolist())} lies outside the domain.")
        query = Points(torch.from_numpy(np.clip(yx, 0, 1)))
        return self._predict(problem, query, check_scale(scale))

    def _read(self, u: ngs.GridFunction, a: Any, f: Any, form: Any, mesh: Any, cells_per_coarse: Any) -> Problem:
        mean = self.model.card.contract.mean
        return read_problem(u, a, f=f, form=form, mesh=mesh, cells_per_coarse=cells_per_coarse, mean=mean)

    def _predict(self, problem: Problem, query: Any, scale: float) -> np.ndarray:
        import torch

        try:
            return self.model.predict(
                problem.U,
                problem.A,
                query,
                scale / problem.ratio[0],
                sides=problem.field.sides,
                free=problem.field.free,
                size=problem.grid.size,
                f=problem.f,
                scheme=self.scheme,
                symmetrize=self.symmetrize,
            )
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{self.model.device} ran out of memory at scale {scale:g} of {problem.grid.cells[1]} x "
                f'{problem.grid.cells[0]} coarse cells; pass device="cpu" or a smaller scale.'
            ) from error

    def _status(self, status: Status, problem: Problem, scale: float) -> tuple[Status, tuple[str, ...]]:
        violations = self.model.card.contract.violations(
            scale=scale,
            contrast=float(problem.A.max() / problem.A.min()),
            coarse=problem.grid.cells,
            per=problem.ratio,
            dirichlet=all(problem.field.sides),
        )
        notes = problem.notes
        if not problem.consistent and status is Status.ACCEPTED:
            status = Status.INCONSISTENT
        if violations:
            notes += (f"outside the contract of model {self.model.card.name!r}: {'; '.join(violations)}.",)
            if status is Status.ACCEPTED:
                status = Status.OUT_OF_CONTRACT
        return status, notes


def correct(
    u_coarse: ngs.GridFunction,
    a: Any,
    scale: float = 16,
    *,
    f: Any = None,
    form: ngs.BilinearForm | None = None,
    mesh: ngs.Mesh | None = None,
    cells_per_coarse: int | None = None,
    fes: ngs.FESpace | None = None,
    refine: int = 0,
    refine_to: float | None = None,
    model: str | Path | Model | None = None,
    device: Any = "auto",
    target: Target = "fine",
    accuracy: float | None = None,
    g: Any = None,
    symmetrize: bool = False,
    scheme: Scheme | None = None,
    full: bool = False,
    on_untrusted: OnUntrusted = "warn",
) -> Any:
    """Correct a coarse solution of −div(a∇u) = f towards the Q1 solution on a mesh ``scale`` times finer.

    Parameters
    ----------
    u_coarse : solution in a scalar H1 space on a rectangle; order 1 on a uniform grid of quads is read as it is,
        anything else is brought to a tensor grid of matching size.
    a : coefficient: CoefficientFunction, GridFunction, number, or array ``[iy, ix]`` of cell values (row 0 at the
        lowest y). CoefficientFunctions are sampled on 4 raster cells per coarse cell and axis.
    scale : fine cells per coarse cell and axis; any number that gives whole fine cells.
    f : the load, as number, CoefficientFunction, callable f(x, y) or nodal array. Default: recovered from the coarse
        solution.
    form : the assembled BilinearForm that ``u_coarse`` was solved with; makes recognising its quadrature unnecessary.
    mesh : mesh of a region-wise coefficient (``MaterialCF``) that lives on another mesh than ``u_coarse``.
    cells_per_coarse : raster cells per coarse cell for CoefficientFunctions.
    fes : space for the result, if not H1 of order 1 on the fine mesh.
    model, device, symmetrize, scheme : see :class:`Corrector`.
    refine, refine_to : multigrid-CG steps on the fine mesh after the network: a number of them, or until the
        estimated relative energy error against u_h is below ``refine_to``. One step takes the energy error at contrast
        10 from 0.05 to 0.004.
    target : "fine": u_h, the Q1 solution on the fine mesh, by the network. "pde": the solution of the differential
        equation itself for the pixels, by trace spaces and without a network; the GridFunction then has its nodal
        values, and ``Correction.field`` the gradients, fluxes and guaranteed bounds. On rough media u_h is far from
        it (docs/pde.md).
    accuracy : with ``target="pde"``: relative energy error that ``Correction.field`` is guaranteed to have.
    g : with ``target="pde"``: the Dirichlet data, as number, CoefficientFunction or callable g(x, y). Default: those of
        ``u_coarse``, linear between its nodes; the bounds are then for these.
    full : return the :class:`Correction` (status, timings, notes) instead of the GridFunction.
    on_untrusted : what to do when the status is not ACCEPTED: "raise" ``UntrustedResult``, "warn" (``NhcsrWarning``)
        or "return" silently.

    Returns
    -------
    GridFunction on the fine mesh, which carries the boundary and material names of the coarse one; or the
    ``Correction``. Its energy error is never larger than the coarse solution's where the load is known.

    Raises
    ------
    InvalidProblem, NotCoercive, GridMismatch, ModelFileError, DeviceError, UntrustedResult

    Examples
    --------
    >>> import numpy as np
    >>> from ngsolve import H1, BilinearForm, GridFunction, LinearForm, VoxelCoefficient, dx, grad
    >>> from ngsolve.meshes import MakeStructured2DMesh
    >>> mesh = MakeStructured2DMesh(quads=True, nx=16, ny=16)
    >>> fes = H1(mesh, order=1, dirichlet=".*")
    >>> u, v = fes.TnT()
    >>> kappa = np.where(np.random.default_rng(0).random((64, 64)) < 0.5, 1.0, 10.0)
    >>> a = VoxelCoefficient((0, 0), (1, 1), kappa, linear=False)
    >>> A, F, u_coarse = BilinearForm(a * grad(u) * grad(v) * dx).Assemble(), LinearForm(v * dx).Assemble(), GridFunction(fes)
    >>> u_coarse.vec.data = A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec
    >>> correct(u_coarse, a, scale=8).space.ndof
    16641
    """  # noqa: E501
    options: dict[str, Any] = {
        "f": f, "form": form, "mesh": mesh, "cells_per_coarse": cells_per_coarse, "fes": fes,
        "accuracy": accuracy, "g": g, "on_untrusted": on_untrusted,
    }  # fmt: skip
    if target == "pde":  # no network is needed, so none is loaded
        check_on_untrusted(on_untrusted)
        check_target(target, accuracy, g, refine or refine_to)
        result = correct_to_pde(u_coarse, a, scale, **options)
    else:
        corrector = Corrector(model, device, symmetrize=symmetrize, scheme=scheme)
        result = corrector(u_coarse, a, scale, refine=refine, refine_to=refine_to, target=target, **options)
    return result if full else result.u_fine
