"""Dirichlet data the user gives, as nodal values on the sides of the rectangle."""

from __future__ import annotations

from typing import Any

import ngsolve as ngs
import numpy as np
from netgen.meshing import NgException  # type: ignore - not in its stubs

from ..checks import described
from ..errors import InvalidProblem
from ..number_checks import is_number
from ..solvers.nodal import values_of
from ..solvers.space import Space
from .evaluate import evaluate, located

#: Samples of given Dirichlet data to a raster cell.
SAMPLES = 16
#: Ends of a side move inwards by this part of its length where functions live on boundary segments: those of this side.
INWARD = 1e-10


def dirichlet_samples(g: Any, mesh: ngs.Mesh, space: Space, raster: tuple[int, int]) -> dict[str, np.ndarray]:
    """Sample Dirichlet data on the four sides, at ``SAMPLES`` points per raster cell and both ends.

    Parameters
    ----------
    g : number, CoefficientFunction, also one that lives on boundaries only (``mesh.BoundaryCF``), or callable g(x, y)
        of arrays.
    mesh : of the coarse solution, on which a CoefficientFunction is evaluated.
    space : of the coarse solution, for the rectangle.
    raster : (my, mx) cells.

    Returns
    -------
    dict
        Nodal values (SAMPLES mx + 1,) of "bottom" and "top", (SAMPLES my + 1,) of "right" and "left", by growing
        coordinate.

    Raises
    ------
    InvalidProblem
        If g is none of these, or not finite.
    GridMismatch
        If the mesh does not cover a side.
    """
    my, mx = raster
    y, x = Space((SAMPLES * my, SAMPLES * mx), space.lower, space.size).nodes()
    sides = {"bottom": (y[:1], x), "right": (y, x[-1:]), "top": (y[-1:], x), "left": (y, x[:1])}
    out = {name: _values(g, mesh, *along) for name, along in sides.items()}
    for name, values in out.items():
        if not np.isfinite(values).all():
            raise InvalidProblem(f"g has values that are not finite on the {name} side.")
    return out


def _values(g: Any, mesh: ngs.Mesh, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values at the points of one side, (n,)."""
    if is_number(g):
        return np.full(len(y) * len(x), float(g))
    if isinstance(g, ngs.CoefficientFunction):
        if g.is_complex or g.dim != 1:
            raise InvalidProblem("g must be a real scalar.")
        try:
            return evaluate(g, mesh, y, x).ravel()
        except NgException:  # defined by boundaries
            return _on_segments(g, mesh, y, x)
    if callable(g):
        return values_of(g, x[None, :], y[:, None], "g").flatten()
    raise InvalidProblem(
        f"g must be a number, CoefficientFunction or callable g(x, y), not {described(g)}; for values by boundary pass "
        "mesh.BoundaryCF({...})."
    )


def _on_segments(g: ngs.CoefficientFunction, mesh: ngs.Mesh, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values (n,) at the points of one side, in its boundary segments."""

    def inside(along: np.ndarray) -> np.ndarray:
        step = INWARD * np.ptp(along)
        return np.clip(along, along[0] + step, along[-1] - step)

    Y, X = (v.ravel() for v in np.meshgrid(inside(y), inside(x), indexing="ij"))
    points = located(mesh, Y, X, boundary=True)
    try:
        return np.asarray(g(points), dtype=float).ravel()
    except NgException as error:
        raise InvalidProblem(f"g can be evaluated neither on the mesh nor on its boundary: {error}.") from error
