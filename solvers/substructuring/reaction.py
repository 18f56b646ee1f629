r"""Local solves on the skeleton for −div(a∇u) + c u = f, a and c constant on the coefficient's cells.

A cell acts on its boundary by a S(κ) v − g with κ = c w² / a, w its width: S now differs from cell to cell. One
eigenvalue problem of the reference cell gives S(κ) v for every κ at once (``cell.ReactionCell``), with
:math:`F_\kappa = K_{BI} X + \kappa M_{BI} X` as

.. math:: S(\kappa) = K_{BB} + \kappa M_{BB} - F_\kappa (\Lambda + \kappa)^{-1} F_\kappa^T .

An edge is relaxed by the residual, v_E += (Σ_K a_K S_EE(κ_K))⁻¹ r_E, with one small inverse per edge. All steps are
those of ``skeleton``, in torch; the compiled twin in ``compiled_reaction`` has the matrices of all distinct cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..linalg import batched_vectors
from ..medium import Medium
from ..q1 import SYMMETRIC_PAIRS
from ..space import cell_aspect
from ..stencil import Stencil
from .cell import ReactionCell, reaction_cell
from .compiled import applies
from .compiled_reaction import CompiledReactionSkeleton
from .distinct import DistinctCells
from .skeleton import Skeleton, gathered, times
from .values import Values


@dataclass(frozen=True)
class ReactionSkeleton(Skeleton):
    """The condensed system on the skeleton for media with reactions; attributes as for ``Skeleton``.

    Attributes
    ----------
    distinct : the distinct cells of these media, where they are known from another load; ``None``: found on first use.
    """

    distinct: DistinctCells | None = None

    @cached_property
    def _distinct(self) -> DistinctCells:
        return self.distinct or DistinctCells(self.medium, self.r, self.size)

    @cached_property
    def _cell(self) -> ReactionCell:
        return reaction_cell(self.r, cell_aspect(self.medium.cells, self.size), self._parts)

    @cached_property
    def _kappa(self) -> Tensor:
        """Reactions κ (B, 1, my, mx, 1) of the reference cell."""
        c: Tensor = self.medium.reaction_on_raster()  # type: ignore[assignment]
        return (self.size[1] / self.medium.cells[1]) ** 2 * c[:, None, :, :, None] / self._a

    @cached_property
    def _inverse(self) -> Tensor:
        """(Λ + κ)⁻¹, (B, 1, my, mx, inner nodes)."""
        return 1 / (torch.from_numpy(self._cell.eigenvalues).to(self._kappa) + self._kappa)

    @cached_property
    def _inner_loads(self) -> Tensor:
        """Moments of the load with the eigenvectors (B, K, my, mx, inner nodes)."""
        return times(self.cell_loads, self._cell.inner_loads.T)

    @cached_property
    def _loads(self) -> Tensor:
        cell = self._cell
        whole = times(self.cell_loads, cell.loads.T)
        return whole - self._coupled(self._inverse * self._inner_loads, slice(None), slice(None))

    @cached_property
    def _corner_loads(self) -> Tensor:
        return gathered(times(self._loads, self._cell.hats))

    @cached_property
    def _hats(self) -> Stencil:
        """Stiffness of the hats of the corners, extended into the cells with least energy."""
        B, _, my, mx, _ = self._a.shape
        hats = torch.from_numpy(self._cell.hats).to(self._a)
        forces = [self._forces(hat.expand(B, 1, my, mx, -1)) for hat in hats]
        elements = [(forces[i] * hats[j]).sum(-1)[:, 0] for i, j in SYMMETRIC_PAIRS]
        return Stencil.from_elements(torch.stack(elements, 1)).for_several()

    @cached_property
    def _edge_inverses(self) -> tuple[Tensor, Tensor]:
        """Inverses of Σ a S_EE over the two cells of the inner upright and level edges."""
        _, _, left, _ = self._cell.edges
        upright, level = self._edge_stiffness(left), self._edge_stiffness(self._cell.edges[0])
        return (
            torch.linalg.inv(upright[..., :-1, :, :] + upright[..., 1:, :, :]),
            torch.linalg.inv(level[..., :-1, :, :, :] + level[..., 1:, :, :, :]),
        )

    def _edge_stiffness(self, edge: slice) -> Tensor:
        """Matrices a S_EE(κ), (B, 1, my, mx, m, m); the same for opposite edges, as a cell is symmetric."""
        cell, kappa = self._cell, self._kappa
        K, M = cell.couplings[:, edge]
        m, inner = K.shape
        # Σ_l F_il F_jl / (Λ_l + κ) by powers of κ, each a fixed matrix times (Λ + κ)⁻¹
        powers = [(G[:, None] * H[None]).reshape(m * m, inner) for G, H in ((K, K), (K, M), (M, K), (M, M))]
        condensed = times(self._inverse, powers[0]) + kappa * times(self._inverse, powers[1] + powers[2])
        condensed = condensed + kappa**2 * times(self._inverse, powers[3])
        whole = [torch.from_numpy(A[edge, edge].ravel()).to(kappa) for A in (cell.stiffness, cell.mass)]
        return (self._a * (whole[0] + kappa * whole[1] - condensed)).unflatten(-1, (m, m))

    @cached_property
    def _compiled(self) -> CompiledReactionSkeleton:
        return CompiledReactionSkeleton(self._distinct, self.load, self.size, self._sweeps)

    def _compiles(self, v: Values) -> bool:
        reaction: Tensor = self.medium.reaction  # type: ignore[assignment]
        return super()._compiles(v) and applies(reaction) and self._distinct.usable

    def _load_vectors(self) -> Tensor:
        return self._loads

    def _forces(self, v: Tensor, rows: slice = slice(None), cells: slice = slice(None), axis: int = -2) -> Tensor:
        """Compute a S(κ) v for boundary values (B, K, my, mx, n): some of its ``rows``, in some cells along an axis."""
        cell = self._cell
        a, kappa, inverse = (_cut(t, cells, axis) for t in (self._a, self._kappa, self._inverse))
        inner = inverse * (times(v, cell.couplings[0].T) + kappa * times(v, cell.couplings[1].T))
        whole = times(v, cell.stiffness[rows]) + kappa * times(v, cell.mass[rows])
        return a * (whole - self._coupled(inner, rows, cells, axis))

    def _coupled(self, inner: Tensor, rows: slice, cells: slice, axis: int = -2) -> Tensor:
        """Compute F_κ times values at the inner nodes, some rows of it."""
        K, M = self._cell.couplings[:, rows]
        return times(inner, K) + _cut(self._kappa, cells, axis) * times(inner, M)

    def relax_edges(self, v: Values) -> Values:
        """Minimise the energy over every inner edge in turn, in four colours."""
        bottom, top, left, right = self._cell.edges
        my, mx = self.medium.cells
        for first in (0, 1):
            upright = v.upright.clone()
            upright[..., first + 1 : mx : 2, :] += self._step(v, self._edge_inverses[0], (right, left), first, -2)
            v = Values(v.corners, v.level, upright)
        for first in (0, 1):
            level = v.level.clone()
            level[..., first + 1 : my : 2, :, :] += self._step(v, self._edge_inverses[1], (top, bottom), first, -3)
            v = Values(v.corners, level, v.upright)
        return v

    def _step(self, v: Values, inverses: Tensor, edge: tuple[slice, slice], first: int, axis: int) -> Tensor:
        """Steps to the least energy on every second inner edge across an axis of cells, from edge ``first`` on."""
        boundaries, last = v.boundaries(), self._a.shape[axis] - 1
        residual: Tensor | float = 0.0
        for rows, cells in zip(edge, (slice(first, last, 2), slice(first + 1, last + 1, 2)), strict=True):
            forces = self._forces(_cut(boundaries, cells, axis), rows, cells, axis)
            residual = residual + _cut(self._loads, cells, axis)[..., rows] - forces
        matrices = _cut(inverses, slice(first, last, 2), axis - 1).expand(*residual.shape, -1)  # type: ignore[union-attr]
        m = matrices.shape[-1]
        return batched_vectors(matrices.reshape(-1, m, m), residual.reshape(-1, m)).reshape(residual.shape)  # type: ignore[union-attr]

    def residual(self, v: Values) -> Tensor:
        """Compute the residual (B, K, my+1, mx+1) against the hats of the corners."""
        return self._corner_loads - gathered(times(self._forces(v.boundaries()), self._cell.hats))

    def field(self, v: Values) -> Tensor:
        """Extend values on the skeleton into the cells: the fine field (B, K, ny+1, nx+1)."""
        cell, boundaries = self._cell, v.boundaries()
        coupled = times(boundaries, cell.couplings[0].T) + self._kappa * times(boundaries, cell.couplings[1].T)
        return v.field(times(self._inverse * (self._inner_loads / self._a - coupled), cell.vectors))


def skeleton_of(
    medium: Medium,
    load: Tensor,
    r: tuple[int, int],
    size: tuple[float, float],
    sweeps: int | None,
    distinct: DistinctCells | None = None,
) -> Skeleton:
    """Make the condensed system of media, with reactions or without.

    Parameters
    ----------
    medium : B media, float64.
    load : (B, K, qy my + 1, qx mx + 1) nodal values of f.
    r : (ry, rx) fine cells per coefficient cell, 2 at least.
    size : (Ly, Lx).
    sweeps : see ``Scheme``.
    distinct : the media's distinct cells, see ``ReactionSkeleton``.

    Returns
    -------
    Skeleton

    Raises
    ------
    GridMismatch
        If a reaction varies inside the coefficient's cells.
    """
    if medium.reaction is None:
        return Skeleton(medium, load, r, size, sweeps)
    return ReactionSkeleton(medium, load, r, size, sweeps, distinct)


def _cut(t: Tensor, cells: slice, axis: int) -> Tensor:
    """Part of a tensor along one axis."""
    return t.movedim(axis, 0)[cells].movedim(0, axis)
