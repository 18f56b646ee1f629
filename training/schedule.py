"""How long a run lasts, when it validates and how fast it learns."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Budget:
    """Minutes or steps, exactly one of them, and a clock that runs from :meth:`restart`, or from the start.

    Attributes
    ----------
    minutes, steps : the budget; the other one is ``None``.
    clock : "wall", or "cpu" for the time of this process, which compares runs fairly on a busy machine.
    begin : reading of the clock at the start.

    Raises
    ------
    ValueError
        If none or both are given, or for another clock.
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
        """Start the clock again."""
        self.begin = self._now()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._now() - self.begin

    def used(self, steps_done: int) -> float:
        """Compute the share of the budget used after ``steps_done`` steps; 1 or more when it is over."""
        if self.steps is not None:
            return steps_done / self.steps
        return self.seconds / (60 * self.minutes) if self.minutes else 1.0


class Allowance:
    """What one call of ``train`` may use, how much of it is used, and when it is time to validate.

    Parameters
    ----------
    minutes : budget of this call; together with ``until``, a limit only.
    steps : budget of this call in steps.
    until : steps of the whole run: the schedule runs over all of them, those of earlier calls included.
    clock : "wall" or "cpu", see :class:`Budget`.
    validate_every : minutes between validations, with a budget in minutes.
    validate_steps : steps between validations; ``None``: none between the steps.

    Raises
    ------
    ValueError
        If there is no budget, or more than one.
    """

    def __init__(
        self,
        minutes: float | None = None,
        steps: int | None = None,
        until: int | None = None,
        clock: str = "wall",
        validate_every: float = 5.0,
        validate_steps: int | None = None,
    ):
        if until is not None and steps is not None:
            raise ValueError("give steps= for this call or until= for the whole run, not both")
        self.steps = steps if until is None else until
        self._budget = Budget(minutes if until is None else None, self.steps, clock)
        self._limit = None if until is None or minutes is None else Budget(minutes=minutes, clock=clock)
        self._whole_run, self._first = until is not None, 0
        self._every, self._validate_steps = 60 * validate_every, validate_steps
        self._next_validation = self._every

    def begin(self, step: int) -> None:
        """Start the clock, at this step of the run."""
        self._first = 0 if self._whole_run else step
        self._budget.restart()

    @property
    def seconds(self) -> float:
        """Seconds since :meth:`begin`."""
        return self._budget.seconds

    def taken(self, step: int) -> int:
        """Count the steps of the schedule before a step of the run: those of this call, or of all with ``until``."""
        return step - self._first

    def used(self, step: int) -> float:
        """Compute the share of the schedule that is over at a step of the run, 0 … 1."""
        return self._budget.used(self.taken(step))

    def over(self, step: int) -> bool:
        """Tell whether a step of the run may not be taken any more."""
        return self.used(step) >= 1 or (self._limit is not None and self._limit.used(0) >= 1)

    def due(self, step: int) -> bool:
        """Tell whether it is time to validate before a step of the run; the end of a call is not counted."""
        taken = self.taken(step)
        if self._validate_steps and taken % self._validate_steps == 0 and taken != self.steps:
            return True
        return self.steps is None and self.seconds > self._next_validation

    def validated(self) -> None:
        """Count the time to the next validation from now."""
        self._next_validation = self.seconds + self._every


def rate_factor(progress: float, step: int, warmup: int, shape: str = "cosine") -> float:
    """Compute the learning rate relative to its peak: linear warm-up, then down over the budget.

    Parameters
    ----------
    progress : share of the budget that is used, 0 … 1.
    step : steps taken so far.
    warmup : steps of the warm-up.
    shape : "cosine" to zero, "steps" (halved after half of the budget, as in the NH-CSR paper), or "constant".

    Returns
    -------
    Factor, 0 … 1.

    Raises
    ------
    ValueError
        For another shape.

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
    """Catch SIGTERM and Ctrl-C while inside; yields a function that tells whether one has come."""
    seen: list[int] = []
    old = {s: signal.signal(s, lambda number, _: seen.append(number)) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(seen)
    finally:
        for s, handler in old.items():
            signal.signal(s, handler)
