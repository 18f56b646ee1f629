"""How all kernels are compiled (numba): without Python's lock, one thread each, kept in the user's cache folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

import numba

from ...paths import cache_folder

Function = TypeVar("Function", bound=Callable[..., Any])

#: Reassociation and contraction vectorise sums; nothing assumes that numbers are finite.
MATHEMATICS: Any = {"error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}

#: Modules may be imported by several threads, and numba's setting is one for the process.
_setting = Lock()


def kernel(function: Function) -> Function:
    """Compile a function at its first call, and keep the result on disk; ``NUMBA_CACHE_DIR`` says where, if it is set.

    Not beside the source, as is numba's default: what pip has not installed it does not remove, and the folders that
    were left of one installation hid the next one's modules. Where there is no home directory, numba chooses.

    Parameters
    ----------
    function : of arrays and numbers, in the part of Python that numba knows.

    Returns
    -------
    The compiled function.
    """
    with _setting:
        configured = numba.config.CACHE_DIR  # type: ignore[attr-defined]
        if not configured:
            with contextlib.suppress(RuntimeError):
                numba.config.CACHE_DIR = str(cache_folder() / "kernels")  # type: ignore[attr-defined]
        try:
            compiled: Any = numba.njit(cache=True, nogil=True, **MATHEMATICS)(function)
        finally:
            numba.config.CACHE_DIR = configured  # type: ignore[attr-defined]
    return compiled
