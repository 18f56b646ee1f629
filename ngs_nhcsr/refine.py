"""Multigrid-CG steps from a field towards u_h, with the error they removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .checks import check_refinement
from .guard import FLAGGED_FROM, Status
from .solvers.q1 import energy_norm, energy_product
from .solvers.transfer import prolongate

if TYPE_CHECKING:
    from torch import Tensor

    from .problem import Problem

#: Up to this contrast the hierarchy of an estimate may be in float32, at a third of the cost; its residual never is.
SINGLE_PRECISION_UP_TO = 1e4
#: Estimated error of the raster from which it is told.
NOTED_FROM = 0.02
#: Steps after which ``refine_to`` gives up.
MAX_STEPS = 60


@dataclass(frozen=True)
class Refinement:
    """A refined field (ny+1, nx+1), the steps taken, and estimates of the relative energy error against u_h.

    ``before`` is the Hestenes-Stiefel sum: a lower bound of the error of the field that was refined, 0.97 to 1 of it
    in practice after one step at contrast 10. ``after`` is what one more step would take off, likewise.
    """

    field: np.ndarray
    steps: int
    before: float
    after: float
    converged: bool


def refine(
    field: np.ndarray,
    A: np.ndarray,
    b: np.ndarray,
    free: np.ndarray,
    size: tuple[float, float],
    *,
    steps: int = 0,
    tolerance: float | None = None,
) -> Refinement:
    """Multigrid-CG from ``field``.

    Parameters
    ----------
    field : (ny+1, nx+1) start; keeps its values at fixed nodes.
    A : (my, mx) coefficient cells.
    b : (ny+1, nx+1) load vector.
    free : (N+1, M+1) mask of the free nodes of the coarse grid.
    steps : number of steps, or
    tolerance : relative energy error against u_h (estimated) to reach in at most ``MAX_STEPS``.

    Raises
    ------
    InvalidProblem
        If steps or tolerance make no sense.
    """
    check_refinement(steps, tolerance)
    from .solvers.multigrid import Multigrid

    mask, coefficient, start, load = _tensors(field, A, b, free)
    mg = Multigrid(coefficient, (field.shape[0] - 1, field.shape[1] - 1), size, mask)
    u, info = mg.solve(load, start, tolerance=tolerance or 0.0, max_iterations=MAX_STEPS if tolerance else steps)
    refined = u[0].numpy()
    norm = energy_norm(refined, A, size)
    before = float(info.energy_drop[0].clamp_min(0).sqrt()) / norm if norm else 0.0
    return Refinement(refined, info.iterations, before, float(mg.relative_error(load, u)[0]), info.converged)


def estimate_error(
    field: np.ndarray, A: np.ndarray, b: np.ndarray, free: np.ndarray, size: tuple[float, float]
) -> float:
    """Relative energy error of ``field`` against u_h, estimated by one multigrid step.

    Parameters as for :func:`refine`. A lower bound up to the norm it is relative to (docs/trust.md has figures).

    Examples
    --------
    >>> from ngs_nhcsr.solvers.q1 import mass_apply
    >>> b, free = mass_apply(np.ones((17, 17))), np.pad(np.ones((3, 3), bool), 1)
    >>> round(estimate_error(np.zeros((17, 17)), np.ones((4, 4)), b, free, (1.0, 1.0)), 2)
    1.0
    """
    from .solvers.multigrid import Multigrid, fine_stencil

    cells = (field.shape[0] - 1, field.shape[1] - 1)
    a, u = float(A.max()), float(np.abs(field).max())
    single = u > 0 and a <= SINGLE_PRECISION_UP_TO * float(A.min())
    if single:  # numbers near one
        A, field, b = A / a, field / u, b / (a * u)
    mask, coefficient, start, load = _tensors(field, A, b, free)
    hierarchy = coefficient.float() if single else coefficient
    mg = Multigrid(hierarchy, cells, size, mask, smoothing=1)
    return float(mg.relative_error(load, start, fine_stencil(coefficient, cells, size))[0])


def coefficient_error(
    field: np.ndarray, A: np.ndarray, variation: np.ndarray | None, size: tuple[float, float]
) -> float:
    r"""Estimate the relative energy error from one value per cell of a coefficient that varies inside the cells.

    In a layered cell the energies for given mean gradient and for given mean flux differ by the quotient of the
    arithmetic and the harmonic mean, so :math:`(\sum_K E_K (1 - a_h/a_a) / \sum_K E_K)^{1/2}`, E_K the energy in the
    cell K, is about what is missing of ∇u. Measured on pixel images that do not fit the raster it is 1 to 2 times the
    error (docs/trust.md).

    Parameters
    ----------
    field : (ny+1, nx+1) nodal values.
    A : (my, mx) cell values.
    variation : (my, mx) 1 − a_h/a_a in the cells; ``None``: constant.
    size : (Ly, Lx) of the rectangle.

    Examples
    --------
    >>> x = np.linspace(0, 1, 9)[None, :] * np.ones((9, 1))
    >>> round(coefficient_error(x, np.ones((4, 4)), np.full((4, 4), 0.25), (1.0, 1.0)), 12)
    0.5
    """
    total = 0.0 if variation is None else energy_product(field, field, A, size)
    return float(np.sqrt(energy_product(field, field, A * variation, size) / total)) if total > 0 else 0.0


def judge_raster(
    status: Status, notes: tuple[str, ...], values: np.ndarray, problem: Problem
) -> tuple[Status, tuple[str, ...]]:
    """Status and notes with what one value per raster cell costs where the coefficient varies inside the cells."""
    lost = coefficient_error(values, problem.A, problem.raster.variation, problem.grid.size)
    if lost > NOTED_FROM:
        notes += (
            f"one value per raster cell costs about {lost:.0%} in energy, which only a raster that resolves it mends.",
        )
    if lost > FLAGGED_FROM and status in (Status.ACCEPTED, Status.OUT_OF_CONTRACT):
        status = Status.INACCURATE
    return status, notes


def _tensors(
    field: np.ndarray, A: np.ndarray, b: np.ndarray, free: np.ndarray
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mask of free fine nodes (ny+1, nx+1), then coefficient, field and load (1, …) in float64."""
    import torch

    mask = torch.from_numpy(prolongate(free.astype(float), (field.shape[0] - 1, field.shape[1] - 1)) > 0)
    coefficient, start, load = (torch.from_numpy(np.array(v, dtype=np.float64))[None] for v in (A, field, b))
    return mask, coefficient, start, load
