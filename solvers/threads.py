"""How many threads to use: waiting ones spin and take the cores, from BLAS, from torch and from other processes.

Owns the limits on BLAS's and torch's threads (those of compiled kernels are in ``kernels.workers``), and the lock of
solvers that work in arrays of their own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")

#: Samples of the machine's load, and seconds before each.
SAMPLES, PAUSE = 3, 3e-4


class _Turn:
    """A lock that can be pickled and copied with its owner, as a new one."""

    def __init__(self) -> None:
        self.lock = RLock()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return _Turn, ()


def one_at_a_time(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Decorate a method that works in arrays of its object: threads that call it wait for each other.

    Parameters
    ----------
    method : of an object with a ``__dict__``; decorated methods of one object exclude each other and may call each
        other.

    Returns
    -------
    A method with the same arguments and result.
    """

    @wraps(method)
    def alone(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        turn: Any = vars(self).setdefault("_turn", _Turn())  # atomic
        with turn.lock:
            return method(self, *args, **kwargs)

    return alone


def one_blas_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that BLAS uses one thread while it runs.

    LOD with k = 2 on two cores takes 6 s instead of 70 s.

    Parameters
    ----------
    function : any callable.

    Returns
    -------
    A callable with the same arguments and result.
    """

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited


def free_cores() -> int:
    """Count the cores that no other process wants now: all of the machine minus foreign runnable threads, 1 at least.

    Linux lists the number of runnable threads in ``/proc/loadavg``; elsewhere all cores count as free. The least of a
    few samples is taken, since short-lived threads come and go.

    Returns
    -------
    A number from 1 to the machine's number of cores.
    """
    cores = os.cpu_count() or 1
    foreign = cores
    try:
        for _ in range(SAMPLES):
            foreign = min(foreign, _runnable_elsewhere())
            if foreign == 0:
                break
    except (OSError, ValueError, IndexError):
        return cores
    return max(1, cores - foreign)


def _runnable_elsewhere() -> int:
    """Count the runnable threads of other processes, after a pause."""
    time.sleep(PAUSE)
    running = int(Path("/proc/loadavg").read_text().split()[3].split("/")[0])
    if running <= 1:  # this thread
        return 0
    own = sum(_state(task) == "R" for task in Path("/proc/self/task").iterdir())
    return max(0, running - own)


def _state(task: Path) -> str:
    """Return the one-letter state of a thread ("R" if runnable), "" if it ended meanwhile."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # the thread ended meanwhile
        return ""


@contextmanager
def suited_threads() -> Iterator[int]:
    """Hold torch to as many threads as cores are free, in a context.

    OpenMP's workers spin while they wait for each other. Where another process has one of the cores, each of the many
    short parallel regions then waits for the scheduler: a correction of 0.15 s took 0.7 to 14 s on two cores with two
    busy processes beside it. One thread has no one to wait for.

    Yields
    ------
    int
        The number of threads.
    """
    import torch

    before = torch.get_num_threads()
    threads = min(before, free_cores()) if before > 1 else 1
    if threads == before:
        yield threads
        return
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Hold torch to one thread, in a context.

    Yields
    ------
    None
        Nothing.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
