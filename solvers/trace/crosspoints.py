r"""Coarse functions at cross points: vertices where two cells of large coefficient touch, between two of small ones.

Owns where these vertices are, the traces of the coarse functions there, and the element matrices of the coarse problem.

Around a cross point x solutions go like :math:`r^\lambda` with a small exponent: the value at x and what a large cell
has on its edges may differ at nearly no cost in energy. Vertex functions that are linear along edges tie one to the
other, at the cost of the large coefficient: with them the condition number of the preconditioned matrix grows like the
root of the contrast (9, 57, 630 at 30, 10³, 10⁵ on 32² random cells; with the functions here 5, 8, 14).

On the two edges at x of a large cell A a coarse function with values :math:`U` at the vertices of A is

.. math:: U \text{ linear} + (U_x - \tilde U_x)\,\eta,

with the mean :math:`\tilde U_x` of the other vertices of A, and :math:`\eta` the combination of the edges' functions
for which the vertex function of x has the least energy in A and in the cells across the edges. A cell of small
coefficient sees the edges of two others; its energy is taken as the sum of what each part has by itself, so that the
coarse problem stays one of nine-point stencils.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..q1 import SYMMETRIC_PAIRS
from ..smoothing import Factors, chebyshev
from .layout import Boundary

#: Quotient of the smaller large and the larger small coefficient from which a vertex counts as cross point. At 10 one
#: step less is taken, and the set-up takes as much longer.
RATIO = 12.0
#: Quotients are rounded to powers of 2^(1/4): a trace of least energy is needed roughly, and few are to be found.
PER_OCTAVE = 4
#: From which contrast on so many Chebyshev steps are taken on the coarse problem, whose preconditioner is a multigrid
#: cycle, and the lowest eigenvalue they are for: a cycle alone does not tell large cells apart that touch in points.
#: On 128² random cells the method takes 11 steps at 1:1000 and 15 at 1:10⁵ with these, 12 and 13 with thirty each, 18
#: and 60 with single cycles.
COARSE_STEPS = ((250.0, 2, 0.3), (5e3, 3, 0.1), (5e4, 4, 0.03), (2e6, 8, 0.01))
#: Vertices of a cell as (iy, ix), and bits that stand for them.
CORNERS, BITS = ((0, 0), (0, 1), (1, 0), (1, 1)), 1 << np.arange(4)


def _weights() -> np.ndarray:
    """Return the coefficients (16, 4, 4) of U_x − Ũ_x for every set of cross points among a cell's vertices."""
    soft = np.arange(16)[:, None] & BITS > 0
    firm = ~soft | soft.all(1, keepdims=True)  # without firm vertices the mean is over all
    return np.eye(4) - (firm / firm.sum(1, keepdims=True))[:, None, :]


WEIGHTS = _weights()


@dataclass(frozen=True)
class CrossPoints:
    """Changes of the coarse functions at cross points: an entry for each of the K cells that are a large one at one.

    Attributes
    ----------
    edges : (K, 2) first coefficient of the cell's horizontal and vertical edge at x in ``TraceVector.flat``.
    kind : (K,) row of ``traces``.
    traces : (kinds, 2p) η on these two edges.
    vertices : (K, 4) numbers j (mx + 1) + i of the cell's vertices.
    weights : (K, 4) coefficients of U_x − Ũ_x, zero at fixed vertices.
    elements : (10, my, mx) matrices of all cells for the coarse problem, in the order ``q1.SYMMETRIC_PAIRS``.
    factors : of Chebyshev's iteration on it; ``None``: a multigrid cycle does.
    """

    edges: np.ndarray
    kind: np.ndarray
    traces: np.ndarray
    vertices: np.ndarray
    weights: np.ndarray
    elements: np.ndarray
    factors: Factors | None

    @classmethod
    def of(cls, a: np.ndarray, S: np.ndarray, modes: int, boundary: Boundary) -> CrossPoints | None:
        """Find the cross points of a raster.

        Parameters
        ----------
        a : (my, mx) coefficients.
        S : (4p+4, 4p+4) matrix of a cell with a = 1.
        modes : functions per edge p.
        boundary : says which vertices are fixed. Vertices on sides are no cross points.

        Returns
        -------
        The changes; None where there is no cross point, or no function of an edge.

        Examples
        --------
        >>> from ngs_nhcsr.solvers.trace.cell import trace_cell
        >>> a, S = np.array([[1.0, 100.0], [100.0, 1.0]]), trace_cell((0.4, 1.6), 4).stiffness
        >>> found = CrossPoints.of(a, S, 4, Boundary.of(["left", "right", "top"]))
        >>> found.vertices.tolist()  # of the cells on the right below and on the left above
        [[1, 2, 4, 5], [3, 4, 6, 7]]
        """
        if modes == 0 or min(a.shape) < 2:
            return None
        soft, small = _soft_corners(a, boundary.periodic)
        j, i, corner = np.nonzero(soft)
        if not len(j):
            return None
        ratio = small[j, i, corner] / a[j, i]
        rounded, which = np.unique(np.round(PER_OCTAVE * np.log2(ratio)).astype(int), return_inverse=True)
        traces = Traces.of(S, modes, 2.0 ** (rounded / PER_OCTAVE))
        levels = np.zeros(soft.shape, int)
        levels[soft] = which + 1
        (my, mx), (y, x) = a.shape, np.divmod(corner, 2)
        rows, columns = (my, mx) if boundary.periodic else (my + 1, mx + 1)  # the last ones are the first there
        edges = np.stack([(j + y) % rows * mx + i, j * (mx + 1) + (i + x) % columns], 1) * modes
        edges[:, 1] += (my + 1) * mx * modes  # behind all horizontal edges
        numbers = np.stack([(j + cy) % rows * (mx + 1) + (i + cx) % columns for cy, cx in CORNERS], 1)
        free = boundary.free(a.shape, 0).corners.ravel()[numbers]
        weights = WEIGHTS[(soft @ BITS)[j, i], corner]
        contrast = a.max() / a.min()
        steps = next((row[1:] for row in reversed(COARSE_STEPS) if contrast > row[0]), None)
        return cls(
            edges=edges,
            kind=corner * len(rounded) + which,
            traces=traces.eta,
            vertices=numbers,
            weights=weights * free,
            elements=_elements(a, S, levels, traces),
            factors=None if steps is None else chebyshev(steps[1], 1.0, steps[0]),
        )


