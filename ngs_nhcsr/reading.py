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

from .short_repr import ShortRepr
from .solvers.direct import DirichletSystem
from .solvers.load import Load
from .solvers.medium import Medium, as_medium
from .solvers.neumann import is_neumann, pinned, with_mean
from .solvers.q1 import mass_apply, stiffness
from .solvers.space import Space

log = logging.getLogger(__name__)

#: Above this roughness no rule explains the coarse solution.
ROUGH = 0.5
#: A rough load that is this part of that by another rule is what an iterative solver left of none.
RESIDUAL = 1e-4
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
#: Nodes that a correlation with constant factors needs, and with a linear one.
ENOUGH, ENOUGH_TO_VARY = 25, 200


@dataclass(frozen=True, repr=False)
class Reading(ShortRepr):
    """A coarse solution made canonical.

    Attributes
    ----------
    U : (N+1, M+1) canonical coarse solution.
    load : its load, with its moments at free nodes; ``None`` where no rule explains the solution.
    rule : how the load was found: "given f", "given form", or the name of the recognised rule.
    roughness : of the load vector, for every candidate rule.
    ambiguous : names of rules that explain the solution equally well but mean another one.
    recovered : whether the load was recovered from coarse moments.
    other : a load that another recovery makes of the same solution; ``None``: there is none.
    boundary_rest : largest moment at natural sides that a load on another mesh than quads does not explain, over the
        largest of all.
    dropped : (N+1, M+1) moments that were taken for what an iterative solver left of none; ``None``: there are none.
    """

    U: np.ndarray
    load: Load[np.ndarray] | None
    rule: str
    roughness: Mapping[str, float]
    ambiguous: tuple[str, ...] = ()
    recovered: bool = True
    other: Load[np.ndarray] | None = None
    boundary_rest: float = 0.0
    dropped: np.ndarray | None = None


def roughness(F: np.ndarray, free: np.ndarray) -> float:
    """Compute the roughness of a load vector: ‖F − mean of the four neighbours‖ / ‖F‖.

    Parameters
    ----------
    F : (N+1, M+1) load vector.
    free : (N+1, M+1) mask of free nodes; nodes count whose neighbours are all free.

    Returns
    -------
    About h²|∇²f| / |f| for a smooth f, about 1 for noise; 0 for F = 0.

    Examples
    --------
    >>> roughness(np.ones((6, 6)), np.pad(np.ones((4, 4), bool), 1))
    0.0
    """
    return roughness_by_name({"": F}, free)[""]


def roughness_by_name(loads: Mapping[str, np.ndarray], free: np.ndarray) -> dict[str, float]:
    """Compute the roughness of several load vectors at once.

    Parameters
    ----------
    loads : load vectors (N+1, M+1) by name, at least one.
    free : (N+1, M+1) mask of free nodes.

    Returns
    -------
    dict
        :func:`roughness` by name, in the same order.
    """
    F = np.stack(list(loads.values()))
    rough, inner = _rough_part(F, free)
    norms, totals = (np.linalg.norm(v, axis=1) for v in (rough[:, inner], F[:, inner]))
    ratios = np.divide(norms, totals, out=np.zeros_like(totals), where=totals > 0)
    return dict(zip(loads, ratios.tolist(), strict=True))


def follows_solution(F: np.ndarray, U: np.ndarray, free: np.ndarray, size: tuple[float, float]) -> tuple[float, float]:
    """Tell how much of the roughness of a recovered load is that of the solution and of its derivatives.

    With a reaction c and a convection b the recovered load is A U = F − ∫ (c U + b·∇U) φ: it has the roughness of U and
    ∇U, which a load that is a function of the place has not. On grids with nodes enough c may be a linear
    function. The rough part is twice the difference to the mean of the four neighbours, which takes cubic functions to
    zero.

    Parameters
    ----------
    F : (N+1, M+1) recovered load vector.
    U : (N+1, M+1) nodal values.
    free : (N+1, M+1) mask of free nodes.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    Multiple correlation in [0, 1] of the rough parts of F with those of U, ∂U/∂x and ∂U/∂y; and the norm of the terms
    that explain it over that of F. Zeros where the solution is smooth or the grid too small to tell.
    """
    free = free & np.pad(np.ones((free.shape[0] - 2, free.shape[1] - 2), bool), 1)  # hats on the boundary are halved
    slopes = np.gradient(U, size[0] / (U.shape[0] - 1), size[1] / (U.shape[1] - 1))
    vary = free.sum() >= ENOUGH_TO_VARY
    varied = [p * U for p in _coordinates(U.shape)] if vary else []
    terms = [mass_apply(v, size) for v in (U, *varied, *slopes)]
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


