"""A pool of threads for compiled kernels that release Python's lock: nothing spins, nothing survives in a fork.

Owns the threads of the compiled solver and how work is split among them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock, Thread
from typing import Any
from weakref import finalize


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split(count: int, parts: int) -> list[tuple[int, int]]:
    """Split range(count) into at most ``parts`` ranges of nearly the same length.

    Parameters
    ----------
    count : length of the range.
    parts : largest number of ranges.

    Returns
    -------
    (begin, end) of every range; one empty range for count 0.

    Examples
    --------
    >>> split(7, 2), split(1, 4)
    ([(0, 3), (3, 7)], [(0, 1)])
    """
    parts = max(1, min(parts, count))
    return [(count * k // parts, count * (k + 1) // parts) for k in range(parts)]


class Workers:
    """Run functions side by side, on the calling thread and on waiting ones.

    Waiting threads block, unlike those of OpenMP, which spin and hold up the process when another program uses a core.
    Tasks are taken from a queue: where no core is free the calling thread does them all and waits for nobody. Locks are
    handed over directly, since a step of some 0.3 ms would not bear the cost of futures. The threads end with the
    object.

    Parameters
    ----------
    threads : number of threads, the calling one included.

    Examples
    --------
    >>> Workers(2).map(lambda i0, i1: i1 - i0, [(0, 3), (3, 7)])
    [3, 4]
    """

    def __init__(self, threads: int):
        self.threads = threads
        self._helpers = [_Helper() for _ in range(threads - 1)]
        for helper in self._helpers:
            finalize(self, helper.end)

    def ranges(self, count: int) -> list[tuple[int, int]]:
        """Split range(count) for the threads.

        Parameters
        ----------
        count : length of the range.

        Returns
        -------
        One range, or two per thread, so that they end together.
        """
        return split(count, 1 if not self._helpers else 2 * self.threads)

    def together(self, tasks: list[Callable[[], Any]]) -> list[Any]:
        """Call all tasks, started in order, and return their results in order.

        Parameters
        ----------
        tasks : calls without arguments that may run side by side.

        Returns
        -------
        One result per task.

        Raises
        ------
        BaseException
            Whatever a task raised; the first of several.
        """
        if not self._helpers or len(tasks) == 1:
            return [task() for task in tasks]
        job = _Job(tasks)
        for helper in self._helpers[: len(tasks) - 1]:
            helper.begin(job)
        job.work()
        job.wait()
        for result in job.results:
            if isinstance(result, _Failure):
                raise result.error
        return job.results

    def map(self, kernel: Callable[..., Any], ranges: list[tuple[int, int]], *arguments: Any) -> list[Any]:
        """Call a kernel for several ranges side by side.

        Parameters
        ----------
        kernel : called as ``kernel(*arguments, i0, i1)``.
        ranges : (i0, i1) of every call.
        *arguments : the same for all calls.

        Returns
        -------
        The results in the order of ``ranges``.
        """
        return self.together([partial(kernel, *arguments, *r) for r in ranges])


class _Failure:
    """An exception that a task raised."""

    def __init__(self, error: BaseException):
        self.error = error


class _Job:
    """Tasks that several threads take from a queue."""

    def __init__(self, tasks: list[Callable[[], Any]]):
        self.results: list[Any] = [None] * len(tasks)
        self._waiting = deque(enumerate(tasks))
        self._finished: deque[int] = deque()
        self._all = Lock()
        self._all.acquire()

    def work(self, last_first: bool = False) -> None:
        """Do tasks until none is waiting, the first or the last of them first.

        Calling thread and helper begin at different ends: so a row of cells is mostly on the same core, whose cache
        has it from the step before.
        """
        take = self._waiting.pop if last_first else self._waiting.popleft
        while True:
            try:
                k, task = take()
            except IndexError:
                return
            try:
                self.results[k] = task()
            except BaseException as error:  # raised again by the calling thread
                self.results[k] = _Failure(error)
            self._finished.append(k)
            if len(self._finished) == len(self.results):
                with suppress(RuntimeError):  # two threads may both be the last
                    self._all.release()

    def wait(self) -> None:
        """Wait until all tasks are finished."""
        self._all.acquire()


class _Helper:
    """A thread that sleeps until it is given a job."""

    def __init__(self) -> None:
        self._job: _Job | None = None
        self._wake = Lock()
        self._wake.acquire()
        self._ended = False
        Thread(target=self._run, name="ngs_nhcsr", daemon=True).start()

    def begin(self, job: _Job) -> None:
        """Wake the thread for a job; one that it has not begun is forgotten."""
        self._job = job
        with suppress(RuntimeError):  # still awake: it will look for a job again
            self._wake.release()

    def end(self) -> None:
        """End the thread."""
        self._ended = True
        with suppress(RuntimeError):
            self._wake.release()

    def _run(self) -> None:
        """Do jobs until the end."""
        while True:
            self._wake.acquire()
            if self._ended:
                return
            job, self._job = self._job, None
            if job is not None:
                job.work(last_first=True)
