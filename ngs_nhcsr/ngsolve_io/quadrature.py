"""Loads that candidate quadrature rules give a coarse solution, assembled by NGSolve on the user's own space."""

from __future__ import annotations

from typing import Any

import ngsolve as ngs
import numpy as np
from scipy.spatial import KDTree

from ..checks import free_vertices
from ..reading import roughness
from ..solvers.q1 import mass_apply, stiffness
from ..solvers.space import Space
from .forms import MATCHING, distance, free_dofs, load_of, sparse_matrix
from .raster import CoarseField, _segments, evaluate

#: ``bonus_intorder`` of the candidates, the plain ``dx`` first; on quads Gauss rules of 2, 3, 4, 5, 6, 7, 12 points.
BONUS_ORDERS = (0, 2, 4, 6, 8, 10, 20)
EXACT = "exact integration"
#: Known vertices that extrapolate a load density to the boundary.
NEAREST = 8
#: ``bonus_intorder`` for loads.
LOAD_BONUS = 6
#: A load this smooth leaves no need to try the costliest rule.
DECISIVE = 0.05


def rule_name(bonus: int) -> str:
    """How a user writes the rule."""
    return "dx" if bonus == 0 else f"dx(bonus_intorder={bonus})"


def as_coefficient_function(a: Any, values: np.ndarray, grid: Space) -> ngs.CoefficientFunction:
    """The user's coefficient, or its raster as voxels where it came as an array."""
    if isinstance(a, ngs.CoefficientFunction):
        return a
    if isinstance(a, (int, float)):
        return ngs.CoefficientFunction(float(a))
    upper = (grid.lower[0] + grid.size[1], grid.lower[1] + grid.size[0])
    return ngs.VoxelCoefficient(grid.lower, upper, values, linear=False)


def candidate_loads(
    u: ngs.GridFunction, field: CoarseField, a: ngs.CoefficientFunction, values: np.ndarray
) -> dict[str, np.ndarray]:
    """Loads on the tensor grid for every candidate rule, exact integration first (order-1 quads only)."""
    candidates: dict[str, np.ndarray] = {}
    if field.vertices is not None and u.space.globalorder == 1:
        K = stiffness(values, field.grid.cells, field.grid.size)
        candidates[EXACT] = load_of(K, field.U.ravel(), field.free.ravel()).reshape(field.grid.shape)
    *cheap, costly = BONUS_ORDERS
    for orders in (tuple(cheap), (costly,)):
        for name, load in rule_loads(u, a, orders).items():
            candidates[name] = to_grid(u, field, load)
        # The rule with most points costs as much as all others and is within 0.1 % of exact integration.
        if min(roughness(F, field.free) for F in candidates.values()) < DECISIVE:
            break
    return candidates


def rule_loads(
    u: ngs.GridFunction, a: ngs.CoefficientFunction, orders: tuple[int, ...] = BONUS_ORDERS
) -> dict[str, np.ndarray]:
    """Load vectors over the user's degrees of freedom for NGSolve's own rules."""
    values, free = u.vec.FV().NumPy(), free_dofs(u)
    return {rule_name(k): load_of(sparse_matrix(u, rule_form(u, a, k)), values, free) for k in orders}


def rule_form(u: ngs.GridFunction, a: ngs.CoefficientFunction, bonus: int) -> ngs.BilinearForm:
    """Assembled form ∫ a ∇u·∇v on the user's space, with ``bonus_intorder=bonus``."""
    p, q = u.space.TnT()
    form = ngs.BilinearForm(u.space, symmetric=True)
    form += a * ngs.grad(p) * ngs.grad(q) * ngs.dx(bonus_intorder=bonus)
    return form.Assemble()


def mismatch(u: ngs.GridFunction, a: ngs.CoefficientFunction, load: np.ndarray) -> float:
    """Relative energy distance of u from the solution for coefficient and load, by the rule that makes it smallest.

    Parameters as for ``forms.distance``; rules are tried until one explains u to ``forms.MATCHING``.
    """
    found = float("inf")
    # The plain dx, nearly exact integration, then every Gauss rule up to it, before a user is told to be wrong.
    for bonus in (BONUS_ORDERS[0], *range(BONUS_ORDERS[-1], 0, -2)):
        found = min(found, distance(u, rule_form(u, a, bonus), load))
        if found <= MATCHING:
            break
    return found


