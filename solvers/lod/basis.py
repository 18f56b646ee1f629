r"""The corrected basis of the LOD from its condensed correctors: coarse matrix and nodal values on the fine mesh.

A corrected basis function :math:`\psi_z = \phi_z - C\phi_z` is kept on every cell T of its window (the
(2k+2)^2 cells around the coarse node z) as a *cell vector* :math:`\Psi = (\psi_B, \mu)` of length q: its values
:math:`\psi_B` at the boundary nodes of T, in the order of ``CellLayout``, then four multipliers :math:`\mu`, one for
each corner. Its interior values are :math:`W\Psi`. With the condensed matrix M of T (blocks S, G, D, see
``condensation``) and a coarse hat :math:`\phi` with the values :math:`w` of the constraints (``Condensed.weights``),

.. math:: a(\psi, \chi)_T = \psi_B^T S \chi_B + \mu^T D \nu, \qquad
          a(\psi, \phi)_T = (\psi_B^T S + \mu^T G)\phi_B - \mu^T w.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ..backend import compiled
from ..kernels.workers import Workers
from ..nesting import Nesting
from ..substructuring.condensation import CellLayout, Condensed
from ..threads import one_blas_thread
from ..windows import CORNERS, corner_nodes
from .loads import hat_loads


def corrected_hats(correctors: np.ndarray, nesting: Nesting) -> np.ndarray:
    """Sum the element correctors of every coarse hat, and subtract them from it.

    Parameters
    ----------
    correctors : (Ny, Nx, ≥ 4, 2k+1, 2k+1, q) cell vectors of the correctors of the four hats of every coarse cell,
        on the patch around it.
    nesting : coarse and fine space.

    Returns
    -------
    (Ny+1, Nx+1, 2k+2, 2k+2, q) cell vectors of ψ_z; entry [z, w] belongs to the coarse cell z − (k+1) + w.
    """
    Ny, Nx = nesting.coarse.cells
    width, q = correctors.shape[3], correctors.shape[-1]
    hats = CellLayout(nesting.ratio).hats
    psi = np.zeros((Ny + 1, Nx + 1, width + 1, width + 1, q))
    for dy, dx in CORNERS:  # the cell z - 1 + d has z as its corner 1 - d
        corner = CORNERS.index((1 - dy, 1 - dx))
        nodes = psi[1 - dy : 1 - dy + Ny, 1 - dx : 1 - dx + Nx]
        nodes[:, :, dy : dy + width, dx : dx + width] -= correctors[:, :, corner]
        nodes[:, :, width // 2 + dy, width // 2 + dx, : hats.shape[1]] += hats[corner]
    return psi


def _overlaps(T: int, width: int, N: int) -> list[tuple[int, int]]:
    """Pairs (coarse node, window offset) along one direction whose windows contain the cell ``T``."""
    k = width // 2 - 1
    return [(T + k + 1 - w, w) for w in range(width) if 0 <= T + k + 1 - w <= N]


def functions_on(psi: np.ndarray, Ty: int, Tx: int) -> tuple[np.ndarray, np.ndarray]:
    """Collect the basis functions that do not vanish on one coarse cell.

    Parameters
    ----------
    psi : (Ny+1, Nx+1, 2k+2, 2k+2, q) from :func:`corrected_hats`.
    Ty : row of the coarse cell.
    Tx : column of the coarse cell.

    Returns
    -------
    nodes : (c,) row-major coarse nodes of the functions.
    vectors : (c, q) their cell vectors.
    """
    Ny, Nx, width = psi.shape[0] - 1, psi.shape[1] - 1, psi.shape[2]
    zy, wy = (np.array(v)[:, None] for v in zip(*_overlaps(Ty, width, Ny), strict=True))
    zx, wx = (np.array(v)[None, :] for v in zip(*_overlaps(Tx, width, Nx), strict=True))
    return (zy * (Nx + 1) + zx).ravel(), psi[zy, zx, wy, wx].reshape(-1, psi.shape[-1])


def coarse_matrix(psi: np.ndarray, cells: Condensed, nesting: Nesting, petrov: bool) -> sp.csr_matrix:
    """Assemble the stiffness matrix of the corrected basis from the condensed cells.

    Parameters
    ----------
    psi : (Ny+1, Nx+1, 2k+2, 2k+2, q) from :func:`corrected_hats`.
    cells : condensed coarse cells.
    nesting : coarse and fine space.
    petrov : test with the plain coarse hats instead of the corrected ones.

    Returns
    -------
    Sparse (coarse nodes, coarse nodes), rows test functions, all nodes row-major.
    """
    if not compiled():
        return _coarse_matrix_by_cells(psi, cells, nesting, petrov)
    from ..kernels.lapack import ROUTINES
    from ..kernels.lod_basis import coarse_couplings

    Ny, Nx = nesting.coarse.cells
    reach = psi.shape[2] // 2 if petrov else psi.shape[2] - 1
    couplings = np.zeros((Ny + 1, Nx + 1, 2 * reach + 1, 2 * reach + 1))
    coarse_couplings(ROUTINES, psi, cells.matrix, hat_loads(cells, nesting), petrov, couplings)
    y = np.arange(Ny + 1)[:, None] + np.arange(-reach, reach + 1)
    x = np.arange(Nx + 1)[:, None] + np.arange(-reach, reach + 1)
    inside_y, inside_x = (y >= 0) & (y <= Ny), (x >= 0) & (x <= Nx)
    inside = inside_y[:, None, :, None] & inside_x[None, :, None, :]
    columns = (y[:, None, :, None] * (Nx + 1) + x[None, :, None, :])[inside]
    counts = inside_y.sum(1)[:, None] * inside_x.sum(1)
    return sp.csr_matrix((couplings[inside], columns, _pointers(counts)), shape=(counts.size, counts.size))


def _pointers(counts: np.ndarray) -> np.ndarray:
    """First entries of the rows or columns of a sparse matrix, and their total, from the entries in each."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _coarse_matrix_by_cells(psi: np.ndarray, cells: Condensed, nesting: Nesting, petrov: bool) -> sp.csr_matrix:
    """Assemble the stiffness matrix of the corrected basis without compiled kernels."""
    Ny, Nx = nesting.coarse.cells
    hats, corners = CellLayout(nesting.ratio).hats, corner_nodes((Ny, Nx)).reshape(Ny, Nx, 4)
    base = hats.shape[1]
    rows, cols, values = [], [], []
    for Ty in range(Ny):
        for Tx in range(Nx):
            nodes, V = functions_on(psi, Ty, Tx)
            M = cells.matrix[Ty, Tx]
            if petrov:
                test = corners[Ty, Tx]
                local = (hats @ M[:base]) @ V.T - cells.weights[Ty, Tx][:, None] * V[:, base:].T
            else:
                test = nodes
                local = V[:, :base] @ M[:base, :base] @ V[:, :base].T
                local -= V[:, base:] @ M[base:, base:] @ V[:, base:].T
            rows.append(np.repeat(test, len(nodes)))
            cols.append(np.tile(nodes, len(test)))
            values.append(local.ravel())
    size = (Ny + 1) * (Nx + 1)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(cols)))
    return sp.csr_matrix(entries, shape=(size, size))


