"""Threads that wait with open eyes, without Python's lock (numba): they begin 2 µs after a signal, sleeping ones 50 µs.

Every wait is for a number of looks, of some 2 ns each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from .counters import ASLEEP, BEGUN, DONE, JOB
from .options import kernel

#: Looks of a thread for its next job before it sleeps, about 0.2 ms, and of a caller for the end of the last task.
PATIENCE = 100_000
#: Looks for the thread that a job was given to, some 25 µs, and then while it enters its kernel, some 6 µs.
AWAITED, ENTERING = 15_000, 3_000


def _atomic_add(typingctx, counters, k, value):  # type: ignore[no-untyped-def]
    """Add to a counter that several threads use; return what it was."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [arguments[1]]), arguments[2], "seq_cst")

    return types.int64(counters, types.intp, types.int64), code


_add: Any = intrinsic(_atomic_add)


@kernel
def await_job(signal: np.ndarray, done: int) -> int:
    """Say that a thread has done its jobs, and wait for the next one.

    Parameters
    ----------
    signal : of the thread.
    done : how many jobs it has done.

    Returns
    -------
    How many jobs it was given; ``done`` if its patience was at an end, and the thread now has to be woken.
    """
    _add(signal, ASLEEP, -_add(signal, ASLEEP, 0))
    _add(signal, DONE, done - _add(signal, DONE, 0))
    for _ in range(PATIENCE):
        given = _add(signal, JOB, 0)
        if given != done:
            return given
    _add(signal, ASLEEP, 1)
    return _add(signal, JOB, 0)


@kernel
def give(signal: np.ndarray) -> bool:
    """Give a job to a thread; if it looks for one, leave Python's lock to it until it has entered its kernel.

    Parameters
    ----------
    signal : of the thread.

    Returns
    -------
    Whether the thread has to be woken.
    """
    job = _add(signal, JOB, 1) + 1
    for _ in range(AWAITED):
        if _add(signal, ASLEEP, 0):
            return True
        if _add(signal, BEGUN, 0) == job:
            break
    for _ in range(ENTERING):
        _add(signal, BEGUN, 0)
    return False


@kernel
def await_done(signal: np.ndarray, job: int) -> bool:
    """Wait until a thread has done a job; tell whether it has before patience was at an end."""
    for _ in range(PATIENCE):
        if _add(signal, DONE, 0) >= job:
            return True
    return False
