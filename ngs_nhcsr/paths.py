"""Paths of files: what is wrong with one is found before the work, and nothing is half written; the cache folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from .errors import InvalidProblem


def cache_folder() -> Path:
    """Return the user's cache folder: ngs_nhcsr under XDG_CACHE_HOME or under ~/.cache; it need not exist.

    Returns
    -------
    Path

    Raises
    ------
    RuntimeError
        If there is no home directory, as for users of a container without a name.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ngs_nhcsr"


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file beside another one and move it there in the end, so that a crash leaves the old one, or none.

    Parameters
    ----------
    path : of the file; its folder is made.

    Yields
    ------
    Path
        To write to, with the same suffix; no other process or thread has it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new" / "u.txt"
    >>> with replacing(path) as temporary:
    ...     _ = temporary.write_text("u")
    >>> [file.name for file in path.parent.iterdir()]
    ['u.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_path(path: str | Path, suffixes: Sequence[str], *, force: bool = True) -> Path:
    """Check that a file can be written.

    Parameters
    ----------
    path : of the file.
    suffixes : those that can be written, in lower case and with their dot.
    force : whether an existing file may be replaced.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InvalidProblem
        If the suffix is another, the folder is missing or not writable, or the file exists already.

    Examples
    --------
    >>> check_path("u.txt", (".png", ".html"))
    Traceback (most recent call last):
    ngs_nhcsr.errors.InvalidProblem: u.txt has no suffix that can be written; choose among .png, .html.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise InvalidProblem(f"{path.name} has no suffix that can be written; choose among {', '.join(suffixes)}.")
    if not path.parent.is_dir():
        raise InvalidProblem(f"there is no folder {path.parent}; make it first.")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InvalidProblem(f"{path} cannot be written; choose another place.")
    if path.exists() and not force:
        raise InvalidProblem(f"{path} exists already; give another name, or force (--force) to replace it.")
    return path
