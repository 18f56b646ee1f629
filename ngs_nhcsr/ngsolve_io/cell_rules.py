"""The form ∫ a ∇u·∇v + c u v + ∫ α u v ds by Gauss rules on uniform quads of order 1, from a and c at their points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import ngsolve as ngs
import numpy as np

from ..solvers.robin import Sides, add_sides, edge_weights
from ..solvers.space import Space
from .forms import load_of, sparse_matrix
from .gauss import gauss_elements, gauss_mass, gauss_rule, grid_loads
from .meshes import MeshCache, free_dofs, structured_mesh
from .quad_cells import QuadCells

#: Coarse cells up to which it is kept in which raster cell every Gauss point lies: 0.6 kB per coarse cell.
KEPT_CELLS = 2**16

_raster_cells = MeshCache(4)


class CellRules:
    """Element matrices by candidate rules, made when they are first asked for.

    Where the coefficient was found constant on every cell of its raster, the raster is read at the Gauss points: that
    takes a tenth of the time. :meth:`confirm` then tells whether the coefficient itself has these values there.

    Parameters
    ----------
    a : the coefficient.
    quads : the mesh of the coarse solutions.
    grid : its tensor grid.
    raster : (my, mx) the coefficient's raster, where it is constant on its cells as far as is known; else ``None``.
    reaction : c; ``None``: there is none.
    robin : α of bottom, right, top, left; ``None``: there is none.
    certain : whether the raster is all there is of the coefficient.
    """

    def __init__(
        self,
        a: ngs.CoefficientFunction,
        quads: QuadCells,
        grid: Space,
        raster: np.ndarray | None,
        reaction: ngs.CoefficientFunction | None = None,
        robin: Sides | None = None,
        *,
        certain: bool = False,
    ):
        self._a, self._quads, self._grid, self._certain = a, quads, grid, certain
        self._reaction, self._robin = reaction, robin
        cells = grid.cells[0] * grid.cells[1]
        self._raster = raster if cells <= KEPT_CELLS else None
        self._elements: dict[int, np.ndarray] = {}
        self._confirmed: set[int] = set()

    def loads(self, orders: Sequence[int], U: np.ndarray, free: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Compute the load vectors A_q U.

        Parameters
        ----------
        orders : K ``bonus_intorder`` of the rules.
        U : (N+1, M+1) nodal values.
        free : (N+1, M+1) mask of the free nodes.
        first : (10, N, M) element matrices of a further rule, put before the others.

        Returns
        -------
        np.ndarray
            (K+1, N+1, M+1) load vectors.
        """
        elements = np.stack([first, *(self.elements(k) for k in orders)])
        return grid_loads(elements, U, free, mass=self._reaction is not None or self._robin is not None)

    def elements(self, bonus: int) -> np.ndarray:
        """Integrate the element matrices (10, N, M) with ``bonus_intorder=bonus``."""
        if bonus not in self._elements:
            at_points = self._evaluate(bonus) if self._raster is None else self._read_off(bonus)
            rule, cells, size = gauss_rule(bonus), self._grid.cells, self._grid.size
            self._elements[bonus] = gauss_elements(at_points, rule, cells, size)
            if self._reaction is not None:
                c = self._quads.values(self._reaction, rule[0])
                self._elements[bonus] += gauss_mass(c, rule, cells, size)
            if self._robin is not None:  # any rule integrates it exactly
                add_sides(self._elements[bonus], edge_weights(self._robin, cells, size))
        return self._elements[bonus]

    def confirm(self, orders: Sequence[int]) -> bool:
        """Check that element matrices read off the raster are those of the coefficient itself.

        If not, all element matrices are made anew, from the coefficient itself, when they are asked for again.

        Parameters
        ----------
        orders : ``bonus_intorder`` of the rules.

        Returns
        -------
        bool
            Whether the coefficient has the raster's values at all Gauss points of these rules.
        """
        if self._raster is None or self._certain:
            return True
        for k in orders:
            if k not in self._confirmed and not np.array_equal(self._evaluate(k), self._read_off(k)):
                self._raster, self._elements = None, {}
                return False
            self._confirmed.add(k)
        return True

    def confirmed(self, bonus: int) -> np.ndarray:
        """Integrate the element matrices (10, N, M) of the coefficient itself with ``bonus_intorder=bonus``."""
        elements = self.elements(bonus)
        return elements if self.confirm([bonus]) else self.elements(bonus)

    def _evaluate(self, bonus: int) -> np.ndarray:
        """Coefficient at the Gauss points (N q, M q)."""
        return self._quads.values(self._a, gauss_rule(bonus)[0])

    def _read_off(self, bonus: int) -> np.ndarray:
        """Raster at the Gauss points (N q, M q); for points on its edges NGSolve decides which cell they see."""
        raster, grid = np.asarray(self._raster), self._grid
        known: dict[int, np.ndarray] = _raster_cells.get(self._quads.mesh, (raster.shape, grid.cells), dict)
        if bonus not in known:
            numbers = raster_function(np.arange(float(raster.size)).reshape(raster.shape), grid)
            known[bonus] = self._quads.values(numbers, gauss_rule(bonus)[0]).astype(np.int32)
        return raster.ravel()[known[bonus]]


