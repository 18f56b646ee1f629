"""Q1 on the coarse grid alone: exactly integrated coefficient, or one mean value per coarse cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from ..errors import GridMismatch, InvalidProblem
from .fine import Load, nodal_values
from .nesting import Cells, cell_pair, raster_values
from .q1 import mass_apply, stiffness

MEANS = ("galerkin", "arithmetic", "harmonic", "geometric")


def cell_means(A: np.ndarray, N: Cells, mean: str) -> np.ndarray:
    """Mean of the coefficient over every coarse cell, (Ny, Nx).

    Parameters
    ----------
    A : (my, mx) coefficient; its raster must be a multiple of the coarse cells.
    mean : "arithmetic", "harmonic" or "geometric".

    Raises
    ------
    GridMismatch, InvalidProblem, NotCoercive

    Examples
    --------
    >>> cell_means(np.array([[1.0, 4.0]]), 1, "geometric").round(12)
    array([[2.]])
    """
    A, (Ny, Nx) = raster_values(A), cell_pair(N, "N")
    if A.shape[0] % Ny or A.shape[1] % Nx:
        raise GridMismatch(f"the raster {A.shape} is no multiple of N={(Ny, Nx)}; use mean='galerkin' or resample it.")
    cells = A.reshape(Ny, A.shape[0] // Ny, Nx, A.shape[1] // Nx)
    if mean == "arithmetic":
        return cells.mean((1, 3))
    if mean == "harmonic":
        return 1 / (1 / cells).mean((1, 3))
    if mean == "geometric":
        return np.exp(np.log(cells).mean((1, 3)))
    raise InvalidProblem(f"mean must be one of {', '.join(MEANS)}, not {mean!r}.")


class FreeSystem:
    """Sparse system at the free nodes with given values at the others; factorised at the first solve, picklable.

    Parameters
    ----------
    K : sparse (nodes, nodes), nodes row-major.
    free : (Ny+1, Nx+1) boolean.

    Examples
    --------
    >>> FreeSystem(stiffness(np.ones((1, 1)), (2, 2)), np.pad([[True]], 1)).solve(np.ones((3, 3)))[1, 1].round(12)
    np.float64(0.375)
    """

    def __init__(self, K: Any, free: np.ndarray):
        self.K, self.free = sp.csr_matrix(K), free
        self._factor: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_factor": None}  # SuperLU objects cannot be pickled

    def solve(self, F: np.ndarray, boundary: np.ndarray | None = None) -> np.ndarray:
        """Nodal values (Ny+1, Nx+1) for a load vector of that shape; ``boundary`` (same) holds the given values."""
        inside = self.free.ravel()
        U = np.zeros(inside.size) if boundary is None else np.where(inside, 0.0, boundary.ravel())
        if inside.any():
            if self._factor is None:
                self._factor = splu(self.K[inside][:, inside].tocsc())
            load = F.ravel() if boundary is None else F.ravel() - self.K @ U
            U[inside] = self._factor.solve(load[inside])
        return U.reshape(self.free.shape)


def coarse_solve(
    A: np.ndarray,
    N: Cells,
    f: Load = 1.0,
    mean: str = "galerkin",
    size: tuple[float, float] = (1.0, 1.0),
    g: Load = 0.0,
) -> np.ndarray:
    """Q1 solution (ny+1, nx+1) of −div(a∇u) = f on the coarse grid, u = g on the boundary.

    Parameters
    ----------
    A : (my, mx) coefficient cell values.
    N : coarse cells, a number or (ny, nx).
    f : number, callable f(x, y), or coarse nodal values.
    mean : "galerkin" (a integrated exactly; any raster), or the mean that replaces a in every coarse cell:
        "arithmetic" (no more than the mean survives, unlike "galerkin"), "harmonic", "geometric".
    size : (Ly, Lx) of the rectangle.
    g : number, callable g(x, y), or coarse nodal values of which those on the boundary count.

    Raises
    ------
    GridMismatch, InvalidProblem, NotCoercive

    Examples
    --------
    >>> round(float(coarse_solve(np.ones((4, 4)), 8).max()), 4)
    0.0746
    """
    A, cells = raster_values(A), cell_pair(N, "N")
    values = A if mean == "galerkin" else cell_means(A, cells, mean)
    free = np.zeros((cells[0] + 1, cells[1] + 1), bool)
    free[1:-1, 1:-1] = True
    F = mass_apply(nodal_values(f, cells, size), size)
    return FreeSystem(stiffness(values, cells, size), free).solve(F, nodal_values(g, cells, size))
