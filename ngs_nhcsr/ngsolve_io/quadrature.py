"""Loads that candidate quadrature rules give a coarse solution on the user's own space.

On uniform quads of order 1 they come from the coefficient at the Gauss points (``cell_rules``), elsewhere from
NGSolve's assembly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ngsolve as ngs
import numpy as np
import scipy.sparse as sp

from ..number_checks import is_number
from ..problem import MATCHED
from ..reading import choose, galerkin_distance, roughness_by_name
from ..solvers.direct import DirichletSystem
from ..solvers.medium import Medium
from ..solvers.neumann import pinned
from ..solvers.q1 import assemble, element_matrices
from ..solvers.space import Space
from ..solvers.tensor_medium import TensorMedium
from .cell_rules import CellRules, by_cells, raster_function
from .coarse_field import CoarseField
from .density import to_grid
from .forms import load_of, sparse_matrix
from .gauss import exact_elements, grid_loads
from .meshes import free_dofs
from .tensor_coefficient import tensor_function

#: ``bonus_intorder`` of the candidates, the plain ``dx`` first; on quads Gauss rules of 2, 3, 4, 5, 6, 7, 12 points.
BONUS_ORDERS = (0, 2, 4, 6, 8, 10, 20)
#: Rules that may explain a coarse solution for a load: the plain dx, nearly exact integration, then every one up to it.
MATCH_ORDERS = (0, *range(20, 0, -2))
EXACT = "exact integration"
#: Systems kept with their factors: of exact integration, and of the rules that solutions were compared with last.
KEPT = 4
#: A load this smooth leaves no need to try the costliest rule.
DECISIVE = 0.05


def rule_name(bonus: int) -> str:
    """Return how a user writes the rule.

    Parameters
    ----------
    bonus : NGSolve's ``bonus_intorder``.

    Returns
    -------
    str
        NGSolve code.

    Examples
    --------
    >>> rule_name(0), rule_name(4)
    ('dx', 'dx(bonus_intorder=4)')
    """
    return "dx" if bonus == 0 else f"dx(bonus_intorder={bonus})"


def as_coefficient_function(a: Any, medium: Medium, grid: Space) -> ngs.CoefficientFunction:
    """Convert a coefficient to a CoefficientFunction.

    Parameters
    ----------
    a : the user's coefficient: CoefficientFunction, number or array.
    medium : its raster, which stands for an array.
    grid : coarse tensor grid, for the rectangle.

    Returns
    -------
    ngs.CoefficientFunction
        The user's own, or one that is constant on the raster's cells.
    """
    if isinstance(a, ngs.CoefficientFunction):
        return a
    if is_number(a):
        return ngs.CoefficientFunction(float(a))
    if isinstance(medium, TensorMedium):
        return tensor_function(np.asarray(medium.components), grid)
    return raster_function(np.asarray(medium.values), grid)


class Rules:
    """The form ∫ a ∇u·∇v + c u v + ∫ α u v ds on the user's space by candidate rules, assembled when first asked for.

    Parameters
    ----------
    space : of the coarse solutions.
    a : the coefficient.
    medium : its raster, that of the reaction, and α.
    reaction : c; ``None``: there is none.
    robin : α on the boundary; ``None``: there is none.
    constant : whether the coefficient is constant on the raster's cells, as far as is known.
    certain : whether the raster is all there is of the coefficient.
    """

    def __init__(
        self,
        space: ngs.FESpace,
        a: ngs.CoefficientFunction,
        medium: Medium,
        reaction: ngs.CoefficientFunction | None = None,
        robin: ngs.CoefficientFunction | None = None,
        *,
        constant: bool = False,
        certain: bool = False,
    ):
        self._space, self._a, self._medium, self._certain = space, a, medium, certain
        self._reaction, self._robin = reaction, robin
        self._raster = np.asarray(medium.values) if constant and medium.isotropic else None
        self._forms: dict[int, ngs.BilinearForm] = {}
        self._matrices: dict[int, sp.csr_array] = {}
        self._cells: CellRules | None = None
        self._exact: tuple[Space, np.ndarray] | None = None
        self._systems: dict[str | int, tuple[tuple, DirichletSystem]] = {}
        self._suited: int | None = None

    def form(self, bonus: int) -> ngs.BilinearForm:
        """Assemble the form with ``bonus_intorder=bonus``, or return the one assembled before."""
        if bonus not in self._forms:
            p, q = self._space.TnT()
            form = ngs.BilinearForm(self._space, symmetric=True)
            form += self._a * ngs.grad(p) * ngs.grad(q) * ngs.dx(bonus_intorder=bonus)
            if self._reaction is not None:
                form += self._reaction * p * q * ngs.dx(bonus_intorder=bonus)
            if self._robin is not None:
                form += self._robin * p * q * ngs.ds
            self._forms[bonus] = form.Assemble()
        return self._forms[bonus]

    def matrix(self, u: ngs.GridFunction, bonus: int) -> sp.csr_array:
        """Convert the form with ``bonus_intorder=bonus`` to a sparse matrix (n, n)."""
        if bonus not in self._matrices:
            self._matrices[bonus] = sparse_matrix(u, self.form(bonus))
        return self._matrices[bonus]

    def loads(self, u: ngs.GridFunction, orders: tuple[int, ...] = BONUS_ORDERS) -> dict[str, np.ndarray]:
        """Compute the load vectors A_q u over the user's degrees of freedom.

        Parameters
        ----------
        u : coarse solution in the space.
        orders : ``bonus_intorder`` of the rules.

        Returns
        -------
        dict
            Load vectors (n,) by name of the rule.
        """
        values, free = u.vec.FV().NumPy(), free_dofs(u.space)
        return {rule_name(k): load_of(self.matrix(u, k), values, free) for k in orders}

    def candidates(self, u: ngs.GridFunction, field: CoarseField) -> dict[str, np.ndarray]:
        """Compute the load vectors on the tensor grid for every candidate rule, for order 1 exact integration first.

        Parameters
        ----------
        u : coarse solution on a grid of quads.
        field : the same, read.

        Returns
        -------
        dict
            Load vectors (N+1, M+1) by name of the rule; the costliest rule only if no other gives a smooth load.
        """
        cells = self._cell_rules(field)
        found = None if cells is None else self._by_cells(cells, field)
        return self._assembled(u, field) if found is None else found

    def _cell_rules(self, field: CoarseField) -> CellRules | None:
        """Element matrices by rules, where the mesh and the space allow."""
        if field.quads is None or not self._medium.isotropic or not by_cells(self._space):
            return None
        if self._cells is None:
            robin = self._medium.robin
            self._cells = CellRules(
                self._a, field.quads, field.space, self._raster, self._reaction, robin, certain=self._certain
            )
        return self._cells

    def _by_cells(self, cells: CellRules, field: CoarseField) -> dict[str, np.ndarray] | None:
        """Candidates from element matrices; ``None`` where none of them is smooth."""
        cheap, free, exact = BONUS_ORDERS[:-1], field.space.free, self.exact_elements(field.space)
        bonus = {rule_name(k): k for k in cheap}
        for _ in range(2):  # the second time from the coefficient itself, if its raster has other values
            loads = cells.loads(cheap, field.U, free, exact)
            found = dict(zip((EXACT, *bonus), loads, strict=True))
            rough = roughness_by_name(found, free)
            name, ties = choose(rough)
            if cells.confirm([bonus[n] for n in (name, *ties) if n != EXACT]):
                break
        return found if rough[name] < DECISIVE else None

    def _assembled(self, u: ngs.GridFunction, field: CoarseField) -> dict[str, np.ndarray]:
        """Candidates assembled by NGSolve."""
        found: dict[str, np.ndarray] = {}
        free = field.space.free
        if u.space.globalorder == 1:
            exact = self.exact_elements(field.space)[None]
            found[EXACT] = grid_loads(exact, field.U, free, mass=not self._medium.only_diffuses)[0]
        # The rule with most points costs as much as all others and is within 0.1 % of exact integration.
        for orders in (BONUS_ORDERS[:-1], BONUS_ORDERS[-1:]):
            found |= {name: to_grid(u, field, load) for name, load in self.loads(u, orders).items()}
            if min(roughness_by_name(found, free).values()) < DECISIVE:
                break
        return found

    def exact_elements(self, space: Space) -> np.ndarray:
        """Integrate the element matrices (10, N, M) of the tensor grid exactly, or return those integrated before."""
        if self._exact is None or self._exact[0] != space:
            medium = self._medium
            nested = all(m % n == 0 for m, n in zip(medium.cells, space.cells, strict=True))
            if nested and medium.isotropic and medium.only_diffuses:
                elements = exact_elements(np.asarray(medium.values), space.cells, space.size)
            else:
                elements = element_matrices(medium, space.cells, space.size)
            self._exact = space, elements
        return self._exact[1]

    def exact_system(self, space: Space) -> DirichletSystem:
        """Make the system of the tensor grid with the coefficient integrated exactly, or return the one made before."""
        return self._kept(EXACT, space.free, (space,), lambda: assemble(self.exact_elements(space)))

    def _system(self, u: ngs.GridFunction, field: CoarseField, bonus: int) -> DirichletSystem:
        """System by a rule: over the nodes of the tensor grid where it comes from element matrices, else over dofs."""
        cells = self._cell_rules(field)
        if cells is None:
            return self._kept(bonus, free_dofs(u.space), (), lambda: self.matrix(u, bonus))
        return self._kept(bonus, field.space.free, (field.space,), lambda: assemble(cells.confirmed(bonus)))

    def _kept(self, name: str | int, free: np.ndarray, key: tuple, matrix: Callable[[], Any]) -> DirichletSystem:
        """System with this name, made anew if what it depends on has changed."""
        key = (*key, free.shape, free.tobytes())
        if name not in self._systems or self._systems[name][0] != key:
            if len(self._systems) >= KEPT:
                self._systems.pop(next(iter(self._systems)))
            self._systems[name] = key, DirichletSystem(matrix(), pinned(free) if self._medium.only_diffuses else free)
        return self._systems[name][1]

    def mismatch(
        self, u: ngs.GridFunction, field: CoarseField, load: np.ndarray, orders: Sequence[int] = MATCH_ORDERS
    ) -> tuple[float, int]:
        """Compute the distance of u from the solution for the coefficient and a load, by the rule that makes it least.

        Rules are tried until one explains u to ``problem.MATCHED``.

        Parameters
        ----------
        u : coarse solution.
        field : the same, read.
        load : (n,) load vector over the degrees of freedom.
        orders : ``bonus_intorder`` of the rules.

        Returns
        -------
        distance : float
            Relative, in the energy norm, see :func:`ngs_nhcsr.reading.galerkin_distance`.
        order : int
            ``bonus_intorder`` of that rule.
        """
        found, best = float("inf"), orders[0]
        for bonus in sorted(orders, key=lambda bonus: bonus != self._suited):  # that of the last solution first
            system = self._system(u, field, bonus)
            on_grid = system.free.ndim == 2
            F, U = (load[field.vertices], field.U) if on_grid else (load, u.vec.FV().NumPy())
            distance = galerkin_distance(system, F, U)
            if distance < found:
                found, best = distance, bonus
            if found <= MATCHED:
                self._suited = best
                break
        return found, best

    def mixed_mismatch(self, u: ngs.GridFunction, loads: Sequence[np.ndarray]) -> float:
        """Compute the distance of u from the solution for a load, with one rule for ∫ a ∇u·∇v, another for ∫ c u v.

        Where c jumps inside elements these rules mean very different forms.

        Parameters
        ----------
        u : coarse solution.
        loads : (n,) load vectors over the degrees of freedom.

        Returns
        -------
        float
            The least distance for all pairs of rules and these loads, as of :meth:`mismatch`; infinite without c.
        """
        if self._reaction is None:
            return float("inf")
        p, q = self._space.TnT()
        masses = {}
        for bonus in BONUS_ORDERS:
            form = ngs.BilinearForm(self._reaction * p * q * ngs.dx(bonus_intorder=bonus), symmetric=True)
            masses[bonus] = sparse_matrix(u, form.Assemble())
        free, values, found = free_dofs(u.space), u.vec.FV().NumPy(), float("inf")
        for one in BONUS_ORDERS:
            for other in BONUS_ORDERS:
                if one != other and found > MATCHED:
                    system = DirichletSystem(self.matrix(u, one) - masses[one] + masses[other], free)
                    found = min(found, *(galerkin_distance(system, load, values) for load in loads))
        return found
