"""What ``compare`` returns: rows, fields and grids, with their ways out as tables, pictures and GridFunctions.

Built on ``rows``, ``report`` and ``picture``, none of which knows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidProblem
from ..solvers.space import Space
from .picture import draw
from .report import json_text, legend, markdown, rich_table
from .rows import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from ..ngsolve_io.types import GridFunction
    from ..solvers.trace import TraceField


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(Summary):
    """All methods on one problem.

    Attributes
    ----------
    rows, title, reference, device, threads, notes : see :class:`Summary`.
    fields : (ny+1, nx+1) nodal values by name of the method, and the reference's as "reference"; a method that failed
        has none.
    coarse, fine : the grids.
    u_coarse : the coarse solution that was given.
    solution : the PDE's solution, where errors are measured against it.
    """

    fields: dict[str, np.ndarray]
    coarse: Space
    fine: Space
    u_coarse: GridFunction = field(repr=False)
    solution: TraceField | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.rows)} methods, {self.fine.cells[1]} x {self.fine.cells[0]} cells>"

    def __str__(self) -> str:
        return self.to_markdown()

    def table(self) -> Table:
        """Make the table for the terminal, with the problem as title and the norms in the caption."""
        return rich_table(self)

    def legend(self) -> list[str]:
        """Explain the names of the methods in the table, one line each."""
        return legend(self)

    def to_markdown(self) -> str:
        """Write the table in Markdown, under a line with the problem and above a line with the norms."""
        return markdown(self)

    def to_json(self) -> str:
        """Write everything but the fields as JSON; break-even counts that are never reached are ``null``."""
        return json_text(self)

    def gridfunction(self, name: str) -> GridFunction:
        """Write a field to a GridFunction on the fine mesh, H1 of order 1.

        Parameters
        ----------
        name : of a method, or "reference".

        Returns
        -------
        A new GridFunction; the fine mesh has the names of the coarse one.

        Raises
        ------
        InvalidProblem
            If there is no such field; the message says whether the method failed.
        """
        from ..ngsolve_io.meshes import fine_space

        if name not in self.fields:
            failed = next((f"; {name} failed: {r.message}" for r in self.rows if r.name == name), "")
            raise InvalidProblem(f"no field {name!r}{failed}; there are: {', '.join(self.fields)}.")
        return fine_space(self.u_coarse, self.fine).field(self.fields[name])

    def plot(self, path: str | Path | None = None, axes: Any = None) -> Figure:
        """Draw relative energy errors over total seconds (offline + one load), one marker per method.

        Parameters
        ----------
        path : where to save the picture; the ending decides the format.
        axes : matplotlib Axes to draw into; default: a figure of its own.

        Returns
        -------
        The figure.

        Raises
        ------
        DependencyMissing
            Without matplotlib.
        InvalidProblem
            If no method succeeded.
        """
        return draw(self, path, axes)
