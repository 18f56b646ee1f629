"""Dirichlet data between the nodes of a coarse mesh: given ones, and what it costs not to know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .medium import Medium
from .norms import energy_squared
from .space import PLACES, SIDES, Space

#: Nodal values by side, on any uniform grid along it, by growing coordinate.
Data = Mapping[str, np.ndarray]
#: Second differences of Dirichlet data below this part of all values are round-off; below this part of the data's
#: range, straight.
ROUND_OFF, STRAIGHT = 1e-10, 1e-6
#: ζ(3) / 4π³. Data jump in a coarse cell whose first difference is so many times those beside it.
BENT, JUMP = 1.2020569 / (4 * np.pi**3), 4.0
#: Samples of the coefficient along a coarse cell's part of a side.
SAMPLES = 32


def with_data(values: np.ndarray, data: Data | None, coarse: Space, fine: Space) -> np.ndarray:
    """Give a field its Dirichlet data; what that changes on the boundary fades inside, over one coarse cell.

    Parameters
    ----------
    values : (ny+1, nx+1) nodal values.
    data : Dirichlet data by side; ``None``: those it has.
    coarse : the coarse space.
    fine : the space of the values, whose fixed nodes get data.

    Returns
    -------
    np.ndarray
        Nodal values (ny+1, nx+1); a start for a solver where the data are not linear between coarse nodes.

    Examples
    --------
    >>> bent = {"bottom": np.array([0.0, 1.0, 0.0])}
    >>> with_data(np.zeros((5, 5)), bent, Space((2, 2)), Space((4, 4)))[:3, 2].tolist()
    [1.0, 0.25, 0.0]
    """
    if data is None:
        return values
    change = {}
    for name, old, fixed in _along(values, fine):
        if name in data:
            at = np.linspace(0, 1, len(old))
            new = np.interp(at, np.linspace(0, 1, len(data[name])), data[name])
            change[name] = np.where(fixed, new - old, 0.0)
    out = values + _faded(change, coarse.cells, fine.cells)
    for (axis, end), name in zip(PLACES, SIDES, strict=True):
        if name in change:  # at corners, those of the side that comes last
            edge, before = (np.moveaxis(v, axis, 0)[-end] for v in (out, values))
            _, _, fixed = next(side for side in _along(values, fine) if side[0] == name)
            edge[fixed] = (before + change[name])[fixed]
    return out


@dataclass(frozen=True)
class Jump:
    """A place where Dirichlet data jump: no function of finite energy has them.

    Attributes
    ----------
    side : "bottom", "right", "top" or "left".
    at : position along the side, 0 at its left or lower end, 1 at the other.
    height : of the jump.
    """

    side: str
    at: float
    height: float

    def __str__(self) -> str:
        end = {0.0: " at its lower or left end", 1.0: " at its upper or right end"}
        return f"{self.height:.3g} on the {self.side} side" + end.get(self.at, f" at {self.at:.3g} of its length")


def jumps(data: Data, coarse: Space) -> list[Jump]:
    """Find where given Dirichlet data jump, along sides and at the corners of the rectangle.

    Parameters
    ----------
    data : by side, in samples finer than what they resolve: a step that is four times those beside it is a jump.
    coarse : its nodes say where sides are fixed.

    Returns
    -------
    list[Jump]
        Those within sides, then those at corners.

    Examples
    --------
    >>> hot = {"bottom": np.zeros(9), "right": np.zeros(9), "left": np.zeros(9), "top": np.array([0.0] * 4 + [2] * 5)}
    >>> [str(jump) for jump in jumps(hot, Space((4, 4)))]
    ['2 on the top side at 0.438 of its length', '2 on the top side at its upper or right end']
    """
    least = max((_straight(v) for v in data.values()), default=0.0)
    found, ends, nothing = [], {}, (np.nan, np.nan)
    for name, _, fixed in _along(coarse.free, coarse):
        if name not in data:
            continue
        values = np.asarray(data[name])
        step = np.abs(np.diff(values))
        cell = np.minimum((np.arange(step.size) + 0.5) / step.size * (fixed.size - 1), fixed.size - 2).astype(int)
        near = np.pad(step, 1)
        sharp = (step > JUMP * np.maximum(np.maximum(near[:-2], near[2:]), least)) & (fixed[:-1] & fixed[1:])[cell]
        found += [Jump(name, (k + 0.5) / step.size, float(step[k])) for k in np.flatnonzero(sharp)]
        ends[name] = np.where(fixed[[0, -1]], values[[0, -1]], np.nan)
    for level, end in (("bottom", 0), ("top", -1)):
        for upright, start in (("left", 0), ("right", -1)):
            height = abs(ends.get(level, nothing)[start] - ends.get(upright, nothing)[end])
            if height > least:
                found.append(Jump(level, float(-start), float(height)))
    return found


def departure(U: np.ndarray, data: Data, coarse: Space) -> float:
    """Measure how far a coarse solution is from given Dirichlet data at its fixed nodes.

    Parameters
    ----------
    U : (N+1, M+1) coarse solution.
    data : by side, in samples.
    coarse : its space.

    Returns
    -------
    float
        Largest distance; nodes within a cell of a jump do not count, where interpolation and projection of data differ.

    Examples
    --------
    >>> U, top = np.zeros((5, 5)), np.array([0.0] * 4 + [1] * 5)
    >>> U[4] = [0.1, 0.2, 0.5, 1, 1]
    >>> departure(U, {"top": top}, Space.with_sides((4, 4), natural=("left", "right")))
    0.1
    """
    away = np.where(coarse.free, 0.0, np.abs(with_data(U, data, coarse, coarse) - U))
    for jump in jumps(data, coarse):
        side = next(nodes for name, nodes, _ in _along(away, coarse) if name == jump.side)
        place = jump.at * (side.size - 1)
        side[np.abs(np.arange(side.size) - place) <= 1] = 0.0
    return float(away.max())


def data_error(U: np.ndarray, coarse: Space, values: np.ndarray, medium: Medium) -> float:
    r"""Estimate the relative energy error from Dirichlet data that are known at coarse nodes and linear between them.

    Between two nodes a function with second differences d leaves the line by :math:`-t (1 - t) d / 2`, t in [0, 1].
    The harmonic extension of its waves to a half-plane has the energy :math:`\zeta(3) a d^2 / (4 \pi^3)` per coarse
    cell of the side, by its Fourier series. Data that jump by Δ do so in a fine cell, not in a coarse one:
    :math:`a \Delta^2 \ln(H/h) / \pi`.

    Parameters
    ----------
    U : (N+1, M+1) coarse solution.
    coarse : its space; data count between two fixed nodes of a side.
    values : (ny+1, nx+1) the fine field, for its energy and for h.
    medium : the coefficient; next to a side it counts by its arithmetic mean.

    Returns
    -------
    float
        0 where the data are linear along the sides. 0.7 to 1.5 of the error for waves of eight coarse cells and more
        (docs/trust.md).

    Examples
    --------
    >>> from ngs_nhcsr.solvers.transfer import prolongate
    >>> x = np.linspace(0, 1, 9)[None, :] * np.ones((9, 1))
    >>> [round(data_error(x**p, Space((8, 8)), prolongate(x**p, (32, 32)), Medium(np.ones((8, 8)))), 3) for p in (1, 2)]
    [0.0, 0.011]
    """
    data = U[~coarse.free]
    if not data.size or np.ptp(data) == 0:
        return 0.0
    lost, straight = 0.0, _straight(data)
    for (axis, _), (name, side, fixed) in zip(PLACES, _along(U, coarse), strict=True):
        step = np.where(fixed[1:] & fixed[:-1], np.diff(side), np.nan)
        jump = np.abs(step) > JUMP * np.fmax(_beside_steps(np.abs(step)), straight)
        bend = np.where(jump[1:] | jump[:-1], np.nan, np.diff(step))
        bends = np.square(np.pad(bend, 1, constant_values=np.nan))  # at the two ends of every cell
        bends = np.nan_to_num(np.fmax(bends[1:], bends[:-1]))
        bends[bends <= straight**2] = 0.0
        a = _beside(medium, name, len(step))
        ratio = max((values.shape[1 - axis] - 1) / len(step), 1.0)
        lost += float(a @ (BENT * bends + np.log(ratio) / np.pi * np.where(jump, step, 0.0) ** 2))
    total = energy_squared(values, medium, coarse.size) if lost else 0.0
    return float(np.sqrt(lost / total)) if total > 0 else 0.0


def _straight(values: np.ndarray) -> float:
    """Return what differences of Dirichlet data at least are where the data do not go straight on."""
    return float(STRAIGHT * np.ptp(values) + ROUND_OFF * np.abs(values).max())


def _beside_steps(size: np.ndarray) -> np.ndarray:
    """Return the larger of the two steps beside each; past an end, of two on the other side: a crest may be there."""
    before2, before, _, after, after2 = np.lib.stride_tricks.sliding_window_view(
        np.pad(size, 2, constant_values=np.nan), size.size
    )
    return np.fmax(np.where(np.isnan(before), after2, before), np.where(np.isnan(after), before2, after))


def _along(values: np.ndarray, space: Space) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """List the sides: name, view of the nodal values (n+1,), and which of them are ends of fixed cells (n+1,)."""
    out = []
    for name, (axis, end) in zip(SIDES, PLACES, strict=True):
        nodes, free = (np.moveaxis(v, axis, 0)[-end] for v in (values, space.free))
        cells = np.pad(~(free[1:] | free[:-1]), 1)  # a corner node alone belongs to the other side
        out.append((name, nodes, cells[1:] | cells[:-1]))
    return out


def _beside(medium: Medium, side: str, cells: int) -> np.ndarray:
    """Mean (cells,) of the coefficient along each coarse cell's part of a side; of a tensor, of its eigenvalues."""
    A = np.asarray(medium.values if medium.isotropic else medium.components)  # type: ignore[attr-defined]
    A = A if A.ndim == 2 else (A[0] + A[1]) / 2
    axis, end = PLACES[SIDES.index(side)]
    samples = np.arange(cells * SAMPLES) + 0.5
    pixels = np.moveaxis(A, axis, 0)[-end]
    return pixels[(samples / len(samples) * len(pixels)).astype(int)].reshape(cells, SAMPLES).mean(1)


def _faded(change: Data, coarse: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """Field (ny+1, nx+1) with given values on sides, which fall as (1 - t)² over one coarse cell from there."""
    out = np.zeros((cells[0] + 1, cells[1] + 1))
    for name, (axis, end) in zip(SIDES, PLACES, strict=True):
        if name in change:
            t = np.arange(cells[axis] + 1) * coarse[axis] / cells[axis]
            fall = np.clip(1 - t, 0, 1) ** 2
            fall = fall[::-1] if end else fall
            out += fall[:, None] * change[name] if axis == 0 else change[name][:, None] * fall
    return out
