"""Keep the arrays of reference cells in the user's cache folder: plain npz files, written atomically, never pickled.

Owns where these files lie, their names (a hash of version and key) and their version. A file that cannot be read or
written is never an error: the cell is computed again.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...paths import cache_folder, replacing

_VERSION = 2
"""Raise this whenever the meaning or the accuracy of stored arrays changes."""


def _path(key: str) -> Path:
    """Return the file of a key."""
    return cache_folder() / f"cell-{hashlib.sha256(f'{_VERSION} {key}'.encode()).hexdigest()[:32]}.npz"


def load(key: str) -> dict[str, NDArray] | None:
    """Read the arrays stored under a key.

    Parameters
    ----------
    key : the text that :func:`save` was given.

    Returns
    -------
    name -> array; None if there are none or the file is damaged, of another version or of another key.
    """
    try:
        with np.load(_path(key), allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile):
        return None
    label = arrays.pop("key", None)
    return arrays if label is not None and str(label) == f"{_VERSION} {key}" else None


def save(key: str, arrays: dict[str, NDArray]) -> bool:
    """Store arrays under a key; a folder that cannot be written is no error.

    Parameters
    ----------
    key : text that says everything the arrays depend on.
    arrays : name -> array of numbers; the name "key" is taken.

    Returns
    -------
    Whether the arrays were stored.
    """
    try:
        with replacing(_path(key)) as temporary:
            np.savez(temporary, allow_pickle=False, **{"key": np.array(f"{_VERSION} {key}"), **arrays})
    except (OSError, RuntimeError):
        return False
    return True
