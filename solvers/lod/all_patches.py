"""Patches of the LOD, row by row: in compiled kernels on several threads, without numba one after the other."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import numpy as np
from tqdm import tqdm

from ..backend import compiled
from ..kernels.workers import Workers, cores
from ..substructuring.condensation import Condensed
from ..threads import one_blas_thread
from .patches import RowTask, solve_row, strip_layout
from .saddle import not_definite

log = logging.getLogger(__name__)

#: Threads that are used unless another number is asked for.
MAX_THREADS = 8


def threads(workers: int | None) -> int:
    """Return the number of threads of compiled kernels: ``workers``, or by default as many as there are cores."""
    return workers or min(cores(), MAX_THREADS)


@one_blas_thread
def solve_patches(
    out: np.ndarray,
    cells: Condensed,
    loads: np.ndarray,
    wanted: np.ndarray,
    r: tuple[int, int],
    workers: int | None = None,
    progress: bool = False,
) -> None:
    """Compute the element correctors of some cells on their patches, in place.

    Parameters
    ----------
    out : (Ny, Nx, p, 2k+1, 2k+1, q) cell vectors of the correctors by the cell in the middle of the patch; entries of
        cells that are not wanted stay as they are.
    cells : condensed coarse cells.
    loads : (Ny, Nx, q, p) condensed load vectors.
    wanted : (Ny, Nx) mask of the cells whose correctors are computed.
    r : fine cells per coarse cell (ry, rx).
    workers : number of threads, ``None`` to choose it.
    progress : show a bar over the rows.

    Raises
    ------
    SolverFailure
        If a patch cannot be solved.
    """
    rows, patches = np.flatnonzero(wanted.any(1)), Patches(out, cells, np.ascontiguousarray(loads), wanted, r)
    solve, count = (patches.compiled, threads(workers)) if compiled() else (patches.by_lapack, 1)
    with tqdm(total=len(rows), desc="LOD patches", unit=" row", disable=not progress) as bar:

        def row(y: int) -> None:
            solve(y)
            bar.update()

        Workers(min(count, len(rows))).together([partial(row, int(y)) for y in rows])
    log.info("%d patches of %d layers solved", int(wanted.sum()), patches.layers)


@dataclass(frozen=True, eq=False)
class Patches:
    """The patches of all cells, to be solved row by row; arguments of :func:`solve_patches`, ``loads`` contiguous."""

    out: np.ndarray
    cells: Condensed
    loads: np.ndarray
    wanted: np.ndarray
    r: tuple[int, int]

    @property
    def layers(self) -> int:
        """k, layers around a cell."""
        return self.out.shape[3] // 2

    def by_lapack(self, y: int) -> None:
        """Solve the patches of row y; twin of :meth:`compiled`, for tests and where numba does not run."""
        k, columns = self.layers, tuple(int(x) for x in np.flatnonzero(self.wanted[y]))
        strip = self.cells.matrix[max(0, y - k) : y + k + 1]
        self.out[y, list(columns)] = solve_row(RowTask(columns, strip, self.loads[y], min(y, k), k, self.r))

    def compiled(self, y: int) -> None:
        """Solve the patches of row y in compiled kernels."""
        from ..kernels.lapack import ROUTINES
        from ..kernels.lod import solve_row as kernel

        if not kernel.signatures:
            log.info("loading compiled kernels; the first use after an installation compiles them, about 20 s")
        y0, y1 = max(0, y - self.layers), min(len(self.out), y + self.layers + 1)
        layout = strip_layout(y1 - y0, self.r)
        sizes = len(layout.inner), len(layout.outer)
        pivot, size = kernel(
            ROUTINES, self.cells.matrix, self.loads, layout.order, *sizes, self.wanted[y], y0, y, self.out[y]
        )
        if pivot:
            raise not_definite(size, pivot)
