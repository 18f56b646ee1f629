"""Results kept in a folder, so that a long study goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, is_dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from ._version import __version__
from .errors import InvalidProblem
from .paths import replacing
from .problem import Problem

#: Kinds of numpy arrays that are kept: truth values, whole, real and complex numbers.
NUMBERS = "biufc"


@dataclass(frozen=True)
class Kept:
    """Numbers in a folder, one file per problem, named by all that decides them.

    Files are written atomically, so several processes may share a folder and be killed at any time.

    Attributes
    ----------
    folder : made on first use.
    key : what else decides the result besides the problem: target, method, options, quantity.
    """

    folder: Path
    key: tuple[Any, ...]

    def get(self, problem: Problem, compute: Callable[[], Any]) -> Any:
        """Return what was kept for a problem; compute and keep it where nothing was.

        Parameters
        ----------
        problem : with numpy arrays.
        compute : makes a number or an array of numbers.

        Returns
        -------
        A Python number, or an array.

        Raises
        ------
        InvalidProblem
            If ``compute`` returns something else.
        """
        path = self.path(problem)
        found = _read(path)
        if found is None:
            found = np.asarray(compute())
            if found.dtype.kind not in NUMBERS:
                raise InvalidProblem("with keep=, quantity must return a number or an array of numbers.")
            self._write(path, found)
        return found.item() if found.ndim == 0 else found

    def path(self, problem: Problem) -> Path:
        """Name the file of a problem: its medium, load, space and Dirichlet data decide it, and the key."""
        given = np.where(problem.space.free, 0.0, problem.U)  # the rest of U follows, up to round-off
        digest = sha256(f"ngs_nhcsr {__version__}".encode())
        for part in (self.key, problem.space, problem.medium, problem.load, given, problem.dirichlet):
            _feed(digest.update, part)
        return self.folder / f"{digest.hexdigest()[:24]}.npy"

    def _write(self, path: Path, values: np.ndarray) -> None:
        with replacing(path) as temporary:
            np.save(temporary, values, allow_pickle=False)


def _read(path: Path) -> np.ndarray | None:
    """Array of a file; ``None`` where there is none that can be read."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def _feed(update: Callable[[bytes], None], value: Any) -> None:
    """Hand on what decides a value as bytes: arrays, fields of objects, code of functions, else its repr."""
    update(type(value).__qualname__.encode())
    if isinstance(value, np.ndarray):
        update(f"{value.shape} {value.dtype.str}".encode())
        update(np.ascontiguousarray(value).tobytes())
        return
    for part in _parts(value):
        if isinstance(part, bytes):
            update(part)
        else:
            _feed(update, part)


def _is_constant(value: Any) -> bool:
    """Tell whether a captured value decides a result; lists and other objects may change while a function runs."""
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic, np.ndarray))


def _parts(value: Any) -> Iterable[Any]:
    """Bytes and further values that decide a value which is no array."""
    if isinstance(value, (tuple, list)):
        return value
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, CodeType):
        return value.co_code, value.co_names, value.co_consts
    if isinstance(value, FunctionType):
        name = f"{value.__module__}.{value.__qualname__}".encode()
        seen = [v for cell in value.__closure__ or () if _is_constant(v := cell.cell_contents)]
        return name, value.__code__, value.__defaults__, value.__kwdefaults__, seen
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if is_dataclass(value) and not isinstance(value, type):  # what it is made of, but nothing that it worked out since
        return [
            v for name, v in vars(value).items() if not isinstance(getattr(type(value), name, None), cached_property)
        ]
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return (vars(value),)
    return (repr(value).encode(),)
