"""One cell of the coefficient after static condensation: what is left of it on its boundary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import numpy as np
from scipy.linalg import eigh

from ..q1 import assemble, element_matrices, mass_apply, mass_elements
from ..windows import bilinear_hats
from .condensation import CellLayout, bubbles, condense


class Cell(Protocol):
    """A cell with coefficient 1; for a cell with coefficient a the Schur complement is ``a * stiffness``.

    The n degrees of freedom on the boundary are ordered [bottom | top | left | right | corners (0,0), (0,1), (1,0),
    (1,1)], each edge rightwards or upwards (drawing in ``condensation.CellLayout``). ``NodalCell`` has the nodes of
    fine sub-cells on its edges, ``trace.cell.TraceCell`` functions with which the solution is that of the differential
    equation.
    """

    @property
    def stiffness(self) -> np.ndarray:
        """Schur complement (n, n): the energy of the discrete or exact harmonic extension of boundary values."""
        ...

    @property
    def moments(self) -> np.ndarray:
        """Condensed load vectors (p, n) of the p functions by which a load is given inside the cell."""
        ...


@dataclass(frozen=True)
class EdgeMatrices:
    """What minimises the energy over an edge: from the cell before it (left of it, or below) and the cell after it.

    The values on an edge E between cells K, L with coefficients a, b are
    ``(a * before v_K + b * after v_L + load_before f_K + load_after f_L) / (a + b)``.

    Attributes
    ----------
    before, after : (inner nodes, n) the matrices −S_EE⁻¹ S_E,K with zeros at the edge's own columns.
    load_before, load_after : (inner nodes, p) the matrices S_EE⁻¹ g_E of the load's values in the cell.
    """

    before: np.ndarray
    after: np.ndarray
    load_before: np.ndarray
    load_after: np.ndarray


@dataclass(frozen=True)
class NodalCell:
    """A cell of r = (ry, rx) Q1 sub-cells with sides (aspect, 1); see :class:`Cell`.

    A load is bilinear on q = (qy, qx) parts of the cell, given by its p = (qy+1)(qx+1) nodal values.

    Attributes
    ----------
    stiffness, moments : see :class:`Cell`; n = 2 (ry + rx).
    inside : (inner nodes, n) discrete harmonic extension of boundary values to the (ry−1)(rx−1) inner nodes.
    load_inside : (inner nodes, p) response of the inner nodes to the load, boundary values zero.
    upright, level : matrices of the edges between two cells in a row, and in a column.
    hats : (4, n) the bilinear functions of the four corners at the boundary nodes.
    """

    stiffness: np.ndarray
    moments: np.ndarray
    inside: np.ndarray
    load_inside: np.ndarray
    upright: EdgeMatrices
    level: EdgeMatrices
    hats: np.ndarray


@lru_cache(maxsize=16)
def nodal_cell(r: tuple[int, int], aspect: float = 1.0, q: tuple[int, int] = (1, 1)) -> NodalCell:
    """Condense a cell of Q1 sub-cells.

    Parameters
    ----------
    r : (ry, rx) sub-cells, 2 at least.
    aspect : height over width of the cell.
    q : (qy, qx) parts of the cell on which loads are bilinear; r need not be a multiple of them.

    Returns
    -------
    NodalCell

    Examples
    --------
    >>> c = nodal_cell((4, 4))
    >>> c.inside.shape, bool(abs(c.inside.sum(1) - 1).max() < 1e-12)  # constants stay constant
    ((9, 16), True)
    """
    layout, one, h = CellLayout(r), np.ones((1, *r)), (aspect / r[0], 1 / r[1])
    matrix, extension = condense(one, h)
    S, extension = matrix[0], extension[0]
    load = np.stack([mass_apply(hat, (aspect, 1.0)).ravel() for hat in _part_hats(q, r)])
    g = load[:, layout.boundary] + load[:, layout.interior] @ extension.T

    def weights(edge: slice) -> tuple[np.ndarray, np.ndarray]:
        """−S_EE⁻¹ S_E,K without its own columns, and S_EE⁻¹ g_E."""
        others = S[edge].copy()
        others[:, edge] = 0
        return -np.linalg.solve(S[edge, edge], others), np.linalg.solve(S[edge, edge], g[:, edge].T)

    ends = np.cumsum([0, r[1] - 1, r[1] - 1, r[0] - 1, r[0] - 1])
    # S_EE is the same for opposite edges: a cell is symmetric.
    bottom, top, left, right = (weights(slice(a, b)) for a, b in pairwise(ends))
    return NodalCell(
        stiffness=S,
        moments=g,
        inside=np.ascontiguousarray(extension.T),
        load_inside=bubbles(one, h, load[None][:, :, layout.interior])[0].T.copy(),
        upright=EdgeMatrices(right[0], left[0], right[1], left[1]),
        level=EdgeMatrices(top[0], bottom[0], top[1], bottom[1]),
        hats=bilinear_hats(r).reshape(4, -1)[:, layout.boundary],
    )


@dataclass(frozen=True)
class ReactionCell:
    r"""A cell of r = (ry, rx) Q1 sub-cells with sides (aspect, 1), condensed for all reactions κ at once.

    Its operator is K + κ M, with the stiffness and the mass matrix for coefficients 1. The eigenvectors X of
    :math:`K_{II} X = M_{II} X \Lambda` at the inner nodes, :math:`X^T M_{II} X = 1`, give
    :math:`(K_{II} + \kappa M_{II})^{-1} = X (\Lambda + \kappa)^{-1} X^T` for every κ ≥ 0.

    Attributes
    ----------
    stiffness, mass : (n, n) K and M at the boundary nodes, in the order of :class:`Cell`.
    couplings : (2, n, inner nodes) K_BI X and M_BI X.
    eigenvalues : (inner nodes,) Λ.
    vectors : (inner nodes, inner nodes) X.
    loads : (p, n) moments of the load's basis functions with the boundary nodes, nothing condensed.
    inner_loads : (p, inner nodes) those with the inner nodes, times X.
    hats : (4, n) the bilinear functions of the four corners at the boundary nodes.
    edges : where bottom, top, left and right are among the n.
    """

    stiffness: np.ndarray
    mass: np.ndarray
    couplings: np.ndarray
    eigenvalues: np.ndarray
    vectors: np.ndarray
    loads: np.ndarray
    inner_loads: np.ndarray
    hats: np.ndarray
    edges: tuple[slice, slice, slice, slice]


@lru_cache(maxsize=16)
def reaction_cell(r: tuple[int, int], aspect: float = 1.0, q: tuple[int, int] = (1, 1)) -> ReactionCell:
    """Condense a cell of Q1 sub-cells for all reactions.

    Parameters
    ----------
    r : (ry, rx) sub-cells.
    aspect : height of the cell over its width.
    q : (qy, qx) parts of the cell on which loads are bilinear.

    Returns
    -------
    ReactionCell, kept for later calls.

    Examples
    --------
    >>> c = reaction_cell((4, 4))
    >>> K0, K1 = c.couplings[0], nodal_cell((4, 4)).stiffness
    >>> bool(np.allclose(c.stiffness - K0 / c.eigenvalues @ K0.T, K1))  # κ = 0
    True
    """
    layout, one, size = CellLayout(r), np.ones((1, 1)), (aspect, 1.0)
    K, M = (assemble(integrals(one, r, size)).toarray() for integrals in (element_matrices, mass_elements))
    boundary, inner = layout.boundary, layout.interior
    eigenvalues, X = eigh(K[np.ix_(inner, inner)], M[np.ix_(inner, inner)])
    load = np.stack([mass_apply(hat, size).ravel() for hat in _part_hats(q, r)])
    a, b, c, d = pairwise(np.cumsum([0, r[1] - 1, r[1] - 1, r[0] - 1, r[0] - 1]).tolist())
    return ReactionCell(
        stiffness=K[np.ix_(boundary, boundary)],
        mass=M[np.ix_(boundary, boundary)],
        couplings=np.stack([A[np.ix_(boundary, inner)] @ X for A in (K, M)]),
        eigenvalues=eigenvalues,
        vectors=X,
        loads=load[:, boundary],
        inner_loads=load[:, inner] @ X,
        hats=bilinear_hats(r).reshape(4, -1)[:, boundary],
        edges=(slice(*a), slice(*b), slice(*c), slice(*d)),
    )


def _part_hats(q: tuple[int, int], r: tuple[int, int]) -> np.ndarray:
    """Bilinear hats of q parts of a cell at the nodes of r sub-cells: ((qy+1)(qx+1), ry+1, rx+1)."""
    lines = [
        [np.interp(np.arange(n + 1) / n, np.arange(p + 1) / p, unit) for unit in np.eye(p + 1)]
        for p, n in zip(q, r, strict=True)
    ]
    return np.stack([np.outer(y, x) for y in lines[0] for x in lines[1]])
