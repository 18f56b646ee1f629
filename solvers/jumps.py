r"""Jumps of a load that its coarse moments were not integrated with, as far as the moments themselves show it.

A rule with few points takes a jump inside a cell for one halfway between points: the moments near a jump along a grid
line are then one of few patterns, whatever its place is. With t the place in the cell, 0 before the jump and 1 behind
it, the moments at the two nodes of the cell are p and q:

    ::

        1            o---o      exact:    p = (1 - t)²/2, q = 1 - t²/2
                  q             m points: p = Σ w (1 - g), q = 1/2 + Σ w g over the points g > t
               p
        0  o---o                (o: undisturbed neighbours)

Where p and q are those of few points, the jump may lie anywhere between two of them, and its mean square distance from
where the moments have it is a share of the cell. Where they are not, the load was integrated better, or has no jump.
"""

from __future__ import annotations

import numpy as np

from .load import Load
from .space import PLACES, Space

#: Points per axis of NGSolve's plain ``dx`` on quads of order 1 and 2, for ∫ f v (2 order + bonus_intorder is 2, 4).
POINTS = (2, 3)
#: Distance of p and q from those of a rule, and …
NEAR = 0.015
#: … slope beside a jump that no slope on its other side explains, both in parts of the jump.
FLAT = 0.1
#: Jumps below this part of the largest density are round-off.
ROUND_OFF = 1e-9
#: Second difference to those further inside from which it shows a jump near a side, and …
BEND = 4.0
#: … error at the side of a cubic extrapolation, in parts of how far the outermost node is off the line through others,
#: for jumps in the outermost cell and in the next one.
SIDE = (5.0, 1.0)
#: Quotient of the nodal values of a piecewise linear function without moments at inner nodes.
DECAY = 3**0.5 - 2


def jump_loads(F: np.ndarray, space: Space) -> list[Load[np.ndarray]]:
    """Find jumps along grid lines whose place in their cells a rule with few points decided.

    Counted are cells between two inner nodes with an undisturbed inner node on either side, two on one of them. Smooth
    loads have none: between undisturbed neighbours three cells apart they do not change by steps.

    Parameters
    ----------
    F : (N+1, M+1) coarse load vector; counts at inner nodes.
    space : the coarse space.

    Returns
    -------
    For jumps along y and along x, where there are any, the load that the root of the mean square error of their places
    makes; of one sign, as if all moved outwards.

    Examples
    --------
    >>> space, step = Space((8, 8)), np.ones((9, 9)) / 64
    >>> step[:, :4] = 0  # a jump somewhere between 0.8 of a cell and 0.2 of the next one
    >>> step[:, 4] /= 2
    >>> [round(float(load.vector((8, 8)).sum()) * 8, 3) for load in jump_loads(step, space)]
    [0.122]
    """
    density = F[1:-1, 1:-1] / (space.spacing[0] * space.spacing[1])
    found = []
    for axis in (0, 1):
        lines = np.moveaxis(density, axis, -1)
        lost = np.pad(_lost(lines), ((1, 1), (0, 0)), mode="edge")
        if lost.any():
            # the mean of a cell as a hat of height 2 on it; between lines of nodes linear
            values = np.zeros((2 * lost.shape[0] - 1, 2 * lost.shape[1] + 1))
            values[::2, 1::2] = 2 * lost
            values[1::2, 1::2] = lost[1:] + lost[:-1]
            found.append(Load(np.moveaxis(values, -1, axis), space.size))
    return found


def side_load(F: np.ndarray, space: Space) -> Load[np.ndarray]:
    """Find jumps too near to Dirichlet sides to be seen behind, where the recovered load is extrapolated.

    A jump in the outermost cell disturbs one node, one in the next cell two. It is seen by a second difference that is
    large beside those further inside.

    Parameters
    ----------
    F : (N+1, M+1) coarse load vector; counts at inner nodes.
    space : the coarse space.

    Returns
    -------
    Load with nodal values on the coarse grid: by so much the extrapolation may be wrong. Its moments vanish at inner
    nodes, and it vanishes where no such jump is.
    """
    density = F[1:-1, 1:-1] / (space.spacing[0] * space.spacing[1])
    values = np.zeros(space.shape)
    for axis, end in PLACES:
        nodes, fixed, out = (np.moveaxis(v, axis, 0) for v in (density, ~space.free, values))
        if end:
            nodes, fixed, out = nodes[::-1], fixed[::-1], out[::-1]
        wrong = np.pad(_extrapolated(nodes), 1, mode="edge") * fixed[0]
        out += DECAY ** np.arange(len(out))[:, None] * wrong
    return Load(values, space.size)


