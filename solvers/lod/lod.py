r"""Localized orthogonal decomposition (LOD) on nested tensor grids (numpy/scipy).

Corrected basis functions :math:`\psi_z = \phi_z - C\phi_z`, where the correctors solve, for every coarse cell
T and hat :math:`\phi`, the problem :math:`a(q, w) = a(\phi, w)_T` in the kernel of I_H on the patch of k
layers around T (Målqvist & Peterseim, Math. Comp. 83 (2014) 2583; Henning & Peterseim, Multiscale Model.
Simul. 11 (2013) 1149; practical aspects: Engwer, Henning, Målqvist & Peterseim, arXiv 1602.01658). The energy
error is O(H) for every bounded coefficient once k ~ log(1/H).
"""

from __future__ import annotations

from typing import cast

import numpy as np
import scipy.sparse as sp

from ...errors import GridMismatch, InvalidProblem
from ...number_checks import is_whole
from ..direct import DirichletSystem
from ..load import Load
from ..nesting import Nesting
from ..nodal import Function, nodal_values
from ..space import Cells
from ..substructuring.condensation import CellLayout, Condensed, bubbles, condense
from ..threads import one_blas_thread
from ..transfer import restrict
from ..windows import stiffness_apply
from .all_patches import solve_patches, threads
from .basis import coarse_matrix, corrected_hats, fine_basis, fine_field, gather_cells
from .cost import Estimate, estimate
from .loads import condensed_loads, hat_loads, mass_loads
from .quasi_interpolation import cell_projections
from .response import bilinear_corners, boundary_response, load_response

VARIANTS = ("galerkin", "petrov-galerkin")
INTERPOLATIONS = ("plain", "weighted")


