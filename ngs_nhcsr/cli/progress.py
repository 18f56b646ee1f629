"""What a command is at and since when, while it takes its time: one line on a terminal; in a pipe, compiling."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

#: Seconds after which a pipe is told of compiling; loading what was compiled takes less.
SILENT = 4.0


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


class _ToldLate(logging.Handler):
    """Writes to standard error that kernels are being compiled, once that has taken a while, and warnings."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a warning; wait with what is said of kernels until it is clear that they are not there yet."""
        message = record.getMessage() + "\n"
        self._forget()
        if record.levelno >= logging.WARNING:
            sys.stderr.write(message)
        elif "kernels" in message:
            self._timer = threading.Timer(SILENT, sys.stderr.write, (message,))
            self._timer.daemon = True  # it does not keep a program that ends
            self._timer.start()

    def close(self) -> None:
        """Forget the last message."""
        self._forget()
        super().close()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Clocked(logging.Formatter):
    """Writes the seconds since the start in front of what is done."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one message; warnings are no steps, and stay as they are."""
        text = super().format(record)
        return text if record.levelno >= logging.WARNING else f"{record.relativeCreated / 1000:7.1f} s  {text}"


class Counted(logging.Filter):
    """Numbers messages, as many as are known to come: "2 of 6: ..."."""

    def __init__(self, steps: int):
        super().__init__()
        self._steps, self._done = steps, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the number in front of a message."""
        if record.levelno == logging.INFO and self._done < self._steps:
            self._done += 1
            record.msg, record.args = f"{self._done} of {self._steps}: {record.getMessage()}", None
        return True


@contextmanager
def counted(logger: str, steps: int) -> Iterator[None]:
    """Number the messages of a logger, in the log and on the line of :func:`progress`.

    Parameters
    ----------
    logger : name.
    steps : messages that are expected.

    Yields
    ------
    None
    """
    log, numbers = logging.getLogger(logger), Counted(steps)
    log.addFilter(numbers)
    try:
        yield
    finally:
        log.removeFilter(numbers)


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
    """Show what is being done, and for how long, until the work ends.

    On a terminal it is one line that disappears. In a pipe, standard error gets a line where kernels have to be
    compiled; with ``--verbose`` the log says everything.

    Parameters
    ----------
    first : text until the package logs what it is at.

    Yields
    ------
    None
    """
    log = logging.getLogger("ngs_nhcsr")
    if log.isEnabledFor(logging.INFO):
        yield
        return
    if not sys.stderr.isatty():
        with _listening(log, _ToldLate()):
            yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as line:
        line.add_task(first, total=None)
        with _listening(log, _Told(line)):
            yield


@contextmanager
def _listening(log: logging.Logger, handler: logging.Handler) -> Iterator[None]:
    """Give a logger's messages from INFO on to a handler instead of the root's."""
    level, spread = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
        log.setLevel(level)
        log.propagate = spread
