"""What a command is at, while it takes its time: one line on a terminal, nothing in a pipe."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status


class _Told(logging.Handler):
    """Puts the package's log messages into the line."""

    def __init__(self, status: Status):
        super().__init__(logging.INFO)
        self._status = status

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message; warnings stay when the line is gone."""
        if record.levelno >= logging.WARNING:
            self._status.console.print(record.getMessage())
        else:
            self._status.update(record.getMessage())


@contextmanager
def progress(first: str) -> Iterator[None]:
    """Show what is being done until the work ends; in a pipe, and with ``--verbose``, show nothing.

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

    with Console(stderr=True).status(first) as status:
        handler, level = _Told(status), log.level
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate, spread = False, log.propagate
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level)
            log.propagate = spread
