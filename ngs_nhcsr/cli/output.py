"""Solutions on pixel grids as files: .vtu for ParaView, .npz for NumPy, .png to look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DependencyMissing, InvalidProblem

if TYPE_CHECKING:
    import pyvista as pv

    from ..solvers.trace import TraceField

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Fields:
    """A solution with its coefficient on the rectangle (0, Lx) x (0, Ly); row 0 at the lowest y.

    Attributes
    ----------
    u : (ny+1, nx+1) nodal values.
    a : (my, mx) coefficients of the pixels; ny and nx are multiples of my and mx.
    size : (Ly, Lx).
    velocity : (ny, nx, 2) means of -a grad u over the cells as (x, y), or None.
    numbers : what else is known, by name: error bounds and the like.
    """

    u: Array
    a: Array
    size: tuple[float, float]
    velocity: Array | None = None
    numbers: dict[str, float] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[int, int]:
        """(ny, nx)."""
        return self.u.shape[0] - 1, self.u.shape[1] - 1

    @property
    def axes(self) -> tuple[Array, Array]:
        """Coordinates of the nodes: y (ny+1,), x (nx+1,)."""
        (ny, nx), (Ly, Lx) = self.cells, self.size
        return Ly * (np.arange(ny + 1) / ny), Lx * (np.arange(nx + 1) / nx)

    @property
    def coefficient(self) -> Array:
        """The coefficient (ny, nx) on the cells of the grid."""
        ratio = (self.cells[0] // self.a.shape[0], self.cells[1] // self.a.shape[1])
        return np.kron(self.a, np.ones(ratio))


def cell_velocity(solution: TraceField, cells: tuple[int, int]) -> Array:
    """Compute the means of the conservative velocity -a grad u over the cells of a grid.

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


def check_outputs(paths: Iterable[Path], force: bool = False) -> None:
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
    for path in paths:
        if path.suffix.lower() not in WRITERS:
            raise InvalidProblem(f"{path.name} has no suffix that can be written; choose among {', '.join(WRITERS)}.")
        if not path.parent.is_dir():
            raise InvalidProblem(f"there is no folder {path.parent}; make it first.")
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise InvalidProblem(f"{path} cannot be written; choose another place.")
        if path.exists() and not force:
            raise InvalidProblem(f"{path} exists already; give another name, or --force to replace it.")
        if path.suffix.lower() == ".vtu":
            _import_pyvista()
        elif path.suffix.lower() == ".png":
            from ..visual import import_pyvista

            import_pyvista()  # raises where nothing can be drawn


def write(path: Path, fields: Fields) -> None:
    """Write fields to a file in the format of its suffix.

    Parameters
    ----------
    path : .vtu (quads with point data u, cell data a and velocity), .npz (arrays u, a, x, y, velocity and the
        numbers), or .png (pictures of a and u).
    fields : what to write.

    Raises
    ------
    InvalidProblem
        If the suffix is unknown or the file cannot be written.
    DependencyMissing
        If a package for the format is missing.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InvalidProblem(f"{path.name} has no suffix that can be written; choose among {', '.join(WRITERS)}.")
    try:
        writer(path, fields)
    except OSError as error:
        raise InvalidProblem(f"{path} could not be written: {error.strerror or error}.") from error


def to_grid(fields: Fields) -> pv.UnstructuredGrid:
    """Convert fields to a PyVista grid of quads, numbered row by row from the lower left.

    Parameters
    ----------
    fields : what it shall carry.

    Returns
    -------
    pv.UnstructuredGrid
        With point data u, cell data a and velocity, and the numbers as field data.

    Raises
    ------
    DependencyMissing
        If PyVista is not installed.
    """
    pv = _import_pyvista()
    (ny, nx), (y, x) = fields.cells, fields.axes
    X, Y = np.meshgrid(x, y)
    corner = (np.arange(ny)[:, None] * (nx + 1) + np.arange(nx)).ravel()
    quads = np.stack([corner, corner + 1, corner + nx + 2, corner + nx + 1], axis=1)
    grid = pv.UnstructuredGrid({pv.CellType.QUAD: quads}, np.stack([X.ravel(), Y.ravel(), np.zeros(X.size)], axis=1))
    grid.point_data["u"] = fields.u.ravel()
    grid.cell_data["a"] = fields.coefficient.ravel()
    if fields.velocity is not None:
        grid.cell_data["velocity"] = np.pad(fields.velocity.reshape(-1, 2), ((0, 0), (0, 1)))
    for name, value in fields.numbers.items():
        grid.field_data[name] = [value]
    return grid


def _write_vtu(path: Path, fields: Fields) -> None:
    to_grid(fields).save(path)


def _write_npz(path: Path, fields: Fields) -> None:
    y, x = fields.axes
    arrays: dict[str, Any] = {"u": fields.u, "a": fields.a, "x": x, "y": y, **fields.numbers}
    if fields.velocity is not None:
        arrays["velocity"] = fields.velocity
    with path.open("wb") as file:  # np.savez would add .npz to a name like u.NPZ
        np.savez_compressed(file, **arrays)


def _write_png(path: Path, fields: Fields) -> None:
    from .picture import draw_fields

    draw_fields(fields, path)


def _import_pyvista() -> Any:
    try:
        import pyvista as pv
    except ImportError as error:
        raise DependencyMissing(".vtu files need PyVista: pip install 'ngs-nhcsr[viz]'.") from error
    return pv


WRITERS: dict[str, Callable[[Path, Fields], None]] = {".vtu": _write_vtu, ".npz": _write_npz, ".png": _write_png}
