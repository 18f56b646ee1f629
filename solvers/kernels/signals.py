"""How threads wait for each other: with numba they look for a while before they sleep, else they sleep at once."""

from __future__ import annotations

import numpy as np

from ..backend import compiled
from .counters import JOB

__all__ = ["await_done", "await_job", "give"]

if compiled():
    from .watching import await_done, await_job, give
else:

    def await_job(signal: np.ndarray, done: int) -> int:
        """Return how many jobs a thread was given."""
        return int(signal[JOB])

    def give(signal: np.ndarray) -> bool:
        """Give a job to a thread; return that it has to be woken."""
        signal[JOB] += 1
        return True

    def await_done(signal: np.ndarray, job: int) -> bool:
        """Return at once: whoever waits has to sleep."""
        return False