def cell_fields(V: np.ndarray, extension: np.ndarray, r: tuple[int, int]) -> np.ndarray:
    """Evaluate cell vectors at the fine nodes of their cell.

    Parameters
    ----------
    V : (c, q) cell vectors on one coarse cell.
    extension : (q, interior nodes) the transpose of W of that cell.
    r : fine cells per coarse cell (ry, rx).

    Returns
    -------
    (c, ry+1, rx+1) nodal values.
    """
    layout = CellLayout(r)
    field = np.empty((len(V), (r[0] + 1) * (r[1] + 1)))
    field[:, layout.boundary] = V[:, : len(layout.boundary)]
    field[:, layout.interior] = V @ extension
    return field.reshape(-1, r[0] + 1, r[1] + 1)


def _windows(psi: np.ndarray, cells: Condensed, nesting: Nesting) -> np.ndarray:
    """Fine nodal values of every basis function on its window, (Ny+1, Nx+1, (2k+2) ry + 1, (2k+2) rx + 1)."""
    (Ny, Nx), (ry, rx), width = nesting.coarse.cells, nesting.ratio, psi.shape[2]
    out = np.zeros((Ny + 1, Nx + 1, width * ry + 1, width * rx + 1))
    for Ty in range(Ny):
        for Tx in range(Nx):
            _, V = functions_on(psi, Ty, Tx)
            fields = iter(cell_fields(V, cells.extension[Ty, Tx], (ry, rx)))
            for zy, wy in _overlaps(Ty, width, Ny):
                for zx, wx in _overlaps(Tx, width, Nx):
                    out[zy, zx, wy * ry : (wy + 1) * ry + 1, wx * rx : (wx + 1) * rx + 1] = next(fields)
    return out


