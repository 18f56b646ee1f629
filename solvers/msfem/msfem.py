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
from ..coarse import FreeSystem
from ..fine import Load, nodal_values
from ..lod.boundary import split_boundary
from ..lod.loads import cell_loads
from ..nesting import Cells, Nesting, cell_pair
from ..q1 import mass_apply, stiffness
from ..transfer import restrict
from ..windows import CORNERS, bilinear_hats, stiffness_apply
from .local import cell_functions, element_matrices, harmonic_lift

log = logging.getLogger(__name__)

VARIANTS = ("galerkin", "petrov-galerkin", "averaged")


class MsFEM:
    """MsFEM for −div(a∇u) = f, u = g on the boundary; everything but the data is computed at construction.

    Parameters
    ----------
    A : (my, mx) coefficient cell values; the raster divides ``n``.
    N, n : coarse and fine cells, a number or (ny, nx); ``n`` a multiple of ``N``.
    oversampling : margin of the local problems in coarse cells, 0 (linear boundary data) or more; a whole
        number of fine cells.
    variant : "galerkin" (element by element, non-conforming if oversampled), "petrov-galerkin" (bilinear test
        functions) or "averaged" (Galerkin with the conforming basis that nodal averages of the oversampled
        functions give; the most robust one).
    size : (Ly, Lx) of the rectangle.

    Attributes
    ----------
    basis : sparse (fine nodes, coarse nodes), conforming: averaged at nodes shared by coarse cells. Boundary
        nodes included; all columns add up to 1.
    K : sparse (coarse nodes, coarse nodes) matrix of the variant, nodes row-major.
    nesting : the grids; ``nesting.free`` are the coarse nodes off the boundary.

    Raises
    ------
    GridMismatch, InvalidProblem, NotCoercive, SolverFailure

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
        self.nesting = Nesting(cell_pair(N, "N"), cell_pair(n, "n"), size)
        self.oversampling, self.variant = oversampling, variant
        self._a = a = self.nesting.fine_coefficient(A)
        margin = _margin(oversampling, self.nesting.ratio)
        Ny, Nx = self.nesting.N
        cells = [(y, x) for y in range(Ny) for x in range(Nx)]
        # Functions on each cell; (Ny Nx, 4, ry+1, rx+1), not yet averaged.
        self._functions = np.stack([cell_functions(a, self.nesting, cell, margin) for cell in cells])
        self._corners = _corner_nodes(self.nesting)
        self.basis = self._average()
        self._system = FreeSystem(self._matrix(a), self.nesting.free)
        log.info("MsFEM basis of %d cells with oversampling %g", len(cells), oversampling)

    @property
    def K(self) -> sp.csr_matrix:
        """Matrix of the variant, sparse (coarse nodes, coarse nodes)."""
        return self._system.K

    def solve(self, f: Load = 1.0, g: Load = 0.0) -> np.ndarray:
        """Fine nodal array (ny+1, nx+1), conforming.

        Parameters
        ----------
        f : number, callable f(x, y), or fine nodal values.
        g : boundary data, likewise; of nodal values those on the boundary count. What is not linear on the coarse
            edges enters by its a-harmonic extension to the coarse cells at the boundary.

        Raises
        ------
        InvalidProblem
        """
        boundary, lift = self._boundary(g)
        u = self.reconstruct(self._solve_coarse(f, boundary, lift))
        return u if lift is None else u + lift

    def solve_coarse(self, f: Load = 1.0, g: Load = 0.0) -> np.ndarray:
        """Coarse nodal array U (Ny+1, Nx+1), the coefficients of the basis; arguments as of ``solve``."""
        return self._solve_coarse(f, *self._boundary(g))

    def reconstruct(self, U: np.ndarray) -> np.ndarray:
        """Fine nodal array (ny+1, nx+1) of coefficients ``U`` (Ny+1, Nx+1)."""
        ny, nx = self.nesting.n
        return (self.basis @ np.asarray(U, dtype=float).ravel()).reshape(ny + 1, nx + 1)

    def _boundary(self, g: Load) -> tuple[np.ndarray, np.ndarray | None]:
        """Boundary values at the coarse nodes, and the extension (ny+1, nx+1) of what they leave over."""
        coarse, rest = split_boundary(g, self.nesting)
        return coarse, harmonic_lift(rest, self._a, self.nesting) if rest.any() else None

    def _solve_coarse(self, f: Load, boundary: np.ndarray, lift: np.ndarray | None) -> np.ndarray:
        values = nodal_values(f, self.nesting.n, self.nesting.size)
        return self._system.solve(self._load(values, lift), boundary)

    def _load(self, f: np.ndarray, lift: np.ndarray | None) -> np.ndarray:
        shape, h = self.nesting.free.shape, self.nesting.spacing
        if self.variant == "galerkin":  # the functions jump between cells, so the load is a sum over cells
            fields = self.nesting.node_blocks(f)
            loads = cell_loads(fields, self.nesting).reshape(len(self._functions), -1)
            if lift is not None:
                flux = stiffness_apply(self.nesting.blocks(self._a), self.nesting.node_blocks(lift), h)
                loads -= flux.reshape(loads.shape)
            local = np.einsum("tqn,tn->tq", self._functions.reshape(*self._functions.shape[:2], -1), loads)
            return np.bincount(self._corners.ravel(), local.ravel(), minlength=self.nesting.free.size).reshape(shape)
        b = mass_apply(f, self.nesting.size)
        if lift is not None:
            b -= stiffness_apply(self._a, lift, h)
        return (
            restrict(b, self.nesting.N)
            if self.variant == "petrov-galerkin"
            else (self.basis.T @ b.ravel()).reshape(shape)
        )

    def _matrix(self, a: np.ndarray) -> sp.csr_matrix:
        if self.variant == "averaged":
            return sp.csr_matrix(self.basis.T @ (stiffness(a, self.nesting.n, self.nesting.size) @ self.basis))
        trial = self._functions
        test = bilinear_hats(self.nesting.ratio)[None] if self.variant == "petrov-galerkin" else trial
        blocks = self.nesting.blocks(a).reshape(-1, *self.nesting.ratio)
        values = element_matrices(trial, test, blocks, self.nesting.spacing)
        rows, cols = np.repeat(self._corners, 4, 1), np.tile(self._corners, (1, 4))
        size = self.nesting.free.size
        return sp.csr_matrix((values.ravel(), (rows.ravel(), cols.ravel())), shape=(size, size))

    def _average(self) -> sp.csc_matrix:
        """Conforming basis: at nodes of several cells the mean over these cells."""
        (ny, nx), size = self.nesting.n, self.nesting.free.size
        nodes = np.arange((ny + 1) * (nx + 1)).reshape(ny + 1, nx + 1)
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


def _corner_nodes(nesting: Nesting) -> np.ndarray:
    """Flat coarse nodes of the corners of every coarse cell, (Ny Nx, 4)."""
    Ny, Nx = nesting.N
    nodes = np.arange((Ny + 1) * (Nx + 1)).reshape(Ny + 1, Nx + 1)
    return np.stack([nodes[i : i + Ny, j : j + Nx].ravel() for i, j in CORNERS], 1)
