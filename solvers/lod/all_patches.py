"""Patches of the LOD, row by row: in compiled kernels on several threads, without numba one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

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
    k = out.shape[3] // 2
    rows = [y for y in range(len(wanted)) if wanted[y].any()]
    solve = _solve_compiled if compiled() else _solve_by_lapack
    with tqdm(total=len(rows), desc="LOD patches", unit="row", disable=not progress) as bar:
        solve(out, cells, loads, wanted, r, workers, rows, bar.update)
    log.info("%d patches of %d layers solved", int(wanted.sum()), k)


def _solve_by_lapack(
    out: np.ndarray,
    cells: Condensed,
    loads: np.ndarray,
    wanted: np.ndarray,
    r: tuple[int, int],
    workers: int | None,
    rows: list[int],
    done: Callable[[], Any],
) -> None:
    """Twin of ``_solve_compiled`` on the calling thread, for tests and where numba does not run."""
    k = out.shape[3] // 2
    columns = {y: tuple(int(x) for x in np.flatnonzero(wanted[y])) for y in rows}
    tasks = (RowTask(columns[y], cells.matrix[max(0, y - k) : y + k + 1], loads[y], min(y, k), k, r) for y in rows)
    for y, result in zip(rows, map(solve_row, tasks), strict=True):
        out[y, list(columns[y])] = result
        done()


def _solve_compiled(
    out: np.ndarray,
    cells: Condensed,
    loads: np.ndarray,
    wanted: np.ndarray,
    r: tuple[int, int],
    workers: int | None,
    rows: list[int],
    done: Callable[[], Any],
) -> None:
    """Solve the patches of some ``rows`` in compiled kernels, and call ``done`` after each."""
    from ..kernels.lapack import ROUTINES
    from ..kernels.lod import solve_row as solve_row_compiled

    if not solve_row_compiled.signatures:
        log.info("loading compiled kernels; the first use after an installation compiles them, about 20 s")
    k, Ny = out.shape[3] // 2, len(out)
    loads = np.ascontiguousarray(loads)

    def solve(y: int) -> None:
        y0, y1 = max(0, y - k), min(Ny, y + k + 1)
        layout = strip_layout(y1 - y0, r)
        sizes = len(layout.inner), len(layout.outer)
        pivot, size = solve_row_compiled(ROUTINES, cells.matrix, loads, layout.order, *sizes, wanted[y], y0, y, out[y])
        if pivot:
            raise not_definite(size, pivot)
        done()

    Workers(min(threads(workers), len(rows))).together([partial(solve, y) for y in rows])
