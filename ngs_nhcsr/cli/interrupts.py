"""Ctrl-C, also where it would be lost."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

#: Seconds until a Ctrl-C that was lost is tried again.
AGAIN = 0.1


@contextmanager
def insistent() -> Iterator[threading.Event]:
    """Repeat a Ctrl-C until it arrives.

    While kernels are compiled, Python is called back from LLVM, and an exception there is printed and forgotten: the
    command would go on to its end.

    Yields
    ------
    Event
        Set once a Ctrl-C was lost; what fails afterwards may be due to it.
    """
    before, was_lost = sys.unraisablehook, threading.Event()

    def repeat(lost: UnraisableHookArgs) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            before(lost)
            return
        was_lost.set()
        timer = threading.Timer(AGAIN, _thread.interrupt_main)
        timer.daemon = True
        timer.start()

    sys.unraisablehook = repeat
    try:
        yield was_lost
    finally:
        sys.unraisablehook = before
