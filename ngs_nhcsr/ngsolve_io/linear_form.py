"""Loads given as LinearForms: taken apart into a function, point sources and fluxes, or matched by coarse moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ngsolve as ngs
import numpy as np

from ..errors import InvalidProblem
from ..solvers.load import Load
from ..solvers.moments import function_moments, line_moments, point_moments
from ..solvers.space import SIDES, Space
from .coarse_field import CoarseField
from .density import to_grid
from .flux import EDGES
from .meshes import boundary_segments, vertices
from .samplers import element_moments, of_integrators, segment_moments

#: Entries below this part of the largest are round-off.
ROUND_OFF = 1e-9
#: Width of an element on which gradients outweigh values, in coarse cells.
TINY = 1e-5
#: What NGSolve calls integrators of CoefficientFunctions; ``skeleton=True`` makes others, which need neighbours.
SYMBOLIC = "Symbolic LFI"
#: Length of the segments on which a flux is taken, in coarse cells.
POINT = 1e-8
#: Part of the coarse moments by which those of the user's rule may differ from exact ones.
RULE = 0.5


def form_moments(
    form: ngs.LinearForm | ngs.BaseVector, u: ngs.GridFunction, found: CoarseField, cells: tuple[int, int]
) -> tuple[np.ndarray, Load[np.ndarray], tuple[str, ...]]:
    r"""Find the load in an assembled LinearForm, or in its vector.

    On a grid of quads the functions in domain and boundary integrators :math:`\int f v` are integrated anew, on the
    fine grid. What the vector holds besides are point sources, seen as moments of up to four neighbouring nodes. Where
    that does not explain the vector, the load is recovered from it.

    Parameters
    ----------
    form : on the space of u.
    u : coarse solution.
    found : the same on a tensor grid.
    cells : (p, q) of the grid on which moments are to be exact.

    Returns
    -------
    b : np.ndarray
        (n,) the vector.
    load : Load
    notes : tuple[str, ...]
        What the user should know.

    Raises
    ------
    InvalidProblem
        If it is not assembled, or of another size than the space of u.
    """
    vector = form.vec if isinstance(form, ngs.LinearForm) else form
    if vector is None or len(vector) != u.space.ndof:
        size = "is not assembled" if vector is None else f"has {len(vector)} entries, u_coarse {u.space.ndof}"
        raise InvalidProblem(f"f= {size}; pass the assembled LinearForm that u_coarse was solved with.")
    b = vector.FV().NumPy().copy()
    if not np.isfinite(b).all():
        raise InvalidProblem("f has values that are not finite; was the LinearForm assembled?")
    if isinstance(form, ngs.LinearForm) and not b.any() and _assembled(form, u.space).any():
        raise InvalidProblem("f= is a LinearForm that is not assembled; call its Assemble().")
    F = to_grid(u, found, b)
    if isinstance(form, ngs.LinearForm) and found.quads is not None and u.space.globalorder == 1:
        moments = _taken_apart(form, F, found, cells)
        if moments is not None:
            return b, Load.from_vector(moments, found.space.size), ()
    note = (
        "the LinearForm could not be integrated on the fine mesh, so f was recovered from its moments with the coarse "
        "hats; pass the function itself where it has jumps or oscillates."
    )
    return b, Load.from_moments(np.where(found.space.free, F, 0.0), found.space), (note,)


def _taken_apart(form: ngs.LinearForm, F: np.ndarray, found: CoarseField, cells: tuple[int, int]) -> np.ndarray | None:
    """Moments of the parts on a grid; ``None`` where they do not explain the coarse moments F."""
    space = found.space
    if any(str(integrator) != SYMBOLIC for integrator in form.integrators):
        return None
    if len(form.space.mesh.GetMaterials()) > 1 or not _is_density(form.integrators, space):
        return None
    moments = np.zeros((cells[0] + 1, cells[1] + 1))
    inside, through = _domain_part(form.integrators, space), _Sides(form, found)
    size = max(float(np.abs(v).max()) for v in (F, inside, through.coarse))
    if inside.any():
        moments += function_moments(of_integrators(form.integrators, space), cells, space.size, space.lower).vector
    if through.coarse.any():
        moments += through.moments(cells)
    known = inside + through.coarse
    off = Load.from_vector(moments, space.size).vector(space.cells) - known
    if np.linalg.norm(off) > RULE * np.linalg.norm(known):
        return None  # the integrand depends on the mesh, or is too narrow for the user's rule
    rest = np.where(np.abs(F - known) > ROUND_OFF * size, F - known, 0.0)
    points = _points(rest, space, cells)
    return None if points is None else moments + points


def _is_density(integrators: Sequence[ngs.LFI], space: Space) -> bool:
    """Whether domain integrators are ∫ f v: with ∇v, moments of linear functions are not small on tiny elements."""
    (y, x), (hy, hx) = space.nodes(), space.spacing
    Y, X = (v.ravel() for v in np.meshgrid(y[:-1] + 0.4 * hy, x[:-1] + 0.4 * hx, indexing="ij"))
    m = np.abs(element_moments(integrators, (Y, Y + TINY * hy), (X, X + TINY * hx), 1))
    return float(m.max()) <= float(m[:, 0, 0].max()) / TINY**0.5


def _domain_part(integrators: Sequence[ngs.LFI], space: Space) -> np.ndarray:
    """Coarse moments (N+1, M+1) of domain integrators by the user's rule, assembled on separate elements."""
    y, x = space.nodes()
    (ny, nx), out = space.cells, np.zeros(space.shape)
    ends_y, ends_x = ((t[:-1], t[1:]) for t in (y, x))
    low_y, low_x = (v.ravel() for v in np.meshgrid(ends_y[0], ends_x[0], indexing="ij"))
    high_y, high_x = (v.ravel() for v in np.meshgrid(ends_y[1], ends_x[1], indexing="ij"))
    m = element_moments(integrators, (low_y, high_y), (low_x, high_x), 1).reshape(ny, nx, 2, 2)
    to_hats = np.array([[0.5, -0.5], [0.5, 0.5]])  # from 1, 2t - 1 to 1 - t, t
    corners = np.einsum("ai,yxij,bj->yxab", to_hats, m, to_hats, optimize=True)
    for i in (0, 1):
        for j in (0, 1):
            out[i : ny + i, j : nx + j] += corners[:, :, i, j]
    return out


