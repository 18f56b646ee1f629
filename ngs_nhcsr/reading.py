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
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
from scipy.interpolate import make_interp_spline
from scipy.sparse.linalg import splu

from .solvers.q1 import mass_apply, stiffness
from .solvers.space import Space

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
#: A recovered load whose rough part has at least this correlation with that of the solution depends on it, …
FOLLOWS = 0.95
#: … and matters if it makes up this share of the load.
MATTERS = 0.002
#: Solutions whose rough part is a smaller share than this are smooth, like their loads: no correlation tells anything.
SMOOTH = 1e-3
#: Nodes that a correlation needs.
ENOUGH = 25
#: Nodes a side that the description of a load needs at most, where the coarse grid allows.
LOAD_NODES = 512


@dataclass(frozen=True)
class Reading:
    """A coarse solution made canonical.

    Attributes
    ----------
    U : (N+1, M+1) canonical coarse solution.
    F : (N+1, M+1) its load vector at free nodes (0 elsewhere); ``None`` where no rule explains the solution.
    f : nodal values of the load f on a grid that refines the coarse one; ``None`` like F.
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
    rough, inner = _rough_part(F, free)
    total = float(np.linalg.norm(F[inner]))
    return float(np.linalg.norm(rough)) / total if total > 0 else 0.0


def follows_solution(F: np.ndarray, U: np.ndarray, free: np.ndarray, size: tuple[float, float]) -> tuple[float, float]:
    """Tell how much of the roughness of a recovered load is that of the solution and of its derivatives.

    With a reaction c and a convection b the recovered load is A U = F − ∫ (c U + b·∇U) φ: it has the roughness of U and
    ∇U, which a load that is a function of the place has not. The rough part is twice the difference to the mean of the
    four neighbours, which takes cubic functions to zero.

    Parameters
    ----------
    F, U : (N+1, M+1) recovered load vector and nodal values.
    free : (N+1, M+1) mask of free nodes.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    Multiple correlation in [0, 1] of the rough parts of F with those of U, ∂U/∂x and ∂U/∂y; and the norm of the terms
    that explain it over that of F. Zeros where the solution is smooth or the grid too small to tell.
    """
    free = free & np.pad(np.ones((free.shape[0] - 2, free.shape[1] - 2), bool), 1)  # hats on the boundary are halved
    slopes = np.gradient(U, size[0] / (U.shape[0] - 1), size[1] / (U.shape[1] - 1))
    terms = [mass_apply(v, size) for v in (U, *slopes)]
    rough, inner = [np.where(free, v, 0.0) for v in (F, *terms)], free
    for _ in range(2):
        filtered = [_rough_part(v, inner) for v in rough]
        rough, inner = [v for v, _ in filtered], filtered[0][1]
    norm = float(np.linalg.norm(rough[0]))
    enough = inner.sum() >= ENOUGH and np.linalg.norm(rough[1]) > SMOOTH * np.linalg.norm(terms[0][inner])
    if norm == 0 or not enough:
        return 0.0, 0.0
    columns = np.stack([v[inner] for v in rough[1:]], 1)
    norms = np.linalg.norm(columns, axis=0)
    norms[norms == 0] = 1.0  # a solution that depends on one coordinate alone
    factors = np.linalg.lstsq(columns / norms, rough[0][inner], rcond=None)[0] / norms
    explained = np.tensordot(factors, np.stack(terms), 1)
    share = float(np.linalg.norm(explained[free]) / np.linalg.norm(F[free]))
    return float(np.linalg.norm(columns @ factors)) / norm, share


def _rough_part(v: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return v minus the mean of its four neighbours where all five are free, else 0, and where that is."""
    inner = np.zeros_like(free)
    inner[1:-1, 1:-1] = free[1:-1, 1:-1] & free[:-2, 1:-1] & free[2:, 1:-1] & free[1:-1, :-2] & free[1:-1, 2:]
    out = np.zeros_like(v)
    out[1:-1, 1:-1] = v[1:-1, 1:-1] - (v[:-2, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:]) / 4
    return np.where(inner, out, 0.0), inner


def load_cells(grid: Space) -> int:
    """Cells per coarse cell of the grid on which loads are described; the finer the coarse grid, the fewer.

    Examples
    --------
    >>> [load_cells(Space((n, n))) for n in (8, 32, 64, 128)]
    [16, 16, 8, 4]
    """
    return next(k for k in (16, 8, 4) if k == 4 or k * max(grid.cells) <= LOAD_NODES)


def nodal_load(F: np.ndarray, grid: Space, free: np.ndarray) -> np.ndarray:
    """Nodal values of f, on a grid half as fine as that of ``load_cells``, from its moments F with the coarse hats.

    f is the cubic spline through values at the interior coarse nodes, extrapolated to the boundary, that has these
    moments, then taken bilinear between the refined nodes: exact for linear f. Narrow sources need the order: bilinear
    interpolation between coarse nodes would be 1 % off for a Gaussian three cells wide. (Below 8 cells a side the
    extrapolation is linear, below 4 the spline too.)
    """
    from .solvers.linalg import quiet_blas

    per = load_cells(grid) // 2
    target = np.where(free, F, 0.0)[1:-1, 1:-1]
    area = grid.spacing[0] * grid.spacing[1]
    with quiet_blas():
        (lift_y, moments_y), (lift_x, moments_x) = (_spline(n, per) for n in grid.cells)
        values = np.linalg.solve(moments_y, np.linalg.solve(moments_x, target.T).T) / area
        return lift_y @ values @ lift_x.T


@lru_cache(maxsize=16)
def _spline(n: int, per: int) -> tuple[np.ndarray, np.ndarray]:
    """For n cells of length 1: interior nodal values to values on the refined grid, and to moments with inner hats."""
    inner = max(n - 1, 1)
    extended = np.zeros((n + 1, inner))
    extended[1:-1] = np.eye(inner)
    ends = np.array([4.0, -6.0, 4.0, -1.0] if n >= 8 else [2.0, -1.0] if n >= 4 else [1.0])
    extended[0, : len(ends)] = ends
    extended[-1, ::-1][: len(ends)] = ends
    nodes, fine = np.arange(n + 1.0), np.arange(n * per + 1) / per
    lift = make_interp_spline(nodes, extended, k=3 if n >= 4 else 1)(fine)
    hats = np.maximum(0, 1 - abs(nodes[1:-1, None] - fine[None, :]))
    mass = np.stack([mass_apply(np.stack([v, v], 1), (n, 2.0))[:, 0] for v in lift.T], 1)
    return lift, hats @ mass


def galerkin_solve(A: np.ndarray, grid: Space, F: np.ndarray, free: np.ndarray, U: np.ndarray) -> np.ndarray:
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


def read_given(A: np.ndarray, grid: Space, U: np.ndarray, free: np.ndarray, F: np.ndarray, rule: str) -> Reading:
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
    A: np.ndarray, grid: Space, U: np.ndarray, free: np.ndarray, candidates: Mapping[str, np.ndarray]
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
