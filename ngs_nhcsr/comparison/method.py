"""What a method of a comparison is, and the registry of all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np

from ..registry import Registry
from .context import Context

Aim = Literal["fine", "pde"]


class Method(ABC):
    """A way from the coefficient and the load to a field on the fine mesh: one row of a comparison.

    A subclass sets ``name`` and ``label`` (as class attributes, or in ``__init__`` for a family of methods) and
    implements :meth:`offline` and :meth:`online`. ``methods.add(MyMethod())`` registers it, and
    ``compare(..., methods=("my-method", "multigrid"))`` runs it.

    What is promised, and relied on by the measurement:

    - The work is split by what it depends on: :meth:`offline` reads the coefficient and the grids only and returns
      everything that can be kept for another load, :meth:`online` does the rest. Seconds of both are reported.
    - :meth:`online` is called several times with the same state. It may note in the state what :meth:`remark`,
      :meth:`potential` and :meth:`bound` say of the last load, but nothing that changes the field of any load.
    - Fields are finite nodal values in float64, of the shape of ``context.b``, zero on the boundary.
    - Where a method does not apply or fails it raises an error of ``ngs_nhcsr.errors`` that says what to do (or an
      ``ArithmeticError``, ``MemoryError``, ``LinAlgError``): the row then has the message. Other errors end the
      comparison.
    - An instance holds options only and serves all comparisons. Contexts are not changed.

    Attributes
    ----------
    name : what it is called in ``compare(methods=...)``; unique.
    label : what it is, in a few words, for tables and pictures.
    aim : what its fields approximate: "fine" for u_h, the Q1 solution on the fine mesh, "pde" for u, the solution of
        the differential equation. By default ``compare`` runs the second kind only against u.

    Examples
    --------
    >>> from ngs_nhcsr.solvers.transfer import prolongate
    >>> class Harmonic(Method):
    ...     name, label = "harmonic", "coarse solve with harmonic means, prolonged"
    ...
    ...     def offline(self, context):
    ...         return context.dirichlet_system(context.coarse, context.medium.mean("harmonic", context.coarse))
    ...
    ...     def online(self, context, state):
    ...         return prolongate(state.solve(context.F), context.cells)
    >>> from ngs_nhcsr.problem import Problem
    >>> Harmonic()(Context.of(Problem.from_arrays(np.ones((16, 16)), coarse=4), scale=8)).shape
    (33, 33)
    """

    name: str
    label: str
    aim: Aim = "fine"

    @abstractmethod
    def offline(self, context: Context) -> Any:
        """Do the work that does not depend on the load.

        Parameters
        ----------
        context : the problem; neither ``f``, ``b``, ``F``, ``U`` nor the reference is to be read here.

        Returns
        -------
        The state: everything kept between loads, of any type that the method itself understands.
        """

    @abstractmethod
    def online(self, context: Context, state: Any) -> np.ndarray:
        """Compute the field for the context's load.

        Parameters
        ----------
        context : the problem.
        state : what :meth:`offline` returned for the same coefficient and grids.

        Returns
        -------
        Nodal values (ny+1, nx+1) in float64, zero on the boundary.
        """

    def prepare(self, context: Context) -> None:
        """Do what is not to be timed, such as reading weights from disk; called before :meth:`offline`."""
        return None

    def remark(self, state: Any) -> str:
        """Say what the reader of the row should know of the last field; empty if nothing."""
        return ""

    def potential(self, state: Any) -> float | None:
        """Return E(v) = ½ a(v, v) − f(v) of the last field where that is more than its nodal values say.

        Parameters
        ----------
        state : after :meth:`online`.

        Returns
        -------
        The energy of the field, which then has its error against the PDE's solution; ``None``: the field is the Q1
        function with these nodal values.
        """
        return None

    def bound(self, state: Any) -> float | None:
        """Return a guaranteed bound of the last field's relative energy error against u, where there is one."""
        return None

    def __call__(self, context: Context) -> np.ndarray:
        """Compute the field (ny+1, nx+1) by both parts at once."""
        return self.online(context, self.offline(context))


class Methods(Registry[Method]):
    """Registry that keeps the order of registration, which is the order of the table's rows."""

    def add(self, method: Method) -> Method:
        """Register a method under its own name.

        Parameters
        ----------
        method : an instance.

        Returns
        -------
        The method.

        Raises
        ------
        ValueError
            If the name is taken; :meth:`remove` the other one first.
        """
        return self.register(method.name)(method)

    def remove(self, name: str) -> None:
        """Take a method out, for example to register a changed one.

        Parameters
        ----------
        name : of the method.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        _ = self[name]  # names the known ones if this is none
        del self._entries[name]

    def in_order(self, aims: tuple[Aim, ...] = ("fine",)) -> tuple[str, ...]:
        """List methods by what they approximate.

        Parameters
        ----------
        aims : "fine", "pde" or both; see :class:`Method`.

        Returns
        -------
        Names, in the order of registration.
        """
        return tuple(name for name, method in self._entries.items() if method.aim in aims)


methods = Methods("method")
