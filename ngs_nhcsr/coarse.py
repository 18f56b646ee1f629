"""What a coarse solution really is: recognise its quadrature, recover its load, make it canonical (numpy/scipy).

NGSolve's default 2x2 Gauss rule only samples an unresolved coefficient, so the coarse solutions of two users of one
problem differ by 1-20 % (and up to 148 % on channels). The load tells them apart: with the rule that was really used,
F = A_q U is as smooth as f; with any other it is noise. The canonical coarse solution is the Galerkin solution with
the coefficient integrated exactly on its raster, for that load.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from .grid import TensorGrid
from .solvers.q1 import mass_apply, stiffness

log = logging.getLogger(__name__)

#: Above this roughness no rule explains the coarse solution.
ROUGH = 0.5
#: Candidates this close (relative) to the smoothest are ties.
TIE = 0.05
#: Loads smoother than this are smooth to round-off: no reason to prefer one to another.
ROUND_OFF = 1e-7
#: Differences of roughness below this are too weak an evidence to rule out a rule.
EVIDENCE = 1e-3
#: Ties whose canonical solutions differ by more than this (relative, l2 of nodal values) are undecidable.
SAME = 0.01


@dataclass(frozen=True)
class Reading:
    """A coarse solution made canonical.

    Attributes
    ----------
    U : (N+1, M+1) canonical coarse solution.
    F : (N+1, M+1) its load vector at free nodes (0 elsewhere); ``None`` where no rule explains the solution.
    f : (N+1, M+1) nodal values of the load f; ``None`` like F.
    rule : how the load was found: "given f", "given form", or the name of the recognised rule.
    roughness : of the load, for every candidate rule.
    ambiguous : names of rules that explain the solution equally well but mean another one.
    """

    U: np.ndarray
    F: np.ndarray | None
    f: np.ndarray | None
    rule: str
    roughness: Mapping[str, float]
    ambiguous: tuple[str, ...] = ()


def roughness(F: np.ndarray, free: np.ndarray) -> float:
    """‖F − mean of its four neighbours‖ / ‖F‖ over nodes whose neighbours are all free; 0 for F = 0.

    Examples
    --------
    >>> roughness(np.ones((6, 6)), np.pad(np.ones((4, 4), bool), 1))
    0.0
    """
    inner = free[1:-1, 1:-1] & free[:-2, 1:-1] & free[2:, 1:-1] & free[1:-1, :-2] & free[1:-1, 2:]
    mean = (F[:-2, 1:-1] + F[2:, 1:-1] + F[1:-1, :-2] + F[1:-1, 2:]) / 4
    centre = F[1:-1, 1:-1]
    total = float(np.sqrt((centre[inner] ** 2).sum()))
    return float(np.sqrt(((centre - mean)[inner] ** 2).sum())) / total if total > 0 else 0.0


def nodal_load(F: np.ndarray, grid: TensorGrid, free: np.ndarray) -> np.ndarray:
    """Nodal values f with (mass matrix) f = F at interior nodes, extended linearly to the boundary.

    Exact for constant f; O(H²) for smooth ones.
    """
    area = grid.spacing[0] * grid.spacing[1]
    f = np.zeros(grid.shape)
    interior = np.zeros(grid.shape, bool)
    interior[1:-1, 1:-1] = True
    target = np.where(interior & free, F, 0.0)
    f[1:-1, 1:-1] = target[1:-1, 1:-1] / area
    for _ in range(4):
        _extend(f)
        residual = (target - mass_apply(f, grid.size)) / area
        f[1:-1, 1:-1] += residual[1:-1, 1:-1]
    _extend(f)
    return f


def _extend(f: np.ndarray) -> None:
    """Linear extrapolation from the interior to the boundary rows and columns (constant on very small grids)."""
    for v in (f, f.T):
        if v.shape[0] >= 4:
            v[0], v[-1] = 2 * v[1] - v[2], 2 * v[-2] - v[-3]
        else:
            v[0], v[-1] = v[1], v[-2]


def galerkin_solve(A: np.ndarray, grid: TensorGrid, F: np.ndarray, free: np.ndarray, U: np.ndarray) -> np.ndarray:
    """Coarse Galerkin solution with exact integration for the load ``F``, Dirichlet values taken from ``U``."""
    K = stiffness(A, grid.cells, grid.size)
    inside = free.ravel()
    boundary = np.where(inside, 0.0, U.ravel())
    rhs = (F.ravel() - K @ boundary)[inside]
    solution = boundary
    reduced = sp.csc_matrix(K[inside][:, inside])
    solution[inside] = splu(
        reduced, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    ).solve(rhs)
    return solution.reshape(grid.shape)


def read_given(A: np.ndarray, grid: TensorGrid, U: np.ndarray, free: np.ndarray, F: np.ndarray, rule: str) -> Reading:
    """Reading with a load that is known: no guess."""
    F = np.where(free, F, 0.0)
    canonical = galerkin_solve(A, grid, F, free, U)
    return Reading(canonical, F, nodal_load(F, grid, free), rule, {rule: roughness(F, free)})


def choose(rough: Mapping[str, float]) -> tuple[str, list[str]]:
    """The rule to take, the first of the smoothest, and the other rules that cannot be ruled out.

    Examples
    --------
    >>> choose({"exact": 0.0151, "dx": 0.015, "dx(bonus_intorder=2)": 0.8})
    ('exact', ['dx'])
    """
    best = min(rough.values())
    chosen = next(n for n, r in rough.items() if r <= best * (1 + TIE) + ROUND_OFF)
    return chosen, [n for n, r in rough.items() if n != chosen and r <= best * (1 + TIE) + EVIDENCE]


def read_load(
    A: np.ndarray, grid: TensorGrid, U: np.ndarray, free: np.ndarray, candidates: Mapping[str, np.ndarray]
) -> Reading:
    """Recognise the rule of a coarse solution among ``candidates`` and make the solution canonical.

    Parameters
    ----------
    A : (my, mx) coefficient raster.
    U : (N+1, M+1) nodal values as the user computed them.
    free : (N+1, M+1) mask of free nodes.
    candidates : load vectors A_q U on the same nodes by name of the rule, in order of preference.
    """
    rough = {name: roughness(F, free) for name, F in candidates.items()}
    best = min(rough.values())
    if best > ROUGH:
        return Reading(U, None, None, "none", rough)
    name, ties = choose(rough)
    chosen = read_given(A, grid, U, free, candidates[name], name)
    others = {n: read_given(A, grid, U, free, candidates[n], n) for n in ties}
    scale = np.linalg.norm(chosen.U)
    differing = [n for n, other in others.items() if np.linalg.norm(other.U - chosen.U) > SAME * scale]
    log.info("coarse solution read as %s (roughness %.2g)", chosen.rule, rough[chosen.rule])
    return Reading(chosen.U, chosen.F, chosen.f, chosen.rule, rough, tuple(differing))
