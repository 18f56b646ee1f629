"""One method measured: seconds of both parts, memory, and the field."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import InvalidProblem, NhcsrError
from ._registry import Method
from .context import Context

#: What ends a method but not the comparison.
FAILURES = (NhcsrError, ArithmeticError, MemoryError, np.linalg.LinAlgError)
#: Seconds between two samples of the resident memory.
INTERVAL = 0.005
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
    """

    field: np.ndarray | None = None
    offline: float | None = None
    online: float | None = None
    memory: float | None = None
    remark: str = ""
    message: str = ""


class PeakMemory:
    """Growth of the process's resident memory inside a ``with`` block, in MiB; ``None`` off Linux.

    A lower bound: what is allocated and freed between two samples is seen only where it raises the peak of the whole
    process. Memory on a GPU is not counted.
    """

    growth: float | None = None

    def __enter__(self) -> PeakMemory:
        self._start = self._largest = _resident()
        self._peak_before = _process_peak()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        if self._start is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._start is None or self._largest is None:
            return
        self._thread.join()
        peak = _process_peak()
        if peak is not None and self._peak_before is not None and peak > self._peak_before:
            self._largest = max(self._largest, peak)
        self.growth = max(self._largest, _resident() or 0.0) - self._start

    def _sample(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._largest = max(self._largest or 0.0, _resident() or 0.0)


def measure(method: Method, context: Context) -> Measurement:
    """Run both parts of a method on a problem."""
    try:
        method.prepare(context)
        _release_memory()
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
        return Measurement(field, offline, online, memory.growth, method.remark(state))
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


def _resident() -> float | None:
    """Resident memory in MiB."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _process_peak() -> float | None:
    """Largest resident memory of the process so far, in MiB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, ValueError, StopIteration):
        return None


def _release_memory() -> None:
    """Give freed memory back, else the next method reuses the last one's and seems to need none."""
    gc.collect(1)  # what a method leaves is young; all of torch and NGSolve would take 0.1 s
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # not glibc
        return
