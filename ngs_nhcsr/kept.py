"""Results kept in a folder, so that a long study goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, is_dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
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
    folder : that exists.
    key : digest of what else decides the result besides the problem: target, method, options, quantity.
    """

    folder: Path
    key: str

    @classmethod
    def of(cls, folder: str | Path, *decides: Any) -> Kept:
        """Make the folder, and the key of what decides results as it is now.

        Parameters
        ----------
        folder : where the files lie.
        *decides : values, objects, functions with what they capture. Lists and dicts count as they are at this moment:
            a quantity may fill those that it captures while it runs.

        Returns
        -------
        Kept

        Raises
        ------
        InvalidProblem
            If there can be no such folder.
        """
        path = Path(folder).absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidProblem(f"keep={str(folder)!r} cannot be a folder: {error.strerror or error}.") from error
        return cls(path, _digest(decides))

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
            found = _numbers(compute())
            self._write(path, found)
        return found.item() if found.ndim == 0 else found

    def path(self, problem: Problem) -> Path:
        """Name the file of a problem: its medium, load, space and Dirichlet data decide it, and the key."""
        given = np.where(problem.space.free, 0.0, problem.U)  # the rest of U follows, up to round-off
        parts = (self.key, problem.space, problem.medium, problem.load, given, problem.dirichlet)
        return self.folder / f"{_digest((f'ngs_nhcsr {__version__}', *parts))[:24]}.npy"

    def _write(self, path: Path, values: np.ndarray) -> None:
        with replacing(path) as temporary:
            np.save(temporary, values, allow_pickle=False)


def _read(path: Path) -> np.ndarray | None:
    """Array of a file; ``None`` where there is none that can be read."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def _numbers(value: Any) -> np.ndarray:
    """What a quantity returned, as an array."""
    try:
        found = np.asarray(value)
    except ValueError:  # rows of different lengths
        found = np.asarray(None)
    if found.dtype.kind not in NUMBERS:
        raise InvalidProblem("with keep=, quantity must return a number or an array of numbers.")
    return found


def _digest(values: Any) -> str:
    """Hash all that decides some values."""
    digest = sha256()
    _feed(digest.update, values, ())
    return digest.hexdigest()


def _feed(update: Callable[[bytes], None], value: Any, within: tuple[int, ...]) -> None:
    """Hand on what decides a value as bytes: arrays, fields of objects, code of functions, else its repr.

    ``within`` are the ids of what the value is a part of: a function may capture itself.
    """
    update(type(value).__qualname__.encode())
    if hasattr(value, "detach"):  # torch
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        update(f"{value.shape} {value.dtype.str}".encode())
        update(np.ascontiguousarray(value).tobytes())
        return
    if id(value) in within:
        return
    for part in _parts(value):
        if isinstance(part, bytes):
            update(part)
        else:
            _feed(update, part, (*within, id(value)))


def _parts(value: Any) -> Iterable[Any]:
    """Bytes and further values that decide a value which is no array."""
    if isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.dtype == object):
        return value
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    if isinstance(value, ModuleType):
        return (value.__name__.encode(),)
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, CodeType):
        return value.co_code, value.co_names, value.co_consts
    if isinstance(value, FunctionType):
        name = f"{value.__module__}.{value.__qualname__}".encode()
        captured = [_content(cell) for cell in value.__closure__ or ()]
        return name, value.__code__, value.__defaults__, value.__kwdefaults__, captured
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, type):
        return (f"{value.__module__}.{value.__qualname__}".encode(),)
    if is_dataclass(value):  # what it is made of, but nothing that it worked out since
        known = {k: v for k, v in vars(value).items() if not isinstance(getattr(type(value), k, None), cached_property)}
        return (*known.values(), *_methods(type(value)))
    if type(value).__repr__ is object.__repr__:  # which would tell the address, not the value
        return (getattr(value, "__dict__", {}), *_methods(type(value)))
    if hasattr(value, "__dict__") and vars(value):
        return (vars(value), *_methods(type(value)))
    return (repr(value).encode(),)


def _methods(kind: type) -> list[Any]:
    """Names and functions of a user's class and its bases: an object that is called may call any of them."""
    mine = __name__.partition(".")[0]
    found: list[Any] = []
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] not in (mine, "builtins"):
            for name, v in vars(base).items():
                function = v.fget if isinstance(v, property) else getattr(v, "__func__", v)
                if isinstance(function, FunctionType):
                    found += (name, function)
    return found


def _content(cell: CellType) -> Any:
    """What a function captured; ``None`` where it has no value yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None
