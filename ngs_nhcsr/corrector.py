"""``correct``: from an NGSolve coarse solution and a rough coefficient to a fine-mesh GridFunction."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import ngsolve as ngs
import numpy as np

from . import coarse as reading_
from . import quadrature
from .checks import check_memory, check_scale
from .errors import GridMismatch, InvalidProblem, NhcsrWarning, UntrustedResult
from .grid import TensorGrid, prolongate, restrict
from .guard import Status, guard
from .raster import CoarseField, Raster, evaluate, fine_space, rasterise, read_coarse
from .solvers.q1 import mass_apply

if TYPE_CHECKING:
    from .models import Model

log = logging.getLogger(__name__)

#: The load f is sampled at the nodes of a grid with this many cells per coarse cell.
LOAD_CELLS = 4
OnUntrusted = Literal["raise", "warn", "return"]


@dataclass(frozen=True)
class Problem:
    """A coarse problem as arrays: everything after this knows no NGSolve.

    Attributes
    ----------
    field : coarse solution as the user computed it, on a tensor grid.
    raster : coefficient on cells.
    reading : the coarse solution made canonical, with its load.
    notes : reservations to tell the user.
    decided : False where the load is unknown or several rules explain the solution.
    """

    field: CoarseField
    raster: Raster
    reading: reading_.Reading
    notes: tuple[str, ...] = ()
    decided: bool = True

    @property
    def grid(self) -> TensorGrid:
        """The coarse tensor grid."""
        return self.field.grid

    @property
    def A(self) -> np.ndarray:
        """Coefficient cell values (my, mx)."""
        return self.raster.values

    @property
    def U(self) -> np.ndarray:
        """Canonical coarse solution (N+1, M+1)."""
        return self.reading.U

    @property
    def ratio(self) -> tuple[int, int]:
        """Coefficient cells per coarse cell in y and x."""
        return (self.A.shape[0] // self.grid.cells[0], self.A.shape[1] // self.grid.cells[1])

    def load(self, cells: tuple[int, int]) -> np.ndarray | None:
        """Load vector on the grid with ``cells``; ``None`` if the load is not known."""
        if self.reading.f is None:
            return None
        return mass_apply(prolongate(self.reading.f, cells), self.grid.size)


def read_problem(
    u_coarse: ngs.GridFunction,
    a: Any,
    *,
    f: Any = None,
    form: ngs.BilinearForm | None = None,
    mesh: ngs.Mesh | None = None,
    cells_per_coarse: int | None = None,
    mean: str = "arithmetic",
) -> Problem:
    """Read an NGSolve coarse solution and its coefficient; parameters as for :func:`correct`."""
    own_raster = None if isinstance(a, (ngs.CoefficientFunction, int, float)) else np.shape(a)
    found = read_coarse(u_coarse, own_raster if own_raster is not None and len(own_raster) == 2 else None)
    grid = found.grid
    raster = rasterise(a, u_coarse.space.mesh, grid, cells_per_coarse=cells_per_coarse, mesh=mesh, mean=mean)
    notes = []
    if raster.varying:
        notes.append(
            f"the coefficient varies inside {raster.varying} of {raster.values.size} raster cells, which get their "
            f"{mean} mean; raise cells_per_coarse= to resolve it."
        )
    reading = _read(u_coarse, a, found, raster, f, form, mesh, notes)
    decided = reading.F is not None and not reading.ambiguous
    if reading.ambiguous:
        notes.append(
            f"the quadrature of the coarse solution cannot be told from it: {reading.rule} and "
            f"{', '.join(reading.ambiguous)} fit equally well but mean different solutions. Taken as {reading.rule}; "
            "pass form= (the assembled BilinearForm) or f= to decide."
        )
    elif reading.F is None:
        best = min(reading.roughness, key=lambda k: reading.roughness[k])
        notes.append(
            "no quadrature rule explains the coarse solution with this coefficient (the smoothest load, by "
            f"{best}, has roughness {reading.roughness[best]:.2g} > {reading_.ROUGH}): either it solves another "
            "problem or f is rough. It is used as it is; pass f= or form=."
        )
    if reading.F is not None and _has_flux(reading, found):
        notes.append(
            "the boundary carries a natural flux, which is not taken to the fine mesh; the energy is not checked."
        )
        decided = False
    return Problem(found, raster, reading, tuple(notes), decided)


def _read(
    u: ngs.GridFunction,
    a: Any,
    found: CoarseField,
    raster: Raster,
    f: Any,
    form: ngs.BilinearForm | None,
    mesh: ngs.Mesh | None,
    notes: list[str],
) -> reading_.Reading:
    grid, A = found.grid, raster.values
    if f is not None:
        samples = sample_load(f, u.space.mesh, grid)
        cells = (samples.shape[0] - 1, samples.shape[1] - 1)
        if isinstance(f, ngs.CoefficientFunction) and found.vertices is not None:
            F = quadrature.to_grid(u, found, quadrature.integrated_load(u, f))  # keeps jumps of f where they are
        else:
            F = restrict(mass_apply(samples, grid.size), grid.cells)
        canonical = reading_.galerkin_solve(A, grid, np.where(found.free, F, 0.0), found.free, found.U)
        _compare(found.U, canonical, notes)
        log.info("load given, sampled on %d x %d nodes", cells[1] + 1, cells[0] + 1)
        return reading_.Reading(canonical, np.where(found.free, F, 0.0), samples, "given f", {})
    if form is not None:
        F = quadrature.to_grid(u, found, quadrature.form_load(u, form))
        return reading_.read_given(A, grid, found.U, found.free, F, "given form")
    # A region-wise coefficient of another mesh cannot be assembled on the user's: its raster stands for it.
    own = a if mesh is None else A
    function = quadrature.as_coefficient_function(own, A, grid)
    if found.vertices is not None:
        candidates = quadrature.candidate_loads(u, found, function, A)
        return reading_.read_load(A, grid, found.U, found.free, candidates)
    return _read_unstructured(u, function, found, A)


def _read_unstructured(
    u: ngs.GridFunction, a: ngs.CoefficientFunction, found: CoarseField, A: np.ndarray
) -> reading_.Reading:
    """The same recognition on any mesh: roughness over neighbouring vertices instead of grid neighbours."""
    loads = quadrature.rule_loads(u, a)
    rough = {name: quadrature.vertex_roughness(u, load) for name, load in loads.items()}
    best = min(rough, key=lambda k: rough[k])
    if rough[best] > reading_.ROUGH:
        return reading_.Reading(found.U, None, None, "none", rough)
    name, ties = reading_.choose(rough)
    F = {n: quadrature.to_grid(u, found, loads[n]) for n in (name, *ties)}
    chosen = reading_.read_given(A, found.grid, found.U, found.free, F[name], name)
    scale = np.linalg.norm(F[name])
    differing = tuple(n for n in ties if np.linalg.norm(F[n] - F[name]) > reading_.SAME * scale)
    return reading_.Reading(chosen.U, chosen.F, chosen.f, chosen.rule, rough, differing)


def _compare(given: np.ndarray, canonical: np.ndarray, notes: list[str]) -> None:
    """Note if the user's solution and the one for the given load have nothing in common."""
    norms = float(np.linalg.norm(given) * np.linalg.norm(canonical))
    if norms == 0 and np.abs(canonical).max() > 0:
        notes.append("u_coarse is zero although f is not: was it solved? The coarse problem was solved for f= instead.")
    elif norms > 0 and float((given * canonical).sum()) < 0.9 * norms:
        notes.append(
            "u_coarse does not look like the solution for the given f and coefficient; the coarse problem was solved "
            "again for f=. Check that both belong to it."
        )


