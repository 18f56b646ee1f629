"""One function per input rule; each raises with what is wrong, where, and what to do."""

from __future__ import annotations

import math
import os
from typing import Any

import ngsolve as ngs
import numpy as np

from .errors import GridMismatch, InvalidProblem, NotCoercive

#: Coefficients outside 10^±LIMIT lose all digits in the stiffness matrix.
EXPONENT_LIMIT = 100
SCALAR_H1 = "h1ho"


def check_scale(scale: Any) -> float:
    """Scale as a float: a number ≥ 1.

    Examples
    --------
    >>> check_scale(16)
    16.0
    """
    if isinstance(scale, bool) or not isinstance(scale, (int, float, np.integer, np.floating)):
        raise InvalidProblem(
            f"scale must be a number (fine cells per coarse cell), not {type(scale).__name__} {scale!r}."
        )
    if not math.isfinite(scale) or scale < 1:
        raise InvalidProblem(f"scale must be finite and at least 1 (fine cells per coarse cell), not {scale}.")
    return float(scale)


def check_kind(value: Any, kind: type, name: str) -> None:
    """``value`` is ``None`` or of a type of NGSolve or of this package."""
    if value is not None and not isinstance(value, kind):
        owner = "an NGSolve" if kind.__module__.startswith("ngsolve") else "a"
        raise InvalidProblem(f"{name} must be {owner} {kind.__name__}, not {described(value)}.")


def described(value: Any, limit: int = 80) -> str:
    """Type and value for an error message, in at most ``limit`` characters of its ``repr``.

    Examples
    --------
    >>> described("fine"), described("x" * 200, limit=6)
    ("str 'fine'", "str 'xxxxx…")
    """
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text if len(text) <= limit else text[:limit] + '…'}"


def check_refinement(steps: Any, tolerance: Any) -> None:
    """Either a whole number of steps ≥ 0 or a tolerance between 0 and 1."""
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 0:
        raise InvalidProblem(f"refine must be a whole number of multigrid steps ≥ 0, not {steps!r}.")
    if tolerance is not None and not (isinstance(tolerance, (int, float)) and 0 < tolerance < 1):
        raise InvalidProblem(f"refine_to must be a relative energy error between 0 and 1, not {tolerance!r}.")


def check_target(target: Any, accuracy: Any = None, g: Any = None, refined: Any = None) -> None:
    """A target that is known, and only the options that go with it."""
    if target not in ("fine", "pde"):
        raise InvalidProblem(f'target must be "fine" or "pde", not {target!r}.')
    if target == "fine" and accuracy is not None:
        raise InvalidProblem('accuracy= is for target="pde"; use refine_to= for the fine solution.')
    if target == "fine" and g is not None:
        raise InvalidProblem('g= is for target="pde"; the fine solution has the Dirichlet values of u_coarse.')
    if target == "pde" and refined:
        raise InvalidProblem('refine= and refine_to= are for target="fine"; use accuracy= for target="pde".')