@dataclass(frozen=True)
class Traces:
    """η for the four vertices of a cell and R quotients of small and large coefficients.

    Attributes
    ----------
    ratios : (R,) the quotients.
    eta : (4R, 2p) on the horizontal and the vertical edge, vertex by vertex.
    in_cell : (4R, 4p) the same among all edges of the cell.
    across : (4R,) energies across the edges for a = 1.
    """

    ratios: np.ndarray
    eta: np.ndarray
    in_cell: np.ndarray
    across: np.ndarray

    @classmethod
    def of(cls, S: np.ndarray, p: int, ratios: np.ndarray) -> Traces:
        """Compute them; arguments as the attributes, and those of ``CrossPoints.of``."""
        eta, in_cell, energies = [], np.zeros((4, len(ratios), 4 * p)), []
        for corner, (y, x) in enumerate(CORNERS):
            level, upright = np.arange(y * p, (y + 1) * p), np.arange((2 + x) * p, (3 + x) * p)
            own = np.concatenate([level, upright])
            across = np.zeros((2 * p, 2 * p))  # the cells across see one edge each
            across[:p, :p], across[p:, p:] = S[np.ix_(level, level)], S[np.ix_(upright, upright)]
            M = S[np.ix_(own, own)] + ratios[:, None, None] * across
            eta.append(-np.linalg.solve(M, (1 + ratios)[:, None, None] * S[own, 4 * p + corner][:, None])[..., 0])
            in_cell[corner][:, own] = eta[-1]
            energies.append(np.einsum("ki,ij,kj->k", eta[-1], across, eta[-1]))
        return cls(ratios, np.concatenate(eta), in_cell.reshape(-1, 4 * p), np.concatenate(energies))


def _soft_corners(a: np.ndarray, periodic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Find the vertices of cells (my, mx, 4) that are cross points at which the cell is a large one.

    Returns them, and the larger of the small coefficients there (my, mx, 4).
    """
    soft, small = np.empty((*a.shape, 4), bool), np.empty((*a.shape, 4))
    for corner, (y, x) in enumerate(CORNERS):
        down, left = 1 - 2 * y, 1 - 2 * x  # what is rolled comes from the cell across
        beside, above = np.roll(a, left, 1), np.roll(a, down, 0)
        small[..., corner] = np.maximum(beside, above)
        soft[..., corner] = np.minimum(a, np.roll(above, left, 1)) >= RATIO * small[..., corner]
        if not periodic:
            soft[-y, :, corner] = soft[:, -x, corner] = False  # vertices on sides
    return soft, small


def _elements(a: np.ndarray, S: np.ndarray, levels: np.ndarray, traces: Traces) -> np.ndarray:
    """Compute the element matrices (10, my, mx) of the coarse functions.

    ``levels`` (my, mx, 4) is the number of a quotient plus one at cross points of a cell, else 0. Up to the coefficient
    a matrix depends on these four numbers only, of which there are few combinations.
    """
    at, edges = slice(len(S) - 4, None), slice(0, len(S) - 4)
    i, j = np.array(SYMMETRIC_PAIRS).T
    elements = S[at, at][i, j][:, None, None] * a
    cells = levels.any(-1)
    digits = (len(traces.ratios) + 1) ** np.arange(4)
    found, which = np.unique(levels[cells] @ digits, return_inverse=True)
    level = found[:, None] // digits % digits[1]
    there, number = level > 0, np.maximum(level - 1, 0)
    kinds = number + len(traces.ratios) * np.arange(4)
    W = WEIGHTS[there @ BITS] * there[..., None]  # rows are cross points, columns vertices
    # U has the trace linear + sum over c of (W_c·U) η_c, whose energy S has in these columns.
    G = np.einsum("mcv,mcw->mvw", (traces.in_cell @ S[edges, at])[kinds], W)
    H = (traces.in_cell @ S[edges, edges] @ traces.in_cell.T)[kinds[:, :, None], kinds[:, None, :]]
    H[:, range(4), range(4)] += traces.ratios[number] * traces.across[kinds]
    change = G + G.swapaxes(1, 2) + W.swapaxes(1, 2) @ H @ W
    elements[:, cells] += a[cells] * change[:, i, j].T[:, which]
    return elements
