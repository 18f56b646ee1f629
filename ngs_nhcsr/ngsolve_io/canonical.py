"""The canonical coarse solution of a problem and its load: given as a function, by a form, or recognised."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import ngsolve as ngs
import numpy as np

from ..problem import MATCHED, MATCHING
from ..reading import ROUGH, SAME, Reading, choose, read_given, read_load
from ..solvers.load import Load, load_cells
from ..solvers.medium import Medium
from ..solvers.moments import point_moments
from . import quadrature
from .coarse_field import CoarseField
from .density import boundary_rest, isolated_sources, sampled, to_grid, vertex_roughness
from .forms import check_form, load_of, sparse_matrix
from .load import Sources, load_grid
from .meshes import free_dofs

log = logging.getLogger(__name__)

#: How far the entries of a load by a rule that was not tried may lie outside of those by rules that were, in parts of
#: their range.
WIDER = 1.0


def canonical(
    u: ngs.GridFunction,
    found: CoarseField,
    medium: Medium,
    rules: quadrature.Rules,
    sources: Sources,
    form: Any,
    scale: float | None = None,
) -> tuple[Reading, float, tuple[str, ...]]:
    """Make a coarse solution canonical: the Galerkin solution with exact integration, for its load.

    Parameters
    ----------
    u : coarse solution.
    found : the same on a tensor grid.
    medium : raster of the coefficient.
    rules : the user's form by candidate quadrature rules.
    sources : the load as the user gives it, or not.
    form : the assembled form ``u`` was solved with; ``None`` if it is not given.
    scale : fine cells per coarse cell of the mesh on which the load is wanted, as for
        :func:`ngs_nhcsr.ngsolve_io.load.load_grid`.

    Returns
    -------
    reading : Reading
        Canonical solution and load; without load where no rule explains ``u``.
    mismatch : float
        Relative energy distance of ``u`` from the solution of the problem as given; 0 where nothing was given.
    notes : tuple[str, ...]
        What the user should know of the load given.

    Raises
    ------
    InvalidProblem
        If f is no load, or the form holds more than ∫ a ∇u·∇v, and what reaction and Robin sides that were given add.
    """
    matrix = None if form is None else sparse_matrix(u, form)
    if matrix is not None:
        reaction = medium.reaction is not None
        orders = quadrature.BONUS_ORDERS if reaction else () if medium.only_diffuses else (0,)
        check_form(u, matrix, (rules.matrix(u, q) for q in orders), reaction=reaction)
    if sources.given:
        return _with_sources(u, found, medium, rules, sources, scale)
    system = rules.exact_system(found.space)
    if matrix is not None:
        b = load_of(matrix, u.vec.FV().NumPy(), free_dofs(u.space))
        F = to_grid(u, found, b)
        reading = read_given(system, found.space, found.U, F, "given form")
        return _with_other(reading, u, found, b), _mismatch(u, found, rules, (b,)), ()
    if found.vertices is not None:
        return read_load(system, found.space, found.U, rules.candidates(u, found)), 0.0, ()
    return _recognised(u, found, rules), 0.0, ()


def _with_sources(
    u: ngs.GridFunction,
    found: CoarseField,
    medium: Medium,
    rules: quadrature.Rules,
    sources: Sources,
    scale: float | None,
) -> tuple[Reading, float, tuple[str, ...]]:
    """Reading, mismatch and notes for a given load."""
    space = found.space
    load, loads, notes = sources.read(u, found, load_grid(space, medium, scale))
    F = np.where(space.free, load.vector(space.cells, matched=True), 0.0)
    log.info("load given, on %d x %d nodes", *load.values.shape[::-1])
    given = replace(load, moments=F, known=space.free)
    recovered = load.moments is not None
    reading = Reading(rules.exact_system(space).solve(F, found.U), given, "given f", {}, recovered=recovered)
    if recovered:
        loads = list(loads)
        reading = _with_other(reading, u, found, loads[0])
    return reading, _mismatch(u, found, rules, loads), notes


def _mismatch(u: ngs.GridFunction, found: CoarseField, rules: quadrature.Rules, loads: Iterable[np.ndarray]) -> float:
    """Relative energy distance of u from the solution for a load, by the quadrature rules that make it least.

    Where no rule for the load suits, any vector counts that lies between those by several, entry by entry: a load that
    jumps may have been integrated in many ways, but they differ only where it does. If all of them are far from u, such
    a vector may as well be that of another load, which jumps elsewhere in the same cells: then half of ``MATCHING`` is
    the least that is told.
    """
    tried: list[tuple[float, int]] = []
    vectors: list[np.ndarray] = []
    for b in loads:  # the rule of a is that which suits the first two, of which one is exact
        orders = quadrature.MATCH_ORDERS if len(tried) < 2 else (min(tried)[1],)
        tried.append(rules.mismatch(u, found, b, orders))
        vectors.append(b)
        if tried[-1][0] <= MATCHED:
            return tried[-1][0]
    least, rule = min(tried)
    if least > MATCHING:
        least = min(least, rules.mixed_mismatch(u, vectors[:2]))
    if len(vectors) < 2:
        return least
    low, high = np.min(vectors, 0), np.max(vectors, 0)
    slack = WIDER * (high - low)
    (own,) = rules.loads(u, (rule,)).values()
    between = rules.mismatch(u, found, np.clip(own, low - slack, high + slack), (rule,))[0]
    return min(least, between) if least <= MATCHING else min(least, max(between, MATCHING / 2))


def _recognised(u: ngs.GridFunction, found: CoarseField, rules: quadrature.Rules) -> Reading:
    """Recognise the quadrature rule on any mesh: roughness over neighbouring vertices instead of grid neighbours."""
    loads = rules.loads(u)
    rough = {name: vertex_roughness(u, load) for name, load in loads.items()}
    if min(rough.values()) > ROUGH:
        return Reading(found.U, None, "none", rough)
    name, ties = choose(rough)
    F = {n: to_grid(u, found, loads[n]) for n in (name, *ties)}
    chosen = read_given(rules.exact_system(found.space), found.space, found.U, F[name], name)
    norm = np.linalg.norm(F[name])
    differing = tuple(n for n in ties if np.linalg.norm(F[n] - F[name]) > SAME * norm)
    reading = Reading(chosen.U, chosen.load, chosen.rule, rough, differing)
    return _with_other(reading, u, found, loads[name])


def _with_other(reading: Reading, u: ngs.GridFunction, found: CoarseField, b: np.ndarray) -> Reading:
    """Add another load, and what is left on the boundary, where the grid is not the user's mesh.

    It is that of the lumped density, and of points where sources may sit in such.
    """
    if found.vertices is not None:
        return reading
    inside, points = isolated_sources(u, b)
    space, other = found.space, sampled(u, b - inside, found.space, lumped=True)
    if points:
        fine = space.refined(load_cells(space.cells)).cells
        moments = other.vector(fine) + point_moments(points, fine, space.size, space.lower)
        other = Load.from_vector(moments, space.size)
    return replace(reading, other=other, boundary_rest=boundary_rest(u, b))