class LOD:
    """LOD for −div(a∇u) = f on a rectangle, u = g on the boundary.

    Parameters
    ----------
    A : (my, mx) positive cell values of the coefficient, row 0 at the lowest y; the raster divides ``n``.
    N : coarse cells, a number or (Ny, Nx), at least 2.
    n : fine cells, a number or (ny, nx); a multiple of ``N``, at least 2 fine cells per coarse cell.
    layers : k ≥ 1, coarse layers around a cell in its patch.
    variant : "galerkin" (corrected test functions; symmetric, robust at high contrast) or "petrov-galerkin"
        (plain coarse test functions).
    rhs_correctors : add the part of the solution in the kernel of I_H that comes from f. Loads that are
        bilinear on every coarse cell cost nothing online; others one more pass over the patches.
    workers : threads of the offline part; ``None``: as many as there are cores.
    size : (Ly, Lx) of the rectangle.
    interpolation : I_H, "plain" or "weighted" by the coefficient. Weighted correctors decay along channels of high
        contrast, where plain ones do not; take ``rhs_correctors`` with it, since more of the solution lies in
        the kernel of I_H. For isolated inclusions plain is better.

    Attributes
    ----------
    nesting : coarse and fine space.
    layers : k, at most as many as reach another cell.

    Raises
    ------
    GridMismatch
        If n, N and the raster are not nested, or too few.
    InvalidProblem
        If ``layers``, ``variant`` or ``interpolation`` is none of these, or A is not finite.
    NotCoercive
        If A is not positive.

    Examples
    --------
    >>> lod = LOD(np.ones((4, 4)), 4, 16, layers=2)
    >>> u = lod.assemble().solve(1.0)
    >>> u.shape, round(float(u.max()), 3)
    ((17, 17), 0.074)
    """

    def __init__(
        self,
        A: np.ndarray,
        N: Cells,
        n: Cells,
        layers: int = 2,
        variant: str = "galerkin",
        rhs_correctors: bool = False,
        workers: int | None = None,
        size: tuple[float, float] = (1.0, 1.0),
        interpolation: str = "plain",
    ):
        self.nesting = Nesting.of(N, n, size)
        coarse, fine = self.nesting.coarse, self.nesting.fine
        for name, value, known in (("variant", variant, VARIANTS), ("interpolation", interpolation, INTERPOLATIONS)):
            if value not in known:
                raise InvalidProblem(f"{name} must be one of {', '.join(known)}, not {value!r}.")
        if not is_whole(layers) or layers < 1:
            raise InvalidProblem(f"layers must be a whole number ≥ 1, not {layers!r}; one cell alone has no corrector.")
        if min(coarse.cells) < 2 or min(self.nesting.ratio) < 2:
            raise GridMismatch(
                f"N={coarse.cells} and n={fine.cells}: LOD needs at least 2 coarse cells, and 2 fine cells per coarse "
                "cell, in both directions."
            )
        self.layers = min(layers, max(coarse.cells) - 1)  # more layers reach no further cell
        self.variant, self.rhs_correctors, self.workers = variant, rhs_correctors, workers
        self.interpolation = interpolation
        self._a = self.nesting.fine_coefficient(A)
        self._cells: Condensed | None = None  # None until the offline part is complete
        self._basis: sp.csc_matrix | None = None
        self._correctors = self._bubbles = np.empty(0)
        self._system = DirichletSystem(sp.csr_matrix((coarse.free.size,) * 2), coarse.free)

    @one_blas_thread
    def assemble(self, progress: bool = False) -> LOD:
        """Run the offline part: solve all patches, assemble the coarse matrix and (Galerkin) the basis.

        Parameters
        ----------
        progress : show a bar over the rows of patches.

        Returns
        -------
        LOD
            The object itself.

        Raises
        ------
        SolverFailure
            If the contrast is too high for double precision.
        """
        (Ny, Nx), k, layout = self.nesting.coarse.cells, self.layers, CellLayout(self.nesting.ratio)
        q, inner = len(layout.boundary) + 4, len(layout.interior)
        cells = Condensed(np.zeros((Ny, Nx, q, q)), np.zeros((Ny, Nx, q, inner)), np.zeros((Ny, Nx, 4)))
        loads = 8 if self.rhs_correctors else 4
        self._correctors = np.zeros((Ny, Nx, loads, 2 * k + 1, 2 * k + 1, q))
        self._bubbles = np.zeros((Ny, Nx, loads - 4, inner))
        self._offline(cells, np.ones((Ny, Nx), bool), np.ones((Ny, Nx), bool), progress)
        return self

    @one_blas_thread
    def update(self, A_new: np.ndarray, progress: bool = False) -> int:
        """Change the coefficient; only patches in which it changed are computed again.

        Parameters
        ----------
        A_new : (my, mx) positive cell values; any raster that divides ``n``.
        progress : show a bar over the rows of patches.

        Returns
        -------
        int
            Number of patches computed; all of them if ``assemble`` has not run.

        Raises
        ------
        GridMismatch, InvalidProblem, NotCoercive, SolverFailure
            As the constructor and ``assemble``.
        """
        a = self.nesting.fine_coefficient(A_new)
        if self._cells is None:
            self._a = a
            self.assemble(progress)
            return int(np.prod(self.nesting.coarse.cells))
        changed = (self.nesting.blocks(a) != self.nesting.blocks(self._a)).any((2, 3))
        if not changed.any():
            return 0
        self._a = a
        width = 2 * self.layers + 1
        patches = np.lib.stride_tricks.sliding_window_view(np.pad(changed, self.layers), (width, width))
        affected = np.asarray(patches.any((2, 3)))
        self._offline(self._cells, changed, affected, progress)
        return int(affected.sum())

    @property
    def basis(self) -> sp.csc_matrix:
        """Corrected coarse basis ψ, sparse (fine nodes, coarse nodes), nodes row-major; made on first use."""
        if self._basis is None:
            cells = self._assembled()
            psi = corrected_hats(self._correctors, self.nesting)
            self._basis = fine_basis(psi, cells, self.nesting, threads(self.workers))
        return self._basis

    @property
    def K(self) -> sp.csr_matrix:
        """Stiffness matrix of the variant over all coarse nodes, row-major, sparse; zero before ``assemble``."""
        return self._system.K

    def solve(self, f: Function = 1.0, g: Function = 0.0) -> np.ndarray:
        """Compute the LOD solution on the fine mesh; runs ``assemble`` first if it has not run.

        Parameters
        ----------
        f : number, callable f(x, y) of arrays, or fine nodal values.
        g : boundary data, likewise; of nodal values those on the boundary count. Data that are linear on every
            coarse edge cost nothing, others a patch problem per coarse cell at the boundary.

        Returns
        -------
        (ny+1, nx+1) fine nodal values.

        Raises
        ------
        InvalidProblem
            If nodal values have another shape.
        SolverFailure
            As ``assemble``.
        """
        boundary, response = self._responses(f, g)
        return self._reconstruct(self._solve_coarse(f, boundary, response), response)

    def solve_coarse(self, f: Function = 1.0, g: Function = 0.0) -> np.ndarray:
        """Compute the coefficients U of the corrected basis.

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
        return self._solve_coarse(f, *self._responses(f, g))

    def reconstruct(self, U: np.ndarray, f: Function | None = None, g: Function | None = None) -> np.ndarray:
        """Evaluate a function of the corrected coarse space on the fine mesh.

        Parameters
        ----------
        U : (Ny+1, Nx+1) coefficients of the corrected basis, boundary nodes included.
        f : load whose correctors are added; needs ``rhs_correctors``.
        g : boundary data whose part that is not linear on the coarse edges is added.

        Returns
        -------
        (ny+1, nx+1) fine nodal values.

        Raises
        ------
        InvalidProblem
            If ``f`` is given without ``rhs_correctors``, or an array has another shape.
        SolverFailure
            As ``assemble``.
        """
        if f is not None and not self.rhs_correctors:
            raise InvalidProblem("reconstruct(U, f) needs LOD(..., rhs_correctors=True); leave f out.")
        U = np.asarray(U, dtype=float)
        if U.shape != self.nesting.coarse.shape:
            raise InvalidProblem(f"U has shape {U.shape}; the coarse nodes are {self.nesting.coarse.shape}.")
        return self._reconstruct(U, self._responses(f, g)[1])

    def estimate(self) -> Estimate:
        """Predict the cost of ``assemble`` before running it.

        Returns
        -------
        Estimate
            Peak memory in bytes, and seconds on one core with compiled kernels; expect a factor 2.

        Examples
        --------
        >>> LOD(np.ones((4, 4)), 32, 512).estimate().seconds < 60
        True
        """
        return estimate(self.nesting, self.layers, 8 if self.rhs_correctors else 4)

    def _assembled(self) -> Condensed:
        if self._cells is None:
            self.assemble()
        return cast(Condensed, self._cells)

    def _offline(self, cells: Condensed, changed: np.ndarray, affected: np.ndarray, progress: bool) -> None:
        """Condense the ``changed`` cells (Ny, Nx), solve the ``affected`` patches, and assemble."""
        self._cells = None  # a failure below must not leave old and new correctors side by side
        nesting, petrov = self.nesting, self.variant == "petrov-galerkin"
        self._condense(cells, changed)
        loads = hat_loads(cells, nesting)
        if self.rhs_correctors:
            loads = np.concatenate([loads, condensed_loads(cells, mass_loads(nesting), nesting)], -1)
        solve_patches(self._correctors, cells, loads, affected, nesting.ratio, self.workers, progress)
        psi = corrected_hats(self._correctors, nesting)
        K = coarse_matrix(psi, cells, nesting, petrov)
        self._system = DirichletSystem(K, nesting.coarse.free, symmetric=not petrov)
        self._basis = None if petrov else fine_basis(psi, cells, nesting, threads(self.workers))
        self._cells = cells

    def _condense(self, cells: Condensed, wanted: np.ndarray) -> None:
        """Condense the ``wanted`` coarse cells (Ny, Nx)."""
        nesting, count = self.nesting, threads(self.workers)
        a = nesting.blocks(self._a)[wanted]
        rows, cells.weights[wanted] = cell_projections(a, self.interpolation == "weighted")
        matrix, extension = condense(a, nesting.fine.spacing, rows, count)
        if wanted.all():
            cells.matrix, cells.extension = matrix.reshape(cells.matrix.shape), extension.reshape(cells.extension.shape)
        else:
            cells.matrix[wanted], cells.extension[wanted] = matrix, extension
        cells.drop_multipliers(nesting.coarse.free)
        if self.rhs_correctors:
            loads = mass_loads(nesting)[:, CellLayout(nesting.ratio).interior]
            self._bubbles[wanted] = bubbles(a, nesting.fine.spacing, loads[None], count)

    def _online(self, loads: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Correctors (Ny, Nx, 1, 2k+1, 2k+1, q) for condensed load vectors (Ny, Nx, q, 1) of the ``wanted`` cells."""
        out = np.zeros((*self.nesting.coarse.cells, 1, *self._correctors.shape[3:]))
        solve_patches(out, self._assembled(), loads, wanted, self.nesting.ratio, self.workers)
        return out

    def _responses(self, f: Function | None, g: Function | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Boundary values at the coarse nodes; fine nodal array of what f and g add to the coarse space."""
        cells, nesting = self._assembled(), self.nesting
        boundary, remainder = nesting.split_boundary(0.0 if g is None else g)
        parts = []
        if remainder.any():
            parts.append(boundary_response(remainder, cells, nesting, self._online))
        if f is not None and self.rhs_correctors:
            values = nodal_values(f, nesting.fine.cells, nesting.fine.size)
            corners = bilinear_corners(values, nesting)
            if corners is None:
                parts.append(load_response(values, self._a, cells, nesting, self._online))
            else:
                inner = np.einsum("yxci,yxc->yxi", self._bubbles, corners)
                parts.append(fine_field(gather_cells(self._correctors[:, :, 4:], corners), inner, cells, nesting))
        return boundary, sum(parts[1:], parts[0]) if parts else None

    def _solve_coarse(self, f: Function, boundary: np.ndarray, response: np.ndarray | None) -> np.ndarray:
        coarse, fine = self.nesting.coarse, self.nesting.fine
        b = Load.of(f, fine.cells, fine.size).vector(fine.cells)
        if response is not None:
            b = b - stiffness_apply(self._a, response, fine.spacing)
        if self.variant == "galerkin":
            F = (self.basis.T @ b.ravel()).reshape(coarse.shape)
        else:
            F = restrict(b, coarse.cells)
        return self._system.solve(F, boundary)

    def _reconstruct(self, U: np.ndarray, response: np.ndarray | None) -> np.ndarray:
        self._assembled()
        u = (self.basis @ U.ravel()).reshape(self.nesting.fine.shape)
        return u if response is None else u + response
