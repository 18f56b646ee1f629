"""The models shipped with weights, by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

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
