"""Solutions on uniform grids as files: .vtu for ParaView, .npz for NumPy and for reading them again."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._version import __version__
from .errors import DependencyMissing, InvalidProblem
from .paths import check_path
from .solvers.space import Space
from .solvers.transfer import prolongate

if TYPE_CHECKING:
    import pyvista as pv

    from .ngsolve_io.types import GridFunction
    from .solvers.trace import TraceField

Array = np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """A solution with its coefficient on a rectangle, as it is written to files; row 0 at the lowest y.

    Attributes
    ----------
    u : (ny+1, nx+1) nodal values.
    a : (my, mx) coefficients of the raster's cells, or symmetric tensors (my, mx, 2, 2).
    size : (Ly, Lx).
    lower : (x0, y0) the lower corner.
    coarse : (ny+1, nx+1) nodal values of the coarse solution, prolongated bilinearly; or None.
    indicator : (ny, nx) contributions of the cells to the error bound, or None.
    velocity : (ny, nx, 2) means of −a∇u over the cells as (x, y), or None.
    numbers : what else is known, by name: error bounds and the like.
    provenance : what made it, in words by name: version, target, model, status, notes.
    """

    u: Array
    a: Array
    size: tuple[float, float]
    lower: tuple[float, float] = (0.0, 0.0)
    coarse: Array | None = None
    indicator: Array | None = None
    velocity: Array | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=lambda: {"version": __version__})

    def __repr__(self) -> str:
        ny, nx = self.cells
        has = [name for name in ("coarse", "indicator", "velocity") if getattr(self, name) is not None]
        return f"<Solution on {nx} x {ny} cells{' with ' * bool(has)}{', '.join(has)}>"

    @property
    def cells(self) -> tuple[int, int]:
        """(ny, nx)."""
        return self.u.shape[0] - 1, self.u.shape[1] - 1

    @property
    def space(self) -> Space:
        """The grid of ``u``."""
        return Space(self.cells, self.lower, self.size)

    @property
    def coefficient(self) -> Array:
        """The coefficient (ny, nx) at the centres of the grid's cells; tensors (ny, nx, 2, 2)."""
        rows, columns = (
            ((2 * np.arange(n) + 1) * m) // (2 * n) for n, m in zip(self.cells, self.a.shape, strict=False)
        )
        return self.a[rows[:, None], columns]

    def gridfunction(self) -> GridFunction:
        """Make a GridFunction of ``u``, H1 of order 1 on a mesh of quads with sides bottom, right, top, left."""
        from .ngsolve_io.meshes import field_on_grid

        return field_on_grid(self.space, self.u)


def solution_of(result: Any) -> Solution:
    """Collect what is written of a correction.

    Parameters
    ----------
    result : ``Correction``; what it has not made yet is left out.

    Returns
    -------
    Solution

    Raises
    ------
    InvalidProblem
        If its scale is 1, where nothing was read.
    """
    problem, made = result.problem, vars(result)
    if problem is None:
        raise InvalidProblem("at scale 1 the field is the coarse solution itself, and there is nothing more to save.")
    numbers = {}
    if result.target == "pde" or result.estimate is not None or "error_estimate" in made:
        numbers["relative_error_bound" if result.target == "pde" else "error_estimate"] = result.error_estimate
    velocity = None
    if result.target == "pde" and not any(n % m for n, m in zip(result.cells, result.solution.shape, strict=True)):
        velocity = cell_velocity(result.solution, result.cells)
    return Solution(
        result.values,
        problem.medium.array,
        problem.space.size,
        problem.space.lower,
        coarse=prolongate(problem.given, result.cells),
        indicator=None if "indicator" not in made else result.indicator.vec.FV().NumPy().reshape(result.cells),
        velocity=velocity,
        numbers=numbers,
        provenance={
            "version": __version__,
            "target": result.target,
            "model": result.model,
            "status": result.status.name,
            "notes": " ".join(result.notes),
        },
    )


