"""A coarse problem read from NGSolve: everything after this works on arrays."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import ngsolve as ngs
import numpy as np

from . import reading as reading_
from .checks import check_kind, described
from .errors import InvalidProblem
from .ngsolve_io import quadrature
from .ngsolve_io.forms import MATCHING, check_form, free_dofs, load_of, sparse_matrix
from .ngsolve_io.raster import CoarseField, Raster, evaluate, rasterise, read_coarse
from .solvers.q1 import mass_apply
from .solvers.space import Space
from .solvers.transfer import prolongate, restrict

log = logging.getLogger(__name__)


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
    mismatch : relative energy distance of the user's solution from that of the problem as read, where f or the form
        was given: about zero if all belongs together; 0 where it was not compared.
    """

    field: CoarseField
    raster: Raster
    reading: reading_.Reading
    notes: tuple[str, ...] = ()
    decided: bool = True
    mismatch: float = 0.0

    @property
    def consistent(self) -> bool:
        """Whether the user's solution is that of the problem as read, as far as it was compared."""
        return self.mismatch <= MATCHING

    @property
    def grid(self) -> Space:
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

    @property
    def f(self) -> np.ndarray | None:
        """Nodal values of the load, on a grid that refines the coarse one; ``None`` if it is not known."""
        return self.reading.f if self.decided else None

    def load(self, cells: tuple[int, int]) -> np.ndarray | None:
        """Load vector on the grid with ``cells``; ``None`` if the load is not known."""
        if self.reading.f is None:
            return None
        return load_vector(self.reading.f, cells, self.grid.size)


def load_vector(f: np.ndarray, cells: tuple[int, int], size: tuple[float, float]) -> np.ndarray:
    """Load vector on the grid with ``cells`` of nodal values ``f``: exact where that grid and f's are nested."""
    finer = (f.shape[0] - 1) % cells[0] == 0 and (f.shape[1] - 1) % cells[1] == 0
    return restrict(mass_apply(f, size), cells) if finer else mass_apply(prolongate(f, cells), size)


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
    check_kind(form, ngs.BilinearForm, "form")
    check_kind(mesh, ngs.Mesh, "mesh")
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
    # A region-wise coefficient of another mesh cannot be assembled on the user's: its raster stands for it.
    function = quadrature.as_coefficient_function(a if mesh is None else raster.values, raster.values, grid)
    reading, off = _read(u_coarse, function, found, raster, f, form)
    if off > MATCHING:
        notes.append(_mismatch_note(off, found.U, form is not None and f is None))
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
    if f is None and form is None and found.vertices is not None and decided and reading.F is not None:
        correlation, share = reading_.follows_solution(reading.F, found.U, found.free, grid.size)
        if correlation > reading_.FOLLOWS and share > reading_.MATTERS:
            notes.append(
                f"the load recovered from u_coarse follows u_coarse itself (correlation {correlation:.2f}, {share:.0%} "
                "of the load): its problem seems to have a reaction, convection or time-derivative term, which is not "
                "taken to the fine mesh. Pass f= and form= to say what it solves."
            )
            decided = False
    return Problem(found, raster, reading, tuple(notes), decided, off)


def _read(
    u: ngs.GridFunction, a: ngs.CoefficientFunction, found: CoarseField, raster: Raster, f: Any, form: Any
) -> tuple[reading_.Reading, float]:
    """Canonical coarse solution with its load, and how far u is from the solution of the problem as given."""
    grid, A = found.grid, raster.values
    if f is not None:
        samples = sample_load(f, u.space.mesh, grid)
        own = quadrature.integrated_load(u, _as_function(f, samples, grid))
        if isinstance(f, ngs.CoefficientFunction) and found.vertices is not None:
            F = quadrature.to_grid(u, found, own)  # keeps jumps of f where they are
        else:
            F = restrict(mass_apply(samples, grid.size), grid.cells)
        canonical = reading_.galerkin_solve(A, grid, np.where(found.free, F, 0.0), found.free, found.U)
        log.info("load given, sampled on %d x %d nodes", *samples.shape[::-1])
        reading = reading_.Reading(canonical, np.where(found.free, F, 0.0), samples, "given f", {})
        return reading, quadrature.mismatch(u, a, own)
    if form is not None:
        check_form(u, form)
        own = load_of(sparse_matrix(u, form), u.vec.FV().NumPy(), free_dofs(u))
        F = quadrature.to_grid(u, found, own)
        return reading_.read_given(A, grid, found.U, found.free, F, "given form"), quadrature.mismatch(u, a, own)
    if found.vertices is not None:
        candidates = quadrature.candidate_loads(u, found, a, A)
        return reading_.read_load(A, grid, found.U, found.free, candidates), 0.0
    return _read_unstructured(u, a, found, A), 0.0


