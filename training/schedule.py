"""How long a run lasts and how fast it learns: a budget in minutes or steps, and the learning rate fitted to it."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Budget:
    """What one call of ``train`` may use: minutes or steps, exactly one of them.

    The clock is the wall's, or with ``clock="cpu"`` that of this process, which compares runs fairly on a busy machine.

    Raises
    ------
    ValueError
        If none or both are given.
    """

    minutes: float | None = None
    steps: int | None = None
    clock: str = "wall"
    begin: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("give a budget: either minutes= or steps=")
        if self.clock not in ("wall", "cpu"):
            raise ValueError(f'clock must be "wall" or "cpu", not {self.clock!r}')
        self.restart()

    def _now(self) -> float:
        return time.process_time() if self.clock == "cpu" else time.monotonic()

    def restart(self) -> None:
        """Start the clock now."""
        self.begin = self._now()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._now() - self.begin

    def used(self, steps_done: int) -> float:
        """Share used after ``steps_done`` steps of this call; 1 or more when it is over."""
        if self.steps is not None:
            return steps_done / self.steps
        return self.seconds / (60 * (self.minutes or 0.0))


def rate_factor(progress: float, step: int, warmup: int, shape: str = "cosine") -> float:
    """Learning rate relative to its peak: linear warm-up, then down over the budget.

    ``shape``: "cosine" to zero, "steps" (halved after half of it, as the NH-CSR paper does), or "constant".

    Examples
    --------
    >>> [round(rate_factor(p, 10_000, 200), 2) for p in (0.0, 0.5, 1.0)]
    [1.0, 0.5, 0.0]
    >>> rate_factor(0.6, 10_000, 200, "steps")
    0.5
    """
    rise = min(1.0, (step + 1) / max(warmup, 1))
    if shape == "cosine":
        return rise * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    if shape == "steps":
        return rise * 0.5 ** (progress >= 0.5)
    if shape == "constant":
        return rise
    raise ValueError(f'schedule must be "cosine", "steps" or "constant", not {shape!r}')


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """SIGTERM and Ctrl-C set a flag instead of ending the process; asked once per step."""
    seen: list[int] = []
    old = {s: signal.signal(s, lambda number, _: seen.append(number)) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(seen)
    finally:
        for s, handler in old.items():
            signal.signal(s, handler)