def _has_flux(reading: reading_.Reading, found: CoarseField) -> bool:
    """True if the load has a part on free boundary nodes that f does not explain."""
    if reading.F is None or reading.f is None:
        return False
    ours = restrict(mass_apply(reading.f, found.grid.size), found.grid.cells)
    edge = found.free.copy()
    edge[1:-1, 1:-1] = False
    return bool(edge.any()) and float(np.abs(reading.F - ours)[edge].max()) > 0.2 * float(np.abs(reading.F).max())


def sample_load(f: Any, mesh: ngs.Mesh, grid: TensorGrid) -> np.ndarray:
    """Nodal values of a load given as number, CoefficientFunction, callable f(x, y) or nodal array.

    Raises
    ------
    InvalidProblem
        If it is not finite or has the wrong shape.
    """
    fine = grid.refined(LOAD_CELLS)
    y, x = fine.nodes()
    if isinstance(f, (int, float)) and not isinstance(f, bool):
        values = np.full(fine.shape, float(f))
    elif isinstance(f, ngs.CoefficientFunction):
        if f.is_complex or f.dim != 1:
            raise InvalidProblem("f must be a real scalar.")
        values = evaluate(f, mesh, y, x)
    elif callable(f):
        values = np.broadcast_to(np.asarray(f(x[None, :], y[:, None]), dtype=float), fine.shape).copy()
    else:
        values = np.asarray(f, dtype=float)
        if values.ndim != 2 or min(values.shape) < 2:
            raise InvalidProblem(f"f as an array must hold nodal values [iy, ix], not shape {values.shape}.")
    if not np.isfinite(values).all():
        raise InvalidProblem("f has values that are not finite.")
    return values


