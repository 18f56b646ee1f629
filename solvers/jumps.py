r"""Jumps of a load that was recovered from moments: how far a quadrature rule with few points may have moved them.

A user integrates a load as he integrates all else, by few points a cell. Where it jumps along a grid line, the moments
do not depend on where in the cell it does, only on the points that are behind the jump, and so are those of one of few
patterns. With t the place in the cell, 0 before the jump and 1 behind it, the nodes of the cell have the moments p, q:

    ::

        1            o---o      exact:         p = (1 - t)²/2,        q = 1 - t²/2
                  q             by points g:   p = Σ_{g>t} w (1 - g),  q = 1/2 + Σ_{g>t} w g
               p
        0  o---o                (o: undisturbed neighbours)

Where p and q are those of few points, the jump may lie anywhere between two of them, and the mean of f in the cell is
off by a share of the jump. Where they are not, the load was integrated better, or has no jump. Jumps along curves are
moved to and fro from cell to cell, which is left out: the error is small (``tests/test_jumps.py``).
"""

from __future__ import annotations

import numpy as np

from .load import Load
from .space import PLACES, Space

#: Points per axis of the rules that NGSolve takes for ∫ f v dx on quads of order 1 and 2; with ``bonus_intorder=2`` it
#: is one more.
POINTS = (2, 3)
#: Distance of p and q from those of a rule, and …
NEAR = 0.015
#: … slope beside a jump that no slope on its other side explains, both in parts of the jump.
FLAT = 0.1
#: Jumps below this part of the largest density are round-off.
ROUND_OFF = 1e-9
#: Second difference to those further inside from which it shows a jump near a side, and …
BEND = 4.0
#: … error at the side of the recovered load, in parts of how far the outermost node is off the line through others, for
#: jumps in the outermost cell and in the next one. In the outermost cell 1/9.5 of a jump is all that two points show.
SIDE = (5.0, 1.0)
#: Quotient of the nodal values of a piecewise linear function without moments at inner nodes.
DECAY = 3**0.5 - 2


def jump_loads(F: np.ndarray, space: Space) -> list[Load[np.ndarray]]:
    """Find jumps whose place in their cells, or in the outermost cells, the moments do not tell.

    Parameters
    ----------
    F : (N+1, M+1) coarse load vector; counts at inner nodes.
    space : the coarse space.

    Returns
    -------
    What the recovered load may be wrong by: for jumps in y, for jumps in x, and next to Dirichlet sides. Empty for
    smooth loads.

    Examples
    --------
    >>> space, step = Space((8, 8)), np.ones((9, 9)) / 64
    >>> step[:, :4] = 0  # two points: a jump somewhere between 0.8 of a cell and 0.2 of the next one
    >>> step[:, 4] /= 2
    >>> [round(float(load.vector((8, 8)).sum()) * 8, 3) for load in jump_loads(step, space)]
    [0.122]
    """
    density = F[1:-1, 1:-1] / (space.spacing[0] * space.spacing[1])
    if not density.any():
        return []
    found = [_moved(density, axis, space) for axis in (0, 1)]
    return [load for load in (*found, _at_sides(density, space)) if load.values.any()]


def _moved(density: np.ndarray, axis: int, space: Space) -> Load[np.ndarray]:
    """Root of the mean square error of f, mean over cells, from the places of jumps along an axis.

    All of one sign: as if all loads grew.
    """
    lost = np.pad(_lost(np.moveaxis(density, axis, -1)), ((1, 1), (0, 0)), mode="edge")
    # the mean of a cell as a hat of height 2 on it; linear between lines of nodes
    values = np.zeros((2 * lost.shape[0] - 1, 2 * lost.shape[1] + 1))
    values[::2, 1::2] = 2 * lost
    values[1::2, 1::2] = lost[1:] + lost[:-1]
    return Load(np.moveaxis(values, -1, axis), space.size)


def _at_sides(density: np.ndarray, space: Space) -> Load[np.ndarray]:
    """Error of f next to Dirichlet sides, to which it is extrapolated; without moments at inner nodes.

    A jump in the outermost cell disturbs one node, one in the next cell two: a second difference is large beside those
    further inside.
    """
    values = np.zeros(space.shape)
    for axis, end in PLACES:
        nodes, fixed, out = (np.moveaxis(v, axis, 0) for v in (density, ~space.free, values))
        if end:
            nodes, fixed, out = nodes[::-1], fixed[::-1], out[::-1]
        wrong = np.pad(_extrapolated(nodes), 1, mode="edge") * fixed[0]
        out += DECAY ** np.arange(len(out))[:, None] * wrong
    return Load(values, space.size)


def _extrapolated(v: np.ndarray) -> np.ndarray:
    """Error of f at a side, by the means of f around inner nodes (n-1, k), the outermost first."""
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
    """Root mean square error of the mean of f in n cells, by its means around inner nodes, line by line (k, n-1)."""
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
    """Moments p, q of a Gauss rule for jumps between its points, and root mean square error of their places."""
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
