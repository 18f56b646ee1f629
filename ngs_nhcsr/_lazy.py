"""Public names of a package, imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy(namespace: dict[str, Any], where: dict[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Parameters
    ----------
    namespace : ``globals()`` of the package.
    where : public name -> submodule that has it; no submodule may have the name of one of them.

    Returns
    -------
    getattr : Callable
        Imports a name on its first use; raises ``AttributeError`` for other names.
    dir : Callable
        Lists the public names.
    """
    package = namespace["__name__"]

    def get(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        namespace[name] = getattr(import_module(f".{where[name]}", package), name)
        return namespace[name]

    return get, lambda: sorted({*namespace, *where})
