r"""The fine field from its values on the skeleton: the edges of the coefficient cells, in which a is constant.

The decoder gives a field v on the edges. There is nothing to learn about the rest: inside a cell u_h is the discrete
harmonic extension of its boundary values plus the response to the load, by matrices that depend neither on a nor on
the place (static condensation; B. Smith, P. Bjørstad, W. Gropp, *Domain Decomposition*, 1996, ch. 4). With the cell's
condensed matrix S for a = 1 and load vector g, a cell acts on its boundary by a S v − g. On the edge between two cells
with coefficients a and b, all other values kept, the energy is least for

.. math:: v_E = -S_{EE}^{-1} \frac{a\, S_{E,K} v_K + b\, S_{E,L} v_L - g_K - g_L}{a + b},

sums over the other boundary nodes of the cells K and L: again fixed matrices. A sweep goes over all edges, in four
colours whose edges share no cell, and over the bilinear hats of all corners in as many; so every step is an exact
minimisation and the energy error falls, whatever v was. What is smooth in the error these steps do not see; it shows in
the residual at the corners, for which :meth:`Skeleton.corrected` asks a solver of the effective problem.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
import scipy.sparse.linalg as spla
import torch
import torch.nn.functional as F
from torch import Tensor

from ...networks.dense import linear
from ..positions import Nodes
from ..q1 import assemble, element_matrices, mass_apply
from ..stencil import Stencil, galerkin_elements
from .scheme import Scheme


@dataclass(frozen=True)
class EdgeMatrices:
    """What an edge takes from the cell before it (left of it, or below) and from the cell after it.

    ``before``, ``after`` : (inner nodes, boundary nodes of the cell), zero at the edge itself.
    ``load_before``, ``load_after`` : (inner nodes, values of the load in the cell).
    """

    before: np.ndarray
    after: np.ndarray
    load_before: np.ndarray
    load_after: np.ndarray


@dataclass(frozen=True)
class CellMatrices:
    """Matrices of a cell of r = (ry, rx) fine cells with sides (aspect, 1) and a = 1.

    Its 2 (ry + rx) boundary nodes come in the order of ``CellLayout``; a load is bilinear on q = (qy, qx) parts of the
    cell, given by its values.

    Attributes
    ----------
    inside : boundary values to the (ry-1)(rx-1) values inside.
    load_inside : values of the load to values inside.
    upright, level : of the edges between two cells in a row, in a column.
    stiffness : the condensed matrix S on the boundary nodes.
    load : values of the load to the condensed load g.
    hats : the bilinear functions of the four corners on the boundary nodes.
    """

    inside: np.ndarray
    load_inside: np.ndarray
    upright: EdgeMatrices
    level: EdgeMatrices
    stiffness: np.ndarray
    load: np.ndarray
    hats: np.ndarray


@lru_cache(maxsize=16)
def cell_matrices(r: tuple[int, int], aspect: float = 1.0, q: tuple[int, int] = (1, 1)) -> CellMatrices:
    """Matrices of a coefficient cell with ry, rx >= 2; ``aspect`` is its height over its width.

    Examples
    --------
    >>> m = cell_matrices((4, 4))
    >>> m.inside.shape, bool(abs(m.inside.sum(1) - 1).max() < 1e-12)  # constants stay constant
    ((9, 16), True)
    """
    nodes = np.arange((r[0] + 1) * (r[1] + 1)).reshape(r[0] + 1, r[1] + 1)
    edges = [nodes[0, 1:-1], nodes[-1, 1:-1], nodes[1:-1, 0], nodes[1:-1, -1]]
    boundary = np.concatenate([*edges, nodes[[0, 0, -1, -1], [0, -1, 0, -1]]])
    inside = nodes[1:-1, 1:-1].ravel()
    K = assemble(element_matrices(np.ones((1, 1)), r, (aspect, 1.0))).tocsr()
    hats = _hats((1, 1), r).reshape(4, -1)[:, boundary]
    load = np.stack([mass_apply(hat, (aspect, 1.0)).ravel() for hat in _hats(q, r)], 1)
    solve = spla.splu(K[inside][:, inside].tocsc()).solve
    extension = -solve(K[inside][:, boundary].toarray())
    S = K[boundary][:, boundary].toarray() + K[boundary][:, inside] @ extension
    g = load[boundary] + extension.T @ load[inside]

    def weights(edge: slice) -> tuple[np.ndarray, np.ndarray]:
        """-S_EE⁻¹ times S_E,K without its own columns, and S_EE⁻¹ g."""
        rest = S[edge].copy()
        rest[:, edge] = 0
        return -np.linalg.solve(S[edge, edge], rest), np.linalg.solve(S[edge, edge], g[edge])

    ends = np.cumsum([0, *(len(e) for e in edges)])
    # S_EE is the same for opposite edges: a cell is symmetric.
    bottom, top, left, right = (weights(slice(a, b)) for a, b in pairwise(ends))
    return CellMatrices(
        extension,
        solve(load[inside]),
        EdgeMatrices(right[0], left[0], right[1], left[1]),
        EdgeMatrices(top[0], bottom[0], top[1], bottom[1]),
        S,
        g,
        hats,
    )


def _hats(q: tuple[int, int], r: tuple[int, int]) -> np.ndarray:
    """Bilinear hats of q parts of a cell at the nodes of r: ((qy+1)(qx+1), ry+1, rx+1)."""
    lines = [
        [np.interp(np.arange(n + 1) / n, np.arange(p + 1) / p, unit) for unit in np.eye(p + 1)]
        for p, n in zip(q, r, strict=True)
    ]
    return np.stack([np.outer(y, x) for y in lines[0] for x in lines[1]])


@dataclass(frozen=True)
class Skeleton:
    """Coefficient cells, the load on them, and how finely they are divided.

    Attributes
    ----------
    A : (B, my, mx) coefficient, float64.
    load : (B, K, qy my + 1, qx mx + 1) nodal values of f, on a grid with q cells per coefficient cell.
    r : (ry, rx) fine cells per coefficient cell, 2 at least.
    size : (Ly, Lx) of the rectangle.
    sweeps : how often corners and edges are relaxed in turn in one local solve; ``None``: max(1, log2(r) − 1), since
        on finer meshes each leaves more, like log r.
    """

    A: Tensor
    load: Tensor
    r: tuple[int, int]
    size: tuple[float, float]
    sweeps: int | None = None

    @property
    def nodes(self) -> Nodes:
        """All fine nodes."""
        my, mx = self.A.shape[-2:]
        return Nodes((self.r[0] * my, self.r[1] * mx))

    @property
    def lines(self) -> tuple[Nodes, Nodes]:
        """The fine nodes on level lines, (my+1) x (nx+1), and those on upright lines, (ny+1) x (mx+1)."""
        my, mx = self.A.shape[-2:]
        return Nodes((my, self.r[1] * mx)), Nodes((self.r[0] * my, mx))

    def relaxed(self, v: Values) -> Values:
        """After local solves over all inner edges and corners, twice, and the best on the line through both results.

        The local part of the error is gone, but for a rest; what is smooth stays.
        """
        once = self._swept(v)
        return self.best_between(once, self._swept(once), beyond=True)

    def _swept(self, v: Values) -> Values:
        v = self.relax_edges(v)
        by_refinement = max(1, round(math.log2(max(self.r))) - 1)
        for _ in range(by_refinement if self.sweeps is None else self.sweeps):
            v = self.relax_edges(self.relax_corners(v))
        return v

    def values(self, level: Tensor, upright: Tensor) -> Values:
        """What fields on the two kinds of lines are at the corners and on the edges."""
        my, mx = self.A.shape[-2:]
        return Values(
            level[..., :: self.r[1]],
            level[..., :-1].unflatten(-1, (mx, self.r[1]))[..., 1:],
            upright[..., :-1, :].unflatten(-2, (my, self.r[0]))[..., 1:, :].transpose(-1, -2),
        )

    @property
    def matrices(self) -> CellMatrices:
        """Of these cells."""
        aspect = self.size[0] / self.A.shape[-2] * self.A.shape[-1] / self.size[1]
        return cell_matrices(self.r, aspect, self._parts)

    @property
    def _parts(self) -> tuple[int, int]:
        (my, mx), (ny, nx) = self.A.shape[-2:], self.load.shape[-2:]
        return (ny - 1) // my, (nx - 1) // mx

    @cached_property
    def cell_loads(self) -> Tensor:
        """Loads (B, K, my, mx, (qy+1)(qx+1)) of the cells, in the unit of the matrices."""
        qy, qx = self._parts
        parts = self.load.unfold(-2, qy + 1, qy).unfold(-2, qx + 1, qx)
        return (self.size[1] / self.A.shape[-1]) ** 2 * parts.flatten(-2)

    @cached_property
    def _edge_loads(self) -> tuple[Tensor, Tensor]:
        """What the load gives to the inner upright (…, my, mx-1, ry-1) and level edges (…, my-1, mx, rx-1)."""
        f, (u, m) = self.cell_loads, (self.matrices.upright, self.matrices.level)
        upright = _times(f, u.load_before)[..., :-1, :] + _times(f, u.load_after)[..., 1:, :]
        level = _times(f, m.load_before)[..., :-1, :, :] + _times(f, m.load_after)[..., 1:, :, :]
        return upright, level

    @cached_property
    def _corner_loads(self) -> Tensor:
        """Moments (B, K, my+1, mx+1) of the load with the bilinear hats, the cells' interiors at rest."""
        return _gathered(_times(self.cell_loads, self.matrices.hats @ self.matrices.load))

    @cached_property
    def _hats(self) -> Stencil:
        """Stiffness of the bilinear hats of the corners."""
        my, mx = self.A.shape[-2:]
        return Stencil.from_elements(galerkin_elements(self.A, (my, mx), self.size)).for_several()

    def relax_edges(self, v: Values) -> Values:
        """Minimise the energy over every inner edge, in four colours."""
        A, m = self.A[:, None, :, :, None], self.matrices
        my, mx = self.A.shape[-2:]
        loads_upright, loads_level = self._edge_loads
        for first in (0, 1):
            upright = v.upright.clone()
            new = _least_energy(v.boundaries(), A, loads_upright, m.upright, first, -2)
            upright[..., first + 1 : mx : 2, :] = new
            v = Values(v.corners, v.level, upright)
        for first in (0, 1):
            level = v.level.clone()
            new = _least_energy(v.boundaries(), A, loads_level, m.level, first, -3)
            level[..., first + 1 : my : 2, :, :] = new
            v = Values(v.corners, level, v.upright)
        return v

    def relax_corners(self, v: Values) -> Values:
        """Minimise the energy over the bilinear hat of every inner corner, in four colours."""
        left, step = self.residual(v), torch.zeros_like(v.corners)
        for i in (1, 2):
            for j in (1, 2):
                part = torch.zeros_like(step)
                part[..., i:-1:2, j:-1:2] = (left / self._hats.C)[..., i:-1:2, j:-1:2]
                left, step = left - self._hats.apply(part), step + part
        return v.moved(step)

    def residual(self, v: Values) -> Tensor:
        """Load minus forces (B, K, my+1, mx+1) on the bilinear hats of the corners, the cells' interiors at rest."""
        m = self.matrices
        forces = self.A[:, None, :, :, None] * _times(v.boundaries(), m.hats @ m.stiffness)
        return self._corner_loads - _gathered(forces)

    def best_between(self, v: Values, w: Values, *, beyond: bool = False, where: Tensor | None = None) -> Values:
        """The values of least energy between v and w, or also ``beyond`` on the line through them, load by load.

        ``where`` (B, K) false, they are v.
        """
        A, m = self.A[:, None, :, :, None], self.matrices
        d = w.boundaries() - v.boundaries()
        cells = (-3, -2, -1)
        work = (d * (_times(self.cell_loads, m.load) - A * _times(v.boundaries(), m.stiffness))).sum(cells)
        energy = (d * A * _times(d, m.stiffness)).sum(cells)
        possible = energy > 0 if where is None else (energy > 0) & where
        zero, one = torch.zeros_like(work), torch.ones_like(energy)  # no 0 / 0, whose gradient would spread
        share = (torch.where(possible, work, zero) / torch.where(possible, energy, one))[..., None, None]
        share = share if beyond else share.clamp(0, 1)
        return Values(
            torch.lerp(v.corners, w.corners, share),
            torch.lerp(v.level, w.level, share[..., None]),
            torch.lerp(v.upright, w.upright, share[..., None]),
        )

    def corrected(self, v: Values, solve: Callable[[Tensor], Tensor], scheme: Scheme) -> Values:
        """After corrections by an approximate solver for residuals at the corners, and local solves after each.

        None raises the energy error, whatever the solver is. A load is done after ``scheme.corrections`` of them, or
        when one was smaller than ``scheme.tolerance``, relative to the field (Euclidean norms of corner values); it
        does not depend on the others of its batch.
        """
        active = torch.ones(v.corners.shape[:2], dtype=torch.bool, device=v.corners.device)
        for _ in range(scheme.corrections):
            step = solve(self.residual(v))
            v = self.best_between(v, self.relaxed(v.moved(step)), where=active)
            active = active & (_squared(step) > scheme.tolerance**2 * _squared(v.corners))
            if not bool(active.any()):
                break
        return v

    def field(self, v: Values) -> Tensor:
        """Fine field (B, K, ny+1, nx+1) with the values v and exact insides of the cells."""
        A, m = self.A[:, None, :, :, None], self.matrices
        inside = _times(v.boundaries(), m.inside) + _times(self.cell_loads, m.load_inside) / A
        return _assembled(v.corners, v.level, v.upright, inside)


