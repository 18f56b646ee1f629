"""What coarse moments leave open of a load, as an error of the solution."""

from __future__ import annotations

import numpy as np

from .direct import DirichletSystem
from .hierarchy import hierarchy
from .jumps import jump_loads
from .load import Load
from .medium import Medium
from .moments import point_moments
from .neumann import is_neumann, pinned
from .norms import energy_norm
from .q1 import stiffness
from .space import PLACES, Space
from .tensor_medium import eigenvalues

#: Cells per coarse cell of the grid on which the difference is measured, at least.
CELLS = 4
#: … and per raster cell and axis: one does not see what a load does inside pixels of a small value among others of a
#: large one, which may be most of the energy.
PER_PIXEL = 2
#: Multigrid tolerance and steps: one digit is enough.
TOLERANCE, STEPS = 0.03, 30
#: Error of the cubic spline to its distance from the linear one: 1 to 4 for boxes, steps and discs, 0.3 to 1 for waves
#: and Gaussians of a few coarse cells (random media, contrast 10 and 100, 16 and 32 coarse cells).
FACTOR = 3.5
#: The same for the load of the lumped density on triangles: 0.6 to 1.4 for boxes and steps (docs/trust.md).
OTHER = 1.75
#: Where a simple bound is below this, it is the estimate.
SURELY_SMALL = 1e-4
#: Share of the largest moment below which one is what a solver left of zero.
SILENT = 1e-3


def load_uncertainty(
    load: Load[np.ndarray],
    medium: Medium,
    space: Space,
    U: np.ndarray,
    recovered: Load[np.ndarray] | None = None,
    dropped: np.ndarray | None = None,
    refinement: int = PER_PIXEL,
) -> float:
    """Estimate the relative energy error from a load that was recovered from coarse moments.

    One part is known: moments at natural sides which the recovered load need not have are those of a flux. The other
    part no coarse moment tells: the linear spline with the same moments is as good a load as the cubic one. Its
    estimate is ``FACTOR`` times the energy norm of the difference of their solutions on the raster or twice as many
    cells, relative to that of the coarse solution; or ``OTHER`` times that to another load, where there is one and that
    is more: sources that sit in points, or ``recovered``. Moments that were dropped count with the energy of a load
    that has them, and on quads jumps that may lie elsewhere in their cells (``jumps``) with theirs. Oscillations that
    have no coarse moments cannot be seen.

    Parameters
    ----------
    load : recovered, with its moments.
    medium : the coefficient.
    space : the coarse space.
    U : (N+1, M+1) coarse solution, by whose energy the error is divided; ``budget`` relates it to the field.
    recovered : a load that another recovery found.
    dropped : (N+1, M+1) moments that the load lacks: they were taken for what an iterative solver left of none.
    refinement : cells per raster cell and axis of the mesh that the load is for; the difference is measured on no more.

    Returns
    -------
    Relative energy error; 0 where the load has no moments. Where the solution is zero, 1 if moments were dropped.
    """
    if load.moments is None:
        return 0.0
    size, other = energy_norm(U, medium, space.size), Load.from_moments(load.moments, space, degree=1)
    if not size > 0:
        return float(dropped is not None and dropped.any())
    grid = _grid(medium, space, refinement)

    def energy(b: np.ndarray) -> float:
        return _energy(b, medium, grid) / size

    # coarse moments of the difference vanish, so only v less its coarse interpolant sees it
    apart = float(np.sqrt(np.mean((load.values - other.values) ** 2) * space.size[0] * space.size[1]))
    found = FACTOR * max(space.spacing) / np.pi * apart / float(np.sqrt(medium.range[0])) / size
    if found >= SURELY_SMALL:
        found = FACTOR * energy(load.vector(grid.cells) - other.vector(grid.cells))
    if recovered is not None:
        found = max(found, OTHER * energy(load.vector(grid.cells) - recovered.vector(grid.cells)))
    inside, there = _at_points(load.moments, space, grid)
    if inside.any():
        found = max(found, OTHER * energy(Load.from_moments(inside, space).vector(grid.cells) - there))
    if dropped is not None:
        inside, there = _at_points(dropped, space, grid)
        lost = Load.from_moments(dropped - inside, space)
        at_sides = _unmatched(lost, medium, space, grid) / size  # a flux, which is no load
        found = float(np.linalg.norm([found, energy(lost.vector(grid.cells) + there), at_sides]))
    jumps = [] if recovered is not None else [energy(v.vector(grid.cells)) for v in jump_loads(load.moments, space)]
    return float(np.linalg.norm([found, *jumps, _unmatched(load, medium, space, grid) / size]))


