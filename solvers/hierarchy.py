"""The fine solver for one medium in numpy: compiled where numba is installed, else torch; direct at extreme contrast.

Owns the choice between them; all give the same solutions, to their tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import SolverFailure
from .backend import compiled
from .medium import Medium, as_medium
from .smoothing import HIGH_CONTRAST
from .space import Space

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Solved:
    """What a solve did.

    Attributes
    ----------
    iterations : conjugate gradient steps.
    relative_residual : root of r·Br, B the V-cycle, relative to the load's.
    energy_drop : Hestenes-Stiefel sum: a lower bound of the squared energy error of the start.
    converged : whether the residual is at most the tolerance.
    """

    iterations: int
    relative_residual: float
    energy_drop: float
    converged: bool

    def check(self, tolerance: float, remedy: str) -> None:
        """Check that the tolerance was reached.

        Parameters
        ----------
        tolerance : that was asked for.
        remedy : what the user may do if not, for the message.

        Raises
        ------
        SolverFailure
            If it was not.
        """
        if not self.converged:
            raise SolverFailure(
                f"multigrid reached a relative residual of {self.relative_residual:.1e} after {self.iterations} steps, "
                f"not {tolerance:.1e}; {remedy}."
            )


class Hierarchy(Protocol):
    """Multigrid for one medium on one mesh, for any number of loads."""

    def solve(
        self, b: np.ndarray, x: np.ndarray | None = None, *, tolerance: float = 1e-8, max_iterations: int = 100
    ) -> tuple[np.ndarray, Solved]:
        """Solve by conjugate gradients, preconditioned by one V-cycle.

        Parameters
        ----------
        b : (ny+1, nx+1) load vector; entries of Dirichlet nodes are ignored.
        x : (ny+1, nx+1) start; its entries at Dirichlet nodes are the boundary values. Default zero.
        tolerance : stop when ``sqrt(r·Br)`` (about the energy error) fell by this factor, relative to the load.
            With 0 just ``max_iterations`` steps are taken, and the residual before the last one is reported, relative
            to the start's.
        max_iterations : give up after so many steps; ``converged`` then says so.

        Returns
        -------
        (ny+1, nx+1) solution, and what was done.
        """
        ...

    def relative_error(self, b: np.ndarray, x: np.ndarray) -> float:
        """Estimate the relative energy error of a field against the solution, by what one step would take off it.

        The step is a V-cycle with an exact line search: what it takes off is a lower bound of the error. It is taken
        relative to the improved field. In nine of ten cases the estimate is 0.97 to 1.01 of the error.

        Parameters
        ----------
        b : (ny+1, nx+1) load vector.
        x : (ny+1, nx+1) field, with the boundary values at Dirichlet nodes.

        Returns
        -------
        Estimate of the energy norm of A⁻¹b − x over that of A⁻¹b.
        """
        ...

    def precondition(self, r: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Apply one V-cycle, a symmetric positive definite approximation of A⁻¹, to a residual.

        Parameters
        ----------
        r : (ny+1, nx+1) float64, of any magnitude; entries of Dirichlet nodes are ignored. Of a Neumann problem its
            mean is taken off.
        out : (ny+1, nx+1) float64 that the result is written to; may be ``r``.

        Returns
        -------
        (ny+1, nx+1) float64 with some seven digits, zero at Dirichlet nodes; of mean zero for a Neumann problem.
        """
        ...


def hierarchy(medium: Medium | np.ndarray, space: Space, device: Any = "cpu") -> Hierarchy:
    """Set multigrid up for a medium.

    Parameters
    ----------
    medium : the coefficient, numpy: a medium, scalar or tensor, with a reaction and Robin sides or without, or cell
        values (my, mx).
    space : the mesh with its boundary conditions. If all nodes are free and the medium only diffuses (the Neumann
        problem), loads must sum to zero; solutions are determined up to a constant.
    device : where it works; kernels are for CPUs.

    Returns
    -------
    Hierarchy

    Examples
    --------
    >>> u, info = hierarchy(np.ones((4, 4)), Space((16, 16))).solve(np.full((17, 17), 1 / 256))
    >>> info.converged, round(float(u.max()), 4)
    (True, 0.0739)
    """
    medium = as_medium(medium)
    from . import direct_fine

    if direct_fine.needed(medium, space):
        return direct_fine.DirectFine(medium, space)
    if not compiled() or str(device).split(":")[0] != "cpu":
        return TorchHierarchy(medium, space, device)
    from .compiled_multigrid import CompiledMultigrid

    return CompiledMultigrid.of_medium(medium, space)


class TorchHierarchy:
    """``multigrid.Multigrid`` for one medium in numpy; see :class:`Hierarchy`.

    Parameters
    ----------
    medium : the coefficient, numpy.
    space : the mesh.
    device : where it works.
    """

    def __init__(self, medium: Medium, space: Space, device: Any = "cpu"):
        import torch

        from .multigrid import Multigrid

        # Numbers near one, so that the cycle in float32 neither overflows nor loses digits.
        lowest, highest = medium.range
        self._unit = float(np.sqrt(lowest) * np.sqrt(highest))
        self._device, self._space = device, space
        free = torch.from_numpy(space.free.copy()).to(device)
        dtype = torch.float64 if highest > HIGH_CONTRAST * lowest else torch.float32
        self._mg = Multigrid(medium.scaled(1 / self._unit).tensors(device), space.cells, space.size, free, dtype)

    def solve(
        self, b: np.ndarray, x: np.ndarray | None = None, *, tolerance: float = 1e-8, max_iterations: int = 100
    ) -> tuple[np.ndarray, Solved]:
        """Solve by conjugate gradients; parameters as for :meth:`Hierarchy.solve`.

        Parameters
        ----------
        b : (ny+1, nx+1) load vector.
        x : (ny+1, nx+1) start, or ``None``.
        tolerance : when to stop.
        max_iterations : when to give up.

        Returns
        -------
        (ny+1, nx+1) solution, and what was done.
        """
        load = self._tensor(b / self._unit)
        start = None if x is None else self._tensor(x)
        u, info = self._mg.solve(load, start, tolerance=tolerance, max_iterations=max_iterations)
        drop = float(info.energy_drop[0].clamp_min(0)) * self._unit
        return u[0].cpu().numpy(), Solved(info.iterations, float(info.relative_residual[0]), drop, info.converged)

    def relative_error(self, b: np.ndarray, x: np.ndarray) -> float:
        """Estimate the error of a field ``x`` (ny+1, nx+1) for a load vector ``b``; see :class:`Hierarchy`."""
        return float(self._mg.relative_error(self._tensor(b / self._unit), self._tensor(x))[0])

    def precondition(self, r: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Apply one V-cycle; parameters as for :meth:`Hierarchy.precondition`.

        Parameters
        ----------
        r : (ny+1, nx+1) residual.
        out : where the result is written, or ``None``.

        Returns
        -------
        (ny+1, nx+1) result.
        """
        from .linalg import quiet_blas

        singular = self._mg.singular
        r = r - r.mean() if singular else np.where(self._space.free, r, 0.0)
        with quiet_blas():
            z = self._mg._precondition(self._tensor(r))[0].cpu().numpy()
        return np.divide(z - z.mean() if singular else z, self._unit, out=out)

    def _tensor(self, v: np.ndarray) -> Tensor:
        import torch

        return torch.from_numpy(np.array(v, dtype=float))[None].to(self._device)