@dataclass(frozen=True)
class Values:
    """Values on the skeleton.

    Attributes
    ----------
    corners : (B, K, my+1, mx+1).
    level : (B, K, my+1, mx, rx-1) on level edges, from left to right.
    upright : (B, K, my, mx+1, ry-1) on upright edges, from below.
    """

    corners: Tensor
    level: Tensor
    upright: Tensor

    def boundaries(self) -> Tensor:
        """Boundary values (B, K, my, mx, 2 (ry + rx)) of all cells."""
        my, mx = self.upright.shape[-3], self.level.shape[-2]
        corners = [self.corners[..., i : my + i, j : mx + j] for i in (0, 1) for j in (0, 1)]
        edges = [self.level[..., :-1, :, :], self.level[..., 1:, :, :]]
        edges += [self.upright[..., :-1, :], self.upright[..., 1:, :]]
        return torch.cat([*edges, torch.stack(corners, -1)], -1)

    def moved(self, step: Tensor) -> Values:
        """With the bilinear function added that has these values at the corners."""
        x, y = (
            torch.arange(1, n, dtype=step.dtype, device=step.device) / n
            for n in (self.level.shape[-1] + 1, self.upright.shape[-1] + 1)
        )
        a, b, c, d = step[..., :-1], step[..., 1:], step[..., :-1, :], step[..., 1:, :]
        return Values(
            self.corners + step,
            self.level + torch.lerp(a[..., None], b[..., None], x),
            self.upright + torch.lerp(c[..., None], d[..., None], y),
        )


