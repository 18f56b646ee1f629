"""The fine solver for problems that multigrid's steps or estimates cannot be trusted with: one direct solve."""

from __future__ import annotations

import numpy as np

from ..errors import InvalidProblem
from .direct import DirichletSystem
from .hierarchy import Solved
from .medium import Medium
from .neumann import is_neumann, pinned
from .q1 import stiffness
from .space import Space
from .tensor_medium import eigenvalues

#: From here on. Multigrid still converges, but its residuals are rounded relative to the largest coefficient: on 320²
#: cells with stiff inclusions it differs from a factorisation by 2e-4 at 1e9, by 1e-7 at 1e7.
CONTRAST = 1e7
#: Strength of the couplings along y over those along x, or the inverse, from where on a smoother of points leaves
#: errors that the cycle does not see: cells 32 times as long as wide have 2 times the estimate, 1000 times 60.
STRETCHED = 300.0
#: What reaction and Robin sides have to hold constants with, over the largest coefficient, below which the cycle in
#: single precision loses them (without Dirichlet nodes).
LOOSE = 0.1
#: … and below which rounding of the matrix does: on 64² cells it takes 4e-5 of u at 1e-8, and more on more cells.
LOST = 1e-6
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
    """Tell whether multigrid would be wrong about a problem, or about its error, and a direct solve is affordable.

    Parameters
    ----------
    medium : the coefficient, numpy.
    space : the mesh.

    Returns
    -------
    bool
    """
    hard = medium.contrast > CONTRAST or stretching(medium, space) > STRETCHED or constants_held(medium, space) < LOOSE
    return hard and affordable(space)


def stretching(medium: Medium, space: Space) -> float:
    """Compute by how much couplings along one axis are stronger than along the other, at most.

    Parameters
    ----------
    medium : the coefficient, numpy; of tensors the quotient of the eigenvalues counts, whatever their directions.
    space : the mesh.

    Returns
    -------
    1 for squares and scalars; (h_x/h_y)² for rectangles.

    Examples
    --------
    >>> stretching(Medium(np.ones((4, 4))), Space((8, 8), (0.0, 0.0), (1.0, 3.0)))
    9.0
    """
    hy, hx = space.spacing
    cells = max(hx / hy, hy / hx) ** 2
    if medium.isotropic:
        return cells
    low, high = eigenvalues(medium.components)  # type: ignore[attr-defined]
    return cells * float((high / low).max())


def constants_held(medium: Medium, space: Space) -> float:
    """Compute the energy of the constant 1, by reaction and Robin sides, over the largest coefficient.

    Parameters
    ----------
    medium : the coefficient, numpy.
    space : the mesh.

    Returns
    -------
    Infinite where Dirichlet nodes hold constants, or nothing does and their mean is set (the Neumann problem).

    Examples
    --------
    >>> all_round = Space.with_sides((4, 4), natural=("bottom", "right", "top", "left"))
    >>> constants_held(Medium(np.full((2, 2), 10.0), np.full((2, 2), 1e-3)), all_round)
    0.0001
    """
    if not space.free.all() or medium.only_diffuses:
        return float("inf")
    Ly, Lx = space.size
    held = 0.0 if medium.reaction is None else float(np.mean(medium.reaction)) * Ly * Lx  # type: ignore[arg-type]
    if medium.robin is not None:
        held += float(np.dot(medium.robin, (Lx, Ly, Lx, Ly)))
    return held / medium.range[1]


def check_constants(medium: Medium, space: Space) -> None:
    """Check that reaction and Robin sides hold constants where no Dirichlet node does.

    Parameters
    ----------
    medium : the coefficient, numpy.
    space : the mesh.

    Raises
    ------
    InvalidProblem
        If they are so small that the solution has no digits.
    """
    held = constants_held(medium, space)
    if held < LOST:
        raise InvalidProblem(
            "without Dirichlet nodes only reaction and Robin sides determine the constant in u, and they are "
            f"{held:.1g} of the coefficient: too small for double precision. Leave them out for the solution of mean "
            "zero, with data that sum to zero, or take H1(..., dirichlet=...)."
        )


class DirectFine:
    """Solves by a sparse factorisation; has the methods of :class:`ngs_nhcsr.solvers.hierarchy.Hierarchy`.

    Parameters
    ----------
    medium : the coefficient, numpy.
    space : the mesh. If all nodes are free and the medium only diffuses, solutions have the mean zero.

    Raises
    ------
    InvalidProblem
        Like :func:`check_constants`.

    Examples
    --------
    >>> u, info = DirectFine(Medium(np.diag([1e9, 1.0]) + 1), Space((8, 8))).solve(np.full((9, 9), 1 / 64))
    >>> info.converged, round(float(u.max()), 4)
    (True, 0.0263)
    """

    def __init__(self, medium: Medium, space: Space):
        check_constants(medium, space)
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
