"""Seconds per stage of a call."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Stopwatch that keeps the seconds of every stage by its name.

    Parameters
    ----------
    now : returns the time in seconds.

    Attributes
    ----------
    laps : seconds by name.

    Examples
    --------
    >>> times = iter([0.0, 1.0])
    >>> clock = Clock(lambda: next(times))
    >>> clock.lap("read")
    >>> clock.laps
    {'read': 1.0}
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter):
        self._now, self._last = now, now()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Note the seconds since the last lap, or since the start.

        Parameters
        ----------
        name : of the stage that has ended.
        """
        now = self._now()
        self.laps[name], self._last = now - self._last, now