def check_coefficient_values(a: Any, *, sampled: int = 1) -> np.ndarray:
    """Cell values as a new float64 array, two-dimensional, finite, positive and of a representable size.

    ``sampled`` is the number of samples per raster cell and axis, so that messages name the raster cell.
    """
    try:
        values = np.asarray(a)
    except Exception as error:
        raise InvalidProblem(f"the coefficient cannot be read as an array: {error}") from error
    if np.iscomplexobj(values):
        raise InvalidProblem("the coefficient is complex; only real scalar coefficients are supported. Pass a.real.")
    if values.dtype == object or values.dtype.kind not in "fiu":
        raise InvalidProblem(f"the coefficient must hold real numbers, not {values.dtype}.")
    if values.ndim != 2:
        raise InvalidProblem(
            f"the coefficient array must be two-dimensional [iy, ix] (row 0 at the lowest y), not of shape "
            f"{values.shape}."
        )
    values = np.array(values, dtype=float, order="C")
    finite = np.isfinite(values)
    if not finite.all():
        iy, ix = (int(k) // sampled for k in np.argwhere(~finite)[0])
        raise InvalidProblem(
            f"the coefficient is {values[~finite][0]} in cell (iy={iy}, ix={ix}) of its raster, and not finite in "
            f"{int((~finite).sum())} place(s); replace these values."
        )
    lo = float(values.min())
    if lo <= 0:
        iy, ix = (int(k) // sampled for k in np.unravel_index(int(values.argmin()), values.shape))
        kind = "changes sign" if values.max() > 0 and lo < 0 else "is not positive"
        raise NotCoercive(
            f"the coefficient {kind}: its minimum is {lo:.3g} in cell (iy={iy}, ix={ix}). −div(a∇u) = f needs a > 0 "
            "everywhere; give voids a small positive value."
        )
    exponents = np.log10(values)
    if np.abs(exponents).max() > EXPONENT_LIMIT:
        raise InvalidProblem(
            f"the coefficient spans 1e{exponents.min():.0f} … 1e{exponents.max():.0f}; beyond 1e±{EXPONENT_LIMIT} the "
            "stiffness matrix loses all digits. Change the units."
        )
    return values


def check_raster_shape(shape: tuple[int, ...], cells: tuple[int, int], cells_per_coarse: int | None) -> None:
    """The array's shape is a whole multiple of the coarse cells, the same in both directions."""
    ny, nx = cells
    if shape[0] % ny or shape[1] % nx:
        hint = ""
        if shape[0] % nx == 0 and shape[1] % ny == 0:
            hint = " The transposed array would fit: rows are y, columns are x."
        raise GridMismatch(
            f"the coefficient array of shape {shape} is no multiple of the {ny} x {nx} (y, x) coarse cells; resample "
            f"it to, say, {(max(1, round(shape[0] / ny)) * ny, max(1, round(shape[1] / nx)) * nx)}.{hint}"
        )
    if cells_per_coarse is not None and shape != (ny * cells_per_coarse, nx * cells_per_coarse):
        raise GridMismatch(
            f"cells_per_coarse={cells_per_coarse} asks for a raster of {(ny * cells_per_coarse, nx * cells_per_coarse)}"
            f", but the coefficient array has shape {shape}; leave cells_per_coarse out."
        )


def check_coefficient_function(a: ngs.CoefficientFunction) -> None:
    """A real scalar CoefficientFunction."""
    if a.is_complex:
        raise InvalidProblem("the coefficient is complex; only real scalar coefficients are supported.")
    if a.dim != 1:
        raise InvalidProblem(
            f"the coefficient has dimensions {tuple(a.dims)}; only scalar coefficients are supported, not tensors."
        )


def check_coarse_field(u: Any) -> None:
    """A finite, real, scalar H1 GridFunction on a serial two-dimensional mesh of a rectangle, with Dirichlet data."""
    if not isinstance(u, ngs.GridFunction):
        raise InvalidProblem(f"u_coarse must be an NGSolve GridFunction, not {type(u).__name__}.")
    space = u.space
    mesh = space.mesh
    if mesh.comm.size > 1:
        raise InvalidProblem(
            f"the mesh is distributed over {mesh.comm.size} MPI ranks; corrections run on one process. Gather the "
            "coarse solution (it is small) or solve it serially."
        )
    if mesh.dim != 2:
        raise InvalidProblem(f"the mesh is {mesh.dim}-dimensional; only two-dimensional meshes are supported.")
    if space.is_complex:
        raise InvalidProblem("u_coarse is complex; correct its real and imaginary parts separately.")
    if space.type != SCALAR_H1 or space.dim != 1:
        raise InvalidProblem(
            f"u_coarse lives in a space of type {space.type!r} (dimension {space.dim}); a scalar H1 space is needed. "
            "Set it into one:  v = GridFunction(H1(mesh, order=1)); v.Set(u)."
        )
    if space.globalorder < 1:
        raise InvalidProblem("u_coarse has order 0; use H1(mesh, order=1).")
    if len(u.vec) != space.ndof or space.ndof < mesh.nv:
        raise InvalidProblem(
            f"u_coarse has {len(u.vec)} values, its space {space.ndof} and its mesh {mesh.nv} vertices: the mesh was "
            "refined after the GridFunction was made. Call fes.Update(); u.Update() and solve again."
        )
    if mesh.GetCurveOrder() > 1:
        raise InvalidProblem(f"the mesh is curved (order {mesh.GetCurveOrder()}); only straight meshes are supported.")
    values = u.vec.FV().NumPy()
    if not np.isfinite(values).all():
        raise InvalidProblem(
            f"u_coarse has {int((~np.isfinite(values)).sum())} values that are not finite; the coarse solve failed. "
            "Check its coefficient for NaN or zeros."
        )
    check_rectangle(mesh)
    check_dirichlet(u)


def check_rectangle(mesh: ngs.Mesh) -> None:
    """The mesh fills its bounding box: no holes, no L-shape, no rotation."""
    coordinates = np.array(mesh.ngmesh.Coordinates())[:, :2]
    box = float(np.prod(np.ptp(coordinates, axis=0)))
    area = float(ngs.Integrate(ngs.CoefficientFunction(1.0), mesh))
    if abs(area - box) > 1e-8 * box:
        raise GridMismatch(
            f"the mesh covers {area:.6g} of its bounding box of area {box:.6g}; only axis-parallel rectangles without "
            "holes are supported."
        )


def free_vertices(u: ngs.GridFunction) -> np.ndarray:
    """Mask (nv,) of the vertices whose degree of freedom is free."""
    space = u.space
    return np.fromiter(space.FreeDofs(), bool, space.ndof)[: space.mesh.nv]  # type: ignore[call-overload]


def check_dirichlet(u: ngs.GridFunction) -> None:
    """Some boundary vertex carries a Dirichlet condition."""
    mesh = u.space.mesh
    if free_vertices(u).all():
        raise InvalidProblem(
            "the space has no Dirichlet nodes, so the problem is pure Neumann (or the boundary name is misspelt). "
            f"The mesh has the boundaries {', '.join(map(repr, mesh.GetBoundaries()))}; use "
            "H1(mesh, order=1, dirichlet=...)."
        )


def check_memory(cells: tuple[int, int], *, bytes_per_node: int = 600) -> None:
    """The fine grid fits into memory, estimated before anything is allocated."""
    need = (cells[0] + 1) * (cells[1] + 1) * bytes_per_node
    free = available_memory()
    if free is not None and need > free:
        raise InvalidProblem(
            f"a fine grid of {cells[1]} x {cells[0]} cells needs about {need / 2**30:.1f} GiB, {free / 2**30:.1f} GiB "
            "are free; choose a smaller scale."
        )


def available_memory() -> int | None:
    """Free memory in bytes, or ``None`` where the system does not tell."""
    try:
        with open("/proc/meminfo") as f:
            for line in f:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