def unseen_waves(load: Load[np.ndarray], medium: Medium, space: Space, U: np.ndarray) -> float:
    r"""Estimate what waves of one coarse cell, as large as the load, would change: no coarse moment shows them.

    All hats of a grid are orthogonal to :math:`f = F \cos(2\pi x/H)`, F the root of the mean square of the load.
    By Thomson's principle the energy of its solution is at most :math:`\int \sigma^2/a` for any flux with divergence
    −f: by that along the wave :math:`(F H/2\pi)^2 \int 1/(2a)`; in a domain that is thin across, of the width L between
    Dirichlet sides, the flux across has :math:`L^2/12` instead of :math:`(H/2\pi)^2`, and a reaction takes up
    :math:`\int f^2/c`. a and f² are taken to be independent.

    Parameters
    ----------
    load : recovered.
    medium : the coefficient.
    space : the coarse space.
    U : (N+1, M+1) coarse solution.

    Returns
    -------
    The energy norm for such waves along the axis where it is larger, relative to that of U; 0 where U has none.

    Examples
    --------
    >>> space, x = Space((8, 8)), np.linspace(0, 1, 9)
    >>> U = np.outer(x * (1 - x), x * (1 - x))
    >>> round(unseen_waves(Load.of(1.0, (1, 1)), Medium(np.ones((16, 16))), space, U), 3)
    0.096
    """
    norm = energy_norm(U, medium, space.size)
    if not norm > 0:
        return 0.0
    smallest = medium.values if medium.isotropic else eigenvalues(medium.components)[0]  # type: ignore[attr-defined]
    inverse = float(np.mean(1 / smallest))
    bottom, right, top, left = space.sides
    across = [_across(left, right, space.size[1]), _across(bottom, top, space.size[0])]  # waves along y, along x
    worst = inverse * max(min((H / (2 * np.pi)) ** 2, wide) for H, wide in zip(space.spacing, across, strict=True))
    if medium.reaction is not None and np.min(medium.reaction) > 0:
        worst = min(worst, float(np.mean(1 / medium.reaction)))  # type: ignore[operator]
    mean_square = np.mean(load.values**2) / 2 * np.prod(space.size)
    return float(np.sqrt(worst * mean_square)) / norm


def _across(one: bool, other: bool, width: float) -> float:
    """Mean square of the flux across a strip of some width for f = 1, by which of its sides are Dirichlet."""
    return width**2 / 12 if one and other else width**2 / 3 if one or other else np.inf


def _at_points(F: np.ndarray, space: Space, grid: Space) -> tuple[np.ndarray, np.ndarray]:
    """Split off the part of a load vector that may sit in points, and integrate these sources on a finer grid."""
    inside, points = point_sources(F, space)
    return inside, point_moments(points, grid.cells, grid.size, grid.lower)


def point_sources(F: np.ndarray, space: Space) -> tuple[np.ndarray, list[tuple[float, float, float]]]:
    """Find sources that may sit in points: moments of one sign in one coarse cell, silence around it.

    A source of one sign whose moments vanish at all nodes but those of one cell lies in that cell, and the point at the
    centre of these moments has them too: exactly, where they are a product in x and y.

    Parameters
    ----------
    F : (N+1, M+1) coarse load vector; counts at inner nodes.
    space : the coarse space.

    Returns
    -------
    The part of F that these sources have, and the points as (x, y, weight).

    Examples
    --------
    >>> space = Space((8, 8))
    >>> inside, points = point_sources(point_moments([(0.3, 0.41, 2.0)], (8, 8), space.size), space)
    >>> [tuple(round(v, 12) for v in p) for p in points]
    [(0.3, 0.41, 2.0)]
    """
    from scipy.ndimage import find_objects, label

    inner = np.pad(F[1:-1, 1:-1], 1)
    heard = np.abs(inner) > SILENT * np.abs(F).max()
    labels = np.zeros(inner.shape, int)
    label(heard, np.ones((3, 3)), output=labels)
    y, x = space.nodes()
    inside, points = np.zeros_like(inner), []
    for number, block in enumerate(find_objects(labels), 1):
        part = np.where(labels[block] == number, inner[block], 0.0)
        small = all(n <= 2 and n < cells - 1 for n, cells in zip(part.shape, space.cells, strict=True))
        if small and part.min() * part.max() >= 0:
            weight = float(part.sum())
            points.append(
                (float(part.sum(0) @ x[block[1]]) / weight, float(part.sum(1) @ y[block[0]]) / weight, weight)
            )
            inside[block] += part
    return inside, points


def _unmatched(load: Load[np.ndarray], medium: Medium, space: Space, grid: Space) -> float:
    """Energy norm of the solution for the known moments that a recovered load has not, as a flux through the sides."""
    rest = np.where(space.free, load.moments - load.vector(space.cells), 0.0)
    edge = space.free & np.pad(np.zeros((space.cells[0] - 1, space.cells[1] - 1), bool), 1, constant_values=True)
    if not rest[edge].any():
        return 0.0
    if is_neumann(space, medium):  # the flux need not be balanced, so one node is held, on the coarse grid
        system = DirichletSystem(stiffness(medium, space.cells, space.size), pinned(space.free))
        return energy_norm(system.solve(rest), medium, space.size)
    rest[0, [0, -1]] /= 2  # corners belong to two sides
    rest[-1, [0, -1]] /= 2
    b = np.zeros(grid.shape)
    for axis, end in PLACES:
        moments, out = (np.moveaxis(v, axis, 0)[-end] for v in (rest, b))
        place = np.linspace(0, len(moments) - 1, len(out))
        hats = np.maximum(1 - np.abs(place[:, None] - np.arange(len(moments))), 0)
        out += hats @ (moments / hats.sum(0))
    return _energy(b, medium, grid)


def _grid(medium: Medium, space: Space, refinement: int) -> Space:
    """Refined raster on which differences are measured."""
    k = max(min(PER_PIXEL, refinement), *(-(-CELLS * n // m) for n, m in zip(space.cells, medium.cells, strict=True)))
    return space.with_cells((k * medium.cells[0], k * medium.cells[1]))


def _energy(b: np.ndarray, medium: Medium, grid: Space) -> float:
    """Energy norm of the solution for a load vector on a grid."""
    b = np.where(grid.free, b - b.mean() if is_neumann(grid, medium) else b, 0.0)
    u, _ = hierarchy(medium, grid).solve(b, np.zeros(grid.shape), tolerance=TOLERANCE, max_iterations=STEPS)
    return energy_norm(u, medium, grid.size)