def integrated_load(u: ngs.GridFunction, f: ngs.CoefficientFunction) -> np.ndarray:
    """Load vector of f over the user's degrees of freedom, with enough points for jumps inside elements."""
    form = ngs.LinearForm(u.space)
    form += f * u.space.TestFunction() * ngs.dx(bonus_intorder=LOAD_BONUS)
    form.Assemble()
    return form.vec.FV().NumPy().copy()


def to_grid(u: ngs.GridFunction, field: CoarseField, load: np.ndarray) -> np.ndarray:
    """Load vector of the user's space -> load vector of Q1 hats on the tensor grid.

    On a grid of quads these are the vertex entries (the vertex functions of NGSolve's H1 are the Q1 hats, whatever
    the order). On another mesh the load density F_i / ∫φ_i at interior vertices is extended to the boundary,
    interpolated, and integrated against the hats.
    """
    mesh = u.space.mesh
    if field.vertices is not None:
        return load[: mesh.nv][field.vertices]
    density, weights = _density(u, load)
    linear = ngs.GridFunction(ngs.H1(mesh, order=1))
    linear.vec.FV().NumPy()[:] = _fill(mesh, density, weights > 0)
    f = evaluate(linear, mesh, *field.grid.nodes())
    return np.where(field.free, mass_apply(f, field.grid.size), 0.0)


def vertex_roughness(u: ngs.GridFunction, load: np.ndarray) -> float:
    """Roughness of a load on an unstructured mesh: ‖f − mean over neighbouring vertices‖ / ‖f‖, free vertices."""
    mesh = u.space.mesh
    density, weights = _density(u, load)
    inside = weights > 0
    mean, count = _neighbour_mean(mesh, density, inside)
    usable = inside & (count > 1)
    total = float(np.linalg.norm(density[usable]))
    return float(np.linalg.norm((density - mean)[usable])) / total if total > 0 else 0.0


def _density(u: ngs.GridFunction, load: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mesh, space = u.space.mesh, u.space
    form = ngs.LinearForm(space)
    form += space.TestFunction() * ngs.dx
    form.Assemble()
    weights = form.vec.FV().NumPy()[: mesh.nv].copy()
    boundary = np.unique(_segments(mesh)[0])
    weights[boundary] = 0.0
    weights[~free_vertices(u)] = 0.0
    density = np.divide(load[: mesh.nv], weights, out=np.zeros(mesh.nv), where=weights != 0)
    return density, np.abs(weights)


def _edges(mesh: ngs.Mesh) -> np.ndarray:
    return np.array([[v.nr for v in e.vertices] for e in mesh.edges], dtype=int)


def _neighbour_mean(mesh: ngs.Mesh, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    edges = _edges(mesh)
    total, count = np.zeros(mesh.nv), np.zeros(mesh.nv)
    for i, j in ((0, 1), (1, 0)):
        use = known[edges[:, j]]
        np.add.at(total, edges[use, i], values[edges[use, j]])
        np.add.at(count, edges[use, i], 1.0)
    return np.divide(total, count, out=np.zeros(mesh.nv), where=count > 0), count


def _fill(mesh: ngs.Mesh, values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Extend values from known vertices to all others by the linear fit through the nearest known ones."""
    if known.sum() < NEAREST or known.all():
        return values
    points = np.array(mesh.ngmesh.Coordinates())[:, :2]
    _, near = KDTree(points[known]).query(points[~known], k=NEAREST)
    samples = values[known][near]
    offsets = points[known][near] - points[~known][:, None]
    design = np.concatenate([np.ones_like(offsets[..., :1]), offsets], -1)
    fit = np.stack([np.linalg.lstsq(d, v, rcond=None)[0][0] for d, v in zip(design, samples, strict=True)])
    out = values.copy()
    out[~known] = fit
    return out


__all__ = [
    "BONUS_ORDERS",
    "EXACT",
    "as_coefficient_function",
    "candidate_loads",
    "integrated_load",
    "mismatch",
    "rule_form",
    "rule_loads",
    "rule_name",
    "to_grid",
    "vertex_roughness",
]
