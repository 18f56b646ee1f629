"""Reactions c u beside −div(a∇u), from what users give to cell values and to a CoefficientFunction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ngsolve as ngs
import numpy as np

from ..checks import check_reaction_values
from ..errors import GridMismatch
from ..solvers.space import Space
from .cell_rules import raster_function
from .checks import check_coefficient_function
from .coefficient import SAMPLES
from .evaluate import mesh_points
from .pixels import VARIATION
from .quad_cells import QuadCells


@dataclass(frozen=True)
class Reaction:
    """A reaction on cells, and as a function that forms can be assembled with.

    Attributes
    ----------
    values : cell values of a raster that divides the coefficient's; ``None``: there is no reaction.
    function : c itself, or constant on these cells; ``None`` likewise.
    notes : what the user should know.
    """

    values: np.ndarray | None = None
    function: ngs.CoefficientFunction | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        c: Any,
        field_mesh: ngs.Mesh,
        grid: Space,
        raster: tuple[int, ...],
        mesh: ngs.Mesh | None = None,
        quads: QuadCells | None = None,
    ) -> Reaction:
        """Read a reaction.

        Parameters
        ----------
        c : CoefficientFunction (its means over samples in the raster's cells are taken), number, array ``[iy, ix]`` of
            cell values whose shape divides ``raster``, or ``None``.
        field_mesh : mesh of the coarse solution.
        grid : coarse tensor grid.
        raster : (my, mx) cells of the coefficient.
        mesh : the mesh a region-wise reaction belongs to, if another than ``field_mesh``.
        quads : the elements of ``field_mesh``, where they are the cells of ``grid``.

        Returns
        -------
        Reaction

        Raises
        ------
        InvalidProblem, NotCoercive
            See :func:`ngs_nhcsr.checks.check_reaction_values`.
        GridMismatch
            If an array does not divide the raster.
        """
        if not isinstance(c, ngs.CoefficientFunction):
            values = check_reaction_values(c)
            if values is None:
                return cls()
            if raster[0] % values.shape[0] or raster[1] % values.shape[1]:
                raise GridMismatch(
                    f"the reaction array of shape {values.shape} does not divide the raster {tuple(raster)} of the "
                    "coefficient; give cell values of that shape, such as means."
                )
            return cls(values, raster_function(values, grid))
        check_coefficient_function(c)
        samples = check_reaction_values(_samples(c, field_mesh, grid, raster, mesh, quads), sampled=SAMPLES)
        if samples is None:
            return cls()
        blocks = samples.reshape(raster[0], SAMPLES, raster[1], SAMPLES)
        # midpoint rule: the mass term is linear in c
        values = np.ascontiguousarray(blocks.mean((1, 3)))
        varying = int((np.ptp(blocks, (1, 3)) > VARIATION * values).sum())
        function = c if mesh is None else raster_function(values, grid)
        return cls(values, function, _notes(varying, values.size))


def _samples(
    c: ngs.CoefficientFunction,
    field_mesh: ngs.Mesh,
    grid: Space,
    raster: tuple[int, ...],
    mesh: ngs.Mesh | None,
    quads: QuadCells | None,
) -> np.ndarray:
    """Values at ``SAMPLES`` points per raster cell and axis."""
    home = mesh or (c.space.mesh if isinstance(c, ngs.GridFunction) else field_mesh)
    per = [m * SAMPLES / n for m, n in zip(raster, grid.cells, strict=True)]
    if quads is not None and home is field_mesh and per[0] == per[1] and per[0].is_integer():
        return quads.values(c, (np.arange(per[0]) + 0.5) / per[0])
    fine = Space((raster[0] * SAMPLES, raster[1] * SAMPLES), grid.lower, grid.size)
    (y, x), (hy, hx) = fine.nodes(), fine.spacing
    return np.asarray(c(mesh_points(home, y[:-1] + hy / 2, x[:-1] + hx / 2))).reshape(fine.cells)


def _notes(varying: int, cells: int) -> tuple[str, ...]:
    """Say in how many cells a reaction got its mean."""
    if not varying:
        return ()
    return (
        f"the reaction varies inside {varying} of {cells} raster cells, which get its mean; raise cells_per_coarse= to "
        "resolve it.",
    )
