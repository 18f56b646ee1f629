"""A pool of threads for compiled kernels that release Python's lock: none spins for long, none is used after a fork.

Owns the threads of the compiled solver and how work is split among them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache, partial
from threading import Lock, Thread
from typing import Any

import numpy as np

from .counters import BEGUN, JOB, LENGTH


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


_alone: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Let workers use the calling thread only, in a context: where other threads have problems of their own.

    Yields
    ------
    None
        Nothing.
    """
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


class Workers:
    """Run functions side by side, on the calling thread and on the helpers of the process.

    There is one helper per further core, whoever asks: what runs at the same time in other threads, or further out,
    has it, and then the calling thread does all tasks and waits for nobody. Helpers look for their next job for 0.2 ms,
    since passes of 0.1 ms would not bear the cost of waking a thread, then they sleep, unlike those of OpenMP, which
    hold up the process when another program uses a core.

    Parameters
    ----------
    threads : number of threads at most, the calling one included; 1 where they are made inside of :func:`alone`: fewer
        and longer calls of kernels, since what they return to is Python's lock, for which another thread may wait.

    Examples
    --------
    >>> Workers(2).map(lambda i0, i1: i1 - i0, [(0, 3), (3, 7)])
    [3, 4]
    """

    def __init__(self, threads: int):
        self.threads = 1 if _alone.get() else threads

    def ranges(self, count: int) -> list[tuple[int, int]]:
        """Split range(count) for the threads.

        Parameters
        ----------
        count : length of the range.

        Returns
        -------
        One range, or two per thread, so that they end together.
        """
        return split(count, 1 if self.threads == 1 else 2 * self.threads)

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
        count = 0 if _alone.get() else min(self.threads, len(tasks)) - 1
        helpers = [helper for k in range(count) if (helper := _helper(k)).take()]
        if not helpers:
            return [task() for task in tasks]
        job = _Job(tasks)
        try:
            for helper in helpers:
                helper.begin(job)
            job.work()
            for helper in helpers:
                helper.wait(job)
            job.wait()
        finally:
            for helper in helpers:
                helper.release()
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

    @property
    def finished(self) -> bool:
        """Whether all tasks are done."""
        return len(self._finished) == len(self.results)

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
            if self.finished:
                with suppress(RuntimeError):  # two threads may both be the last
                    self._all.release()

    def wait(self) -> None:
        """Wait until all tasks are finished."""
        self._all.acquire()


class _Helper:
    """A thread that does jobs: it looks for the next one for 0.2 ms, then it sleeps until it is woken."""

    def __init__(self) -> None:
        from . import signals  # imports numba

        self._signals = signals
        self._job: _Job | None = None
        self._signal = np.zeros(LENGTH, np.int64)
        self._taken, self._wake = Lock(), Lock()
        self._wake.acquire()
        Thread(target=self._run, name="ngs_nhcsr", daemon=True).start()

    def take(self) -> bool:
        """Take the thread for oneself, until :meth:`release`; return whether it was free."""
        return self._taken.acquire(blocking=False)

    def release(self) -> None:
        """Leave the thread to others."""
        self._taken.release()

    def begin(self, job: _Job) -> None:
        """Give the thread a job; one that it has not begun is forgotten."""
        self._job = job
        if self._signals.give(self._signal):
            with suppress(RuntimeError):  # woken already
                self._wake.release()

    def wait(self, job: _Job) -> None:
        """Wait for the last task of a job, for a while: the thread may not have begun it."""
        given = int(self._signal[JOB])
        if self._signal[BEGUN] == given and not job.finished:
            self._signals.await_done(self._signal, given)

    def _run(self) -> None:
        """Do jobs until the process ends."""
        done = 0
        while True:
            given = self._signals.await_job(self._signal, done)
            if given == done:
                self._wake.acquire()
                given = int(self._signal[JOB])
            job, self._job = self._job, None
            self._signal[BEGUN] = done = given
            if job is not None:
                job.work(last_first=True)
                del job


@cache
def _helper(k: int) -> _Helper:
    """Return the process's helper number ``k``, which is started when it is first asked for."""
    if k == 0 and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_helper.cache_clear)  # threads do not survive in a fork
    return _Helper()
