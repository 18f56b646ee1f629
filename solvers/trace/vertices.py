"""The local problems of the Schwarz method: at every vertex its unknown and those of the edges that meet there.

Owns the order of the unknowns around a vertex, their matrices, and the sorting of vertices by the coefficients around
them.

The ``m = 4p + 1`` unknowns around a vertex are ``[left edge | right edge | lower edge | upper edge | vertex]``. The
matrix is a combination of four fixed ones, one per cell around the vertex, with the cells' coefficients:
``sum_k a_k T_k``, cells in the order south-west, south-east, north-west, north-east. Cells outside the domain have
coefficient 0; unknowns that are fixed or missing get an identity row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .layout import Boundary

#: Coefficients with more distinct values than this get one matrix per vertex.
MAX_VALUES = 8
#: More kinds of vertices than this part of all vertices, too.
MAX_KINDS = 0.125


def vertex_parts(stiffness: np.ndarray, modes: int) -> np.ndarray:
    """Return the four matrices that the cells SW, SE, NW, NE around a vertex contribute for a = 1.

    Parameters
    ----------
    stiffness : (n, n) matrix of a cell with a = 1.
    modes : functions per edge p.

    Returns
    -------
    (4, m, m) matrices in the order of the unknowns around a vertex, m = 4p + 1.
    """
    p, m = modes, 4 * modes + 1
    bottom, top, left, right = (np.arange(k * p, (k + 1) * p) for k in range(4))
    to_left, to_right, below, above = bottom, top, left, right  # the same numbers, in the order around a vertex
    parts = np.zeros((4, m, m))
    # Each cell has two of its edges and one of its corners at the vertex.
    at_vertex = (
        (top, to_left, right, below, 3),
        (top, to_right, left, below, 2),
        (bottom, to_left, right, above, 1),
        (bottom, to_right, left, above, 0),
    )
    for k, (level, level_to, upright, upright_to, corner) in enumerate(at_vertex):
        source = np.concatenate([level, upright, [4 * p + corner]])
        target = np.concatenate([level_to, upright_to, [4 * p]])
        parts[k][np.ix_(target, target)] = stiffness[np.ix_(source, source)]
    return parts


def with_ring(a: np.ndarray, boundary: Boundary) -> np.ndarray:
    """Surround cell values (..., my, mx) by one ring of zeros, or of the values across if periodic.

    Parameters
    ----------
    a : (..., my, mx) cell values.
    boundary : says whether opposite sides are one.

    Returns
    -------
    (..., my+2, mx+2) values.
    """
    mode = "wrap" if boundary.periodic else "constant"
    return np.pad(a, [(0, 0)] * (a.ndim - 2) + [(1, 1), (1, 1)], mode=mode)


def cells_at_vertices(a: np.ndarray) -> np.ndarray:
    """Return the values of the four cells around every vertex.

    Parameters
    ----------
    a : (..., my+2, mx+2) cell values with ring.

    Returns
    -------
    (..., my+1, mx+1, 4) values of the cells SW, SE, NW, NE.

    Examples
    --------
    >>> cells_at_vertices(np.arange(9).reshape(3, 3))[0, 0].tolist()
    [0, 1, 3, 4]
    """
    return np.stack([a[..., :-1, :-1], a[..., :-1, 1:], a[..., 1:, :-1], a[..., 1:, 1:]], -1)


def fixed_or_missing(present: np.ndarray, boundary: Boundary, modes: int) -> np.ndarray:
    """Find the unknowns around a vertex that are fixed or missing, from which of the four cells exist.

    Parameters
    ----------
    present : (..., 4) boolean, the cells SW, SE, NW, NE around a vertex that lie in the domain.
    boundary : says which sides are natural.
    modes : functions per edge p.

    Returns
    -------
    (..., m) boolean.
    """
    sw, se, nw, ne = (present[..., k] for k in range(4))
    south, north, west, east = ~(sw | se), ~(nw | ne), ~(sw | nw), ~(se | ne)  # the vertex is on that side
    across = (south & ("bottom" not in boundary.natural)) | (north & ("top" not in boundary.natural))
    along = (west & ("left" not in boundary.natural)) | (east & ("right" not in boundary.natural))
    edges = [west | across, east | across, south | along, north | along]
    return np.concatenate([np.repeat(np.stack(edges, -1), modes, -1), (across | along)[..., None]], -1)


@dataclass(frozen=True)
class VertexKinds:
    """Vertices sorted by their four coefficients.

    Attributes
    ----------
    kind : (..., my+1, mx+1) number of every vertex's kind.
    values : (kinds, 4) coefficients of each kind, 0 outside the domain.
    """

    kind: np.ndarray
    values: np.ndarray


def vertex_kinds(a: np.ndarray, boundary: Boundary) -> VertexKinds | None:
    """Sort the vertices by the coefficients of the cells around; two values make at most 16 kinds inside.

    Parameters
    ----------
    a : (..., my, mx) coefficients.
    boundary : says whether opposite sides are one.

    Returns
    -------
    The kinds; None where there are too many for this to pay.

    Examples
    --------
    >>> a = np.ones((8, 8)); a[:, 4:] = 3.0
    >>> kinds = vertex_kinds(a, Boundary())
    >>> len(kinds.values), int(kinds.kind.max())
    (15, 14)
    """
    sample = np.unique(a.ravel()[:: max(1, a.size // 256)])
    if sample.size > MAX_VALUES:
        return None
    values = np.unique(a)
    if values.size > MAX_VALUES:
        return None
    digit = np.zeros(a.shape, np.int64)  # 0: outside
    for k, v in enumerate(values):
        digit[a == v] = k + 1
    base = values.size + 1
    code = cells_at_vertices(with_ring(digit, boundary)) @ (base ** np.arange(4))
    found = np.flatnonzero(np.bincount(code.ravel(), minlength=base**4))
    if found.size > 32 and found.size > MAX_KINDS * code.size:
        return None
    number = np.zeros(base**4, np.int32)
    number[found] = np.arange(found.size)
    digits = found[:, None] // base ** np.arange(4) % base
    return VertexKinds(number[code], np.concatenate([[0.0], values])[digits])


def vertex_inverses(values: np.ndarray, parts: np.ndarray, boundary: Boundary) -> np.ndarray:
    """Invert the matrices of vertices with the given coefficients.

    Parameters
    ----------
    values : (K, 4) coefficients of the cells SW, SE, NW, NE, 0 outside the domain.
    parts : (4, m, m) what these cells contribute for a = 1.
    boundary : says which sides are natural.

    Returns
    -------
    (K, m, m) inverses. Rows and columns of unknowns that are fixed or missing are zero, so they need no mask.
    """
    m = parts.shape[1]
    B = (values @ parts.reshape(4, -1)).reshape(-1, m, m)
    out = fixed_or_missing(values > 0, boundary, (m - 1) // 4)
    B[out[:, :, None] | out[:, None, :]] = 0
    rows, columns = np.nonzero(out)
    B[rows, columns, columns] = 1
    B = np.linalg.inv(B)
    B[rows, columns, columns] = 0
    return B