@one_blas_thread
def fine_basis(psi: np.ndarray, cells: Condensed, nesting: Nesting, threads: int = 1) -> sp.csc_matrix:
    """Evaluate the corrected basis at the fine nodes.

    Parameters
    ----------
    psi : (Ny+1, Nx+1, 2k+2, 2k+2, q) from :func:`corrected_hats`.
    cells : condensed coarse cells.
    nesting : coarse and fine space.
    threads : number of threads of the compiled kernels.

    Returns
    -------
    Sparse (fine nodes, coarse nodes), nodes row-major: column z holds the nodal values of ψ_z.
    """
    (Ny, Nx), (ny, nx), half = nesting.coarse.cells, nesting.fine.cells, psi.shape[2] // 2
    ry, rx = nesting.ratio
    # Functions are zero on the boundary of their windows, which may reach out of the domain.
    fy = (np.arange(Ny + 1)[:, None] - half) * ry + np.arange(1, 2 * half * ry)
    fx = (np.arange(Nx + 1)[:, None] - half) * rx + np.arange(1, 2 * half * rx)
    inside_y, inside_x = (fy >= 0) & (fy <= ny), (fx >= 0) & (fx <= nx)
    counts = inside_y.sum(1)[:, None] * inside_x.sum(1)
    pointers = _pointers(counts)
    if not compiled():
        inside = inside_y[:, None, :, None] & inside_x[None, :, None, :]
        values = _windows(psi, cells, nesting)[:, :, 1:-1, 1:-1][inside]
        rows = (fy[:, None, :, None] * (nx + 1) + fx[None, :, None, :]).astype(np.int32)[inside]
    else:
        from ..kernels.lapack import ROUTINES
        from ..kernels.lod_basis import fine_values

        values, rows, workers = np.empty(pointers[-1]), np.empty(pointers[-1], np.int32), Workers(threads)
        fixed = (ROUTINES, psi, cells.extension, CellLayout((ry, rx)).places, pointers, rows, values, ry, rx)
        workers.map(fine_values, workers.ranges(Ny), *fixed)
    return sp.csc_matrix((values, rows, pointers), shape=((ny + 1) * (nx + 1), counts.size))


def gather_cells(correctors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum element correctors over all patches, cell by cell.

    Parameters
    ----------
    correctors : (Ny, Nx, p, 2k+1, 2k+1, q) cell vectors of p correctors for every coarse cell, on the patch around it.
    weights : (Ny, Nx, p) factors of the correctors.

    Returns
    -------
    (Ny, Nx, q) cell vectors of the sum.
    """
    Ny, Nx, _, width, _, q = correctors.shape
    k = width // 2
    padded = np.zeros((Ny + 2 * k, Nx + 2 * k, q))
    for i in range(width):
        for j in range(width):
            padded[i : i + Ny, j : j + Nx] += np.einsum("yxpq,yxp->yxq", correctors[:, :, :, i, j], weights)
    return padded[k : k + Ny, k : k + Nx]


def fine_field(V: np.ndarray, inner: np.ndarray, cells: Condensed, nesting: Nesting) -> np.ndarray:
    """Evaluate one function, given by cell vectors and interior parts, at the fine nodes.

    Parameters
    ----------
    V : (Ny, Nx, q) cell vectors.
    inner : (Ny, Nx, interior nodes) nodal values of bubbles in the cells, which are added to W V.
    cells : condensed coarse cells.
    nesting : coarse and fine space.

    Returns
    -------
    (ny+1, nx+1) nodal values.
    """
    (Ny, Nx), (ry, rx) = nesting.coarse.cells, nesting.ratio
    out = np.zeros(nesting.fine.shape)
    for Ty in range(Ny):
        for Tx in range(Nx):
            field = cell_fields(V[Ty, Tx][None], cells.extension[Ty, Tx], (ry, rx))[0]
            field[1:-1, 1:-1] += inner[Ty, Tx].reshape(ry - 1, rx - 1)
            out[Ty * ry : (Ty + 1) * ry + 1, Tx * rx : (Tx + 1) * rx + 1] = field
    return out
