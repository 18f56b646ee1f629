"""Coefficients on cells: from a CoefficientFunction, a number or an array to one value per raster cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ngsolve as ngs
import numpy as np

from ..checks import check_coefficient_values, check_raster_shape, check_tensor_values
from ..errors import InvalidProblem
from ..number_checks import is_number, is_whole
from ..problem import MEAN
from ..solvers.medium import Medium, repeated
from ..solvers.space import Space
from ..solvers.tensor_medium import medium_of
from .checks import check_coefficient_function
from .evaluate import located, mesh_points
from .meshes import MeshCache, structured_mesh
from .pixels import VARIATION, Values, find_pixels
from .quad_cells import QuadCells
from .tensor_coefficient import averaged, entries, is_tensor, pixels_of
from .voxel_cache import is_voxels, kept_for

#: Raster cells per coarse cell and axis for a coefficient that does not bring its own raster.
PER_COARSE = 4
#: Sample points per raster cell and axis, at the cell's sixths: the centre and the cell's outer parts; more of them
#: where random points find values that these do not show, up to ``MOST_SAMPLES`` in all.
SAMPLES, MOST_SAMPLES = 3, 2**23
#: Random points that look for layers and inclusions between the samples.
PROBES = 10_000

_located = MeshCache(4)


@dataclass(frozen=True)
class Raster:
    """A coefficient on cells.

    Attributes
    ----------
    values : (my, mx) one value per cell, or (3, my, mx) the entries xx, yy, xy of a tensor.
    varying : number of cells inside which it varies by more than ``VARIATION`` of its mean.
    variation : (my, mx) 1 − harmonic / arithmetic mean of its samples in a cell, in [0, 1): 0 where it is constant;
        ``None`` if it is constant in every cell.
    """

    values: np.ndarray
    varying: int = 0
    variation: np.ndarray | None = None

    @property
    def cells(self) -> tuple[int, int]:
        """Cells (my, mx)."""
        return self.values.shape[-2], self.values.shape[-1]

    def medium(self, reaction: np.ndarray | None) -> Medium:
        """Make the medium, with cell values of a reaction; a scalar one where the tensor is isotropic everywhere."""
        return medium_of(self.values, reaction)


def rasterise(
    a: Any,
    field_mesh: ngs.Mesh,
    grid: Space,
    *,
    cells_per_coarse: int | None = None,
    mesh: ngs.Mesh | None = None,
    mean: str = MEAN,
    quads: QuadCells | None = None,
) -> Raster:
    """Make cell values of a coefficient, on a raster of whole cells per coarse cell.

    Parameters
    ----------
    a : CoefficientFunction, GridFunction, number, or array ``[iy, ix]`` of cell values, which then are the
        raster; those of whole coarse cells are repeated. Tensors as 2 x 2 CoefficientFunction or array (my, mx, 2, 2).
    field_mesh : mesh of the coarse solution.
    grid : coarse tensor grid; its boundary conditions do not matter.
    cells_per_coarse : raster cells per coarse cell and axis; default ``PER_COARSE``, or the array's.
    mesh : the mesh a region-wise coefficient belongs to, if another than ``field_mesh``.
    mean : how cells in which ``a`` varies get their value: "arithmetic", "geometric" or "harmonic".
    quads : the elements of ``field_mesh``, where they are the cells of ``grid``: no point is then searched for.

    Returns
    -------
    Raster
        Finite positive values, and where the coefficient varies inside cells.

    Raises
    ------
    InvalidProblem, NotCoercive, GridMismatch
        See :func:`ngs_nhcsr.checks.check_coefficient_values` and ``check_raster_shape``; also where a point of the
        raster lies outside the coefficient's mesh.
    """
    if is_number(a):
        a = ngs.CoefficientFunction(float(a))
    if not isinstance(a, ngs.CoefficientFunction):
        values = _divided(check_tensor_values(a) if is_tensor(a) else check_coefficient_values(a), grid.cells)
        check_raster_shape(values.shape[-2:], grid.cells, cells_per_coarse, grid.size)
        return Raster(values)
    per = PER_COARSE if cells_per_coarse is None else cells_per_coarse
    check_coefficient_function(a, tensors=True)
    tensor = is_tensor(a)
    if not is_whole(per) or per < 1:
        raise InvalidProblem(f"cells_per_coarse must be a whole number ≥ 1, not {per!r}.")
    home = mesh or (a.space.mesh if isinstance(a, ngs.GridFunction) else field_mesh)
    cells = (grid.cells[0] * per, grid.cells[1] * per)
    mine = quads if home is field_mesh else None

    def sampled(part: ngs.CoefficientFunction, count: int = SAMPLES) -> np.ndarray:
        if mine is None:
            return _located_samples(part, home, grid, per * count)
        return mine.values(part, (np.arange(per * count) + 0.5) / (per * count))

    def make() -> Raster:
        if tensor:
            return _tensor(a, sampled, lambda part: _values(part, home, grid, mine), cells, mean, cells_per_coarse)
        values, count, probes = _values(a, home, grid, mine), SAMPLES, None
        while True:
            samples = sampled(a, count)
            raster, pixels = _averaged(samples, cells, mean), None
            if cells_per_coarse is None:
                pixels = find_pixels(values, samples, cells if raster.variation is None else None)
            if pixels is not None:
                return Raster(check_coefficient_values(pixels))
            probes, count = probes or _Probes.of(values), 3 * count
            if cells[0] * cells[1] * count**2 > MOST_SAMPLES or probes.shown(samples, cells):
                return raster

    if mine is None or tensor:
        return make()
    raster = kept_for(a, mine, (per, mean, cells_per_coarse is None), make)
    variation = None if raster.variation is None else raster.variation.copy()
    return replace(raster, values=raster.values.copy(), variation=variation)


def _divided(values: np.ndarray, coarse: tuple[int, int]) -> np.ndarray:
    """Repeat cell values where coarse cells divide them, so that the raster consists of whole cells per coarse cell."""
    cells = [PER_COARSE * n if n > m and n % m == 0 else m for m, n in zip(values.shape[-2:], coarse, strict=True)]
    whole = all(k % n == 0 for k, n in zip(cells, coarse, strict=True))
    return np.ascontiguousarray(repeated(values, (cells[0], cells[1]))) if whole else values


@dataclass(frozen=True)
class _Probes:
    """A coefficient at random points (n,) of the unit square."""

    y: np.ndarray
    x: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, values: Values) -> _Probes:
        """Take them, the same ones for every coefficient."""
        y, x = np.random.default_rng(0).random((2, PROBES))
        return cls(y, x, values(y, x))

    def shown(self, samples: np.ndarray, cells: tuple[int, int]) -> bool:
        """Whether cells whose samples (sy, sx) agree have no other value; of the rest it is known that they vary."""
        count = samples.shape[0] // cells[0]
        blocks = samples.reshape(cells[0], count, cells[1], count)
        cell = (cells[0] * self.y).astype(int), (cells[1] * self.x).astype(int)
        low, high = blocks.min((1, 3))[cell], blocks.max((1, 3))[cell]
        return bool(((low != high) | (np.abs(self.values - low) <= VARIATION * np.abs(low))).all())


def _tensor(
    a: ngs.CoefficientFunction,
    sampled: Callable[[ngs.CoefficientFunction], np.ndarray],
    values_of: Callable[[ngs.CoefficientFunction], Values],
    cells: tuple[int, int],
    mean: str,
    cells_per_coarse: int | None,
) -> Raster:
    """Raster of a tensor: on its pixels where it has any, else of one mean per cell."""
    samples = check_tensor_values(entries(a, sampled), sampled=SAMPLES)
    raster = Raster(*averaged(samples, cells, mean))
    if cells_per_coarse is not None:
        return raster
    pixels = pixels_of(a, values_of, samples, cells if raster.variation is None else None)
    return raster if pixels is None else Raster(check_tensor_values(pixels))


def _values(a: ngs.CoefficientFunction, home: ngs.Mesh, grid: Space, quads: QuadCells | None) -> Values:
    """Make a function of points of the unit square, which stands for the rectangle of the grid."""
    (ny, nx), (Ly, Lx), (x0, y0) = grid.cells, grid.size, grid.lower
    if quads is None and is_voxels(a):  # on any mesh it is the same; on quads no point is searched for
        mesh = structured_mesh(Space(grid.cells, grid.lower, grid.size))
        quads = QuadCells.of(mesh, np.arange(mesh.nv).reshape(grid.shape))

    def values(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        points = located(home, y0 + Ly * y, x0 + Lx * x) if quads is None else quads.points_at(ny * y, nx * x)
        return np.asarray(a(points), dtype=float).ravel()

    return values


def _located_samples(a: ngs.CoefficientFunction, home: ngs.Mesh, grid: Space, per: int) -> np.ndarray:
    """Values of a coefficient at ``per`` points per coarse cell and axis, as an array of cell values."""
    fine = Space((grid.cells[0] * per, grid.cells[1] * per), grid.lower, grid.size)

    def locate() -> np.ndarray:
        (y, x), (hy, hx) = fine.nodes(), fine.spacing
        return mesh_points(home, y[:-1] + hy / 2, x[:-1] + hx / 2)

    points = _located.get(home, (fine,), locate)
    return np.asarray(a(points)).reshape(fine.cells)


def _averaged(samples: np.ndarray, cells: tuple[int, int], mean: str) -> Raster:
    """One checked value per raster cell from its samples."""
    count = samples.shape[0] // cells[0]
    blocks = samples.reshape(cells[0], count, cells[1], count)
    first = np.ascontiguousarray(blocks[:, 0, :, 0])
    constant = all((blocks[:, i, :, j] == first).all() for i in range(count) for j in range(count))
    if constant and first.min() > 0 and first.max() < np.inf:  # else the check of all samples says what is wrong
        return Raster(check_coefficient_values(first))
    medium = Medium(check_coefficient_values(samples, sampled=count))
    spread = blocks.max((1, 3)) - blocks.min((1, 3))
    arithmetic = np.asarray(medium.mean("arithmetic", cells))
    values = np.asarray(medium.mean(mean, cells))  # type: ignore[arg-type] - checked there
    variation = 1 - np.asarray(medium.mean("harmonic", cells)) / arithmetic
    return Raster(values, int((spread > VARIATION * arithmetic).sum()), variation.clip(0, 1))
