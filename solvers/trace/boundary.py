r"""Boundary data of the trace space: Dirichlet values on edges and vertices, fluxes through natural sides.

Owns how Dirichlet and flux data are read (:func:`boundary_data`), their lift into the domain, and the energy of what
the trace space does not hold of them.

On every boundary edge the data are split into the linear part between the edge's ends, which the space has, and a
remainder b that vanishes there. Extended harmonically into the cell next to the edge, with zero on its three other
edges, :math:`b = \sum_k b_k \sin k\pi s` has the energy :math:`\sum_k \tfrac{k\pi}{2}\coth(k\pi\alpha)\,b_k^2`, where α
is the depth of that cell over the length of the edge. b is replaced by the edge functions that are nearest in this
inner product; the energy of the difference bounds, times a, the change of the solution by the same data left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...checks import check_magnitude
from ...errors import InvalidProblem
from ..nodal import real_values, values_of
from ..space import EDGES, SIDES
from .cell import TraceCell
from .edges import EdgeFit, lobatto
from .layout import Boundary, TraceVector

Array = np.ndarray
Side = float | Array | Callable[[Array, Array], Array]
Data = Side | Mapping[str, Side] | Sequence[Array]

#: Each side with the two that meet it, at its lower or left end and at the other.
NEIGHBOURS = {
    "bottom": ("left", "right"),
    "top": ("left", "right"),
    "left": ("bottom", "top"),
    "right": ("bottom", "top"),
}
#: Relative differences of Dirichlet values up to which they are equal: a side of width 2.98 is not hit exactly.
ROUND_OFF = 1e-14
#: Data given by a callable enter as polynomials of this degree on every boundary edge.
DEGREE = 10
#: Data that differ by more than this part of their size at a corner of the domain jump there.
JUMP = 1e-9


@dataclass(frozen=True, eq=False)
class BoundaryData:
    """What holds on the boundary.

    Attributes
    ----------
    boundary : which sides are natural.
    lift : Dirichlet values at fixed unknowns, continued to the vertices inside; other edges zero.
    flux : side -> a du/dn on a natural side, where not zero.
    excess : bound of the energy norm of what Dirichlet data outside the trace space change.
    levels : Dirichlet side -> its value where it is constant; empty if one is not.
    """

    boundary: Boundary
    lift: TraceVector
    flux: dict[str, float]
    excess: float
    levels: dict[str, float]

    @property
    def homogeneous(self) -> bool:
        """Whether all Dirichlet values are zero."""
        return not any(v.any() for v in self.lift.parts()) and self.excess == 0.0


def boundary_data(
    g: Data,
    natural: Iterable[str],
    flux: Mapping[str, float] | None,
    cell: TraceCell,
    a: Array,
    size: tuple[float, float],
) -> BoundaryData:
    """Read Dirichlet and flux data.

    Parameters
    ----------
    g : a number; a callable g(x, y) of arrays; nodal values on a grid that refines the raster, of which those on the
        boundary count; or one entry per side, as a mapping or in the order bottom, right, top, left: a number, a
        callable, or nodal values from left to right or from bottom to top.
    natural : sides with a natural condition, not all four.
    flux : natural side -> a du/dn, a number (default 0).
    cell : reference cell of the raster.
    a : (my, mx) coefficient.
    size : (Ly, Lx) side lengths.

    Returns
    -------
    The data as unknowns of the trace space.

    Raises
    ------
    InvalidProblem
        If all sides are natural, data are missing, not finite, beyond 1e±100, of a wrong shape, or jump at a corner.
    """
    natural = (natural,) if isinstance(natural, str) else tuple(natural)
    boundary = Boundary.of(natural)
    if boundary.singular:
        raise InvalidProblem("with four natural sides u is determined up to a constant only; leave one side Dirichlet.")
    fixed = [s for s in SIDES if s not in boundary.natural]
    given = {s: _sampled(v, s, a.shape, size) for s, v in _per_side(g, fixed, a.shape).items()}
    largest = max(float(np.abs(v).max()) for v in given.values())
    check_magnitude(largest, "g")
    noise = ROUND_OFF * largest
    given = {s: np.full_like(v, v.flat[0]) if np.ptp(v) <= noise else v for s, v in given.items()}
    _check_corners(given)
    lift = TraceVector.zeros(a.shape, cell.modes)
    roots = np.zeros(a.shape)  # energy norms in a cell add up where it has two boundary edges
    for side, values in given.items():
        _write(lift, roots, side, values, cell, uniform=not callable(_side_of(g, side, a.shape)))
    extend(lift, fixed)
    constant = {s: float(v.flat[0]) for s, v in given.items() if np.ptp(v) == 0}
    excess = math.sqrt(float(np.sum(a * roots**2)))
    return BoundaryData(
        boundary,
        lift,
        _fluxes(flux, boundary),
        excess if excess > noise * math.sqrt(float(np.sum(a))) else 0.0,
        constant if len(constant) == len(given) else {},
    )


def extend(v: TraceVector, known: Collection[str]) -> None:
    """Continue vertex values from sides where they are known to all vertices, in place (transfinite interpolation).

    Unknown sides become linear between their ends, or constant where one end is known. Constants and linear
    functions are reproduced, so that a lift of the data is not much rougher than the solution.

    Reference: W. J. Gordon and C. A. Hall, Numer. Math. 21 (1973) 109-129.

    Parameters
    ----------
    v : vector whose ``corners`` (my+1, mx+1) are set; its edges stay as they are.
    known : sides whose vertices have their values, among "bottom", "right", "top", "left".

    Examples
    --------
    >>> v = TraceVector.zeros((2, 2), 0)
    >>> v.corners[:, 2] = 1.0
    >>> extend(v, ["left", "right"])
    >>> v.corners[1].tolist()
    [0.0, 0.5, 1.0]
    """
    known = set(known)
    while known and len(known) < 4:
        for side in [s for s in SIDES if s not in known]:
            ends = [neighbour in known for neighbour in NEIGHBOURS[side]]
            if not any(ends):
                continue
            _, line = edge_line(v, side)
            first, last = (line[0] if ends[0] else line[-1]), (line[-1] if ends[1] else line[0])
            line[:] = np.linspace(first, last, line.size)
            known.add(side)
    c = v.corners
    t, s = np.linspace(0, 1, c.shape[0])[:, None], np.linspace(0, 1, c.shape[1])
    sides = (1 - t) * c[0] + t * c[-1] + (1 - s) * c[:, :1] + s * c[:, -1:]
    corners = (1 - t) * ((1 - s) * c[0, 0] + s * c[0, -1]) + t * ((1 - s) * c[-1, 0] + s * c[-1, -1])
    c[1:-1, 1:-1] = (sides - corners)[1:-1, 1:-1]


def edge_line(v: TraceVector, side: str) -> tuple[Array, Array]:
    """Return views of the edge coefficients (m, p) and the vertex values (m+1,) on a side of the domain.

    Parameters
    ----------
    v : trace vector without batch.
    side : "bottom", "right", "top" or "left"; m is the number of cells along it.

    Returns
    -------
    (m, p) coefficients and (m+1,) values, from left to right or from bottom to top; writing to them changes ``v``.
    """
    if side in ("bottom", "top"):
        row = 0 if side == "bottom" else -1
        return v.level[row], v.corners[row]
    column = 0 if side == "left" else -1
    return v.upright[:, column], v.corners[:, column]


def axis_of(side: str) -> int:
    """Return 0 for a horizontal side, 1 for a vertical one."""
    return 0 if side in ("bottom", "top") else 1


def flux_moments(data: BoundaryData, cell: TraceCell, size: tuple[float, float]) -> TraceVector:
    """Return the moments of the flux data with the trace functions.

    Parameters
    ----------
    data : boundary data with fluxes a du/dn.
    cell : reference cell of the raster.
    size : (Ly, Lx) side lengths.

    Returns
    -------
    A trace vector, zero away from natural sides.
    """
    b = TraceVector.zeros(data.lift.cells, cell.modes)
    for side, value in data.flux.items():
        edges, vertices = edge_line(b, side)
        axis = axis_of(side)
        amount = value * size[1 - axis] / len(edges)
        edges += amount * cell.edge_moments[axis, 0]
        vertices[:-1] += amount / 2
        vertices[1:] += amount / 2
    return b


def _fluxes(flux: Mapping[str, float] | None, boundary: Boundary) -> dict[str, float]:
    """Check the fluxes and return those that are not zero."""
    values = {side: float(value) for side, value in (flux or {}).items()}
    for side, value in values.items():
        if side not in boundary.natural:
            raise InvalidProblem(f'flux is given on "{side}", which is not a natural side; add it to natural.')
        if not math.isfinite(value):
            raise InvalidProblem(f"flux[{side!r}] is {value}; it must be finite.")
    return {side: value for side, value in values.items() if value}


def _side_of(g: Data, side: str, shape: tuple[int, int]) -> Any:
    """Return what is given on one side."""
    if isinstance(g, Mapping):
        if side not in g:
            raise InvalidProblem(f'g has no entry for "{side}"; give one or name the side in natural.')
        return g[side]
    if isinstance(g, (list, tuple)):
        if len(g) != 4:
            raise InvalidProblem(f"g has {len(g)} entries; give four, on {', '.join(SIDES)}.")
        return g[SIDES.index(side)]
    if isinstance(g, np.ndarray) and g.ndim:
        if g.ndim != 2 or any(n <= m or (n - 1) % m for n, m in zip(g.shape, shape, strict=True)):
            raise InvalidProblem(
                f"g has shape {g.shape}; nodal values of a grid that refines the raster {shape} have "
                f"(r*{shape[0]}+1, s*{shape[1]}+1). On sides only, give four arrays or a mapping."
            )
        return g[EDGES[side]]
    return g


def _per_side(g: Data, fixed: list[str], shape: tuple[int, int]) -> dict[str, Any]:
    """Return what is given on each Dirichlet side."""
    if isinstance(g, Mapping) and set(g) - set(SIDES):
        raise InvalidProblem(f"g has entries {sorted(set(g) - set(SIDES))}; the sides are {', '.join(SIDES)}.")
    return {side: _side_of(g, side, shape) for side in fixed}


def _sampled(value: Any, side: str, shape: tuple[int, int], size: tuple[float, float]) -> Array:
    """Values (m, q+1) on the m edges of a side: at Gauss-Lobatto points of a callable, else at equidistant ones."""
    axis = axis_of(side)
    m = shape[1 - axis]
    if callable(value):
        s = (np.arange(m)[:, None] + lobatto(DEGREE)) / m
        along, across = s * size[1 - axis], np.full(s.shape, 0.0 if side in ("bottom", "left") else size[axis])
        values = values_of(value, *((along, across) if axis == 0 else (across, along)), "g")
    else:
        values = real_values(value, "g")
        if values.ndim == 0:
            values = np.full((m, 2), float(values))
        elif values.ndim == 1 and values.size > m and (values.size - 1) % m == 0:
            r = (values.size - 1) // m
            values = values[np.arange(m)[:, None] * r + np.arange(r + 1)]
        else:
            raise InvalidProblem(f'g on "{side}" has shape {values.shape}; nodal values on {m} edges have (r*{m}+1,).')
    return values


def _check_corners(given: dict[str, Array]) -> None:
    """Refuse data that jump at a corner of the domain: no function of finite energy has them."""
    scale = max((float(np.abs(v).max()) for v in given.values()), default=0.0)
    for one, end, other, start in (
        ("bottom", -1, "right", 0),
        ("right", -1, "top", -1),
        ("top", 0, "left", -1),
        ("left", 0, "bottom", 0),
    ):
        if one in given and other in given:
            v, w = given[one].flat[end], given[other].flat[start]
            if abs(v - w) > JUMP * scale:
                raise InvalidProblem(
                    f'g jumps from {v:g} on "{one}" to {w:g} on "{other}" at their corner: no field of finite energy '
                    "has such data; smooth them or make one side natural."
                )


def _write(lift: TraceVector, roots: Array, side: str, values: Array, cell: TraceCell, *, uniform: bool) -> None:
    """Write a side's data into the lift and add the energy norm left out to the roots of the cells next to it."""
    edges, vertices = edge_line(lift, side)
    vertices[:-1], vertices[1:] = values[:, 0], values[:, -1]
    points = np.linspace(0, 1, values.shape[1]) if uniform else lobatto(DEGREE)
    remainder = values - values[:, :1] * (1 - points) - values[:, -1:] * points
    if np.abs(remainder).max() <= 4e-16 * np.abs(values).max():
        return
    fit = EdgeFit.of(cell, axis_of(side), points if not uniform else values.shape[1] - 1)
    edges[:] = fit.coefficients(remainder[:, 1:-1])
    roots[EDGES[side]] += np.sqrt(fit.remainder_energies(remainder[:, 1:-1]))
