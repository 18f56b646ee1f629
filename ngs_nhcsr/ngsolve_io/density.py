"""Load vectors of users' meshes as functions: densities at vertices, roughness, moments on the tensor grid."""

from __future__ import annotations

import ngsolve as ngs
import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from ..solvers.load import Load
from ..solvers.load_error import SILENT
from ..solvers.space import Space
from .coarse_field import CoarseField
from .evaluate import evaluate
from .forms import sparse_matrix
from .meshes import boundary_segments, free_vertices, vertices

#: Known vertices that extrapolate a load density to the boundary.
NEAREST = 8
#: Steps of Richardson's iteration from the lumped mass matrix to the full one, whose quotient is between 1/4 and 1 on
#: triangles, and their damping.
STEPS, DAMPING = 8, 1.3
#: Samples of a function on triangles per cell and axis of a tensor grid.
SAMPLES = 4


def to_grid(u: ngs.GridFunction, field: CoarseField, load: np.ndarray, *, lumped: bool = False) -> np.ndarray:
    """Convert a load vector of the user's space to one of the Q1 hats on the tensor grid.

    On a grid of quads these are the vertex entries (the vertex functions of NGSolve's H1 are the Q1 hats, whatever
    the order). On another mesh the piecewise linear function with these moments at the free interior vertices, extended
    to the boundary, is integrated against the hats, sampled ``SAMPLES`` times a cell and axis: the grid may be coarser
    than the mesh, and would mistake waves for longer ones.

    Parameters
    ----------
    u : coarse solution.
    field : the same as arrays.
    load : (n,) load vector over the user's degrees of freedom.
    lumped : take the density F_i / ∫φ_i instead, a smoother function; differs on other meshes than quads only.

    Returns
    -------
    np.ndarray
        (N+1, M+1) load vector; without vertex numbers zero at fixed nodes.
    """
    mesh = u.space.mesh
    if field.vertices is not None:
        return load[: mesh.nv][field.vertices]
    fine, space = sampled(u, load, field.space, lumped=lumped), field.space
    return np.where(space.free, fine.vector(space.cells), 0.0)


def sampled(u: ngs.GridFunction, load: np.ndarray, space: Space, *, lumped: bool = False) -> Load[np.ndarray]:
    """Sample the piecewise linear function on the user's mesh that has the moments of a load.

    Parameters
    ----------
    u : coarse solution on a mesh that is no grid of quads.
    load : (n,) load vector over the user's degrees of freedom.
    space : tensor grid on the same rectangle.
    lumped : take the density F_i / ∫φ_i instead, a smoother function.

    Returns
    -------
    Load
        At the nodes of the grid refined ``SAMPLES`` times.
    """
    mesh, fine = u.space.mesh, space.refined(SAMPLES)
    linear = ngs.GridFunction(ngs.H1(mesh, order=1))
    linear.vec.FV().NumPy()[:], _ = _function(u, load, STEPS * (not lumped))
    return Load(evaluate(linear, mesh, *fine.nodes()), space.size)


def boundary_rest(u: ngs.GridFunction, load: np.ndarray) -> float:
    """Measure what a load has at free boundary vertices beside the function that explains it inside: a flux.

    Parameters
    ----------
    u : coarse solution on a mesh that is no grid of quads.
    load : (n,) load vector over the user's degrees of freedom.

    Returns
    -------
    float
        Its largest moment there over the largest moment of the load.
    """
    mesh, free = u.space.mesh, free_vertices(u)
    moments = np.where(free, load[: mesh.nv], 0.0)
    edge = np.zeros(mesh.nv, bool)
    edge[np.unique(boundary_segments(mesh)[0])] = True
    largest = float(np.abs(moments).max())
    if not largest > 0 or not (edge & free).any():
        return 0.0
    values, mass = _function(u, load, STEPS)
    return float(np.abs(moments - mass @ values)[edge & free].max()) / largest