def _as_function(f: Any, samples: np.ndarray, grid: Space) -> ngs.CoefficientFunction:
    """A load as CoefficientFunction: as it is, or bilinear through its samples (ny+1, nx+1)."""
    if isinstance(f, ngs.CoefficientFunction):
        return f
    if isinstance(f, (int, float)):
        return ngs.CoefficientFunction(float(f))
    upper = (grid.lower[0] + grid.size[1], grid.lower[1] + grid.size[0])
    return ngs.VoxelCoefficient(grid.lower, upper, samples, linear=True)


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


def _mismatch_note(off: float, U: np.ndarray, from_form: bool) -> str:
    """Say that the user's solution is not that of the problem as read, and what the usual causes are."""
    if not np.abs(U).max() > 0:
        return "u_coarse is zero although f is not: was it solved? The coarse problem was solved for f= instead."
    much = f"{off:.0%}" if off < 10 else "more than its size ten times over"
    given = "the given form and coefficient" if from_form else "the given f and coefficient"
    return (
        f"u_coarse is not the solution for {given} (it differs by {much} in the energy norm), so the field solves "
        "another problem than u_coarse does. Check the orientation of arrays (row 0 at the lowest y), units, factors "
        "in a or f, and terms beside a∇u·∇v."
    )


def _has_flux(reading: reading_.Reading, found: CoarseField) -> bool:
    """True if the load has a part on free boundary nodes that f does not explain."""
    if reading.F is None or reading.f is None:
        return False
    ours = restrict(mass_apply(reading.f, found.grid.size), found.grid.cells)
    edge = found.free.copy()
    edge[1:-1, 1:-1] = False
    return bool(edge.any()) and float(np.abs(reading.F - ours)[edge].max()) > 0.2 * float(np.abs(reading.F).max())


def sample_load(f: Any, mesh: ngs.Mesh, grid: Space) -> np.ndarray:
    """Nodal values of a load given as number, CoefficientFunction, callable f(x, y) or nodal array.

    Raises
    ------
    InvalidProblem
        If it is not finite or has the wrong shape.
    """
    fine = grid.refined(reading_.load_cells(grid))
    y, x = fine.nodes()
    if isinstance(f, (ngs.LinearForm, ngs.BaseVector)):
        raise InvalidProblem(
            f"f= takes the function f, not an assembled {type(f).__name__}; pass the CoefficientFunction it was made "
            "of, or leave f out (the load is then read from u_coarse)."
        )
    if isinstance(f, (int, float)) and not isinstance(f, bool):
        values = np.full(fine.shape, float(f))
    elif isinstance(f, ngs.CoefficientFunction):
        if f.is_complex or f.dim != 1:
            raise InvalidProblem("f must be a real scalar.")
        values = evaluate(f, mesh, y, x)
    elif callable(f):
        values = np.broadcast_to(np.asarray(f(x[None, :], y[:, None]), dtype=float), fine.shape).copy()
    else:
        try:
            values = np.asarray(f, dtype=float)
        except (TypeError, ValueError) as error:
            raise InvalidProblem(
                f"f must be a number, CoefficientFunction, callable f(x, y) or nodal array, not {described(f)}."
            ) from error
        if values.ndim != 2 or min(values.shape) < 2:
            raise InvalidProblem(f"f as an array must hold nodal values [iy, ix], not shape {values.shape}.")
    if not np.isfinite(values).all():
        raise InvalidProblem("f has values that are not finite.")
    return values
