"""One method measured: seconds of both parts, memory, and the field."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidProblem, NhcsrError
from ..memory import PeakMemory, release_memory
from .context import Context
from .method import Method

#: What ends a method but not the comparison.
FAILURES = (NhcsrError, ArithmeticError, MemoryError, np.linalg.LinAlgError)
#: The online part is repeated at most so often, and no longer than so many seconds; the fastest run counts.
REPEATS, PATIENCE = 3, 0.5


@dataclass(frozen=True)
class Measurement:
    """What a method did; ``field`` is ``None`` and ``message`` says why where it failed.

    Attributes
    ----------
    field : (ny+1, nx+1).
    offline, online : seconds.
    memory : growth of the resident memory in MiB, ``None`` where the system does not tell.
    potential : see :class:`Method`; ``None`` where the nodal values say it all, or nobody asks.
    """

    field: np.ndarray | None = None
    offline: float | None = None
    online: float | None = None
    memory: float | None = None
    remark: str = ""
    message: str = ""
    potential: float | None = None


def measure(method: Method, context: Context) -> Measurement:
    """Run both parts of a method on a problem."""
    try:
        method.prepare(context)
        release_memory()
        with PeakMemory() as memory:
            start = time.perf_counter()
            state = method.offline(context)
            offline = time.perf_counter() - start
            field, online = _timed(method, context, state)
        spent = online
        for _ in range(REPEATS - 1):
            if spent > PATIENCE:
                break
            seconds = _timed(method, context, state)[1]
            online, spent = min(online, seconds), spent + seconds
        _check_field(field, context)
        potential = None
        if method.potential is not None and context.solution is not None:
            potential = method.potential(state)
        return Measurement(field, offline, online, memory.growth, method.remark(state), potential=potential)
    except FAILURES as error:
        return Measurement(message=f"{type(error).__name__}: {error}")


def break_even(offline: float, online: float, fine_offline: float, fine_online: float) -> float:
    """Loads from which on a method has cost less in total than the fine solve, which keeps its own offline part too.

    Returns
    -------
    A whole number from 1 on, or ``inf`` if the method's online part is not cheaper.

    Examples
    --------
    >>> break_even(10.0, 0.5, 1.0, 2.0), break_even(0.1, 0.5, 1.0, 2.0), break_even(0.0, 2.0, 1.0, 2.0)
    (6.0, 1.0, inf)
    """
    gain = fine_online - online
    return max(1.0, float(math.ceil((offline - fine_offline) / gain))) if gain > 0 else math.inf


def _timed(method: Method, context: Context, state: object) -> tuple[np.ndarray, float]:
    start = time.perf_counter()
    field = method.online(context, state)
    return field, time.perf_counter() - start


def _check_field(field: np.ndarray, context: Context) -> None:
    if field.shape != context.f.shape:
        raise InvalidProblem(f"the method gave {field.shape} nodal values; the fine grid has {context.f.shape}.")
    if not np.isfinite(field).all():
        raise ArithmeticError("the field has values that are not finite.")
