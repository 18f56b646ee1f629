"""Samplers of users' functions for ``solvers.moments``: values at points of any blocks of a rectangle."""

from __future__ import annotations

from collections.abc import Sequence

import ngsolve as ngs
import numpy as np
from netgen.meshing import Mesh as NetgenMesh  # type: ignore[attr-defined]
from numpy.polynomial.legendre import leggauss, legvander

from ..solvers.moments import POINTS, Sampler
from ..solvers.space import Space
from .evaluate import located
from .quad_cells import QuadCells

#: Blocks sampled at once.
BLOCKS = 2**14


def of_coefficient(f: ngs.CoefficientFunction, mesh: ngs.Mesh, grid: Space, quads: QuadCells | None) -> Sampler:
    """Make a sampler of a CoefficientFunction.

    Parameters
    ----------
    f : real and scalar.
    mesh : on which it is evaluated.
    grid : tensor grid of the mesh, or another one of its rectangle.
    quads : elements of the mesh by their place on the grid, where they are its cells: no point must be searched then.

    Returns
    -------
    Sampler
    """
    x0, y0 = grid.lower
    (hy, hx), (ny, nx) = grid.spacing, grid.cells

    def values(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        shape = (len(y), y.shape[1], x.shape[1])
        if quads is not None:
            points = quads.points_at(
                np.broadcast_to(((y - y0) / hy)[:, :, None], shape), np.broadcast_to(((x - x0) / hx)[:, None], shape)
            )
        else:
            y, x = np.clip(y, y0, y0 + ny * hy), np.clip(x, x0, x0 + nx * hx)
            points = located(mesh, *(np.broadcast_to(v, shape).ravel() for v in (y[:, :, None], x[:, None])))
        return np.asarray(f(points), dtype=float).reshape(shape)

    def blocks(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.concatenate([values(y[k : k + BLOCKS], x[k : k + BLOCKS]) for k in range(0, len(y), BLOCKS)])

    def in_cells(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        per, rest = divmod(len(y), ny * POINTS)
        if quads is None or rest or len(x) != per * nx * POINTS:
            return Sampler(blocks).grid(y, x)
        return quads.values(f, (y[: per * POINTS] - y0) / hy)

    return Sampler(blocks, in_cells)


def of_integrators(integrators: Sequence[ngs.LFI], box: Space) -> Sampler:
    r"""Make a sampler of the function f in domain integrators :math:`\int f v`, which NGSolve does not tell.

    They are assembled on discontinuous polynomials of degree 4 on a mesh of separate quads, which the blocks are: five
    Gauss points per axis, the outermost at the edges of the block. f must not depend on the user's mesh.

    Parameters
    ----------
    integrators : of a LinearForm; those on boundaries add nothing.
    box : the rectangle, outside of which nothing is evaluated.

    Returns
    -------
    Sampler
    """
    (x0, y0), (Ly, Lx) = box.lower, box.size
    outermost = leggauss(POINTS)[0][-1]

    def blocks(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        corners = []
        for t, low, length in ((y, y0, Ly), (x, x0, Lx)):
            middle, half = (t[:, 0] + t[:, -1]) / 2, (t[:, -1] - t[:, 0]) / (2 * outermost)
            corners.append((np.maximum(middle - half, low), np.minimum(middle + half, low + length)))
        coefficients = element_moments(integrators, corners[0], corners[1], POINTS - 1)
        factor = 2 * np.arange(POINTS) + 1  # of the squared norms of Legendre polynomials on [0, 1]
        coefficients *= factor[:, None] * factor
        area = (corners[0][1] - corners[0][0]) * (corners[1][1] - corners[1][0])
        basis = [
            legvander(2 * (t - low[:, None]) / (high - low)[:, None] - 1, POINTS - 1)
            for t, (low, high) in zip((y, x), corners, strict=True)
        ]
        return np.einsum("kya,kab,kxb->kyx", basis[0], coefficients / area[:, None, None], basis[1], optimize=True)

    return Sampler(blocks)


def element_moments(
    integrators: Sequence[ngs.LFI],
    y: tuple[np.ndarray, np.ndarray],
    x: tuple[np.ndarray, np.ndarray],
    degree: int,
) -> np.ndarray:
    """Assemble domain integrators with Legendre polynomials on separate rectangles.

    Parameters
    ----------
    integrators : of a LinearForm.
    y : lower and upper ends (k,) of the rectangles.
    x : left and right ends (k,).
    degree : of the polynomials, per axis.

    Returns
    -------
    np.ndarray
        (k, degree+1, degree+1) moments, first the degree along y.
    """
    count, made = len(y[0]), NetgenMesh()
    points = np.zeros((count, 4, 3))
    points[:, 0, 0] = points[:, 3, 0] = x[0]
    points[:, 1, 0] = points[:, 2, 0] = x[1]
    points[:, 0, 1] = points[:, 1, 1] = y[0]
    points[:, 2, 1] = points[:, 3, 1] = y[1]
    made.dim = 2
    made.AddPoints(points.reshape(-1, 3))
    index = made.AddRegion("dom", dim=2)
    made.AddElements(dim=2, index=index, data=np.arange(4 * count, dtype=np.int32).reshape(count, 4), base=0)
    form = ngs.LinearForm(ngs.L2(ngs.Mesh(made), order=degree))
    for integrator in integrators:
        form += integrator
    form.Assemble()
    # vertices numbered like this, NGSolve's polynomials run against x, which comes first, and against y
    sign = (-1.0) ** np.arange(degree + 1)
    return form.vec.FV().NumPy().reshape(count, degree + 1, degree + 1).transpose(0, 2, 1) * sign[:, None] * sign


def segment_moments(
    integrators: Sequence[ngs.LFI], ends: np.ndarray, regions: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Assemble boundary integrators with the linear hats of separate segments.

    Parameters
    ----------
    integrators : of a LinearForm; those in the domain add nothing.
    ends : (k, 2, 2) coordinates as (end, x or y). NGSolve's normal points to the right of the way from first to second.
    regions : (k,) number of the boundary that each belongs to.
    names : of all boundaries of the user's mesh, in its order.

    Returns
    -------
    np.ndarray
        (k, 2) moments.
    """
    made = NetgenMesh()
    made.dim = 2
    made.AddPoints(np.pad(ends.reshape(-1, 2), ((0, 0), (0, 1))))
    for name in names:
        made.AddRegion(name, dim=1)
    pairs = np.arange(2 * len(ends), dtype=np.int32).reshape(-1, 2)
    for region in np.unique(regions):
        made.AddElements(dim=1, index=int(region) + 1, data=pairs[regions == region], base=0)
    form = ngs.LinearForm(ngs.H1(ngs.Mesh(made), order=1))
    for integrator in integrators:
        form += integrator
    return form.Assemble().vec.FV().NumPy().reshape(-1, 2).copy()


def point_functionals(space: ngs.FESpace, points: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """Compute the load vector of point sources in a user's space.

    Parameters
    ----------
    space : scalar.
    points : (x, y, weight) of each, in the mesh.

    Returns
    -------
    np.ndarray
        (n,) values of the basis at the points, times the weights.
    """
    out = np.zeros(space.ndof)
    for x, y, weight in points:
        form = ngs.LinearForm(space)
        form += space.TestFunction()(float(x), float(y))
        out += weight * form.Assemble().vec.FV().NumPy()
    return out
