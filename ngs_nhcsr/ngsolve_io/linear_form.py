"""Loads given as LinearForms: taken apart into a function, point sources and fluxes, or matched by coarse moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ngsolve as ngs
import numpy as np

from ..errors import InvalidProblem
from ..solvers.load import Load
from ..solvers.moments import function_moments, line_moments, point_moments
from ..solvers.space import EDGES, SIDES, Space
from ..solvers.transfer import restrict
from .coarse_field import CoarseField
from .density import to_grid
from .meshes import boundary_segments, free_dofs, vertices
from .samplers import element_moments, of_integrators, point_functionals, segment_moments

#: Entries below this part of the largest are round-off.
ROUND_OFF = 1e-9
#: Width of an element on which gradients outweigh values, in coarse cells.
TINY = 1e-5
#: Where in a coarse cell they lie, in parts of it: not where jumps are at round numbers.
INSIDE = 0.381966
#: What NGSolve calls integrators of CoefficientFunctions; ``skeleton=True`` makes others, which need neighbours.
SYMBOLIC = "Symbolic LFI"
#: Length of the segments on which a flux is taken, in coarse cells.
POINT = 1e-8
#: Segments as near to a side as this, in parts of its length, lie on it.
CLOSE = 1e-9
#: Part of the coarse moments by which those of the user's rule may differ from exact ones without a word.
RULE = 0.5
#: … compared, where the mesh is no grid, by a function on a grid refined so many times, with so many orders more.
VIA, BONUS = 4, 6


_BADLY_INTEGRATED = (
    "the function in the LinearForm is too fast for its quadrature on the coarse mesh: the vector that u_coarse was "
    "solved with is far from the function's own. The result is for the function; bonus_intorder= makes u_coarse so too."
)


def form_moments(
    form: ngs.LinearForm | ngs.BaseVector, u: ngs.GridFunction, found: CoarseField, cells: tuple[int, int]
) -> tuple[np.ndarray, Load[np.ndarray], tuple[str, ...]]:
    r"""Find the load in an assembled LinearForm, or in its vector.

    The functions in domain and boundary integrators :math:`\int f v` are integrated anew, on the fine grid. What the
    vector holds besides are point sources, seen as moments of up to four vertices of an element. Where that does not
    explain the vector, the load is recovered from it.

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
    if isinstance(form, ngs.LinearForm):
        moments, notes = _taken_apart(form, b, u, found, cells)
        if moments is not None:
            return b, Load.from_vector(moments, found.space.size), notes
    note = (
        "the LinearForm could not be integrated on the fine mesh, so f was recovered from its moments with the coarse "
        "hats; pass the function itself where it has jumps or oscillates."
    )
    F = np.where(found.space.free, to_grid(u, found, b), 0.0)
    return b, Load.from_moments(F, found.space), (note,)


