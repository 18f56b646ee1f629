"""Condensed matrices of all distinct cells of media with reactions: what the compiled local solves work with.

Pixels mostly have few values of a and c. Each pair of values gets its own matrices, with a, and cells and edges know
the number of theirs.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..medium import Medium
from ..space import cell_aspect
from .cell import ReactionCell, reaction_cell

#: Bytes that all matrices together may take.
MEMORY = 2**28


class DistinctCells:
    """The distinct cells of B media with reactions, condensed; nothing here depends on loads or boundary data.

    Parameters
    ----------
    medium : B media (B, my, mx), torch on the CPU, with a reaction.
    r : (ry, rx) fine cells per coefficient cell, 2 at least.
    size : (Ly, Lx) of the rectangle.

    Attributes
    ----------
    a, kappa : (D,) coefficients of the D distinct cells and reactions κ of their reference cells.
    index : (B, my, mx) number of each cell.
    raster : (my, mx).
    """

    def __init__(self, medium: Medium, r: tuple[int, int], size: tuple[float, float]):
        a = medium.values.detach().numpy()  # type: ignore[union-attr]
        c = medium.reaction_on_raster().detach().numpy()  # type: ignore[union-attr]
        my, mx = medium.cells
        pairs, index = np.unique((a + 1j * c).ravel(), return_inverse=True)
        self.index, self.raster = index.reshape(a.shape), (my, mx)
        self.a, self.kappa = np.real(pairs), (size[1] / mx) ** 2 * np.imag(pairs) / np.real(pairs)
        self.r, self._aspect = r, cell_aspect(medium.cells, size)

    @property
    def usable(self) -> bool:
        """Whether the matrices fit into ``MEMORY``; those of numbers that are not finite are not made."""
        n, inner = 2 * sum(self.r), (self.r[0] - 1) * (self.r[1] - 1)
        finite = np.isfinite(self.a).all() and np.isfinite(self.kappa).all()
        return bool(finite) and 8 * len(self.a) * (n * n + inner * (3 * n + 25)) < MEMORY

    def _cell(self, q: tuple[int, int] = (1, 1)) -> ReactionCell:
        return reaction_cell(self.r, self._aspect, q)

    @cached_property
    def _inverse(self) -> np.ndarray:
        """(Λ + κ)⁻¹, (D, inner nodes)."""
        return 1 / (self._cell().eigenvalues + self.kappa[:, None])

    @cached_property
    def _couplings(self) -> np.ndarray:
        """F_κ of ``reaction``, (D, n, inner nodes)."""
        K, M = self._cell().couplings
        return K + self.kappa[:, None, None] * M

    @cached_property
    def stiffness(self) -> np.ndarray:
        """Schur complements a S(κ), (D, n, n), symmetric."""
        cell, F = self._cell(), self._couplings
        whole = cell.stiffness + self.kappa[:, None, None] * cell.mass
        S = self.a[:, None, None] * (whole - (F * self._inverse[:, None]) @ F.transpose(0, 2, 1))
        return (S + S.transpose(0, 2, 1)) / 2

    @cached_property
    def hats(self) -> np.ndarray:
        """Forces of the boundary values on the hats of the corners, (D, 4, n)."""
        return self._cell().hats @ self.stiffness

    @cached_property
    def elements(self) -> np.ndarray:
        """Stiffness of the hats of the corners, (D, 4, 4)."""
        return self.hats @ self._cell().hats.T

    @cached_property
    def inside(self) -> np.ndarray:
        """Extension of boundary values to the inner nodes, (D, inner nodes, n)."""
        return -(self._cell().vectors * self._inverse[:, None]) @ self._couplings.transpose(0, 2, 1)

    @cached_property
    def upright(self) -> tuple[np.ndarray, np.ndarray]:
        """Inverses of Σ a S_EE over both cells of an inner upright edge; see :meth:`_edges`."""
        return self._edges(self._cell().edges[2], self.index[:, :, :-1], self.index[:, :, 1:])

    @cached_property
    def level(self) -> tuple[np.ndarray, np.ndarray]:
        """Inverses of Σ a S_EE over both cells of an inner level edge; see :meth:`_edges`."""
        return self._edges(self._cell().edges[0], self.index[:, :-1], self.index[:, 1:])

    def _edges(self, edge: slice, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Make the (E, m, m) inverses of distinct edges, and the number of each edge; opposite edges have one S_EE."""
        D = len(self.a)
        codes, index = np.unique(np.minimum(before, after) * D + np.maximum(before, after), return_inverse=True)
        S = self.stiffness[:, edge, edge]
        return np.linalg.inv(S[codes // D] + S[codes % D]), np.ascontiguousarray(index.reshape(before.shape))

    def loads(self, q: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Condense a load that is given by its values on parts of the cells.

        Parameters
        ----------
        q : (qy, qx) parts.

        Returns
        -------
        Load vectors (D, n + 4, p) of the boundary values and of the hats of the corners, and the response (D, inner
        nodes, p) inside with boundary values zero, for the p = (qy+1)(qx+1) values times the cell's width squared.
        """
        cell = self._cell(q)
        inner = self._inverse[:, :, None] * cell.inner_loads.T
        boundary = cell.loads.T - self._couplings @ inner
        return np.concatenate([boundary, cell.hats @ boundary], 1), (cell.vectors @ inner) / self.a[:, None, None]