@dataclass(frozen=True)
class Correction:
    """A corrected solution with its provenance.

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
    damping : 1 for the network's own field, 0 for the coarse solution, between them for a damped one.
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


class Corrector:
    """A model on a device, ready for many corrections.

    Parameters
    ----------
    model : name of a shipped model, ``pathlib.Path`` of a model card, or a loaded ``Model``; default: the best one
        for the device.
    device : "auto", "cpu", "cuda", …
    symmetrize : average the network over the symmetries of the square (eight times the work, a little more accurate).

    Raises
    ------
    ModelFileError, DeviceError
    """

    def __init__(self, model: str | Path | Model | None = None, device: Any = "auto", *, symmetrize: bool = False):
        from .models import Model, default_model, load_model, resolve_device

        if isinstance(model, Model):
            self.model = model
        else:
            resolved = resolve_device(device)
            self.model = load_model(default_model(resolved) if model is None else model, resolved)
        self.symmetrize = symmetrize

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
    ) -> Correction:
        """Correct a coarse solution; parameters as for :func:`correct`."""
        from .networks.positions import Nodes

        clock = _Clock()
        scale = check_scale(scale)
        if scale == 1:
            same = ngs.GridFunction(u_coarse.space)
            same.vec.data = u_coarse.vec
            return Correction(same, read_coarse(u_coarse).U, Status.ACCEPTED, None, model=self.model.card.name)
        problem = self._read(u_coarse, a, f, form, mesh, cells_per_coarse)
        grid = problem.grid
        fine = grid.refined(scale)
        check_memory(fine.cells)
        clock.lap("read")
        raw = self._predict(problem, Nodes(fine.cells), scale)
        clock.lap("network")
        base = prolongate(problem.U, fine.cells)
        load = problem.load(fine.cells) if problem.decided else None
        verdict = guard(raw, base, problem.A, load, grid.size)
        status, notes = self._status(verdict.status, problem, scale)
        clock.lap("guard")
        space = fine_space(u_coarse, grid, fine)
        u_fine = space.field(verdict.field)
        if fes is not None:
            u_fine = transfer(u_fine, verdict.field, fine, fes)
        clock.lap("write")
        return Correction(
            u_fine,
            verdict.field,
            status,
            problem,
            notes,
            clock.laps,
            self.model.card.name,
            verdict.energy,
            verdict.coarse_energy,
            verdict.damping,
        )

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

        from .networks.positions import Points

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
        return self.model.predict(
            problem.U,
            problem.A,
            query,
            aligned_ratio(scale / problem.ratio[0]),
            sides=problem.field.sides,
            free=problem.field.free,
            size=problem.grid.size,
            symmetrize=self.symmetrize,
        )

    def _status(self, status: Status, problem: Problem, scale: float) -> tuple[Status, tuple[str, ...]]:
        violations = self.model.card.contract.violations(
            scale=scale,
            contrast=float(problem.A.max() / problem.A.min()),
            coarse=problem.grid.cells,
            per=problem.ratio,
            dirichlet=all(problem.field.sides),
        )
        notes = problem.notes
        if violations:
            notes += (f"outside the contract of model {self.model.card.name!r}: {'; '.join(violations)}.",)
            if status is Status.ACCEPTED:
                status = Status.OUT_OF_CONTRACT
        return status, notes


def aligned_ratio(ratio: float) -> float:
    """Fine cells per coefficient cell as the network is told them: whole numbers, or the power of two below.

    A mesh whose cells cut raster cells is about as stiff as the next coarser mesh that is aligned with them (scale 3.5
    on 32 cells: L2 error 0.034 told so, 0.23 told the ratio itself).

    Examples
    --------
    >>> aligned_ratio(3.0), aligned_ratio(1.25), aligned_ratio(0.75)
    (3.0, 1.0, 0.5)
    """
    return ratio if ratio == int(ratio) else 2.0 ** math.floor(math.log2(ratio))


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
    model: str | Path | Model | None = None,
    device: Any = "auto",
    symmetrize: bool = False,
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
    model, device, symmetrize : see :class:`Corrector`.
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
    if on_untrusted not in ("raise", "warn", "return"):
        raise InvalidProblem(f'on_untrusted must be "raise", "warn" or "return", not {on_untrusted!r}.')
    corrector = Corrector(model, device, symmetrize=symmetrize)
    result = corrector(u_coarse, a, scale, f=f, form=form, mesh=mesh, cells_per_coarse=cells_per_coarse, fes=fes)
    report(result, on_untrusted)
    return result if full else result.u_fine


def report(result: Correction, on_untrusted: OnUntrusted) -> None:
    """Raise or warn as asked; notes on an accepted result are always warnings."""
    message = " ".join(result.notes)
    if not result.status.trusted:
        message = f"{result.status.name}: {result.status.value} {message}".strip()
        if on_untrusted == "raise":
            raise UntrustedResult(message)
    if message and on_untrusted != "return":
        warnings.warn(message, NhcsrWarning, stacklevel=3)


def transfer(u: ngs.GridFunction, values: np.ndarray, grid: TensorGrid, fes: ngs.FESpace) -> ngs.GridFunction:
    """The fine field in a space of the user's own: nodal values for H1 of order 1, else NGSolve's ``Set``.

    Raises
    ------
    GridMismatch
        If the space's mesh reaches beyond the fine mesh, where ``Set`` would silently give zero.
    """
    out = ngs.GridFunction(fes)
    coordinates = np.array(fes.mesh.ngmesh.Coordinates())[:, :2]
    yx = (coordinates[:, ::-1] - np.array(grid.lower)[::-1]) / np.array(grid.size)
    if (yx < -1e-9).any() or (yx > 1 + 1e-9).any():
        raise GridMismatch("the mesh of fes= reaches beyond the domain of the coarse solution.")
    if fes.type == "h1ho" and fes.globalorder == 1:
        out.vec.FV().NumPy()[: len(yx)] = interpolate_points(values, np.clip(yx, 0, 1))
    else:
        out.Set(u)
    return out


def interpolate_points(values: np.ndarray, yx: np.ndarray) -> np.ndarray:
    """Q1 function with nodal ``values`` (ny+1, nx+1) at points (P, 2) as (y, x) in the unit square."""
    n = np.array(values.shape) - 1
    t = yx * n
    base = np.minimum(t.astype(int), n - 1)
    (fy, fx), (iy, ix) = (t - base).T, base.T
    low = values[iy, ix] * (1 - fx) + values[iy, ix + 1] * fx
    high = values[iy + 1, ix] * (1 - fx) + values[iy + 1, ix + 1] * fx
    return low * (1 - fy) + high * fy


class _Clock:
    """Seconds since the last lap, by name."""

    def __init__(self, now: Callable[[], float] = time.perf_counter):
        self._now, self._last = now, now()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        self.laps[name], self._last = self._now() - self._last, self._now()