class _Sides:
    """Boundary integrators of a LinearForm on the sides of the rectangle; ``coarse`` are their moments (N+1, M+1)."""

    def __init__(self, form: ngs.LinearForm, found: CoarseField):
        mesh = form.space.mesh
        self._integrators, self._found, self._names = form.integrators, found, mesh.GetBoundaries()
        self._pairs, self._regions = boundary_segments(mesh)
        b = np.zeros(mesh.nv)
        ends = vertices(mesh)[self._pairs]
        np.add.at(b, self._pairs, segment_moments(self._integrators, ends, self._regions, self._names))
        self.coarse = b[found.vertices]

    def moments(self, cells: tuple[int, int]) -> np.ndarray:
        """Integrate the flux of the integrators against the hats of a grid: (ny+1, nx+1)."""
        out, space = np.zeros((cells[0] + 1, cells[1] + 1)), self._found.space
        for side in SIDES:
            axis = 1 if side in ("bottom", "top") else 0
            lower = space.lower[1 - axis]
            out[EDGES[side]] += line_moments(self._flow(side, axis), cells[axis], space.size[axis], lower)
        return out

    def _flow(self, side: str, axis: int) -> Callable[[np.ndarray], np.ndarray]:
        """Values of the flux at coordinates along a side, from integrals over tiny segments."""
        space, n = self._found.space, self._found.space.cells[axis]
        Y, X = np.meshgrid(*space.nodes(), indexing="ij")
        places = np.stack([X, Y], -1)[EDGES[side]]
        along, ends = places[:, 1 - axis], self._found.vertices[EDGES[side]]  # type: ignore[index]
        number = {frozenset(pair): k for k, pair in enumerate(self._pairs.tolist())}
        segments = np.array([number[frozenset(pair)] for pair in np.stack([ends[:-1], ends[1:]], 1).tolist()])
        backward = self._pairs[segments, 0] != ends[:-1]

        def flow(s: np.ndarray) -> np.ndarray:
            t, half = s.ravel(), POINT / 2 * space.spacing[axis]
            edge = np.clip(np.searchsorted(along, t, side="right") - 1, 0, n - 1)
            tiny = places[np.stack([edge, edge], 1)]  # (k, 2, 2) as (end, x or y)
            tiny[:, 0, 1 - axis] = np.maximum(t - half, along[edge])
            tiny[:, 1, 1 - axis] = np.minimum(t + half, along[edge + 1])
            length = tiny[:, 1, 1 - axis] - tiny[:, 0, 1 - axis]
            tiny = np.where(backward[edge, None, None], tiny[:, ::-1], tiny)
            found = segment_moments(self._integrators, tiny, self._regions[segments[edge]], self._names)
            return (found.sum(1) / length).reshape(s.shape)

        return flow


def _points(rest: np.ndarray, space: Space, cells: tuple[int, int]) -> np.ndarray | None:
    """Moments of the point sources that have the coarse moments ``rest``; ``None`` if these are no point sources'."""
    from scipy.ndimage import find_objects, label

    moments = np.zeros((cells[0] + 1, cells[1] + 1))
    groups: np.ndarray = label(rest != 0, np.ones((3, 3)))[0]  # type: ignore[index]
    y, x = space.nodes()
    for k, window in enumerate(find_objects(groups), 1):
        mine = np.where(groups == k, rest, 0.0)
        if not (mine * space.free).any():
            continue
        weight = float(mine.sum())
        if max(groups[window].shape) > 2 or abs(weight) < ROUND_OFF * float(np.abs(mine).max()):
            return None
        source = [(float((mine * x).sum()) / weight, float((mine.T * y).sum()) / weight, weight)]
        try:
            same = point_moments(source, space.cells, space.size, space.lower)
        except InvalidProblem:
            return None
        if np.abs(same - mine).max() > 100 * ROUND_OFF * float(np.abs(mine).max()):
            return None
        moments += point_moments(source, cells, space.size, space.lower)
    return moments


def _assembled(form: ngs.LinearForm, space: ngs.FESpace) -> np.ndarray:
    """Vector (n,) of the integrators of a form."""
    again = ngs.LinearForm(space)
    for integrator in form.integrators:
        again += integrator
    return again.Assemble().vec.FV().NumPy().copy()
