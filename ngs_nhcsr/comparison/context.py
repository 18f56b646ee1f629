"""What every method is given: one problem as arrays, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.sparse.linalg import splu

from ..problem import Problem
from ..solvers.multigrid import Multigrid, SolveInfo
from ..solvers.q1 import stiffness

if TYPE_CHECKING:
    from ..solvers.trace import TraceField


@dataclass(frozen=True)
class Context:
    """One problem with zero boundary values.

    Attributes
    ----------
    problem : what was read from NGSolve.
    cells : (ny, nx) fine cells.
    scale : fine cells per coarse cell and axis.
    f : (ny+1, nx+1) nodal values of the load.
    b : (ny+1, nx+1) load vector.
    reference : (ny+1, nx+1) the field that errors are measured against; for methods that say they need it.
    model : of the network, as for ``correct``.
    device : where the network and multigrid run.
    solution : the PDE's solution, if errors are measured against it; ``reference`` then are its nodal values.
    """

    problem: Problem
    cells: tuple[int, int]
    scale: float
    f: np.ndarray
    b: np.ndarray
    reference: np.ndarray
    model: Any
    device: torch.device
    solution: TraceField | None = None

    @property
    def A(self) -> np.ndarray:
        """Coefficient cell values (my, mx)."""
        return self.problem.A

    @property
    def F(self) -> np.ndarray:
        """Coarse load vector (N+1, M+1); zeros if there is none."""
        F = self.problem.reading.F
        return np.zeros(self.problem.grid.shape) if F is None else F

    @property
    def coarse(self) -> tuple[int, int]:
        """Coarse cells (Ny, Nx)."""
        return self.problem.grid.cells

    @property
    def size(self) -> tuple[float, float]:
        """(Ly, Lx) of the rectangle."""
        return self.problem.grid.size


class Q1System:
    """Factorised Q1 system on one grid with zero boundary values.

    Parameters
    ----------
    A : coefficient cell values; integrated exactly.
    cells, size : of the grid.
    """

    def __init__(self, A: np.ndarray, cells: tuple[int, int], size: tuple[float, float]):
        self._inside = np.zeros((cells[0] + 1, cells[1] + 1), bool)
        self._inside[1:-1, 1:-1] = True
        free = self._inside.ravel()
        K = stiffness(A, cells, size)[free][:, free].tocsc()
        self._factor = splu(K, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})

    def solve(self, F: np.ndarray) -> np.ndarray:
        """Nodal values (N+1, M+1) for a load vector of the same shape."""
        U = np.zeros(self._inside.shape)
        U[self._inside] = self._factor.solve(F[self._inside])
        return U


def canonical_system(context: Context) -> Q1System:
    """The system of the canonical coarse solution."""
    return Q1System(context.A, context.coarse, context.size)


def hierarchy(context: Context) -> Multigrid:
    """The multigrid hierarchy of the fine grid."""
    A = torch.from_numpy(np.array(context.A, dtype=float))[None].to(context.device)
    return Multigrid(A, context.cells, context.size)


def multigrid_solve(
    mg: Multigrid, context: Context, start: np.ndarray | None = None, *, tolerance: float = 0.0, steps: int = 300
) -> tuple[np.ndarray, SolveInfo]:
    """Multigrid-CG from ``start`` (ny+1, nx+1; default zero) for the context's load: at most ``steps`` steps."""

    def tensor(v: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(v))[None].to(context.device)

    u, info = mg.solve(
        tensor(context.b), None if start is None else tensor(start), tolerance=tolerance, max_iterations=steps
    )
    return u[0].cpu().numpy(), info