def load_solution(path: str | Path) -> Solution:
    """Read a solution that ``Correction.save`` or ``ngs-nhcsr correct --out`` wrote as .npz file.

    Parameters
    ----------
    path : of the file.

    Returns
    -------
    Solution
        Its ``gridfunction()`` is the field in NGSolve again.

    Raises
    ------
    InvalidProblem
        If there is no such file or it holds something else.
    """
    names = {f.name for f in fields(Solution)}
    arrays = {}
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):  # else it is an .npy file
            with loaded as file:
                arrays = {name: file[name] for name in file.files}
    except (OSError, TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is none, or damaged"
        raise InvalidProblem(f"{path} cannot be read as an .npz file: {reason}.") from error
    if not {"u", "a", "size"} <= set(arrays):
        raise InvalidProblem(
            f"{path} holds {', '.join(sorted(arrays)) or 'no named arrays'}, not a solution (u, a, size …)."
        )
    known: dict[str, Any] = {name: v for name, v in arrays.items() if name in names - {"provenance", "size", "lower"}}
    try:
        known |= {name: tuple(map(float, arrays[name])) for name in ("size", "lower") if name in arrays}
        numbers = {name: float(v) for name, v in arrays.items() if name not in {*names, "x", "y"} and v.ndim == 0}
        provenance = json.loads(str(arrays["provenance"])) if "provenance" in arrays else {}
    except (TypeError, ValueError) as error:
        raise InvalidProblem(f"{path} holds no solution: {error}.") from error
    for name, least in (("u", 2), ("a", 1)):
        v = known[name]
        if v.dtype.kind not in "buif" or v.ndim < 2 or min(v.shape[:2]) < least:
            raise InvalidProblem(f"{path} holds no solution: {name} has shape {v.shape} and type {v.dtype}.")
    return Solution(**known, numbers=numbers, provenance=provenance)


def write(path: str | Path, solution: Solution) -> None:
    """Write a solution to a file in the format of its suffix.

    Parameters
    ----------
    path : .vtu (quads with point data u and u_coarse, cell data a, indicator and velocity, numbers and provenance as
        field data), .npz (arrays u, a, x, y, size, lower and what else there is), or .png (pictures of a and u).
    solution : what to write.

    Raises
    ------
    InvalidProblem
        If the suffix is unknown or the file cannot be written.
    DependencyMissing
        If a package for the format is missing.
    """
    path = check_path(path, tuple(WRITERS))
    try:
        WRITERS[path.suffix.lower()](path, solution)
    except OSError as error:
        raise InvalidProblem(f"{path} could not be written: {error.strerror or error}.") from error


def check_outputs(paths: Iterable[str | Path], force: bool = False) -> None:
    """Check before the work that every file can be written.

    Parameters
    ----------
    paths : of the files.
    force : whether existing files may be replaced.

    Raises
    ------
    InvalidProblem
        If a suffix is unknown, a folder is missing or not writable, or a file exists already.
    DependencyMissing
        If a package for a format is missing.
    """
    paths = list(paths)
    check_paths(paths, force)
    import_writers(paths)


def check_paths(paths: Iterable[str | Path], force: bool = False, suffixes: Sequence[str] = ()) -> None:
    """Check like :func:`check_outputs`, but import nothing: what is wrong with a path is told at once."""
    for path in paths:
        check_path(path, tuple(suffixes or WRITERS), force=force)


def import_writers(paths: Iterable[str | Path]) -> None:
    """Import what :func:`write` needs for the suffixes of files; raises ``DependencyMissing`` where it is missing."""
    for suffix in {Path(path).suffix.lower() for path in paths}:
        if suffix == ".vtu":
            _import_pyvista()
        elif suffix == ".png":
            from .visual.backend import import_pyvista

            _ = import_pyvista().Plotter  # raises where nothing can be drawn, or a package is missing that draws


def cell_velocity(solution: TraceField, cells: tuple[int, int]) -> Array:
    """Compute the means of the conservative velocity −a∇u over the cells of a grid.

    They are those of the lowest-order Raviart-Thomas field with the fluxes of the dual problem.

    Parameters
    ----------
    solution : of the PDE.
    cells : (ny, nx), multiples of the pixels.

    Returns
    -------
    Array
        (ny, nx, 2) as (x, y).

    Examples
    --------
    >>> from ngs_nhcsr.solvers.trace import solve_pde
    >>> u = solve_pde(np.ones((2, 2)), 0.0, g={"left": 0.0, "right": 3.0}, natural=("bottom", "top"))
    >>> cell_velocity(u, (2, 2))[0, 0].round(6).tolist()
    [-3.0, 0.0]
    """
    rightward, upward = solution.flux.fluxes(cells)
    hy, hx = solution.size[0] / cells[0], solution.size[1] / cells[1]
    vx = -(rightward[:, :-1] + rightward[:, 1:]) / (2 * hy)
    vy = -(upward[:-1] + upward[1:]) / (2 * hx)
    return np.stack([vx, vy], axis=-1) + 0.0  # no negative zeros


def to_grid(solution: Solution) -> pv.UnstructuredGrid:
    """Convert a solution to a PyVista grid of quads, numbered row by row from the lower left.

    Parameters
    ----------
    solution : what it shall carry.

    Returns
    -------
    pv.UnstructuredGrid
        With point data u and u_coarse, cell data a, indicator and velocity, and field data.

    Raises
    ------
    DependencyMissing
        If PyVista is not installed.
    """
    pv = _import_pyvista()
    (ny, nx), (y, x) = solution.cells, solution.space.nodes()
    X, Y = np.meshgrid(x, y)
    corner = (np.arange(ny)[:, None] * (nx + 1) + np.arange(nx)).ravel()
    quads = np.stack([corner, corner + 1, corner + nx + 2, corner + nx + 1], axis=1)
    grid = pv.UnstructuredGrid({pv.CellType.QUAD: quads}, np.stack([X.ravel(), Y.ravel(), np.zeros(X.size)], axis=1))
    grid.point_data["u"] = solution.u.ravel()
    a = solution.coefficient
    grid.cell_data["a"] = a.ravel() if a.ndim == 2 else a.reshape(ny * nx, 4)
    if solution.coarse is not None:
        grid.point_data["u_coarse"] = solution.coarse.ravel()
    if solution.indicator is not None:
        grid.cell_data["indicator"] = solution.indicator.ravel()
    if solution.velocity is not None:
        grid.cell_data["velocity"] = np.pad(solution.velocity.reshape(-1, 2), ((0, 0), (0, 1)))
    for name, value in {**solution.numbers, **solution.provenance}.items():
        grid.field_data[name] = [value]
    return grid


def _write_vtu(path: Path, solution: Solution) -> None:
    to_grid(solution).save(path)


def _write_npz(path: Path, solution: Solution) -> None:
    y, x = solution.space.nodes()
    arrays: dict[str, Any] = {"u": solution.u, "a": solution.a, "x": x, "y": y, **solution.numbers}
    arrays |= {"size": solution.size, "lower": solution.lower, "provenance": json.dumps(solution.provenance)}
    for name in ("coarse", "indicator", "velocity"):
        if getattr(solution, name) is not None:
            arrays[name] = getattr(solution, name)
    with path.open("wb") as file:  # np.savez would add .npz to a name like u.NPZ
        np.savez_compressed(file, **arrays)


def _write_png(path: Path, solution: Solution) -> None:
    from .visual.pair import draw_pair

    draw_pair(solution.u, solution.a, solution.space, path, solution.provenance.get("target", ""))


def _import_pyvista() -> Any:
    try:
        import pyvista as pv
    except ImportError as error:
        raise DependencyMissing(".vtu files need PyVista: pip install 'ngs-nhcsr[viz]'.") from error
    return pv


WRITERS: dict[str, Callable[[Path, Solution], None]] = {".vtu": _write_vtu, ".npz": _write_npz, ".png": _write_png}
