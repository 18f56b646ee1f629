"""Multiscale finite element method (MsFEM) with oversampling on nested tensor grids (numpy/scipy).

Hou & Wu, J. Comput. Phys. 134 (1997) 169 (linear boundary data, oversampling); Hou, Wu & Zhang, Commun. Math.
Sci. 2 (2004) 185 (Petrov-Galerkin, which removes the cell resonance); Henning & Peterseim, Multiscale Model.
Simul. 11 (2013) 1149 (analysis of oversampling).
"""

from __future__ import annotations

import logging

import numpy as np
import scipy.sparse as sp

from ...errors import GridMismatch, InvalidProblem
from ..direct import DirichletSystem
from ..load import Load
from ..nesting import Nesting
from ..nodal import Function, nodal_values
from ..q1 import stiffness
from ..space import Cells
from ..transfer import restrict
from ..windows import bilinear_hats, corner_nodes, stiffness_apply
from .local import cell_functions, element_matrices, harmonic_lift

log = logging.getLogger(__name__)

VARIANTS = ("galerkin", "petrov-galerkin", "averaged")


class MsFEM:
    """MsFEM for −div(a∇u) = f on a rectangle, u = g on the boundary.

    The basis, its matrix and the local problems are computed at construction; the factor of the matrix is kept.

    Parameters
    ----------
    A : (my, mx) positive cell values of the coefficient, row 0 at the lowest y; the raster divides ``n``.
    N : coarse cells, a number or (Ny, Nx).
    n : fine cells, a number or (ny, nx); a multiple of ``N``.
    oversampling : margin of the local problems in coarse cells, 0 (linear boundary data) or more; a whole
        number of fine cells.
    variant : "galerkin" (element by element, non-conforming if oversampled), "petrov-galerkin" (bilinear test
        functions) or "averaged" (Galerkin with the conforming basis that nodal averages of the oversampled
        functions give; the most robust one).
    size : (Ly, Lx) of the rectangle.

    Attributes
    ----------
    basis : sparse (fine nodes, coarse nodes), nodes row-major; conforming: averaged at nodes shared by coarse cells.
        Boundary nodes included; all columns add up to 1.
    nesting : coarse and fine space.

    Raises
    ------
    GridMismatch
        If n, N and the raster are not nested, or the margin is no whole number of fine cells.
    InvalidProblem
        If ``variant`` or ``oversampling`` is none of these, or A is not finite.
    NotCoercive
        If A is not positive.
    SolverFailure
        If a local problem cannot be solved, or oversampled functions are dependent at the corners of their cell.

    Examples
    --------
    >>> u = MsFEM(np.ones((4, 4)), 4, 16).solve(1.0)
    >>> u.shape, round(float(u.max()), 3)
    ((17, 17), 0.078)
    """

    def __init__(
        self,
        A: np.ndarray,
        N: Cells,
        n: Cells,
        oversampling: float = 0,
        variant: str = "galerkin",
        size: tuple[float, float] = (1.0, 1.0),
    ):
        if variant not in VARIANTS:
            raise InvalidProblem(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}.")
        self.nesting = Nesting.of(N, n, size)
        self.oversampling, self.variant = oversampling, variant
        self._a = self.nesting.fine_coefficient(A)
        margin = _margin(oversampling, self.nesting.ratio)
        cells = list(np.ndindex(*self.nesting.coarse.cells))
        # Functions on each cell; (Ny Nx, 4, ry+1, rx+1), not yet averaged.
        self._functions = np.stack([cell_functions(self._a, self.nesting, cell, margin) for cell in cells])
        self._corners = corner_nodes(self.nesting.coarse.cells)
        self.basis = self._average()
        symmetric = variant != "petrov-galerkin"
        self._system = DirichletSystem(self._matrix(), self.nesting.coarse.free, symmetric=symmetric)
        log.info("MsFEM basis of %d cells with oversampling %g", len(cells), oversampling)

    @property
    def K(self) -> sp.csr_matrix:
        """Stiffness matrix of the variant over all coarse nodes, row-major, sparse (coarse nodes, coarse nodes)."""
        return self._system.K

    def solve(self, f: Function = 1.0, g: Function = 0.0) -> np.ndarray:
        """Compute the MsFEM solution on the fine mesh, with the conforming basis.

        Parameters
        ----------
        f : number, callable f(x, y) of arrays, or fine nodal values.
        g : boundary data, likewise; of nodal values those on the boundary count. What is not linear on the coarse
            edges enters by its a-harmonic extension to the coarse cells at the boundary.

        Returns
        -------
        (ny+1, nx+1) fine nodal values.

        Raises
        ------
        InvalidProblem
            If nodal values have another shape.
        SolverFailure
            If the extension of the boundary data cannot be computed.
        """
        boundary, lift = self._boundary(g)
        u = self.reconstruct(self._solve_coarse(f, boundary, lift))
        return u if lift is None else u + lift

    def solve_coarse(self, f: Function = 1.0, g: Function = 0.0) -> np.ndarray:
        """Compute the coefficients U of the basis.

        Parameters
        ----------
        f : load, as for ``solve``.
        g : boundary data, as for ``solve``.

        Returns
        -------
        (Ny+1, Nx+1)

        Raises
        ------
        InvalidProblem, SolverFailure
            As ``solve``.
        """
        return self._solve_coarse(f, *self._boundary(g))

    def reconstruct(self, U: np.ndarray) -> np.ndarray:
        """Evaluate a function of the multiscale space at the fine nodes.

        Parameters
        ----------
        U : (Ny+1, Nx+1) coefficients of the basis, boundary nodes included.

        Returns
        -------
        (ny+1, nx+1) fine nodal values.
        """
        return (self.basis @ np.asarray(U, dtype=float).ravel()).reshape(self.nesting.fine.shape)

    def _boundary(self, g: Function) -> tuple[np.ndarray, np.ndarray | None]:
        """Boundary values at the coarse nodes, and the extension (ny+1, nx+1) of what they leave over."""
        coarse, remainder = self.nesting.split_boundary(g)
        return coarse, harmonic_lift(remainder, self._a, self.nesting) if remainder.any() else None

    def _solve_coarse(self, f: Function, boundary: np.ndarray, lift: np.ndarray | None) -> np.ndarray:
        values = nodal_values(f, self.nesting.fine.cells, self.nesting.fine.size)
        return self._system.solve(self._load(values, lift), boundary)

    def _load(self, f: np.ndarray, lift: np.ndarray | None) -> np.ndarray:
        """Coarse load vector (Ny+1, Nx+1) of nodal values f, minus that of the lifted boundary data."""
        nesting = self.nesting
        coarse, fine = nesting.coarse, nesting.fine
        if self.variant == "galerkin":  # the functions jump between cells, so the load is a sum over cells
            loads = nesting.cell_loads(nesting.node_blocks(f)).reshape(len(self._functions), -1)
            if lift is not None:
                flux = stiffness_apply(nesting.blocks(self._a), nesting.node_blocks(lift), fine.spacing)
                loads -= flux.reshape(loads.shape)
            local = np.einsum("tqn,tn->tq", self._functions.reshape(*self._functions.shape[:2], -1), loads)
            return np.bincount(self._corners.ravel(), local.ravel(), minlength=coarse.free.size).reshape(coarse.shape)
        b = Load(f, fine.size).vector(fine.cells)
        if lift is not None:
            b -= stiffness_apply(self._a, lift, fine.spacing)
        if self.variant == "petrov-galerkin":
            return restrict(b, coarse.cells)
        return (self.basis.T @ b.ravel()).reshape(coarse.shape)

    def _matrix(self) -> sp.csr_matrix:
        """Stiffness matrix of the variant over all coarse nodes."""
        nesting, fine = self.nesting, self.nesting.fine
        if self.variant == "averaged":
            return sp.csr_matrix(self.basis.T @ (stiffness(self._a, fine.cells, fine.size) @ self.basis))
        trial = self._functions
        test = bilinear_hats(nesting.ratio)[None] if self.variant == "petrov-galerkin" else trial
        blocks = nesting.blocks(self._a).reshape(-1, *nesting.ratio)
        values = element_matrices(trial, test, blocks, fine.spacing)
        rows, cols = np.repeat(self._corners, 4, 1), np.tile(self._corners, (1, 4))
        size = nesting.coarse.free.size
        return sp.csr_matrix((values.ravel(), (rows.ravel(), cols.ravel())), shape=(size, size))

    def _average(self) -> sp.csc_matrix:
        """Conforming basis: at nodes of several cells the mean over these cells."""
        size, shape = self.nesting.coarse.free.size, self.nesting.fine.shape
        nodes = np.arange(shape[0] * shape[1]).reshape(shape)
        rows = self.nesting.node_blocks(nodes).reshape(len(self._functions), 1, -1)
        share = 1 / np.bincount(rows.ravel(), minlength=nodes.size)
        values = self._functions.reshape(*self._functions.shape[:2], -1) * share[rows]
        cols = np.broadcast_to(self._corners[:, :, None], values.shape)
        rows = np.broadcast_to(rows, values.shape)
        basis = sp.csc_matrix((values.ravel(), (rows.ravel(), cols.ravel())), shape=(nodes.size, size))
        basis.eliminate_zeros()
        return basis


def _margin(oversampling: float, ratio: tuple[int, int]) -> tuple[int, int]:
    """Oversampling margin in fine cells (my, mx)."""
    if not np.isfinite(oversampling) or oversampling < 0:
        raise InvalidProblem(f"oversampling must be a finite number of coarse cells ≥ 0, not {oversampling!r}.")
    exact = [oversampling * r for r in ratio]
    if any(abs(e - round(e)) > 1e-9 for e in exact):
        raise GridMismatch(
            f"oversampling={oversampling} is no whole number of fine cells with {ratio} (y, x) fine cells "
            f"per coarse cell; use a multiple of 1/{int(np.gcd(*ratio))}."
        )
    return round(exact[0]), round(exact[1])
