"""A coarse problem read from NGSolve: everything after this works on arrays."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import ngsolve as ngs
import numpy as np

from . import coarse as reading_
from . import quadrature
from .checks import check_kind
from .errors import InvalidProblem
from .grid import TensorGrid, prolongate, restrict
from .raster import CoarseField, Raster, evaluate, rasterise, read_coarse
from .solvers.q1 import mass_apply

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
    fine = grid.refined(reading_.load_cells(grid))
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
        try:
            values = np.asarray(f, dtype=float)
        except (TypeError, ValueError) as error:
            raise InvalidProblem(
                f"f must be a number, CoefficientFunction, callable f(x, y) or nodal array, not {f!r}."
            ) from error
        if values.ndim != 2 or min(values.shape) < 2:
            raise InvalidProblem(f"f as an array must hold nodal values [iy, ix], not shape {values.shape}.")
    if not np.isfinite(values).all():
        raise InvalidProblem("f has values that are not finite.")
    return values
