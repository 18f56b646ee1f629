"""Multigrid-CG steps from a field towards u_h, with the error they removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .checks import check_refinement
from .grid import prolongate
from .solvers.q1 import energy_norm

if TYPE_CHECKING:
    from torch import Tensor

    from .solvers.multigrid import Multigrid

#: Steps after which ``refine_to`` gives up.
MAX_STEPS = 60
#: Up to this contrast the residual of a field is found well enough in float32, at a third of the cost.
SINGLE_PRECISION_UP_TO = 1e4


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
    mg, start, load = _arrays(field, A, b, free, size)
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
    a, u = float(A.max()), float(np.abs(field).max())
    single = u > 0 and a <= SINGLE_PRECISION_UP_TO * float(A.min())
    if single:  # numbers near one
        A, field, b = A / a, field / u, b / (a * u)
    mg, start, load = _arrays(field, A, b, free, size, smoothing=1, dtype=np.float32 if single else np.float64)
    return float(mg.relative_error(load, start)[0])


def _arrays(
    field: np.ndarray,
    A: np.ndarray,
    b: np.ndarray,
    free: np.ndarray,
    size: tuple[float, float],
    *,
    smoothing: int = 2,
    dtype: type = np.float64,
) -> tuple[Multigrid, Tensor, Tensor]:
    """Multigrid on the grid of ``field``, the field, and the load, in torch with a batch dimension."""
    import torch

    from .solvers.multigrid import Multigrid

    cells = (field.shape[0] - 1, field.shape[1] - 1)
    mask = torch.from_numpy(prolongate(free.astype(float), cells) > 0)
    coefficient, start, load = (torch.from_numpy(np.array(v, dtype=dtype))[None] for v in (A, field, b))
    return Multigrid(coefficient, cells, size, mask, smoothing=smoothing), start, load
