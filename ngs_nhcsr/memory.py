"""How much memory a piece of work takes, as the process sees it."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from pathlib import Path
from types import TracebackType

#: Seconds between two samples of the resident memory.
INTERVAL = 0.005


class PeakMemory:
    """Context manager that measures how much the process's resident memory grows.

    A lower bound: what is allocated and freed between two samples is seen only where it raises the peak of the whole
    process. Memory on a GPU is not counted.

    Attributes
    ----------
    growth : in MiB, after the ``with`` block; ``None`` before it, and where the system is not Linux.
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
        """Keep the largest resident memory until the block ends; runs in a thread of its own."""
        while not self._stop.wait(INTERVAL):
            self._largest = max(self._largest or 0.0, _resident() or 0.0)


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


def release_memory() -> None:
    """Give freed memory back to the system, else the next measured work reuses it and seems to need none."""
    gc.collect(1)  # what the last work leaves is young; all of torch and NGSolve would take 0.1 s
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # not glibc
        return
