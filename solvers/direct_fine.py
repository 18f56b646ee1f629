"""The fine solver for contrasts at which rounding takes digits from the steps of multigrid: one direct solve."""

from __future__ import annotations

import numpy as np

from .direct import DirichletSystem
from .hierarchy import Solved
from .medium import Medium
from .neumann import is_neumann, pinned
from .q1 import stiffness
from .space import Space

#: From here on. Multigrid still converges, but its residuals are rounded relative to the largest coefficient: on 320²
#: cells with stiff inclusions it differs from a factorisation by 2e-4 at 1e9, by 1e-7 at 1e7.
CONTRAST = 1e7
#: Nodes up to which a factorisation is affordable: some ten seconds and 2 GB.
NODES = 2**19


def affordable(space: Space) -> bool:
    """Tell whether the matrix of a mesh can be factorised.

    Parameters
    ----------
    space : the mesh.

    Returns
    -------
    bool
    """
    return space.free.size <= NODES


def needed(medium: Medium, space: Space) -> bool:
    """Tell whether rounding would take digits from multigrid on a problem, and a direct solve is affordable.

    Parameters
    ----------
    medium : the coefficient, numpy.
    space : the mesh.

    Returns
    -------
    bool
    """
    return medium.contrast > CONTRAST and affordable(space)


class DirectFine:
    """Solves by a sparse factorisation; has the methods of :class:`ngs_nhcsr.solvers.hierarchy.Hierarchy`.

    Parameters
    ----------
    medium : the coefficient, numpy.
    space : the mesh. If all nodes are free and the medium only diffuses, solutions have the mean zero.

    Examples
    --------
    >>> u, info = DirectFine(Medium(np.diag([1e9, 1.0]) + 1), Space((8, 8))).solve(np.full((9, 9), 1 / 64))
    >>> info.converged, round(float(u.max()), 4)
    (True, 0.0263)
    """

    def __init__(self, medium: Medium, space: Space):
        self._neumann = is_neumann(space, medium)
        free = pinned(space.free) if self._neumann else space.free
        self._system = DirichletSystem(stiffness(medium, space.cells, space.size), free)

    def solve(
        self, b: np.ndarray, x: np.ndarray | None = None, *, tolerance: float = 1e-8, max_iterations: int = 100
    ) -> tuple[np.ndarray, Solved]:
        """Solve; ``tolerance`` and ``max_iterations`` have no say.

        Parameters
        ----------
        b : (ny+1, nx+1) load vector.
        x : (ny+1, nx+1) start, with the boundary values; default zero.
        tolerance : ignored.
        max_iterations : ignored, but that without any step ``x`` comes back.

        Returns
        -------
        (ny+1, nx+1) solution, and what was done: one step.
        """
        start = np.zeros(b.shape) if x is None else np.array(x, dtype=float)
        if max_iterations == 0:
            return start, Solved(0, 1.0, 0.0, False)
        step = self._step(b, start)
        return start + step, Solved(1, 0.0, self._energy(step), True)

    def relative_error(self, b: np.ndarray, x: np.ndarray) -> float:
        """Compute the relative energy error of a field ``x`` (ny+1, nx+1) for a load vector ``b``, by solving."""
        step = self._step(b, x)
        size = self._energy(x + step)
        return float(np.sqrt(self._energy(step) / size)) if size > 0 else 0.0

    def precondition(self, r: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Apply A⁻¹ to a residual.

        Parameters
        ----------
        r : (ny+1, nx+1) residual; of a Neumann problem its mean is taken off.
        out : where the result is written, or ``None``.

        Returns
        -------
        (ny+1, nx+1) result.
        """
        z = self._system.solve(r - r.mean() if self._neumann else r)
        return np.add(z, -z.mean() if self._neumann else 0.0, out=out)

    def _step(self, b: np.ndarray, x: np.ndarray) -> np.ndarray:
        return self.precondition(b - (self._system.K @ x.ravel()).reshape(x.shape))

    def _energy(self, v: np.ndarray) -> float:
        return max(float(v.ravel() @ (self._system.K @ v.ravel())), 0.0)
