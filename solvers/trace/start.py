"""Traces of Q1 fields, to start the iteration from.

Owns the map from nodal values to the trace space.
"""

from __future__ import annotations

import numpy as np

from ...errors import InvalidProblem
from .cell import TraceCell
from .edges import EdgeFit
from .layout import TraceVector

Array = np.ndarray


def trace_of(values: Array, cell: TraceCell, shape: tuple[int, int]) -> TraceVector:
    """Fit the trace space to a Q1 field on every edge of the cells.

    Values at the vertices are kept. What is left of the field on an edge less the linear function of its ends is
    replaced by the edge functions that are nearest in the energy of its harmonic extension into one cell.

    Parameters
    ----------
    values : (ny+1, nx+1) nodal values on a grid that refines the raster.
    cell : reference cell with the edge functions.
    shape : (my, mx) cells of the raster.

    Returns
    -------
    Coefficients on all edges and vertices.

    Raises
    ------
    InvalidProblem
        If the grid does not refine the raster.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or any((n - 1) % m or n < 2 for n, m in zip(values.shape, shape, strict=True)):
        raise InvalidProblem(f"start= must hold nodal values on a grid that refines the {shape} raster.")
    ry, rx = ((n - 1) // m for n, m in zip(values.shape, shape, strict=True))
    level, upright = values[::ry], values[:, ::rx].T
    return TraceVector(
        _edges(level, rx, cell, 0),
        np.ascontiguousarray(_edges(upright, ry, cell, 1).transpose(1, 0, 2)),
        np.array(values[::ry, ::rx]),
    )


def _edges(lines: Array, r: int, cell: TraceCell, axis: int) -> Array:
    """Coefficients (lines, edges, p) of fields on lines (lines, r * edges + 1)."""
    ends = lines[:, ::r]
    if r == 1:
        return np.zeros((len(lines), ends.shape[1] - 1, cell.modes))
    s = np.arange(1, r) / r
    inner = lines[:, :-1].reshape(len(lines), -1, r)[..., 1:]
    remainder = inner - ends[:, :-1, None] * (1 - s) - ends[:, 1:, None] * s
    fit = EdgeFit.of(cell, axis, r)
    return fit.coefficients(remainder.reshape(-1, r - 1)).reshape(*remainder.shape[:2], cell.modes)
