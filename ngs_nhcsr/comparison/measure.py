"""One method measured: seconds of both parts, memory, and the field."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidProblem, NhcsrError
from ..memory import PeakMemory, release_memory
from .context import ZERO, Context
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
    field : (ny+1, nx+1) nodal values.
    offline, online : seconds per coefficient and per load.
    memory : growth of the resident memory in MiB, ``None`` where the system does not tell.
    remark : reservation about the field.
    message : why the method failed; empty if it did not.
    potential : see :meth:`Method.potential`; ``None`` where the nodal values say it all, or nobody asks.
    """

    field: np.ndarray | None = None
    offline: float | None = None
    online: float | None = None
    memory: float | None = None
    remark: str = ""
    message: str = ""
    potential: float | None = None


def measure(method: Method, context: Context) -> Measurement:
    """Run both parts of a method on a problem: the first once, the second up to ``REPEATS`` times.

    Parameters
    ----------
    method : to be measured.
    context : the problem.

    Returns
    -------
    Measurement; an error of ``FAILURES`` is its message, others are not caught.
    """
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
        potential = None if context.solution is None else method.potential(state)
        return Measurement(field, offline, online, memory.growth, method.remark(state), potential=potential)
    except FAILURES as error:
        return Measurement(message=f"{type(error).__name__}: {error}")


def break_even(offline: float, online: float, fine_offline: float, fine_online: float) -> float:
    """Count the loads from which on a method has cost less in total than another, mostly the fine solve.

    Parameters
    ----------
    offline : seconds of the method per coefficient.
    online : seconds of the method per load.
    fine_offline : seconds of the other method per coefficient: a fine solve keeps its hierarchy or factor too.
    fine_online : seconds of the other method per load.

    Returns
    -------
    A whole number from 1 on, or ``inf`` if the method's online part is not cheaper.

    Examples
    --------
    >>> break_even(10.0, 0.5, 1.0, 2.0), break_even(0.1, 0.5, 1.0, 2.0), break_even(0.0, 2.0, 1.0, 2.0)
    (7.0, 1.0, inf)
    """
    gain = fine_online - online
    return max(1.0, math.floor((offline - fine_offline) / gain) + 1.0) if gain > 0 else math.inf


def _timed(method: Method, context: Context, state: object) -> tuple[np.ndarray, float]:
    start = time.perf_counter()
    field = method.online(context, state)
    return field, time.perf_counter() - start


def _check_field(field: np.ndarray, context: Context) -> None:
    """Check what :class:`Method` promises of its fields."""
    if field.shape != context.b.shape:
        raise InvalidProblem(f"the method gave {field.shape} nodal values; the fine grid has {context.b.shape}.")
    if field.dtype != np.float64:
        raise InvalidProblem(f"the method gave {field.dtype} values; they must be float64.")
    if not np.isfinite(field).all():
        raise ArithmeticError("the field has values that are not finite.")
    outside = max(float(np.abs(side).max()) for side in (field[0], field[-1], field[:, 0], field[:, -1]))
    if outside > ZERO * float(np.abs(field).max()):
        raise InvalidProblem(f"the field is {outside:.1e} on the boundary, where it must be zero.")
