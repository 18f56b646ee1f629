"""The canonical coarse solution of a problem and its load: given as a function, by a form, or recognised."""

from __future__ import annotations

import logging
from typing import Any

import ngsolve as ngs
import numpy as np

from ..reading import ROUGH, SAME, Reading, choose, galerkin_solve, read_given, read_load
from ..solvers.load import Load
from . import quadrature
from .coarse_field import CoarseField
from .forms import check_form, load_of, sparse_matrix
from .gauss import exact_elements
from .load import as_function, sample_load
from .meshes import free_dofs

log = logging.getLogger(__name__)


def canonical(
    u: ngs.GridFunction, found: CoarseField, A: np.ndarray, rules: quadrature.Rules, f: Any, form: Any
) -> tuple[Reading, float]:
    """Make a coarse solution canonical: the Galerkin solution with exact integration, for its load.

    Parameters
    ----------
    u : coarse solution.
    found : the same on a tensor grid.
    A : (my, mx) raster of the coefficient.
    rules : the user's form by candidate quadrature rules.
    f : the load, as for :func:`ngs_nhcsr.ngsolve_io.load.sample_load`; ``None`` if it is not given.
    form : the assembled form ``u`` was solved with; ``None`` if it is not given.

    Returns
    -------
    reading : Reading
        Canonical solution and load; without load where no rule explains ``u``.
    mismatch : float
        Relative energy distance of ``u`` from the solution of the problem as given; 0 where nothing was given.

    Raises
    ------
    InvalidProblem
        If f is no load, or the form holds more than ∫ a ∇u·∇v.
    """
    if f is not None:
        return _with_function(u, found, A, rules, f)
    if form is not None:
        check_form(u, form)
        b = load_of(sparse_matrix(u, form), u.vec.FV().NumPy(), free_dofs(u))
        F = quadrature.to_grid(u, found, b)
        return read_given(A, found.space, found.U, F, "given form"), rules.mismatch(u, b)
    if found.vertices is not None:
        elements = exact_elements(A, found.space.cells, found.space.size)
        return read_load(elements, found.space, found.U, rules.candidates(u, found, elements)), 0.0
    return _recognised(u, found, A, rules), 0.0


def _with_function(
    u: ngs.GridFunction, found: CoarseField, A: np.ndarray, rules: quadrature.Rules, f: Any
) -> tuple[Reading, float]:
    """Reading and mismatch for a given load f."""
    space = found.space
    load = sample_load(f, u.space.mesh, space)
    b = quadrature.integrated_load(u, as_function(f, load, space))
    if isinstance(f, ngs.CoefficientFunction) and found.vertices is not None:
        F = quadrature.to_grid(u, found, b)  # keeps jumps of f where they are
    else:
        F = load.vector(space.cells)
    F = np.where(space.free, F, 0.0)
    log.info("load given, sampled on %d x %d nodes", *load.values.shape[::-1])
    given = Load(load.values, space.size, F, space.free)
    return Reading(galerkin_solve(A, space, F, found.U), given, "given f", {}), rules.mismatch(u, b)


def _recognised(u: ngs.GridFunction, found: CoarseField, A: np.ndarray, rules: quadrature.Rules) -> Reading:
    """Recognise the quadrature rule on any mesh: roughness over neighbouring vertices instead of grid neighbours."""
    loads = rules.loads(u)
    rough = {name: quadrature.vertex_roughness(u, load) for name, load in loads.items()}
    if min(rough.values()) > ROUGH:
        return Reading(found.U, None, "none", rough)
    name, ties = choose(rough)
    F = {n: quadrature.to_grid(u, found, loads[n]) for n in (name, *ties)}
    chosen = read_given(A, found.space, found.U, F[name], name)
    norm = np.linalg.norm(F[name])
    differing = tuple(n for n in ties if np.linalg.norm(F[n] - F[name]) > SAME * norm)
    return Reading(chosen.U, chosen.load, chosen.rule, rough, differing)
