"""Rows of patches in this process or in a pool of processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import numpy as np

from ..errors import SolverFailure
from .patches import RowTask, solve_row


def solve_rows(tasks: Iterable[RowTask], workers: int | None) -> Iterator[np.ndarray]:
    """Results of :func:`ngs_nhcsr.solvers.patches.solve_row` in the order of ``tasks``.

    Parameters
    ----------
    workers : processes; None or 1 to stay in this one.

    Raises
    ------
    SolverFailure
        If a patch cannot be solved, or a worker process dies.
    """
    if not workers or workers == 1:
        yield from map(solve_row, tasks)
        return
    try:
        # Not fork: NGSolve and torch may have started threads, whose locks a forked child would inherit.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield from pool.map(solve_row, tasks)
    except BrokenProcessPool as error:
        raise SolverFailure(
            f"one of {workers} worker processes died (out of memory, or the script that calls assemble has "
            'no  if __name__ == "__main__":  guard); use workers=1.'
        ) from error
