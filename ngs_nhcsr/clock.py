"""Seconds per stage of a call."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since the last lap, by name."""

    def __init__(self, now: Callable[[], float] = time.perf_counter):
        self._now, self._last = now, now()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Note the seconds since the last lap, or since the start, under a name."""
        self.laps[name], self._last = self._now() - self._last, self._now()
