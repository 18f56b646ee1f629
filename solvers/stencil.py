"""Batched symmetric nine-point operators of Q1 elements in torch.

Owns the torch twins of ``q1``: element matrices of scalar and of tensor coefficients, their assembly, the mass
matrix.

An operator on ``(ny+1, nx+1)`` nodes is stored as the five distinct diagonals of its symmetric stencil, so that
applying it is nine fused multiply-adds on whole arrays, on any device and for any batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .linalg import apply_x, apply_y
from .medium import Medium, as_medium, repeated
from .q1 import SYMMETRIC_PAIRS, element_mass, overlap_matrices, overlap_slopes, reference_matrices
from .robin import Sides, add_sides, edge_weights
from .space import EDGES
from .tensor_medium import entries_of


@dataclass(frozen=True)
class Stencil:
    """Couplings of every node with itself and with its neighbours; leading dimensions are the batch.

    Node C is (iy, ix)::

        iy+1  ·────────·
              │╲ NW  ╱ │
            N │   ╳    │
              │╱    NE │
         iy   C── E ───·
              ix     ix+1

    Attributes
    ----------
    C : (..., ny+1, nx+1) the diagonal.
    E : (..., ny+1, nx) node (iy, ix) with (iy, ix+1).
    N : (..., ny, nx+1) node (iy, ix) with (iy+1, ix).
    NE : (..., ny, nx) node (iy, ix) with (iy+1, ix+1).
    NW : (..., ny, nx) node (iy, ix+1) with (iy+1, ix).
    """

    C: Tensor
    E: Tensor
    N: Tensor
    NE: Tensor
    NW: Tensor

    @staticmethod
    def from_elements(K: Tensor) -> Stencil:
        """Assemble element matrices.

        Parameters
        ----------
        K : (..., 10, ny, nx) in the order of ``SYMMETRIC_PAIRS``.

        Returns
        -------
        Operator on (..., ny+1, nx+1) nodes, without boundary conditions.
        """
        k = dict(zip(SYMMETRIC_PAIRS, K.unbind(-3), strict=True))
        C = (
            F.pad(k[0, 0], (0, 1, 0, 1))
            + F.pad(k[1, 1], (1, 0, 0, 1))
            + F.pad(k[2, 2], (0, 1, 1, 0))
            + F.pad(k[3, 3], (1, 0, 1, 0))
        )
        E = F.pad(k[0, 1], (0, 0, 0, 1)) + F.pad(k[2, 3], (0, 0, 1, 0))
        N = F.pad(k[0, 2], (0, 1, 0, 0)) + F.pad(k[1, 3], (1, 0, 0, 0))
        return Stencil(C, E, N, k[0, 3].contiguous(), k[1, 2].contiguous())

    def to(self, dtype: torch.dtype) -> Stencil:
        """Copy in another floating-point type ``dtype``."""
        return Stencil(*(t.to(dtype) for t in (self.C, self.E, self.N, self.NE, self.NW)))

    def plus(self, other: Stencil) -> Stencil:
        """Add another operator on the same nodes."""
        mine, others = ((s.C, s.E, s.N, s.NE, s.NW) for s in (self, other))
        return Stencil(*(a + b for a, b in zip(mine, others, strict=True)))

    def with_sides(self, weights: Sides) -> Stencil:
        """Add the boundary mass matrix of Robin sides, of ``weights`` as of ``robin.edge_weights``."""
        C, E, N = self.C.clone(), self.E.clone(), self.N.clone()
        for edge, couplings, weight in zip(EDGES.values(), (E, N, E, N), weights, strict=True):
            line = C[edge]
            line[..., :-1] += 2 * weight
            line[..., 1:] += 2 * weight
            couplings[edge] += weight
        return Stencil(C, E, N, self.NE, self.NW)

    def for_several(self) -> Stencil:
        """Insert an axis of length 1 after the first, so that one operator acts on several fields of each batch entry.

        Returns
        -------
        Operator for fields (B, K, ny+1, nx+1) with any K, where this one is for (B, ny+1, nx+1).
        """
        return Stencil(*(t.unsqueeze(1) for t in (self.C, self.E, self.N, self.NE, self.NW)))

    def apply(self, u: Tensor) -> Tensor:
        """Multiply with fields u (..., ny+1, nx+1), without any boundary condition; the result has their shape."""
        y = self.C * u
        y[..., :, :-1].addcmul_(self.E, u[..., :, 1:])
        y[..., :, 1:].addcmul_(self.E, u[..., :, :-1])
        y[..., :-1, :].addcmul_(self.N, u[..., 1:, :])
        y[..., 1:, :].addcmul_(self.N, u[..., :-1, :])
        y[..., :-1, :-1].addcmul_(self.NE, u[..., 1:, 1:])
        y[..., 1:, 1:].addcmul_(self.NE, u[..., :-1, :-1])
        y[..., :-1, 1:].addcmul_(self.NW, u[..., 1:, :-1])
        y[..., 1:, :-1].addcmul_(self.NW, u[..., :-1, 1:])
        return y

    def row_sum_bound(self) -> Tensor:
        """Return Gershgorin's bound on the largest eigenvalue of D^-1 A, a scalar for the whole batch."""
        off = torch.zeros_like(self.C)
        for t, (sy, sx) in ((self.E, (0, 1)), (self.N, (1, 0)), (self.NE, (1, 1))):
            ny, nx = t.shape[-2:]
            off[..., :ny, :nx] += t.abs()
            off[..., sy : sy + ny, sx : sx + nx] += t.abs()
        off[..., :-1, 1:] += self.NW.abs()
        off[..., 1:, :-1] += self.NW.abs()
        return 1 + (off / self.C).amax()


