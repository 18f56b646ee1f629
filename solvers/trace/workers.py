"""A pool of threads for compiled kernels that release Python's lock: nothing spins, nothing survives in a fork."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split(count: int, parts: int) -> list[tuple[int, int]]:
    """Split range(count) into at most ``parts`` ranges of nearly the same length.

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
    Tasks are taken from a queue: where no core is free the calling thread does them all and waits for nobody. The
    threads end with the object.

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
        self._pool = ThreadPoolExecutor(threads - 1, "ngs_nhcsr") if threads > 1 else None

    def ranges(self, count: int) -> list[tuple[int, int]]:
        """Split range(count) for the threads: one range, or two per thread so that they end together."""
        return split(count, 1 if self._pool is None else 2 * self.threads)

    def together(self, tasks: list[Callable[[], Any]]) -> list[Any]:
        """Call all tasks, started in order, and return their results; an exception of a task is raised."""
        if self._pool is None or len(tasks) == 1:
            return [task() for task in tasks]
        results: list[Any] = [None] * len(tasks)
        waiting = deque(enumerate(tasks))

        def work() -> None:
            while waiting:
                try:
                    k, task = waiting.popleft()
                except IndexError:  # another thread took the last one
                    return
                results[k] = task()

        helpers = [self._pool.submit(work) for _ in range(min(self.threads, len(tasks)) - 1)]
        try:
            work()
        finally:
            started = [helper for helper in helpers if not helper.cancel()]
            wait(started)
        for helper in started:
            helper.result()
        return results

    def map(self, kernel: Callable[..., Any], ranges: list[tuple[int, int]], *arguments: Any) -> list[Any]:
        """Call ``kernel(*arguments, i0, i1)`` for every range and return the results in order."""
        return self.together([partial(kernel, *arguments, *r) for r in ranges])
