"""Fluxes a∂u/∂n that users give on natural sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ngsolve as ngs
import numpy as np

from ..checks import described
from ..errors import InvalidProblem
from ..number_checks import is_number
from ..solvers.moments import line_moments
from ..solvers.space import EDGES, SIDES, Space
from .evaluate import located
from .meshes import boundary_segments, vertices

#: Points on a side up to this part of its length from the end of a boundary segment belong to it.
CLOSE = 1e-9
#: Values that stand for a callable along a side where NGSolve integrates it.
SAMPLES = 4097


@dataclass(frozen=True, eq=False)
class FluxPart:
    """A flux through a part of a side.

    Attributes
    ----------
    side : "bottom", "right", "top" or "left".
    low, high : ends of the part, in the coordinate along the side.
    value : number, CoefficientFunction or callable g(x, y) of arrays.
    """

    side: str
    low: float
    high: float
    value: Any


def flux_parts(flux: Any, mesh: ngs.Mesh, space: Space) -> tuple[FluxPart, ...]:
    """Find out where a flux flows.

    Parameters
    ----------
    flux : number, CoefficientFunction or callable g(x, y), for all natural parts of the boundary; or a dict of these by
        boundary name of the mesh, or by side.
    mesh : of the coarse solution.
    space : the coarse space.

    Returns
    -------
    tuple[FluxPart, ...]

    Raises
    ------
    InvalidProblem
        If there is no such boundary, a part of it has Dirichlet values, or a value is none of the kinds above.
    """
    natural = {side: list(_natural(space, side)) for side in SIDES}
    if not isinstance(flux, Mapping):
        flux = {None: flux}
    parts = []
    for name, value in flux.items():
        if not (is_number(value) or isinstance(value, ngs.CoefficientFunction) or callable(value)):
            raise InvalidProblem(
                f"flux= takes a number, CoefficientFunction or callable g(x, y), or a dict of these, not "
                f"{described(value)}."
            )
        if name is None:
            where = [(side, *ends) for side in SIDES for ends in natural[side]]
            if not where:
                raise InvalidProblem("flux= needs a natural side, but u_coarse has Dirichlet values on all of them.")
        else:
            where = named_parts(name, mesh, space, "flux")
            for side, low, high in where:
                if not any(a <= low + CLOSE and high - CLOSE <= b for a, b in natural[side]):
                    raise InvalidProblem(
                        f"flux= is given on {name!r}, where u_coarse has Dirichlet values; leave it out there."
                    )
        parts += [FluxPart(side, low, high, value) for side, low, high in where]
    return tuple(parts)


def flux_moments(parts: Sequence[FluxPart], mesh: ngs.Mesh, space: Space, cells: tuple[int, int]) -> np.ndarray:
    """Integrate fluxes against the hats of a grid.

    Parameters
    ----------
    parts : as of :func:`flux_parts`.
    mesh : on which CoefficientFunctions are evaluated.
    space : with the rectangle.
    cells : (ny, nx) of the grid.

    Returns
    -------
    np.ndarray
        (ny+1, nx+1) moments.

    Raises
    ------
    InvalidProblem
        If a value is not finite.
    """
    out = np.zeros((cells[0] + 1, cells[1] + 1))
    for part in parts:
        axis = _axis(part.side)

        def flow(s: np.ndarray, part: FluxPart = part) -> np.ndarray:
            values = _values(part, mesh, space, s.ravel()).reshape(s.shape)
            if not np.isfinite(values).all():
                raise InvalidProblem(f"flux= has values that are not finite on the {part.side} side.")
            return np.where((s > part.low) & (s < part.high), values, 0.0)

        out[EDGES[part.side]] += line_moments(flow, cells[axis], space.size[axis], space.lower[1 - axis])
    return out


def flux_form(fes: ngs.FESpace, parts: Sequence[FluxPart], space: Space) -> np.ndarray:
    """Integrate fluxes over a user's space.

    Parameters
    ----------
    fes : scalar.
    parts : as of :func:`flux_parts`.
    space : with the rectangle.

    Returns
    -------
    np.ndarray
        (n,) load vector.
    """
    out = np.zeros(fes.ndof)
    for part in parts:
        along = ngs.x if _axis(part.side) else ngs.y
        on_part = (
            on_side(part.side, space) * ngs.IfPos(along - part.low, 1.0, 0.0) * ngs.IfPos(part.high - along, 1.0, 0.0)
        )
        form = ngs.LinearForm(
            _function(part, fes.mesh, space) * on_part * fes.TestFunction() * ngs.ds(bonus_intorder=6)
        )
        out += form.Assemble().vec.FV().NumPy()
    return out


def on_side(side: str, space: Space) -> ngs.CoefficientFunction:
    """Make the function that is 1 on a side of the rectangle, and 0 on the others."""
    across, at, slack = ngs.y if _axis(side) else ngs.x, _place(side, space), CLOSE * max(space.size)
    return ngs.IfPos(across - (at - slack), 1.0, 0.0) * ngs.IfPos(at + slack - across, 1.0, 0.0)


def side_ends(side: str, space: Space) -> tuple[float, float]:
    """Compute the ends of a side, in the coordinate along it."""
    nodes = space.nodes()[_axis(side)]
    return float(nodes[0]), float(nodes[-1])


def _axis(side: str) -> int:
    """Axis along a side: 0 along y, 1 along x."""
    return 1 if side in ("bottom", "top") else 0


def _place(side: str, space: Space) -> float:
    """Coordinate across a side."""
    (x0, y0), (Ly, Lx) = space.lower, space.size
    return {"bottom": y0, "right": x0 + Lx, "top": y0 + Ly, "left": x0}[side]


def _natural(space: Space, side: str) -> Iterator[tuple[float, float]]:
    """Intervals of a side without Dirichlet values: the edges with a free end, joined."""
    free, nodes = space.free[EDGES[side]], space.nodes()[_axis(side)]
    edges = free[:-1] | free[1:]
    ends = np.flatnonzero(np.diff(np.concatenate([[False], edges, [False]]).astype(int)))
    for first, last in ends.reshape(-1, 2):
        yield float(nodes[first]), float(nodes[last])


def named_parts(name: Any, mesh: ngs.Mesh, space: Space, option: str) -> list[tuple[str, float, float]]:
    """Find the parts of sides that have a boundary name, or a side as a whole.

    Parameters
    ----------
    name : of a boundary of the mesh, or a side.
    mesh : of the coarse solution.
    space : the coarse space.
    option : which it was given to, for the message.

    Returns
    -------
    list
        Side, and the ends of the part in the coordinate along it.

    Raises
    ------
    InvalidProblem
        If there is no such boundary.
    """
    names = list(mesh.GetBoundaries())
    if name not in names:
        if name not in SIDES:
            known = ", ".join(map(repr, dict.fromkeys(names)))
            raise InvalidProblem(f"{option}= is given on {name!r}, but the mesh has the boundaries {known}.")
        return [(name, *side_ends(name, space))]
    pairs, regions = boundary_segments(mesh)
    mine = vertices(mesh)[pairs[[names[r] == name for r in regions]]]  # (ns, 2, 2) as (end, x or y)
    tolerance, found = CLOSE * max(space.size), []
    for side in SIDES:
        along = 0 if _axis(side) else 1
        there = (np.abs(mine[:, :, 1 - along] - _place(side, space)) <= tolerance).all(1)
        joined: list[list[float]] = []
        for low, high in sorted(np.sort(mine[there][:, :, along], axis=1).tolist()):
            if joined and low <= joined[-1][1] + tolerance:
                joined[-1][1] = high
            else:
                joined.append([low, high])
        found += [(side, low, high) for low, high in joined]
    return found


def _values(part: FluxPart, mesh: ngs.Mesh, space: Space, s: np.ndarray) -> np.ndarray:
    """Values at coordinates (n,) along the side."""
    at = np.full(len(s), _place(part.side, space))
    x, y = (s, at) if _axis(part.side) else (at, s)
    if isinstance(part.value, ngs.CoefficientFunction):
        return np.asarray(part.value(located(mesh, y, x, boundary=True)), dtype=float).ravel()
    if callable(part.value):
        return np.broadcast_to(np.asarray(part.value(x, y), dtype=float), s.shape)
    return np.full(len(s), float(part.value))


def _function(part: FluxPart, mesh: ngs.Mesh, space: Space) -> ngs.CoefficientFunction:
    """The value as a function on the side; callables linear between samples."""
    if isinstance(part.value, ngs.CoefficientFunction):
        return part.value
    axis = _axis(part.side)
    s = np.linspace(0, space.size[axis], SAMPLES) + space.lower[1 - axis]
    row = _values(part, mesh, space, s)
    upper = (space.lower[0] + space.size[1], space.lower[1] + space.size[0])
    table = np.stack([row, row]) if axis else np.stack([row, row], 1)
    return ngs.VoxelCoefficient(space.lower, upper, np.ascontiguousarray(table), linear=True)
