"""Reservations about a problem read from NGSolve, in sentences for the user."""

from __future__ import annotations

import numpy as np

from ..problem import MATCHING
from ..reading import FOLLOWS, MATTERS, ROUGH, Reading, follows_solution
from ..solvers.dirichlet import Data, departure, jumps, with_data
from .coarse_field import CoarseField
from .coefficient import Raster

#: Part of the solution's range from which given Dirichlet values differ from its own, and of their size that is none.
OTHER, ROUND_OFF = 0.05, 1e-12
#: … and from which u_coarse solves another problem.
CONTRADICTION = 0.4
#: Part of the largest moment from which a load on a natural boundary counts as a flux.
FLUX = 0.2


def raster_notes(raster: Raster, mean: str, voxels: bool = False) -> list[str]:
    """Say that a VoxelCoefficient may have been meant as an image of pixels.

    What the raster averages otherwise is part of the budget, which tells it where it matters.

    Parameters
    ----------
    raster : the coefficient on cells.
    mean : how cells in which it varies got their value.
    voxels : whether it is a VoxelCoefficient, which interpolates between voxels unless it is told not to.

    Returns
    -------
    list[str]
        Notes for the user; empty if most cells are constant.
    """
    my, mx = raster.cells
    if voxels and raster.varying > my * mx / 2:
        return [
            "the VoxelCoefficient is not constant on voxels: if it is an image of pixels, make it with linear=False; "
            f"if not, raise cells_per_coarse=, as the raster's {my * mx} cells get the {mean} mean."
        ]
    return []


def mismatch_notes(mismatch: float, U: np.ndarray, from_form: bool, taken_as_zero: bool = False) -> list[str]:
    """Say that the user's solution is not that of the problem as read, and what the usual causes are.

    Parameters
    ----------
    mismatch : its relative energy distance from it.
    U : (N+1, M+1) its nodal values.
    from_form : whether the load was that of a form, not a function.
    taken_as_zero : whether f was not given, but points or a flux were.

    Returns
    -------
    list[str]
        Notes for the user; empty if it is.
    """
    if mismatch <= MATCHING:
        return []
    if not np.abs(U).max() > 0:
        return ["u_coarse is zero although f is not: was it solved? The coarse problem was solved for f= instead."]
    much = f"{mismatch:.0%}" if mismatch < 10 else "more than its size ten times over"
    given = "the given form and coefficient" if from_form else "the given f and coefficient"
    return [
        f"u_coarse is not the solution for {given} (it differs by {much} in the energy norm), so the field solves "
        "another problem than u_coarse does. "
        + (
            "f= was not given and is 0, as points= or flux= are there: pass f= if there is a load. "
            if taken_as_zero
            else ""
        )
        + "Check the orientation of arrays (row 0 at the lowest y), units, factors in a or f, terms that are missing "
        "(reaction=, robin=, flux=) or given twice, and the quadrature of f in the coarse solve."
    ]


def other_data(data: Data, found: CoarseField) -> tuple[float, tuple[str, ...]]:
    """Say that Dirichlet data are not those of the user's solution, or jump.

    Parameters
    ----------
    data : by side, as the user gave them.
    found : the coarse solution.

    Returns
    -------
    mismatch : float
        Largest difference at coarse nodes in parts of the range, where it is more than NGSolve's projection of data
        that oscillate leaves; else 0.
    notes : tuple[str, ...]
        For the user; empty if they agree up to that and do not jump.
    """
    given = with_data(found.U, data, found.space, found.space)
    spread = max(float(np.ptp(given[~found.space.free])), float(np.ptp(found.U)))
    size = max(spread, ROUND_OFF * float(np.abs(given).max()))
    off = departure(found.U, data, found.space) / size if size > 0 else 0.0
    sharp = tuple(
        f"g jumps by {jump}: no function of finite energy has such values, and u_h depends on its mesh there."
        for jump in jumps(data, found.space)[:1]
    )
    if off <= OTHER:
        return 0.0, sharp
    note = (
        f"g= is not what u_coarse is on its Dirichlet sides (at coarse nodes it differs by {off:.0%} of the solution's "
        "range); the field has the values of g=."
    )
    return (off if off > CONTRADICTION else 0.0), (note, *sharp)


def doubts_about_load(reading: Reading, found: CoarseField, recovered: bool) -> list[str]:
    """Say why the load must not be relied on.

    Parameters
    ----------
    reading : the canonical coarse solution with its load.
    found : the coarse solution.
    recovered : whether the load was read off the coarse solution.

    Returns
    -------
    list[str]
        Notes for the user; empty if it can be.
    """
    if reading.ambiguous:
        reasons = [
            f"the quadrature of the coarse solution cannot be told from it: {reading.rule} and "
            f"{', '.join(reading.ambiguous)} fit equally well but mean different solutions. Taken as {reading.rule}; "
            "pass form= (the assembled BilinearForm) or f= to decide."
        ]
    elif reading.load is None:
        best = min(reading.roughness, key=lambda k: reading.roughness[k])
        return [
            "no quadrature rule explains the coarse solution with this coefficient (the smoothest load, by "
            f"{best}, has roughness {reading.roughness[best]:.2g} > {ROUGH}): either it solves another "
            "problem or f is rough. It is used as it is; pass f= or form=."
        ]
    else:
        reasons = []
    if _has_flux(reading, found):
        reasons.append(
            "the boundary carries a natural flux, which is not taken to the fine mesh; the energy is not checked."
        )
    if recovered and found.vertices is not None and not reasons:
        reasons += _foreign_terms(reading, found)
    return reasons


def _has_flux(reading: Reading, found: CoarseField) -> bool:
    """Whether the load vector has a part on free boundary nodes that f does not explain."""
    space, load = found.space, reading.load
    if reading.boundary_rest > FLUX:
        return True
    if load is None or load.moments is None:
        return False
    edge = space.free.copy()
    edge[1:-1, 1:-1] = False
    if not edge.any():
        return False
    unexplained = np.abs(load.moments - load.vector(space.cells))[edge].max()
    return float(unexplained) > FLUX * float(np.abs(load.moments).max())


def _foreign_terms(reading: Reading, found: CoarseField) -> list[str]:
    """Say if a recovered load shows that the problem has more terms than −div(a∇u)."""
    if reading.load is None or reading.load.moments is None:
        return []
    correlation, share = follows_solution(reading.load.moments, found.U, found.space.free, found.space.size)
    if correlation <= FOLLOWS or share <= MATTERS:
        return []
    return [
        f"the load recovered from u_coarse follows u_coarse itself (correlation {correlation:.2f}, {share:.0%} "
        "of the load): its problem seems to have a reaction, convection or time-derivative term, which is not "
        "taken to the fine mesh. Pass reaction= where it is c u with c ≥ 0, or f= and form= to say what it solves."
    ]