def _coordinates(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Make y and x, from -1 to 1, on a grid of nodes; columns and rows."""
    y, x = (np.linspace(-1, 1, n) for n in shape)
    return y[:, None], x[None, :]


def _rough_part(v: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return v (..., N+1, M+1) minus the mean of its four neighbours where all five are free, else 0, and where."""
    inner = np.zeros_like(free)
    inner[1:-1, 1:-1] = free[1:-1, 1:-1] & free[:-2, 1:-1] & free[2:, 1:-1] & free[1:-1, :-2] & free[1:-1, 2:]
    mean = (v[..., :-2, 1:-1] + v[..., 2:, 1:-1] + v[..., 1:-1, :-2] + v[..., 1:-1, 2:]) / 4
    out = np.zeros_like(v)
    out[..., 1:-1, 1:-1] = np.where(inner[1:-1, 1:-1], v[..., 1:-1, 1:-1] - mean, 0.0)
    return out, inner


def galerkin_solve(A: np.ndarray | Medium, space: Space, F: np.ndarray, U: np.ndarray) -> np.ndarray:
    """Solve the coarse problem with the coefficient integrated exactly.

    Parameters
    ----------
    A : (my, mx) cell values, or the medium with its reaction and Robin sides.
    space : the coarse space.
    F : (N+1, M+1) load vector; counts at free nodes.
    U : (N+1, M+1) nodal values of which those at fixed nodes are the Dirichlet data.

    Returns
    -------
    Nodal values (N+1, M+1); of a Neumann problem those of mean zero.
    """
    neumann = is_neumann(space, as_medium(A))
    free = pinned(space.free) if neumann else space.free
    solution = DirichletSystem(stiffness(A, space.cells, space.size), free).solve(F, U)
    return with_mean(solution) if neumann else solution


def galerkin_distance(system: DirichletSystem, F: np.ndarray, U: np.ndarray) -> float:
    """Compute the relative energy norm of u − u', u' the solution of a system for a load and u's boundary values.

    Parameters
    ----------
    system : matrix and free unknowns.
    F : load vector in the shape of the system's unknowns; counts at free ones.
    U : u, likewise.

    Returns
    -------
    ‖u − u'‖ / ‖u'‖ in the energy norm of the matrix; infinite where u' is zero and u is not.

    Examples
    --------
    >>> system = DirichletSystem(np.diag([1.0, 2.0, 1.0]), np.array([False, True, False]))
    >>> round(galerkin_distance(system, np.array([0.0, 4.0, 0.0]), np.array([0.0, 3.0, 0.0])), 12)
    0.5
    """
    K, u = system.K, U.ravel()
    step = system.solve(F - (K @ u).reshape(U.shape)).ravel()
    off, size = float(step @ (K @ step)), float((u + step) @ (K @ (u + step)))
    if size <= 0:
        return float("inf") if off > 0 else 0.0
    return float(np.sqrt(max(off, 0.0) / size))


def read_given(system: DirichletSystem, space: Space, U: np.ndarray, F: np.ndarray, rule: str) -> Reading:
    """Make a coarse solution canonical for a load vector that is known.

    Parameters
    ----------
    system : of the coarse space, with the coefficient integrated exactly.
    space : the coarse space.
    U : (N+1, M+1) nodal values with the Dirichlet data.
    F : (N+1, M+1) load vector.
    rule : how it was found, in words.

    Returns
    -------
    Reading
    """
    F = np.where(space.free, F, 0.0)
    load = Load.from_moments(F, space)
    return Reading(system.solve(F, U), load, rule, {rule: roughness(F, space.free)})


def choose(rough: Mapping[str, float]) -> tuple[str, list[str]]:
    """Choose the quadrature rule by the roughness of its load.

    Parameters
    ----------
    rough : roughness by name of the rule, in order of preference.

    Returns
    -------
    The rule to take, the first of the smoothest, and the other rules that cannot be ruled out.

    Examples
    --------
    >>> choose({"exact": 0.0151, "dx": 0.015, "dx(bonus_intorder=2)": 0.8})
    ('exact', ['dx'])
    """
    best = min(rough.values())
    chosen = next(n for n, r in rough.items() if r <= best * (1 + TIE) + ROUND_OFF)
    return chosen, [n for n, r in rough.items() if n != chosen and r <= best * (1 + TIE) + EVIDENCE]


def read_load(system: DirichletSystem, space: Space, U: np.ndarray, candidates: Mapping[str, np.ndarray]) -> Reading:
    """Recognise the quadrature rule of a coarse solution among candidates, and make the solution canonical.

    Parameters
    ----------
    system : of the coarse space, with the coefficient integrated exactly.
    space : the coarse space.
    U : (N+1, M+1) nodal values as the user computed them.
    candidates : load vectors A_q U (N+1, M+1) by name of the rule, in order of preference.

    Returns
    -------
    Reading, without a load where all candidates are rougher than ``ROUGH``.
    """
    rough, raw = roughness_by_name(candidates, space.free), candidates
    if min(rough.values()) > ROUGH:
        candidates = _without_residual(candidates, space.free)
        rough = roughness_by_name(candidates, space.free)
    if min(rough.values()) > ROUGH:
        return Reading(U, None, "none", rough)
    name, ties = choose(rough)
    F = np.where(space.free, candidates[name], 0.0)
    chosen = system.solve(F, U)
    others = {n: system.solve(candidates[n], U) for n in ties}
    norm = np.linalg.norm(chosen)
    differing = [n for n, other in others.items() if np.linalg.norm(other - chosen) > SAME * norm]
    log.info("coarse solution read as %s (roughness %.2g)", name, rough[name])
    dropped = None if candidates is raw else np.where(space.free, raw[name] - candidates[name], 0.0)
    return Reading(chosen, Load.from_moments(F, space), name, rough, tuple(differing), dropped=dropped)


def _without_residual(loads: Mapping[str, np.ndarray], free: np.ndarray) -> dict[str, np.ndarray]:
    """Set loads to zero that are so much smaller than others that they are what an iterative solver left of f = 0."""
    norms = {name: float(np.linalg.norm(F[free])) for name, F in loads.items()}
    limit = RESIDUAL * max(norms.values())
    return {name: np.zeros_like(F) if norms[name] <= limit else F for name, F in loads.items()}
