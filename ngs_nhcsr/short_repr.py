"""Representations of objects that hold arrays: shapes instead of numbers, so that errors and consoles stay readable."""

from __future__ import annotations

import dataclasses
from typing import Any

#: Characters from which a part is shown by the name of its class alone.
LONG = 120


class ShortRepr:
    """Base of dataclasses, made with ``repr=False``, whose representation names arrays by their shapes.

    Fields that have their default value are left out.

    Examples
    --------
    >>> import numpy as np
    >>> @dataclasses.dataclass(repr=False)
    ... class Pair(ShortRepr):
    ...     values: np.ndarray
    ...     name: str = ""
    >>> Pair(np.zeros((2, 3)), "a")
    Pair(values=array (2, 3), name='a')
    """

    def __repr__(self) -> str:
        parts = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.repr and not (value is field.default or value is None):
                parts.append(f"{field.name}={short(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"


def short(value: Any) -> str:
    """Represent a value in a few words.

    Parameters
    ----------
    value : anything.

    Returns
    -------
    Arrays and tensors by kind and shape, tuples, lists and dictionaries by their parts, what is long by its class, the
    rest as ``repr`` does.

    Examples
    --------
    >>> import numpy as np
    >>> short({"a": (np.zeros(3), 1)})
    "{'a': (array (3,), 1)}"
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and hasattr(value, "dtype"):
        kind = "tensor" if type(value).__module__.startswith("torch") else "array"
        return f"{kind} {tuple(shape)}"
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        opening, closing = ("(", ",)" if len(value) == 1 else ")") if isinstance(value, tuple) else ("[", "]")
        return opening + ", ".join(map(short, value)) + closing
    if type(value) is dict:
        return "{" + ", ".join(f"{k!r}: {short(v)}" for k, v in value.items()) + "}"
    text = repr(value)
    return text if len(text) <= LONG or isinstance(value, str) else f"{type(value).__name__}(…)"