def _squared(v: Tensor) -> Tensor:
    return v.square().sum((-2, -1))


def _times(v: Tensor, matrix: np.ndarray) -> Tensor:
    return linear(v, torch.from_numpy(matrix).to(v))


def _gathered(parts: Tensor) -> Tensor:
    """Sums (..., my+1, mx+1) at corners of what the cells (..., my, mx, 4) give to theirs."""
    total = parts.new_zeros(*parts.shape[:-3], parts.shape[-3] + 1, parts.shape[-2] + 1)
    for k in range(4):
        i, j = divmod(k, 2)
        total = total + F.pad(parts[..., k], (j, 1 - j, i, 1 - i))
    return total


def _least_energy(v: Tensor, A: Tensor, loads: Tensor, m: EdgeMatrices, first: int, axis: int) -> Tensor:
    """Values on every second inner edge across an axis of cells, beginning with edge ``first``."""
    last = A.shape[axis] - 1

    def every_second(t: Tensor, start: int, stop: int) -> Tensor:
        return t.movedim(axis, 0)[start:stop:2].movedim(0, axis)

    (a, b), (before, after) = ((every_second(t, first, last), every_second(t, first + 1, last + 1)) for t in (A, v))
    values = a * _times(before, m.before) + b * _times(after, m.after)
    return (values + every_second(loads, first, last)) / (a + b)


def _assembled(corners: Tensor, level: Tensor, upright: Tensor, inside: Tensor) -> Tensor:
    """Nodal values (B, K, ny+1, nx+1) from those at corners, on edges and (B, K, my, mx, (ry-1)(rx-1)) inside."""
    lines = torch.cat([corners[..., :-1, None], level], -1).flatten(-2)
    lines = torch.cat([lines, corners[..., -1:]], -1)  # (…, my+1, nx+1)
    blocks = inside.unflatten(-1, (upright.shape[-1], level.shape[-1])).transpose(-2, -3)  # (…, my, ry-1, mx, rx-1)
    sides = upright.transpose(-1, -2)  # (…, my, ry-1, mx+1)
    between = torch.cat([sides[..., :-1, None], blocks], -1).flatten(-2)
    between = torch.cat([between, sides[..., -1:]], -1)  # (…, my, ry-1, nx+1)
    rows = torch.cat([lines[..., :-1, None, :], between], -2).flatten(-3, -2)
    return torch.cat([rows, lines[..., -1:, :]], -2)