def raster_function(values: np.ndarray, grid: Space) -> ngs.CoefficientFunction:
    """Make a CoefficientFunction that is constant on the cells of a raster.

    Parameters
    ----------
    values : (my, mx) cell values.
    grid : any grid on the rectangle.

    Returns
    -------
    ngs.CoefficientFunction
    """
    upper = (grid.lower[0] + grid.size[1], grid.lower[1] + grid.size[0])
    return ngs.VoxelCoefficient(grid.lower, upper, values, linear=False)


def by_cells(space: ngs.FESpace) -> bool:
    """Tell whether the matrix of a form on uniform quads is the sum of Q1 element matrices over all cells.

    Parameters
    ----------
    space : H1 space.

    Returns
    -------
    bool
        False for other orders, for spaces on a part of the mesh, and where NGSolve rounds coordinates in two ways.
    """
    defined = list(space.GetDefinedOnRegion(ngs.VOL).Mask())  # type: ignore[arg-type]  # none where nothing was said
    everywhere = "definedon" not in space.flags.ToDict() and (all(defined) or not any(defined))
    return space.globalorder == 1 and space.ndof == space.mesh.nv and everywhere and _points_agree()


@lru_cache(maxsize=1)
def _points_agree() -> bool:
    """Whether NGSolve assembles with the points that it evaluates at, to the last bit, on this processor.

    Middle points of odd rules lie on edges of the raster: there the last bit decides which cell they see.
    """
    grid, rng = Space((5, 7), (0.1, 0.2), (0.9, 1.7)), np.random.default_rng(0)
    mesh = structured_mesh(grid)
    u, index = ngs.GridFunction(ngs.H1(mesh, order=1)), np.arange(mesh.nv).reshape(grid.shape)
    u.vec.FV().NumPy()[:] = rng.random(mesh.nv)
    quads, a = QuadCells.of(mesh, index), raster_function(rng.random((20, 28)) + 0.1, grid)
    if quads is None:
        return False
    rules, (p, q) = CellRules(a, quads, grid, None), u.space.TnT()
    for bonus in (2, 6):
        form = ngs.BilinearForm(a * ngs.grad(p) * ngs.grad(q) * ngs.dx(bonus_intorder=bonus)).Assemble()
        U = u.vec.FV().NumPy()
        expected = load_of(sparse_matrix(u, form), U, free_dofs(u.space))
        found = grid_loads(rules.elements(bonus)[None], U[index], np.ones(index.shape, bool))[0]
        if not np.allclose(found.ravel(), expected, 1e-9, 1e-9):
            return False
    return True