def _taken_apart(
    form: ngs.LinearForm, b: np.ndarray, u: ngs.GridFunction, found: CoarseField, cells: tuple[int, int]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Moments of the parts on a grid, ``None`` where they do not explain the vector b (n,); and notes."""
    space, integrators, notes = found.space, form.integrators, ()
    if any(str(integrator) != SYMBOLIC for integrator in integrators):
        return None, ()
    if len(form.space.mesh.GetMaterials()) > 1 or not _is_function(integrators, space):
        return None, ()
    moments, known = np.zeros((cells[0] + 1, cells[1] + 1)), _assembled(form, u.space)
    if known.any():
        sides = _Sides(form, space)
        if sides.elsewhere:
            return None, ()
        integral = function_moments(of_integrators(integrators, space), cells, space.size, space.lower)
        moments, notes = moments + integral.vector, integral.notes
        if sides.carry:
            moments += sides.moments(cells)
        at_vertices = known[: u.space.mesh.nv]
        off = _vertex_moments(moments, u.space.mesh, found) - at_vertices
        if np.linalg.norm(off) > RULE * np.linalg.norm(at_vertices):
            notes += (_BADLY_INTEGRATED,)
    size = max(float(np.abs(v).max()) for v in (b, known))
    points = _points(np.where(np.abs(b - known) > ROUND_OFF * size, b - known, 0.0), u)
    if points is None:
        return None, ()
    return moments + point_moments(points, cells, space.size, space.lower), notes


def _vertex_moments(moments: np.ndarray, mesh: ngs.Mesh, found: CoarseField) -> np.ndarray:
    """Compute the moments (nv,) of a load with the hats of the user's mesh; about, where that is no grid."""
    space = found.space
    if found.vertices is not None:
        out = np.empty(mesh.nv)
        out[found.vertices] = restrict(moments, space.cells)
        return out
    load = Load.from_vector(restrict(moments, space.refined(VIA).cells), space.size)
    upper = (space.lower[0] + space.size[1], space.lower[1] + space.size[0])
    f = ngs.VoxelCoefficient(space.lower, upper, load.values, linear=True)
    hats = ngs.H1(mesh, order=1)
    form = ngs.LinearForm(f * hats.TestFunction() * ngs.dx(bonus_intorder=BONUS)).Assemble()
    return form.vec.FV().NumPy().copy()


def _is_function(integrators: Sequence[ngs.LFI], space: Space) -> bool:
    """Whether domain integrators are ∫ f v with a function f of the place alone.

    With ∇v, moments of linear functions are not small on tiny elements; if f depends on the size or the number of an
    element, it is another one on other elements at the same places.
    """
    (y, x), (hy, hx) = space.nodes(), space.spacing
    Y, X = (v.ravel() for v in np.meshgrid(y[:-1] + INSIDE * hy, x[:-1] + INSIDE * hx, indexing="ij"))

    def densities(width: float, order: slice) -> np.ndarray:
        y_ends, x_ends = ((t[order], t[order] + width * h) for t, h in ((Y, hy), (X, hx)))
        return element_moments(integrators, y_ends, x_ends, 1)[order] / (width**2 * hx * hy)

    one, other = densities(TINY, slice(None)), densities(2 * TINY, slice(None, None, -1))
    f, largest = one[:, 0, 0], np.abs(one[:, 0, 0]).max()
    same = np.abs(other[:, 0, 0] - f).max() <= TINY**0.5 * largest
    return bool(np.abs(one).max() <= largest / TINY**0.5 and same)


class _Sides:
    """Boundary integrators of a LinearForm on the sides of the rectangle.

    ``carry`` tells whether they have moments there, ``elsewhere`` whether on other lines of the mesh.
    """

    def __init__(self, form: ngs.LinearForm, space: Space):
        mesh = form.space.mesh
        self._integrators, self._space, self._names = form.integrators, space, mesh.GetBoundaries()
        pairs, self._regions = boundary_segments(mesh)
        self._ends = vertices(mesh)[pairs]  # (ns, 2, 2) as (end, x or y)
        (x0, y0), (Ly, Lx), close = space.lower, space.size, CLOSE * max(space.size)
        places = {"bottom": (1, y0), "right": (0, x0 + Lx), "top": (1, y0 + Ly), "left": (0, x0)}
        self._on = {
            side: (np.abs(self._ends[:, :, across] - at) <= close).all(1) for side, (across, at) in places.items()
        }
        heard = segment_moments(self._integrators, self._ends, self._regions, self._names).any(1)
        on_any = np.any(list(self._on.values()), axis=0)
        self.carry, self.elsewhere = bool((heard & on_any).any()), bool((heard & ~on_any).any())

    def moments(self, cells: tuple[int, int]) -> np.ndarray:
        """Integrate the flux of the integrators against the hats of a grid: (ny+1, nx+1)."""
        out, space = np.zeros((cells[0] + 1, cells[1] + 1)), self._space
        for side in SIDES:
            axis = 1 if side in ("bottom", "top") else 0
            lower = space.lower[1 - axis]
            out[EDGES[side]] += line_moments(self._flow(side, axis), cells[axis], space.size[axis], lower)
        return out

    def _flow(self, side: str, axis: int) -> Callable[[np.ndarray], np.ndarray]:
        """Values of the flux at coordinates along a side, from integrals over tiny segments."""
        along, (mine,) = 1 - axis, np.nonzero(self._on[side])
        mine = mine[np.argsort(self._ends[mine, :, along].min(1))]
        ends, regions = self._ends[mine], self._regions[mine]
        low, high = np.sort(ends[:, :, along], axis=1).T
        backward = ends[:, 0, along] > ends[:, 1, along]
        half = POINT / 2 * self._space.spacing[axis]

        def flow(s: np.ndarray) -> np.ndarray:
            t = s.ravel()
            k = np.clip(np.searchsorted(low, t, side="right") - 1, 0, len(low) - 1)
            tiny = ends[k]
            tiny[:, 0, along], tiny[:, 1, along] = np.maximum(t - half, low[k]), np.minimum(t + half, high[k])
            length = tiny[:, 1, along] - tiny[:, 0, along]
            tiny = np.where(backward[k, None, None], tiny[:, ::-1], tiny)
            found = segment_moments(self._integrators, tiny, regions[k], self._names)
            return (found.sum(1) / length).reshape(s.shape)

        return flow


def _points(rest: np.ndarray, u: ngs.GridFunction) -> list[tuple[float, float, float]] | None:
    """Find the point sources (x, y, weight) with the vector ``rest`` (n,); ``None`` if it is not that of any."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    mesh, free = u.space.mesh, free_dofs(u.space)
    if not (rest * free).any():
        return []
    heard, places = rest[: mesh.nv] != 0, vertices(mesh)
    elements = mesh.ngmesh.Elements2D().NumPy()["nodes"][:, :4].astype(int) - 1
    elements = np.where(elements < 0, elements[:, :1], elements)  # triangles among quads
    i, j = (v.ravel() for v in (np.repeat(elements, elements.shape[1], 1), np.tile(elements, elements.shape[1])))
    both = heard[i] & heard[j]
    graph = coo_array((np.ones(int(both.sum())), (i[both], j[both])), (mesh.nv, mesh.nv))
    part = connected_components(graph, directed=False)[1]
    sources: list[tuple[float, float, float]] = []
    for one in np.unique(part[heard & free[: mesh.nv]]):
        at = np.flatnonzero((part == one) & heard)
        weight = float(rest[at].sum())
        if len(at) > 4 or abs(weight) < ROUND_OFF * float(np.abs(rest[at]).max()):
            return None
        place = rest[at] @ places[at] / weight
        if (place < places[at].min(0)).any() or (place > places[at].max(0)).any():
            return None
        sources.append((float(place[0]), float(place[1]), weight))
    left = rest - point_functionals(u.space, sources)
    same = np.abs(left[free]).max() <= 100 * ROUND_OFF * float(np.abs(rest).max())
    return sources if same else None


def _assembled(form: ngs.LinearForm, space: ngs.FESpace) -> np.ndarray:
    """Vector (n,) of the integrators of a form."""
    again = ngs.LinearForm(space)
    for integrator in form.integrators:
        again += integrator
    return again.Assemble().vec.FV().NumPy().copy()
