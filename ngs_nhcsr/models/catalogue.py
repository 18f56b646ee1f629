"""The models shipped with weights, by name."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from ..errors import ModelFileError

#: On every device: the paper's networks, trained here, are tens of percent off in energy (docs/models.md), it is not.
DEFAULT_MODEL = "basis-hybrid"
#: Former names and what they mean now.
ALIASES = {"nhcsr-light": "basis-hybrid"}


def shipped_cards() -> dict[str, Path]:
    """Return the model cards shipped with weights by name, sorted."""
    folder = Path(str(files("ngs_nhcsr.weights")))
    return {p.stem: p for p in sorted(folder.glob("*.json"), key=lambda p: p.stem)}


def list_models() -> list[str]:
    """List the names of the models shipped with weights.

    Returns
    -------
    list[str]
        Sorted.

    Examples
    --------
    >>> {"nhcsr", "basis-hybrid"} <= set(list_models())
    True
    """
    return sorted(shipped_cards())


def check_model_name(name: str) -> str:
    """Check that a shipped model has this name; reads no weights.

    Parameters
    ----------
    name : of a model, also a former one.

    Returns
    -------
    str
        The name of today.

    Raises
    ------
    ModelFileError
        If there is none.

    Examples
    --------
    >>> check_model_name("basis-hybrid")
    'basis-hybrid'
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or ".." in name:
        raise ModelFileError(
            f"{name!r} is not a model name; there are: {', '.join(list_models())}. For a file pass a pathlib.Path."
        )
    now = ALIASES.get(name, name)
    if now not in shipped_cards():
        raise ModelFileError(f"no model {name!r}; there are: {', '.join(list_models()) or 'none'}.")
    return now
