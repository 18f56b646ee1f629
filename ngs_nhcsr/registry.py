"""A name-to-function registry: adding an entry is one decorated function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=Callable)
Entry = TypeVar("Entry", bound=Callable)


class Registry(Generic[T]):
    """Named functions or classes of one kind; ``registry[name]`` raises ``ValueError`` with all names if there is none.

    Parameters
    ----------
    kind : what they are, for messages.

    Examples
    --------
    >>> greetings = Registry("greeting")
    >>> @greetings.register("english")
    ... def hello(): return "hello"
    >>> greetings["english"](), greetings.names()
    ('hello', ['english'])
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Make a decorator that adds a function or class.

        Parameters
        ----------
        name : under which it is found.

        Returns
        -------
        Callable
            Returns what it is given; raises ``ValueError`` if the name is taken.
        """

        def add(entry: Any) -> Any:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return add

    def __getitem__(self, name: str) -> T:
        try:
            return self._entries[name]
        except KeyError:
            raise ValueError(f"no {self.kind} called {name!r}; there are: {', '.join(sorted(self._entries))}") from None

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._entries)