def galerkin_elements(A: Tensor | Medium, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Integrate element matrices exactly: the torch twin of :func:`ngs_nhcsr.solvers.q1.element_matrices`.

    Parameters
    ----------
    A : (..., my, mx) coefficient cell values, or the media, whose reaction and Robin sides are added.
    cells : (ny, nx) cells of the mesh; the two grids need not be nested.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    (..., 10, ny, nx) the distinct entries, in the order of ``SYMMETRIC_PAIRS``.

    Examples
    --------
    >>> round(float(galerkin_elements(torch.ones(4, 4, dtype=torch.float64), (2, 2))[0, 0, 0]), 12)
    0.666666666667
    """
    mass, (values, yy, xy) = mass_part(as_medium(A), cells, size), entries_of(A)
    if mass is not None:
        return galerkin_elements(as_medium(A).diffusion(), cells, size) + mass
    ny, nx = cells
    my, mx = values.shape[-2:]
    Ly, Lx = size
    if ny % my == 0 and nx % mx == 0:
        Kxx, Kyy, _ = reference_matrices(Ly / ny, Lx / nx)
        if xy is None:
            return _multiples(repeated(values, cells), Kxx + Kyy)
        xx, yy, xy = (repeated(k, cells) for k in (values, yy, xy))
        return tensor_elements(xx, yy, xy, Ly / ny, Lx / nx)
    Dy, My = (values.new_tensor(M.toarray()) for M in overlap_matrices(ny, my))
    Dx, Mx = (values.new_tensor(M.toarray()) for M in overlap_matrices(nx, mx))
    K = apply_x(Dx, apply_y(My, values)) * (Ly / Lx) + apply_x(Mx, apply_y(Dy, yy)) * (Lx / Ly)
    elements = _of_pairs(K, cells)
    return elements if xy is None else elements + _mixed_elements(xy, cells)


def mass_part(medium: Medium, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> Tensor | None:
    """Integrate the element matrices of what does not differentiate u: reactions and Robin sides.

    Parameters
    ----------
    medium : the media, torch.
    cells : (ny, nx) cells of the mesh.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    (..., 10, ny, nx) the distinct entries, in the order of ``SYMMETRIC_PAIRS``; ``None`` where there is none of them.
    """
    c: Any = medium.reaction
    mass = None if c is None else mass_elements(c, cells, size)
    if medium.robin is None:
        return mass
    if mass is None:
        xx = entries_of(medium)[0]
        mass = xx.new_zeros(*xx.shape[:-2], 10, *cells)
    add_sides(mass, edge_weights(medium.robin, cells, size))
    return mass


def mass_elements(c: Tensor, cells: tuple[int, int], size: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Integrate the element matrices of reactions: the torch twin of :func:`ngs_nhcsr.solvers.q1.mass_elements`.

    Parameters
    ----------
    c : (..., py, px) cell values.
    cells : (ny, nx) cells of the mesh; the two grids need not be nested.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    (..., 10, ny, nx) the distinct entries, in the order of ``SYMMETRIC_PAIRS``.
    """
    (ny, nx), (py, px) = cells, c.shape[-2:]
    if ny % py == 0 and nx % px == 0:
        return _multiples(repeated(c, cells), element_mass(size[0] / ny, size[1] / nx))
    (_, My), (_, Mx) = overlap_matrices(ny, py), overlap_matrices(nx, px)
    My, Mx = (c.new_tensor(M.toarray()) for M in (My, Mx))
    return _of_pairs(apply_x(Mx, apply_y(My, c)) * (size[0] * size[1]), cells)


def _multiples(a: Tensor, matrix: np.ndarray) -> Tensor:
    """Element matrices (..., 10, ny, nx) that are multiples a (..., ny, nx) of one."""
    entries = [float(matrix[i, j]) for i, j in SYMMETRIC_PAIRS]
    return a.unsqueeze(-3) * a.new_tensor(entries).view(10, 1, 1)


def _mixed_elements(a: Tensor, cells: tuple[int, int]) -> Tensor:
    """Integrals (..., 10, ny, nx) of a (∂xφ_i ∂yφ_j + ∂yφ_i ∂xφ_j): the torch twin of that in ``q1``."""
    Ty, Tx = (a.new_tensor(overlap_slopes(n, m).toarray()) for n, m in zip(cells, a.shape[-2:], strict=True))
    M = apply_x(Tx, apply_y(Ty, a)).unflatten(-2, (cells[0], 4)).unflatten(-1, (cells[1], 4))
    out = []
    for i, j in SYMMETRIC_PAIRS:
        (iy, ix), (jy, jx) = divmod(i, 2), divmod(j, 2)
        out.append(M[..., 2 * jy + iy, :, 2 * ix + jx] + M[..., 2 * iy + jy, :, 2 * jx + ix])
    return torch.stack(out, -3)


def _of_pairs(K: Tensor, cells: tuple[int, int]) -> Tensor:
    """Element matrices (..., 10, ny, nx) from the integrals (..., 3 ny, 3 nx) of products of 1-D functions."""
    K = K.unflatten(-2, (cells[0], 3)).unflatten(-1, (cells[1], 3))  # (..., ny, 3, nx, 3)
    pair = {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}
    return torch.stack([K[..., pair[i // 2, j // 2], :, pair[i % 2, j % 2]] for i, j in SYMMETRIC_PAIRS], -3)


def aligned_stencil(A: Tensor | Medium, cells: tuple[int, int], size: tuple[float, float]) -> tuple[Stencil, bool]:
    """Return the operator on a mesh whose cells divide those of the raster.

    The same as ``Stencil.from_elements(galerkin_elements(A, cells, size))`` at a fifth of the cost.

    Parameters
    ----------
    A : (B, my, mx) coefficient cell values, or the media, whose reaction and Robin sides are added.
    cells : (ny, nx) cells of the mesh, multiples of (my, mx).
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    Operator on (B, ny+1, nx+1) nodes, without boundary conditions; whether none of its couplings is positive.

    Examples
    --------
    >>> stencil, monotone = aligned_stencil(torch.ones(1, 2, 2), (4, 4), (1.0, 1.0))
    >>> round(float(stencil.C[0, 2, 2]), 6), round(float(stencil.NE[0, 0, 0]), 6), monotone
    (2.666667, -0.333333, True)
    """
    medium = as_medium(A)
    c: Any = medium.reaction
    if medium.robin is not None:
        stencil, _ = aligned_stencil(medium.with_robin(None), cells, size)
        return stencil.with_sides(edge_weights(medium.robin, cells, size)), False
    if not medium.isotropic:
        return Stencil.from_elements(galerkin_elements(medium, cells, size)), False
    values = medium.values
    if c is not None:
        stencil, _ = aligned_stencil(Medium(values), cells, size)
        return stencil.plus(Stencil.from_elements(mass_elements(c, cells, size))), False
    ny, nx = cells
    Kxx, Kyy, _ = reference_matrices(size[0] / ny, size[1] / nx)
    diagonal, along_x, along_y, across = (float(v) for v in (Kxx + Kyy)[0])
    a = F.pad(repeated(values, cells), (1, 1, 1, 1))
    rows = a[..., :-1, :] + a[..., 1:, :]
    columns = a[..., 1:-1, :-1] + a[..., 1:-1, 1:]
    inner = across * a[..., 1:-1, 1:-1]
    nodes = rows[..., :-1] + rows[..., 1:]
    stencil = Stencil(diagonal * nodes, along_x * rows[..., 1:-1], along_y * columns, inner, inner)
    return stencil, max(along_x, along_y, across) <= 0


def tensor_elements(kxx: Tensor, kyy: Tensor, kxy: Tensor, hy: float, hx: float, hourglass: float = 1.0) -> Tensor:
    """Return the element matrices of a cellwise-constant symmetric tensor coefficient.

    Parameters
    ----------
    kxx : (..., ny, nx) entry xx of the tensor.
    kyy : (..., ny, nx) entry yy.
    kxy : (..., ny, nx) entry xy.
    hy : height of a cell.
    hx : width of a cell.
    hourglass : factor of the stiffness of the mode xy. 1 is Q1; with 2, constant isotropic κ on squares and load
        moments with the hats, it is the compact scheme of order 4 (L. Collatz, *The Numerical Treatment of Differential
        Equations*, 1960): values at nodes are off by O(h⁴) instead of O(h²).

    Returns
    -------
    (..., 10, ny, nx) the distinct entries, in the order of ``SYMMETRIC_PAIRS``.
    """
    Kxx, Kyy, Kxy = reference_matrices(hy, hx)
    bilinear = np.array([1.0, -1.0, -1.0, 1.0])
    added = (hourglass - 1) / 12 * np.outer(bilinear, bilinear)
    parts = [
        np.array([M[i, j] for i, j in SYMMETRIC_PAIRS]) for M in (Kxx + hy / hx * added, Kyy + hx / hy * added, Kxy)
    ]
    return sum(
        (k.unsqueeze(-3) * k.new_tensor(p).view(10, 1, 1) for k, p in zip((kxx, kyy, kxy), parts, strict=True)),
        torch.zeros((), dtype=kxx.dtype, device=kxx.device),
    )


def apply_mass(f: Tensor, size: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Multiply nodal values with the Q1 mass matrix: the torch twin of :func:`ngs_nhcsr.solvers.q1.mass_apply`.

    Parameters
    ----------
    f : (..., ny+1, nx+1) nodal values.
    size : (Ly, Lx) side lengths of the rectangle.

    Returns
    -------
    (..., ny+1, nx+1) moments with the hat functions of all nodes.
    """
    for dim, length in ((-1, size[1]), (-2, size[0])):
        v = f.movedim(dim, -1)
        inner = v[..., :-2] + 4 * v[..., 1:-1] + v[..., 2:]
        first, last = 2 * v[..., :1] + v[..., 1:2], v[..., -2:-1] + 2 * v[..., -1:]
        f = (torch.cat([first, inner, last], -1) * (length / (v.shape[-1] - 1) / 6)).movedim(-1, dim)
    return f
