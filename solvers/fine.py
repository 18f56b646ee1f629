"""Fine reference solutions: direct, multigrid, or by NGSolve's own assembly and Cholesky factorisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import splu

from ..errors import InvalidProblem, SolverFailure
from .q1 import mass_apply, stiffness

Load = float | np.ndarray | Callable[[np.ndarray, np.ndarray], np.ndarray]

#: From this many nodes on "auto" takes multigrid.
MULTIGRID_FROM = 20_000


def nodal_values(f: Load, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """A load as nodal values (ny+1, nx+1): from a number, a callable f(x, y), or such an array."""
    ny, nx = cells
    if callable(f):
        x, y = np.linspace(0, size[1], nx + 1)[None, :], np.linspace(0, size[0], ny + 1)[:, None]
        return np.broadcast_to(np.asarray(f(x, y), dtype=float), (ny + 1, nx + 1)).copy()
    values = np.asarray(f, dtype=float)
    if values.ndim == 0:
        return np.full((ny + 1, nx + 1), float(values))
    if values.shape != (ny + 1, nx + 1):
        raise InvalidProblem(f"f has shape {values.shape}; nodal values of {cells} cells have {(ny + 1, nx + 1)}.")
    return values


def boundary_values(g: Load, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Boundary data as nodal values (ny+1, nx+1), zero inside.

    Examples
    --------
    >>> boundary_values(2.0, (2, 2))[:2].tolist()
    [[2.0, 2.0, 2.0], [2.0, 0.0, 2.0]]
    """
    values = nodal_values(g, cells, size).copy()
    values[1:-1, 1:-1] = 0.0
    return values


def fine_solve(
    A: np.ndarray,
    cells: tuple[int, int] | int,
    f: Load = 1.0,
    *,
    method: str = "auto",
    size: tuple[float, float] = (1.0, 1.0),
    tolerance: float = 1e-8,
    g: Load = 0.0,
) -> np.ndarray:
    """Q1 solution u_h (ny+1, nx+1) of −div(a∇u) = f, u = g on the boundary; a integrated exactly.

    Parameters
    ----------
    A : (my, mx) coefficient cell values.
    cells : (ny, nx) cells of the mesh, or one number for both.
    f : number, callable f(x, y), or nodal values.
    method : "direct" (SuperLU), "multigrid", "ngsolve" (sparsecholesky; cells must be multiples of the raster's),
        or "auto".
    tolerance : of the multigrid iteration.
    g : number, callable g(x, y), or nodal values of which those on the boundary count.

    Raises
    ------
    InvalidProblem, SolverFailure

    Examples
    --------
    >>> u = fine_solve(np.ones((4, 4)), 16)
    >>> round(float(u.max()), 4)
    0.0739
    """
    A = np.asarray(A, dtype=float)
    ny, nx = (cells, cells) if isinstance(cells, int) else cells
    if method == "auto":
        method = "multigrid" if (ny + 1) * (nx + 1) > MULTIGRID_FROM else "direct"
    values, lift = nodal_values(f, (ny, nx), size), boundary_values(g, (ny, nx), size)
    if method == "ngsolve":
        return _ngsolve(A, (ny, nx), values, size, lift)
    if method not in ("direct", "multigrid"):
        raise InvalidProblem(f'method must be "auto", "direct", "multigrid" or "ngsolve", not {method!r}.')
    b = mass_apply(values, size)
    if lift.any():
        b -= (stiffness(A, (ny, nx), size) @ lift.ravel()).reshape(b.shape)
    inner = _direct(A, (ny, nx), b, size) if method == "direct" else _multigrid(A, (ny, nx), b, size, tolerance)
    return inner + lift


def _direct(A: np.ndarray, cells: tuple[int, int], b: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    u = np.zeros_like(b)
    inside = np.zeros(b.shape, bool)
    inside[1:-1, 1:-1] = True
    free = inside.ravel()
    K = stiffness(A, cells, size)[free][:, free].tocsc()
    factor = splu(K, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    u[inside] = factor.solve(b.ravel()[free])
    return u


def _multigrid(
    A: np.ndarray, cells: tuple[int, int], b: np.ndarray, size: tuple[float, float], tolerance: float
) -> np.ndarray:
    import torch

    from .multigrid import Multigrid

    mg = Multigrid(torch.from_numpy(A)[None], cells, size)
    u, info = mg.solve(torch.from_numpy(b)[None], tolerance=tolerance, max_iterations=300)
    if not info.converged:
        raise SolverFailure(
            f"multigrid reached a relative residual of {float(info.relative_residual[0]):.1e} after {info.iterations} "
            f"iterations, not {tolerance:.1e}; use method='direct' for this contrast."
        )
    return u[0].numpy()


def _ngsolve(
    A: np.ndarray, cells: tuple[int, int], f: np.ndarray, size: tuple[float, float], lift: np.ndarray
) -> np.ndarray:
    import ngsolve as ngs

    from ..ngsolve_io.raster import structured_mesh
    from .space import Space

    ny, nx = cells
    if ny % A.shape[0] or nx % A.shape[1]:
        raise InvalidProblem(f'method "ngsolve" needs {cells} to be multiples of the raster {A.shape}.')
    fes = ngs.H1(structured_mesh(Space(cells, (0.0, 0.0), size)), order=1, dirichlet=".*")
    u, v = fes.TnT()
    load, out = ngs.GridFunction(fes), ngs.GridFunction(fes)
    load.vec.FV().NumPy()[:] = f.ravel()
    a = ngs.VoxelCoefficient((0.0, 0.0), (size[1], size[0]), A, linear=False)
    with ngs.TaskManager():
        matrix = ngs.BilinearForm(a * ngs.grad(u) * ngs.grad(v) * ngs.dx).Assemble()
        vector = ngs.LinearForm(load * v * ngs.dx(bonus_intorder=1)).Assemble()
        out.vec.FV().NumPy()[:] = lift.ravel()
        vector.vec.data -= matrix.mat * out.vec
        out.vec.data += matrix.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * vector.vec
    return out.vec.FV().NumPy().reshape(ny + 1, nx + 1).copy()