def isolated_sources(u: ngs.GridFunction, load: np.ndarray) -> tuple[np.ndarray, list[tuple[float, float, float]]]:
    """Find sources that may sit in points of a mesh of triangles; ``solvers.load_error.point_sources`` does for grids.

    Parameters
    ----------
    u : coarse solution.
    load : (n,) load vector over the user's degrees of freedom.

    Returns
    -------
    inside : np.ndarray
        (n,) the moments of one sign at up to three neighbouring vertices with silence around.
    points : list
        (x, y, weight) of the points that have them, where the three belong to one element.
    """
    mesh = u.space.mesh
    moments = np.where(free_vertices(u), load[: mesh.nv], 0.0)
    heard = np.abs(moments) > SILENT * np.abs(moments).max()
    edges = _edges(mesh)
    i, j = edges[heard[edges].all(1)].T
    graph = sp.coo_array((np.ones(len(i)), (i, j)), (mesh.nv, mesh.nv))
    part = connected_components(graph, directed=False)[1]
    size, places = np.bincount(part, heard), vertices(mesh)
    inside, points = np.zeros_like(load), []
    for one in np.flatnonzero((size > 0) & (size <= 3)):
        at = np.flatnonzero((part == one) & heard)
        F = moments[at]
        if F.min() * F.max() >= 0:
            inside[at] = F
            x, y = F @ places[at] / F.sum()
            points.append((float(x), float(y), float(F.sum())))
    return inside, points


def _function(u: ngs.GridFunction, load: np.ndarray, steps: int) -> tuple[np.ndarray, sp.csr_array]:
    """Vertex values of the linear function with the moments of a load inside, after so many steps; the mass matrix."""
    mesh = u.space.mesh
    density, weights = _density(u, load)
    known = weights > 0
    values, linear = _fill(mesh, density, known), ngs.GridFunction(ngs.H1(mesh, order=1))
    p, q = linear.space.TnT()
    mass = sparse_matrix(linear, ngs.BilinearForm(p * q * ngs.dx).Assemble())
    for _ in range(steps):
        rest = np.where(known, load[: mesh.nv] - mass @ values, 0.0)
        values = _fill(mesh, values + DAMPING * np.divide(rest, weights, out=rest, where=known), known)
    return values, mass


def vertex_roughness(u: ngs.GridFunction, load: np.ndarray) -> float:
    """Compute the roughness of a load on an unstructured mesh.

    Parameters
    ----------
    u : coarse solution.
    load : (n,) load vector over the user's degrees of freedom.

    Returns
    -------
    float
        ‖f − mean over neighbouring vertices‖ / ‖f‖ over free interior vertices, f the density F_i / ∫φ_i.
    """
    mesh = u.space.mesh
    density, weights = _density(u, load)
    inside = weights > 0
    mean, count = _neighbour_mean(mesh, density, inside)
    usable = inside & (count > 1)
    total = float(np.linalg.norm(density[usable]))
    return float(np.linalg.norm((density - mean)[usable])) / total if total > 0 else 0.0


def _density(u: ngs.GridFunction, load: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Density F_i / ∫φ_i of a load at the vertices (nv,), and |∫φ_i|, zero where the density is not known."""
    mesh, space = u.space.mesh, u.space
    form = ngs.LinearForm(space)
    form += space.TestFunction() * ngs.dx
    form.Assemble()
    weights = form.vec.FV().NumPy()[: mesh.nv].copy()
    boundary = np.unique(boundary_segments(mesh)[0])
    weights[boundary] = 0.0
    weights[~free_vertices(u)] = 0.0
    density = np.divide(load[: mesh.nv], weights, out=np.zeros(mesh.nv), where=weights != 0)
    return density, np.abs(weights)


def _edges(mesh: ngs.Mesh) -> np.ndarray:
    """Numbers (n, 2) of the vertices of all edges."""
    return np.array([[v.nr for v in e.vertices] for e in mesh.edges], dtype=int)


def _neighbour_mean(mesh: ngs.Mesh, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the neighbouring vertices that are known (nv,), and how many they are."""
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
    points = vertices(mesh)
    _, near = KDTree(points[known]).query(points[~known], k=NEAREST)
    samples = values[known][near]
    offsets = points[known][near] - points[~known][:, None]
    design = np.concatenate([np.ones_like(offsets[..., :1]), offsets], -1)
    fit = np.stack([np.linalg.lstsq(d, v, rcond=None)[0][0] for d, v in zip(design, samples, strict=True)])
    out = values.copy()
    out[~known] = fit
    return out
