r"""Local solves on the skeleton: the edges of the coefficient's cells, in which a is constant.

Inside a cell u_h is the discrete harmonic extension of its boundary values plus the response to the load, by matrices
that depend neither on a nor on the place (static condensation; B. Smith, P. Bjørstad, W. Gropp, *Domain Decomposition*,
1996, ch. 4). With the Schur complement S for a = 1 and the condensed load vector g, a cell acts on its boundary by
a S v − g. With all other values kept, the energy is least over an entity E, shared by cells K, for

.. math:: v_E = \Big(\sum_K a_K S_{EE}\Big)^{-1} \sum_K \big(g_{K,E} - a_K S_{E,K \setminus E}\, v_K\big) .

The entities are the edges, with fixed matrices since S_EE is the same for opposite edges, and the bilinear hats of the
corners. A sweep goes over all of a kind in four colours, whose members share no cell; so every step is an exact
minimisation and the energy error falls, whatever v was. Smooth errors are nearly invisible to these steps; they show in
the residual at the corners, for which :meth:`Skeleton.corrected` solves the effective problem.

Media with a reaction, for which S differs from cell to cell, have a subclass in ``reaction``.

The methods are written in torch, for any device and with gradients. Where neither is asked for, ``relaxed``,
``corrected`` and ``field`` leave the work to their compiled twin in ``compiled``, which takes a twentieth of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..linalg import linear
from ..medium import Medium
from ..positions import Nodes
from ..space import cell_aspect
from ..stencil import Stencil, galerkin_elements
from .cell import EdgeMatrices, NodalCell, nodal_cell
from .compiled import CompiledSkeleton, KernelValues, applies
from .scheme import Scheme
from .values import Values


@dataclass(frozen=True)
class Skeleton:
    """The condensed system on the skeleton for B media with K loads each, and its local solves.

    Attributes
    ----------
    medium : B media (B, my, mx), float64.
    load : (B, K, qy my + 1, qx mx + 1) nodal values of f, on a grid with q cells per coefficient cell.
    r : (ry, rx) fine cells per coefficient cell, 2 at least.
    size : (Ly, Lx) of the rectangle.
    sweeps : see ``Scheme``.
    """

    medium: Medium
    load: Tensor
    r: tuple[int, int]
    size: tuple[float, float]
    sweeps: int | None = None

    @property
    def nodes(self) -> Nodes:
        """All nodes of the fine grid, as a query."""
        my, mx = self.medium.cells
        return Nodes((self.r[0] * my, self.r[1] * mx))

    @property
    def cell(self) -> NodalCell:
        """The condensed cell with coefficient 1; lengths in units of its width."""
        return nodal_cell(self.r, cell_aspect(self.medium.cells, self.size), self._parts)

    @property
    def _a(self) -> Tensor:
        """Factors (B, 1, my, mx, 1) of the condensed cell."""
        return self.medium.values[:, None, :, :, None]  # type: ignore[return-value]

    @property
    def _parts(self) -> tuple[int, int]:
        (my, mx), (ny, nx) = self.medium.cells, self.load.shape[-2:]
        return (ny - 1) // my, (nx - 1) // mx

    @cached_property
    def cell_loads(self) -> Tensor:
        """Nodal values of f in the cells times their width squared, (B, K, my, mx, (qy+1)(qx+1))."""
        qy, qx = self._parts
        parts = self.load.unfold(-2, qy + 1, qy).unfold(-2, qx + 1, qx)
        return (self.size[1] / self.medium.cells[1]) ** 2 * parts.flatten(-2)

    @cached_property
    def _edge_loads(self) -> tuple[Tensor, Tensor]:
        """The load's part of the inner upright (…, my, mx-1, ry-1) and level edges (…, my-1, mx, rx-1)."""
        f, (u, m) = self.cell_loads, (self.cell.upright, self.cell.level)
        upright = times(f, u.load_before)[..., :-1, :] + times(f, u.load_after)[..., 1:, :]
        level = times(f, m.load_before)[..., :-1, :, :] + times(f, m.load_after)[..., 1:, :, :]
        return upright, level

    @cached_property
    def _corner_loads(self) -> Tensor:
        """Load vector (B, K, my+1, mx+1) of the bilinear hats of the corners, the cells' interiors condensed."""
        return gathered(times(self.cell_loads, self.cell.hats @ self.cell.moments.T))

    @cached_property
    def _hats(self) -> Stencil:
        """Stiffness of the bilinear hats of the corners."""
        my, mx = self.medium.cells
        return Stencil.from_elements(galerkin_elements(self.medium, (my, mx), self.size)).for_several()

    @cached_property
    def _sweeps(self) -> int:
        """Sweeps over corners and edges in a local solve."""
        return max(1, round(math.log2(max(self.r))) - 1) if self.sweeps is None else self.sweeps

    @cached_property
    def _compiled(self) -> CompiledSkeleton:
        """The compiled twin."""
        return CompiledSkeleton(self.medium, self.load, self.r, self.size, self._sweeps)

    def _compiles(self, v: Values) -> bool:
        """Tell whether the compiled twin can do the work for these values."""
        return applies(self.medium.values, self.load, v.corners, v.level, v.upright)  # type: ignore[arg-type]

    def relaxed(self, v: Values) -> Values:
        """Apply two local solves, and the line search through their results.

        A local solve is a sweep over the edges, then ``sweeps`` times one over corners and edges. The minimum of the
        energy on the line through both results extrapolates what still converges slowly.

        Parameters
        ----------
        v : values on the skeleton.

        Returns
        -------
        Values whose energy error is not larger.
        """
        if self._compiles(v):
            return self._compiled.relaxed(KernelValues.of(v)).values()
        once = self._swept(v)
        return self.line_search(once, self._swept(once), extrapolate=True)

    def _swept(self, v: Values) -> Values:
        v = self.relax_edges(v)
        for _ in range(self._sweeps):
            v = self.relax_edges(self.relax_corners(v))
        return v

    def relax_edges(self, v: Values) -> Values:
        """Minimise the energy over every inner edge in turn, in four colours."""
        A, cell = self._a, self.cell
        my, mx = self.medium.cells
        loads_upright, loads_level = self._edge_loads
        for first in (0, 1):
            upright = v.upright.clone()
            new = _least_energy(v.boundaries(), A, loads_upright, cell.upright, first, -2)
            upright[..., first + 1 : mx : 2, :] = new
            v = Values(v.corners, v.level, upright)
        for first in (0, 1):
            level = v.level.clone()
            new = _least_energy(v.boundaries(), A, loads_level, cell.level, first, -3)
            level[..., first + 1 : my : 2, :, :] = new
            v = Values(v.corners, level, v.upright)
        return v

    def relax_corners(self, v: Values) -> Values:
        """Minimise the energy over the bilinear hat of every inner corner in turn, in four colours."""
        residual, step = self.residual(v), torch.zeros_like(v.corners)
        for i in (1, 2):
            for j in (1, 2):
                part = torch.zeros_like(step)
                part[..., i:-1:2, j:-1:2] = (residual / self._hats.C)[..., i:-1:2, j:-1:2]
                residual, step = residual - self._hats.apply(part), step + part
        return v.plus_bilinear(step)

    def residual(self, v: Values) -> Tensor:
        """Compute the residual (B, K, my+1, mx+1) against the bilinear hats of the corners."""
        S = self.cell.hats @ self.cell.stiffness
        return self._corner_loads - gathered(self._a * times(v.boundaries(), S))

    def _load_vectors(self) -> Tensor:
        """Condensed load vectors g (B, K, my, mx, n) of the cells."""
        return times(self.cell_loads, self.cell.moments.T)

    def _forces(self, v: Tensor) -> Tensor:
        """What the cells do to their boundaries, a S v, for boundary values (B, K, my, mx, n)."""
        return self._a * times(v, self.cell.stiffness)

    def line_search(self, v: Values, w: Values, *, extrapolate: bool = False, where: Tensor | None = None) -> Values:
        """Minimise the energy on the line through v and w, load by load.

        Parameters
        ----------
        v : values on the skeleton.
        w : values with the same Dirichlet data.
        extrapolate : take the minimum on the whole line instead of the segment between v and w.
        where : (B, K) boolean; v stays where it is false.

        Returns
        -------
        Values
        """
        d = w.boundaries() - v.boundaries()
        cells = (-3, -2, -1)
        work = (d * (self._load_vectors() - self._forces(v.boundaries()))).sum(cells)
        energy = (d * self._forces(d)).sum(cells)
        possible = energy > 0 if where is None else (energy > 0) & where
        zero, one = torch.zeros_like(work), torch.ones_like(energy)  # no 0 / 0, whose gradient would spread
        share = torch.where(possible, work, zero) / torch.where(possible, energy, one)
        return v.towards(w, share if extrapolate else share.clamp(0, 1))

    def corrected(self, v: Values, solve: Callable[[Tensor], Tensor], scheme: Scheme) -> Values:
        """Apply coarse corrections for the residual at the corners, with local solves after each.

        None raises the energy error, whatever the solver is. A load is finished after ``scheme.corrections`` of them,
        or when one was smaller than ``scheme.tolerance`` relative to the field (Euclidean norms of corner values); that
        does not depend on the others of its batch.

        Parameters
        ----------
        v : values on the skeleton.
        solve : residual (B, K, my+1, mx+1) -> approximate correction at the corners, such as
            ``EffectiveProblem.correction``.
        scheme : how many, and until when.

        Returns
        -------
        Values
        """
        active = torch.ones(v.corners.shape[:2], dtype=torch.bool, device=v.corners.device)
        local: Any = self  # both backends have the methods below, each for its own kind of values
        x: Any = v
        if self._compiles(v):
            local, x = self._compiled, KernelValues.of(v)
        for _ in range(scheme.corrections):
            step = solve(local.residual(x))
            if step.requires_grad and isinstance(x, KernelValues):
                local, x = self, x.values()  # the gradient is with respect to the solver
            x = local.line_search(x, local.relaxed(x.plus_bilinear(step)), where=active)
            active = active & (_squared(step) > scheme.tolerance**2 * _squared(x.corners))
            if not bool(active.any()):
                break
        return x.values() if isinstance(x, KernelValues) else x

    def field(self, v: Values) -> Tensor:
        """Extend values on the skeleton into the cells: the fine field (B, K, ny+1, nx+1)."""
        if self._compiles(v):
            return self._compiled.field(KernelValues.of(v))
        A, cell = self._a, self.cell
        return v.field(times(v.boundaries(), cell.inside) + times(self.cell_loads, cell.load_inside) / A)


def lines(raster: tuple[int, int], r: tuple[int, int]) -> tuple[Nodes, Nodes]:
    """List the fine nodes on the lines of a raster.

    Parameters
    ----------
    raster : cells (my, mx).
    r : (ry, rx) fine cells per coefficient cell.

    Returns
    -------
    Nodes on level lines, (my+1) x (nx+1), and on upright lines, (ny+1) x (mx+1), as queries.
    """
    my, mx = raster
    return Nodes((my, r[1] * mx)), Nodes((r[0] * my, mx))


def _squared(v: Tensor) -> Tensor:
    return v.square().sum((-2, -1))


def times(v: Tensor, matrix: np.ndarray) -> Tensor:
    """Multiply a matrix (m, n) of numpy with vectors (..., n): (..., m)."""
    return linear(v, torch.from_numpy(matrix).to(v))


def gathered(parts: Tensor) -> Tensor:
    """Add up at corners (..., my+1, mx+1) what the cells (..., my, mx, 4) contribute to theirs."""
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
    values = a * times(before, m.before) + b * times(after, m.after)
    return (values + every_second(loads, first, last)) / (a + b)
