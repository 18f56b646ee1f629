"""Coefficients at tensor products of points in every element of a uniform mesh of quads, as arrays of the grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import ngsolve as ngs
import numpy as np

#: Points evaluated at once: each takes 48 bytes.
POINTS = 2**19
#: Bytes of a mesh point are copied as a whole: field by field takes five times as long.
_WHOLE = "V48"


@dataclass(frozen=True, eq=False)
class QuadCells:
    """Elements of a uniform mesh of quads, in whatever order and orientation, by their place on the grid.

    Attributes
    ----------
    mesh : the mesh.
    elements : (ny, nx) element number of each cell.
    first_along_x : (ny, nx) whether the element's first reference coordinate runs along x, else along y.
    backward : (2, ny, nx) whether its first and its second reference coordinate run against x or y.
    kept : the mesh points of the last call of :meth:`values` that took them all at once, by its ``t``: to make them
        takes as long as to evaluate a function there, and loads on one mesh are all sampled at the same ones.
    """

    mesh: ngs.Mesh
    elements: np.ndarray
    first_along_x: np.ndarray
    backward: np.ndarray
    kept: dict[bytes, np.ndarray] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, mesh: ngs.Mesh, vertices: np.ndarray) -> QuadCells | None:
        """Find the elements of a mesh on its grid.

        Parameters
        ----------
        mesh : with as many elements as cells.
        vertices : (ny+1, nx+1) vertex number of each node.

        Returns
        -------
        QuadCells or None
            ``None`` if its elements are not the cells of the grid, or it is deformed.
        """
        ny, nx = vertices.shape[0] - 1, vertices.shape[1] - 1
        corners = mesh.ngmesh.Elements2D().NumPy()["nodes"][:, :4] - 1
        if mesh.deformation is not None or len(corners) != ny * nx or corners.min() < 0:
            return None
        place = np.empty((vertices.size, 2), int)  # (iy, ix) of every vertex
        place[vertices.ravel()] = np.indices(vertices.shape).reshape(2, -1).T
        at = place[corners]
        first, second = at[:, 1] - at[:, 0], at[:, 3] - at[:, 0]
        if (np.abs(first) + np.abs(second) != 1).any() or (at[:, 2] != at[:, 0] + first + second).any():
            return None
        cell = at.min(1) @ (nx, 1)
        elements = np.empty(ny * nx, int)
        elements[cell] = np.arange(ny * nx)
        backward = np.stack([first.sum(1) < 0, second.sum(1) < 0])[:, elements]
        along_x = first[elements, 1] != 0
        return cls(mesh, elements.reshape(ny, nx), along_x.reshape(ny, nx), backward.reshape(2, ny, nx))

    def values(self, a: ngs.CoefficientFunction, t: np.ndarray) -> np.ndarray:
        """Evaluate a coefficient at the tensor product of points in every cell.

        Parameters
        ----------
        a : real and scalar.
        t : (q,) points of [0, 1], ascending and symmetric about 1/2 up to round-off; the reference coordinates of the
            mesh points are these numbers, bit by bit, in any orientation.

        Returns
        -------
        np.ndarray
            (ny q, nx q), rows and columns by growing coordinate.
        """
        ny, nx = self.elements.shape
        q = len(t)
        step = max(1, POINTS // (nx * q * q))
        if step >= ny:
            return np.asarray(a(self._all_points(t)), dtype=float).reshape(ny * q, nx * q)
        out, centres = np.empty((ny, q, nx, q)), self._centres()
        for start in range(0, ny, step):
            rows = slice(start, min(start + step, ny))
            points = self._points(centres, rows, t)
            out[rows] = np.asarray(a(points), dtype=float).reshape(-1, q, nx, q)
        return out.reshape(ny * q, nx * q)

    def points_at(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Make mesh points without a search.

        Parameters
        ----------
        y : coordinates in cells, 0 … ny, any shape; a little outside counts as the nearest cell.
        x : likewise 0 … nx, the same shape.

        Returns
        -------
        np.ndarray
            NGSolve mesh points, flat.
        """
        (ny, nx), y, x = self.elements.shape, y.ravel(), x.ravel()
        row, column = np.clip(y.astype(int), 0, ny - 1), np.clip(x.astype(int), 0, nx - 1)
        place = np.clip(np.stack([x - column, y - row]), 0.0, 1.0)
        along_x = self.first_along_x[row, column]
        first, second = np.where(along_x, place, place[::-1])
        backward = self.backward[:, row, column]
        centres = self._centres()
        points = centres.view(_WHOLE)[self.elements[row, column]].view(centres.dtype)
        points["x"] = np.where(backward[0], 1 - first, first)
        points["y"] = np.where(backward[1], 1 - second, second)
        return points

    def _centres(self) -> np.ndarray:
        """The mesh point at the centre of every element."""
        return self.mesh.MapToAllElements(ngs.IntegrationRule([(0.5, 0.5)], [1.0]), ngs.VOL)

    def _all_points(self, t: np.ndarray) -> np.ndarray:
        """Mesh points of all cells, those of the last call where ``t`` is the same."""
        key = t.tobytes()
        points = self.kept.get(key)
        if points is None:
            points = self._points(self._centres(), slice(None), t)
            self.kept.clear()
            self.kept[key] = points
        return points

    def _points(self, centres: np.ndarray, rows: slice, t: np.ndarray) -> np.ndarray:
        """Mesh points of some rows of cells, row by row of points."""
        mine = centres[self.elements[rows]]
        q = len(t)
        points = np.empty((mine.shape[0], q, mine.shape[1], q), _WHOLE)
        points[:] = mine.view(_WHOLE)[:, None, :, None]
        points = points.view(centres.dtype)
        for name, along_x, backward in (
            ("x", self.first_along_x[rows], self.backward[0, rows]),
            ("y", ~self.first_along_x[rows], self.backward[1, rows]),
        ):
            points[name] = _coordinate(t, along_x, backward)
        return points.ravel()


def _coordinate(t: np.ndarray, along_x: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """One reference coordinate of every point, broadcastable to (rows, q, nx, q)."""
    if along_x.all() and not backward.any():
        return t[None, None, None, :]
    if not along_x.any() and not backward.any():
        return t[None, :, None, None]
    mine = np.where(backward[..., None], t[::-1], t)[:, None]  # (rows, 1, nx, q)
    return np.where(along_x[:, None, :, None], mine, np.moveaxis(mine, (1, 3), (3, 1)))
