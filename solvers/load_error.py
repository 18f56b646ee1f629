"""What coarse moments leave open of a load, as an error of the solution."""

from __future__ import annotations

import numpy as np

from .hierarchy import hierarchy
from .load import Load
from .medium import Medium
from .norms import energy_norm
from .space import Space

#: Cells per coarse cell of the grid on which the difference is measured, at least.
CELLS = 4
#: Multigrid tolerance and steps: one digit is enough.
TOLERANCE, STEPS = 0.03, 30
#: Error of the cubic spline to its distance from the linear one: 1 to 4 for boxes, steps and discs, 0.3 to 1 for waves
#: and Gaussians of a few coarse cells (random media, contrast 10 and 100, 16 and 32 coarse cells).
FACTOR = 3.0
#: The same for the load of the lumped density on triangles: 0.6 to 1.4 for boxes and steps (docs/trust.md).
OTHER = 1.5
#: Where a simple bound is below this, it is the estimate.
SURELY_SMALL = 1e-4


def load_uncertainty(
    load: Load[np.ndarray], medium: Medium, space: Space, U: np.ndarray, recovered: Load[np.ndarray] | None = None
) -> float:
    """Estimate the relative energy error from a load that was recovered from coarse moments.

    The linear spline with the same moments is as good a load as the cubic one. The estimate is ``FACTOR`` times the
    energy norm of the difference of their solutions on the raster, relative to that of the solution itself; or
    ``OTHER`` times that to another load, where there is one and that is more.
    Oscillations that have no coarse moments cannot be seen.

    Parameters
    ----------
    load : recovered, with its moments.
    medium : the coefficient.
    space : the coarse space.
    U : (N+1, M+1) coarse solution, whose energy stands for that of the solution.
    recovered : a load that another recovery found.

    Returns
    -------
    Relative energy error; 0 where the load has no moments, or the solution is zero.
    """
    if load.moments is None:
        return 0.0
    size, other = energy_norm(U, medium, space.size), Load.from_moments(load.moments, space, degree=1)
    if not size > 0:
        return 0.0
    # coarse moments of the difference vanish, so only v less its coarse interpolant sees it
    apart = float(np.sqrt(np.mean((load.values - other.values) ** 2) * space.size[0] * space.size[1]))
    found = FACTOR * max(space.spacing) / np.pi * apart / float(np.sqrt(medium.range[0])) / size
    if found >= SURELY_SMALL:
        found = FACTOR * _distance(load, other, medium, space) / size
    return found if recovered is None else max(found, OTHER * _distance(load, recovered, medium, space) / size)


def _distance(load: Load[np.ndarray], other: Load[np.ndarray], medium: Medium, space: Space) -> float:
    """Energy norm of the difference of the solutions for two loads, on a refined raster."""
    k = max(1, *(-(-CELLS * n // m) for n, m in zip(space.cells, medium.cells, strict=True)))
    grid = space.with_cells((k * medium.cells[0], k * medium.cells[1]))
    difference = np.where(grid.free, load.vector(grid.cells) - other.vector(grid.cells), 0.0)
    error, _ = hierarchy(medium, grid).solve(
        difference, np.zeros(grid.shape), tolerance=TOLERANCE, max_iterations=STEPS
    )
    return energy_norm(error, medium, space.size)
