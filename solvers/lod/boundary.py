"""Dirichlet data of multiscale methods: values at coarse nodes, and what is left on the coarse edges (numpy)."""

from __future__ import annotations

import numpy as np

from ..fine import Load, boundary_values
from ..nesting import Nesting
from ..substructuring.condensation import CellLayout
from ..transfer import prolongate

#: Remainders below this fraction of the data count as zero: the data are linear on the coarse edges.
LINEAR = 1e-12


def split_boundary(g: Load, nesting: Nesting) -> tuple[np.ndarray, np.ndarray]:
    """Boundary data as coarse nodal values plus a remainder.

    Parameters
    ----------
    g : number, callable g(x, y), or fine nodal values of which those on the boundary count.

    Returns
    -------
    coarse : (Ny+1, Nx+1), zero inside.
    rest : (ny+1, nx+1), the data minus their piecewise linear interpolant at the coarse nodes; zero inside, and
        everywhere if the data are linear on every coarse edge.

    Raises
    ------
    InvalidProblem

    Examples
    --------
    >>> coarse, rest = split_boundary(lambda x, y: x**2 + 0 * y, Nesting((2, 2), (4, 4)))
    >>> coarse[0].tolist(), rest[0].tolist()
    ([0.0, 0.25, 1.0], [0.0, -0.0625, 0.0, -0.0625, 0.0])
    """
    values = boundary_values(g, nesting.n, nesting.size)
    ry, rx = nesting.ratio
    coarse = values[::ry, ::rx].copy()
    rest = values - boundary_values(prolongate(coarse, nesting.n), nesting.n)
    if np.abs(rest).max() <= LINEAR * np.abs(values).max():
        rest[:] = 0.0
    return coarse, rest


def edge_vectors(rest: np.ndarray, nesting: Nesting) -> np.ndarray:
    """Values of a remainder at the boundary nodes of every coarse cell, (Ny, Nx, 2 (ry + rx))."""
    blocks = nesting.node_blocks(rest).reshape(*nesting.N, -1)
    return blocks[..., CellLayout(nesting.ratio).boundary]
