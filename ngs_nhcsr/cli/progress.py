"""What a command is at and since when, while it takes its time: one line on a terminal, nothing in a pipe."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class _Told(logging.Handler):
    """Puts the package's log messages into the line."""

    def __init__(self, line: Progress):
        super().__init__(logging.INFO)
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message; warnings stay when the line is gone."""
        if record.levelno >= logging.WARNING:
            self._line.console.print(record.getMessage(), markup=False, highlight=False)
        else:
            self._line.update(self._line.task_ids[0], description=record.getMessage())


def seconds_in_words(seconds: float) -> str:
    """Write seconds with two digits, and no exponent where there are more.

    Examples
    --------
    >>> seconds_in_words(0.0123), seconds_in_words(192.4)
    ('0.012', '192')
    """
    return f"{seconds:.0f}" if seconds >= 100 else f"{seconds:.2g}"


@contextmanager
def progress(first: str) -> Iterator[None]:
    """Show what is being done, and for how long, until the work ends; in a pipe, and with ``--verbose``, show nothing.

    Parameters
    ----------
    first : text until the package logs what it is at.

    Yields
    ------
    None
    """
    log = logging.getLogger("ngs_nhcsr")
    if not sys.stderr.isatty() or log.isEnabledFor(logging.INFO):
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as line:
        line.add_task(first, total=None)
        handler, level = _Told(line), log.level
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate, spread = False, log.propagate
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level)
            log.propagate = spread
