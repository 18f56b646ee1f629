r"""Functions of the trace space: values, gradients and integrals, from coefficients on edges and vertices.

Owns the evaluation of such functions, of solutions as well as of stream functions.

On every cell, of width :math:`\varepsilon`, such a function is :math:`\sum_k c_k H\varphi_k + \sum_{m=0}^2 d_m\psi_m`:
harmonic extensions of its trace, and the particular solutions of :math:`-\Delta\psi_m = 1, \xi, \eta` (in lengths of
:math:`\varepsilon`) that vanish on the cell's boundary. For the solution of :math:`-\nabla\cdot(a\nabla u)=f`,
:math:`d = \varepsilon^2 f / a`; for a stream function, d is the curl of the flux it completes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ...errors import InvalidProblem
from ...short_repr import ShortRepr
from ..backend import compiled
from ..space import cell_pair
from .cell import TraceCell
from .layout import TraceVector, gather

Array = np.ndarray

#: Points evaluated at once, and cells.
CHUNK, BAND = 1 << 15, 1 << 15
#: Points nearer to a vertex than this, in cell sides, count as the vertex.
VERTEX = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class TraceFunction(ShortRepr):
    """A function of the trace space on a rectangle of ``my x mx`` cells.

    Attributes
    ----------
    cell : the reference cell, of the raster's aspect.
    size : (Ly, Lx) side lengths.
    vector : coefficients on edges and vertices.
    interior : (3, my, mx) factors of the particular solutions.
    lower : (x0, y0) the rectangle's lower left corner; points and regions are in the coordinates of the plane.
    """

    cell: TraceCell
    size: tuple[float, float]
    vector: TraceVector
    interior: Array
    lower: tuple[float, float] = field(default=(0.0, 0.0), kw_only=True)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells (my, mx)."""
        return self.vector.cells

    @property
    def sides(self) -> tuple[float, float]:
        """Sides (hy, hx) of a cell."""
        return self.size[0] / self.shape[0], self.size[1] / self.shape[1]

    def bands(self) -> Iterator[slice]:
        """Cut the rows of cells into bands of about 32 000 cells, so that what is computed cell by cell stays small."""
        my, mx = self.shape
        step = max(1, BAND // mx)
        return (slice(j, min(j + step, my)) for j in range(0, my, step))

    def band(self, rows: slice) -> TraceFunction:
        """Return the function on the rows of cells of the slice ``rows``, a rectangle of its own; shares memory."""
        v, (first, last) = self.vector, (rows.start, rows.stop)
        part = TraceVector(v.level[first : last + 1], v.upright[rows], v.corners[first : last + 1])
        size = (self.sides[0] * (last - first), self.size[1])
        return TraceFunction(self.cell, size, part, self.interior[:, rows])

    def local(self) -> Array:
        """Return the coefficients (my, mx, n + 3) of every cell: harmonic extensions, then particular solutions."""
        return np.concatenate([gather(self.vector), np.moveaxis(self.interior, 0, -1)], axis=-1)

    def centred(self) -> Array:
        """Return the coefficients (my, mx, n) of every cell's trace less its value at the cell's first vertex."""
        return without_constants(gather(self.vector))

    def nodes(self, cells: tuple[int, int] | int) -> Array:
        """Return nodal values on a uniform grid, which need not be aligned with the raster.

        Parameters
        ----------
        cells : (ny, nx) cells of the grid, or one number for both.

        Returns
        -------
        (ny+1, nx+1) values.

        Raises
        ------
        InvalidProblem
            If these are not whole numbers from 1 on.
        """
        ny, nx = cell_pair(cells, "cells")
        my, mx = self.shape
        if ny % my or nx % mx:
            return self._unaligned((ny, nx))
        ry, rx = ny // my, nx // mx
        inside, at_top, at_right = _at_nodes(self.cell, ry, rx)
        out = np.empty((ny + 1, nx + 1))
        if compiled():
            from .function_kernels import fill_nodes

            basis = np.ascontiguousarray(inside.T)
            fill_nodes(self.vector.parts(), self.interior, basis, ry, rx, out, 0, my)
        else:
            self._fill_nodes(inside, out)
        column, row = np.full(my, mx - 1), np.full(mx, my - 1)
        out[:-1, -1] = (self._coefficients(np.arange(my), column) @ at_right).ravel()
        out[-1, :-1] = (self._coefficients(row, np.arange(mx)) @ at_top).ravel()
        out[-1, -1] = self.vector.corners[-1, -1]
        return out

    def _fill_nodes(self, inside: Array, out: Array) -> None:
        """Write the values at the nodes of all cells but the last ones along each axis; twin of ``fill_nodes``."""
        (my, mx), (ny, nx) = self.shape, (out.shape[0] - 1, out.shape[1] - 1)
        ry, rx = ny // my, nx // mx
        for rows in self.bands():
            local = self.band(rows).local()
            values = local.reshape(-1, local.shape[-1]) @ inside
            values = values.reshape(-1, mx, ry, rx).swapaxes(1, 2).reshape(-1, nx)
            out[rows.start * ry : rows.stop * ry, :-1] = values

    def at(self, points: Array) -> Array:
        """Return the values at points.

        Parameters
        ----------
        points : (P, 2) coordinates (x, y) in the domain.

        Returns
        -------
        (P,) values.

        Raises
        ------
        InvalidProblem
            If a point lies outside the domain.
        """
        cells, places = self._locate(points)
        out = np.empty(len(places))
        for part in _chunks(len(places)):
            local = self._coefficients(cells[0][part], cells[1][part])
            out[part] = np.einsum("pk,pk->p", self.cell.values(places[part]), local)
        return out

    def gradient(self, points: Array) -> Array:
        """Return the gradients at points.

        On an edge of the raster, where the normal derivative jumps with a, the cell above or to the right counts.

        Parameters
        ----------
        points : (P, 2) coordinates (x, y) in the domain.

        Returns
        -------
        (P, 2) derivatives (d/dx, d/dy).

        Raises
        ------
        InvalidProblem
            If a point is outside the domain or at a vertex of the raster, where gradients may be infinite.
        """
        cells, places = self._locate(points)
        at_vertex = (np.abs(places - np.round(places)) < VERTEX).all(axis=1)
        if at_vertex.any():
            x, y = np.asarray(points, dtype=float)[np.flatnonzero(at_vertex)[0]]
            raise InvalidProblem(f"({x:g}, {y:g}) is a vertex of the raster, where the gradient is infinite; move it.")
        out = np.empty((len(places), 2))
        for part in _chunks(len(places)):
            local = self._coefficients(cells[0][part], cells[1][part])
            out[part] = np.einsum("pik,pk->pi", self.cell.gradients(places[part]), local)
        return out / self.sides[1]

    def integrals(self) -> Array:
        """Return the integrals (my, mx) of the function over the cells."""
        weights = np.concatenate([self.cell.moments[0], self.cell.particular[:, 0]])
        parts = [self.band(rows).local() @ weights for rows in self.bands()]
        return np.concatenate(parts) * self.sides[1] ** 2

    def dirichlet(self) -> Array:
        r"""Return :math:`\int_K |\nabla v|^2` of every cell (my, mx)."""
        if compiled():
            from .function_kernels import fill_dirichlet

            out = np.empty(self.shape)
            cell = self.cell
            fill_dirichlet(self.vector.parts(), self.interior, cell.stiffness, cell.particular, out, 0, len(out))
            return out
        return self._dirichlet()

    def _dirichlet(self) -> Array:
        """Compute :meth:`dirichlet` in numpy, band by band."""
        inner = np.einsum("mji,mn,nji->ji", self.interior, self.cell.particular, self.interior, optimize=True)
        for rows in self.bands():
            c = self.band(rows).centred()
            inner[rows] += quadratic(c, self.cell.stiffness)
        return inner

    def _coefficients(self, j: Array, i: Array) -> Array:
        """Return the coefficients (P, n + 3) of cells (j, i), as :meth:`local` has them."""
        v = self.vector
        edges = [v.level[j, i], v.level[j + 1, i], v.upright[j, i], v.upright[j, i + 1]]
        corners = [v.corners[j, i], v.corners[j, i + 1], v.corners[j + 1, i], v.corners[j + 1, i + 1]]
        return np.concatenate([*edges, np.stack(corners, axis=1), self.interior[:, j, i].T], axis=1)

    def _lattice(self, eta: Array, xi: Array) -> Array:
        """Evaluate the basis on a tensor grid of local points: (len(eta) * len(xi), n + 3)."""
        return _lattice(self.cell, eta, xi)

    def _unaligned(self, grid: tuple[int, int]) -> Array:
        """Return nodal values where grid and raster cut each other; local positions repeat, each is evaluated once."""
        cell_of, place_of, places = [], [], []
        for n, m in zip(grid, self.shape, strict=True):
            k = np.arange(n + 1)
            i = np.minimum(k * m // n, m - 1)
            unique, inverse = np.unique(k * m - i * n, return_inverse=True)
            cell_of.append(i)
            place_of.append(inverse)
            places.append(unique / n)
        out = np.empty((grid[0] + 1, grid[1] + 1))
        for j, eta in enumerate(places[0]):
            basis = self._lattice(np.array([eta]), places[1])[place_of[1]]
            rows = np.flatnonzero(place_of[0] == j)
            for row in rows:
                j = np.full(len(basis), cell_of[0][row])
                out[row] = np.einsum("pk,pk->p", basis, self._coefficients(j, cell_of[1]))
        return out

    def _locate(self, points: Array) -> tuple[tuple[Array, Array], Array]:
        """Return the cells (iy, ix) of points and their unit coordinates (P, 2) there."""
        points = np.asarray(points, dtype=float)
        if points.ndim != 2 or points.shape[1] != 2:
            raise InvalidProblem(f"points have shape {points.shape}; give (P, 2) coordinates (x, y).")
        low, length = np.array(self.lower), np.array(self.size[::-1])
        slack = 1e-12 * (length + np.abs(low))
        if not ((points >= low - slack) & (points <= low + length + slack)).all():
            (x0, y0), (x1, y1) = low, low + length
            raise InvalidProblem(f"a point lies outside the domain ({x0:g}, {x1:g}) x ({y0:g}, {y1:g}).")
        scaled = (points - low) / length * np.array(self.shape[::-1])
        nearest = np.round(scaled)  # a point meant to lie on an edge lies on it
        scaled = np.where(np.abs(scaled - nearest) < 1e-12 * np.maximum(nearest, 1), nearest, scaled)
        index = np.clip(np.floor(scaled).astype(int), 0, np.array(self.shape[::-1]) - 1)
        return (index[:, 1], index[:, 0]), np.clip(scaled - index, 0.0, 1.0)


def _lattice(cell: TraceCell, eta: Array, xi: Array) -> Array:
    """Evaluate the basis of a cell on a tensor grid of local points: (len(eta) * len(xi), n + 3)."""
    Y, X = np.meshgrid(eta, xi, indexing="ij")
    return cell.values(np.stack([X.ravel(), Y.ravel()], axis=1))


@lru_cache(maxsize=8)
def _at_nodes(cell: TraceCell, ry: int, rx: int) -> tuple[Array, Array, Array]:
    """Evaluate the basis at ry x rx nodes of a cell, at rx on its upper and at ry on its right edge: (n + 3, nodes)."""
    y, x, end = np.arange(ry) / ry, np.arange(rx) / rx, np.ones(1)
    return _lattice(cell, y, x).T, _lattice(cell, end, x).T, _lattice(cell, y, end).T


def without_constants(c: Array) -> Array:
    """Subtract the value at the first vertex of every cell from its coefficients (..., n), in place; return them.

    Parameters
    ----------
    c : (..., n) coefficients of cells; of a harmonic function, adding a constant changes the last four only.

    Returns
    -------
    (..., n) the same array.

    Examples
    --------
    >>> without_constants(np.array([0.5, 3.0, 4.0, 5.0, 6.0])).tolist()
    [0.5, 0.0, 1.0, 2.0, 3.0]
    """
    c[..., -4:] -= c[..., -4:-3].copy()  # the four vertex functions add up to one
    return c


def quadratic(c: Array, S: Array) -> Array:
    """Return c·Sc for many vectors: one plain product, since batches of them are slow.

    Parameters
    ----------
    c : (..., n) vectors.
    S : (n, n) matrix.

    Returns
    -------
    (...) numbers.

    Examples
    --------
    >>> quadratic(np.array([[1.0, 2.0], [0.0, 1.0]]), np.diag([1.0, 3.0])).tolist()
    [13.0, 3.0]
    """
    flat = c.reshape(-1, c.shape[-1])
    return np.einsum("kn,kn->k", flat @ S, flat).reshape(c.shape[:-1])


def _chunks(count: int) -> list[slice]:
    """Cut range(count) into pieces of at most CHUNK points."""
    return [slice(k, min(k + CHUNK, count)) for k in range(0, count, CHUNK)]