def _extrapolated(v: np.ndarray) -> np.ndarray:
    """Error of the extrapolation to a side from inner nodes (n-1, k), the outermost first."""
    wrong = np.zeros(v.shape[1])
    bends = np.diff(v, 2, axis=0)
    for k in (1, 0):  # a jump in the outermost cell is the simpler explanation
        if len(bends) < k + 2:
            continue
        inside = np.abs(bends[k + 1 : k + 3]).max(0)
        seen = np.abs(bends[k]) > BEND * inside + ROUND_OFF * np.abs(v).max()
        off = v[0] - (k + 2) * v[k + 1] + (k + 1) * v[k + 2]  # from the line through undisturbed nodes
        wrong = np.where(seen & (off * bends[k] > 0), SIDE[k] * off, wrong)
    return wrong


def _lost(v: np.ndarray) -> np.ndarray:
    """Root mean square error of the mean of f in the cells between n+1 nodes, from lines of inner nodes (k, n-1)."""
    lines, n = v.shape[0], v.shape[1] + 1
    lost = np.zeros((lines, n))
    if n < 6:
        return lost
    # the nodes of the cells 2 .. n-3 and their neighbours; what lies beyond is not known, and taken for flat
    low, first, second, high = v[:, :-3], v[:, 1:-2], v[:, 2:-1], v[:, 3:]
    slopes = np.pad(np.diff(v), ((0, 0), (2, 2)))
    before, behind = slopes[:, 1:-5], slopes[:, 5:-1]
    height, least = high - low, ROUND_OFF * np.abs(v).max()
    # a narrow load has another jump on one side; then it must be flat on the other, as waves are not
    returns = [s * height < -FLAT * height**2 for s in (before, behind)]
    ends = [np.maximum(abs(s), abs(t)) for s, t in ((before, slopes[:, :-6]), (behind, slopes[:, 6:]))]
    flat = [end < FLAT / 2 * abs(height) for end in ends]
    before, behind = np.where(returns[0], behind, before), np.where(returns[1], before, behind)
    jump = high - low - 1.5 * (before + behind)
    sharp = abs(jump) > least
    jump = np.where(sharp, jump, 1.0)
    doubt = abs(behind - before) / abs(jump) / 2
    sharp &= np.where(returns[0], flat[1], np.where(returns[1], flat[0], doubt < FLAT))
    p, q = (first - low - before) / jump, 1 - (high - behind - second) / jump
    for points in POINTS:
        for p_rule, q_rule, error in _patterns(points):
            near = sharp & (np.maximum(abs(p - p_rule), abs(q - q_rule)) < NEAR + doubt)
            lost[:, 2:-2] = np.maximum(lost[:, 2:-2], np.where(near, error * abs(jump), 0.0))
    return lost


def _patterns(points: int) -> list[tuple[float, float, float]]:
    """p and q of a Gauss rule for jumps between its points, and the root mean square error of their places."""
    g, w = np.polynomial.legendre.leggauss(points)
    g, w = (g + 1) / 2, w / 2
    ends = np.concatenate([[0.0], g, [1.0]])
    found = []
    for k in range(points + 1):
        p, rest = float(w[k:] @ (1 - g[k:])), float(w[k:] @ g[k:])
        if k in (0, points):  # from the last point of a cell to the first of the next: both have this pattern
            error = g[0] / np.sqrt(3) / 2
        else:
            low, high = ends[k : k + 2] - (1 - p - rest)
            error = np.sqrt((high**3 - low**3) / (3 * (high - low)))
        found.append((p, 0.5 + rest, float(error)))
    return found
