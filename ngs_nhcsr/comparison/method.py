"""What a method is, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..registry import Registry

if TYPE_CHECKING:
    from .context import Context


def _nothing(context: Context) -> None:
    """Default of ``Method.prepare``."""


def _no_remark(state: Any) -> str:
    """Default of ``Method.remark``."""
    return ""


@dataclass(frozen=True)
class Method:
    """A way from the coefficient and the load to a field on the fine mesh.

    Attributes
    ----------
    name : what to call it in ``compare(methods=...)``.
    label : what it is, in a few words, for tables and pictures.
    offline : context -> state, everything that can be kept for another load.
    online : (context, state) -> (ny+1, nx+1) nodal values, the work for one load.
    prepare : untimed work before the measurement, such as reading weights from disk.
    remark : state -> what the reader of the row should know, after ``online``.
    aim : what the method approximates: "fine" for u_h, the Q1 solution on the fine mesh, "pde" for the solution of
        the differential equation.
    potential : state -> E(v) = ½ a(v, v) − f(v) of what the method found, after ``online``, where that is more than
        its nodal values say. Only used against the PDE's solution.
    """

    name: str
    label: str
    offline: Callable[[Context], Any]
    online: Callable[[Context, Any], np.ndarray]
    prepare: Callable[[Context], None] = _nothing
    remark: Callable[[Any], str] = _no_remark
    aim: Literal["fine", "pde"] = "fine"
    potential: Callable[[Any], float] | None = None

    def __call__(self, context: Context) -> np.ndarray:
        """Both parts at once."""
        return self.online(context, self.offline(context))


class Methods(Registry[Method]):
    """Registry that keeps the order of registration, which is the order of the table's rows."""

    def add(self, method: Method) -> Method:
        """Register ``method`` under its own name."""
        return self.register(method.name)(method)

    def in_order(self, aims: tuple[str, ...] = ("fine",)) -> tuple[str, ...]:
        """Names of the methods with these aims, as they were registered."""
        return tuple(name for name, method in self._entries.items() if method.aim in aims)


methods = Methods("method")
