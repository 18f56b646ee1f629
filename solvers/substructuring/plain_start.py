"""The proposer without anything learned: Q1 on the coefficient's cells; what local solves and corrections do alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..medium import cell_values
from ..stencil import galerkin_elements
from ..transfer import prolongate
from .effective import EffectiveProblem
from .proposal import Proposal

if TYPE_CHECKING:
    from ..bvp import BoundaryValueProblem
    from ..medium import Medium
    from ..positions import Query
    from ..space import Space
    from ..target import FineQ1


@dataclass(frozen=True)
class PreparedPlainQ1:
    """The Q1 operator on the coefficient's cells, factorised.

    Attributes
    ----------
    effective : the operator.
    separate : False: the media alone decide.
    """

    effective: EffectiveProblem
    separate: bool = False

    @property
    def owner(self) -> PlainQ1:
        """The proposer that was prepared."""
        return PlainQ1()

    def expect(self, *queries: Query) -> None:
        """Do nothing: all is done for each load."""

    def propose(self, problem: BoundaryValueProblem) -> Proposal:
        """Propose the Q1 solution on the cells, bilinear between their corners."""
        start = self.effective.solve(problem.known_load, problem.U, start=True)
        return Proposal(lambda *queries: [prolongate(start, q) for q in queries], self.effective)


class PlainQ1:
    """Proposer of Q1 solutions on the coefficient's cells, with that operator for the corrections."""

    def prepare(self, medium: Medium, space: Space, target: FineQ1) -> PreparedPlainQ1:
        """Factorise the operator; parameters as for ``Proposer.prepare``."""
        cells = space.with_cells(medium.cells)
        elements = galerkin_elements(cell_values(medium), cells.cells, cells.size)
        return PreparedPlainQ1(EffectiveProblem.of_diffusion(elements, medium, cells))
