"""The algorithm of a correction: a proposal, local solves on the skeleton, coarse corrections, static condensation."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ..medium import refuse_robin
from ..positions import Nodes, Query
from ..transfer import prolongate
from .compiled import applies
from .distinct import DistinctCells
from .reaction import skeleton_of
from .scheme import Scheme
from .skeleton import lines
from .values import Values

if TYPE_CHECKING:
    from torch import Tensor

    from ..bvp import BoundaryValueProblem
    from ..load import Load
    from ..medium import Medium
    from ..space import Space
    from ..target import FineQ1
    from .proposal import Proposer


class PreparedSolve:
    """Everything that depends on the media only, for any number of loads and boundary data.

    Parameters
    ----------
    medium : B media, torch, float64.
    space : the coarse space.
    target : the fine Q1 solution that is sought.
    proposer : who makes first values and the effective problem.
    scheme : how local solves and corrections are done.

    Raises
    ------
    InvalidProblem
        If the media have Robin sides.
    """

    def __init__(self, medium: Medium, space: Space, target: FineQ1, proposer: Proposer, scheme: Scheme | None = None):
        refuse_robin(medium, "static condensation", "multigrid has them")
        self.medium, self.space, self.target, self.scheme = medium, space, target, scheme or Scheme()
        self.refinement = target.aligned(medium, space).refinement(medium, space)
        self._proposer = proposer.prepare(medium, space, target)

    @cached_property
    def _distinct(self) -> DistinctCells | None:
        """Matrices that no load changes, where kernels use them."""
        medium = self.medium
        if medium.reaction is None or not applies(medium.values, medium.reaction):  # type: ignore[arg-type]
            return None
        return DistinctCells(medium, self.refinement, self.space.size)

    def expect_many(self) -> None:
        """Do now what the first load would do for all others; changes no result."""
        if min(self.refinement) >= 2:
            self._proposer.expect(*lines(self.medium.cells, self.refinement))

    def solve(self, problem: BoundaryValueProblem, query: Query | None = None) -> Tensor:
        """Solve for the loads and boundary data of a problem with these media and this space.

        Parameters
        ----------
        problem : in torch; its medium is not read.
        query : where values are wanted; default: the fine nodes.

        Returns
        -------
        Values (B, K, *shape of the query), float64. With local solves they are those of a function of the finite
        element space on the mesh that is aligned with the raster, else smooth between its nodes.
        """
        if self._proposer.separate and problem.batch[1] > 1:
            apart = problem.separated()
            prepared = PreparedSolve(apart.medium, self.space, self.target, self._proposer.owner, self.scheme)
            field = prepared.solve(apart, query)
            return field.reshape(*problem.batch, *field.shape[2:])
        query = Nodes(self.space.refined(self.target.scale).cells) if query is None else query
        proposal = self._proposer.propose(problem)
        if proposal.final or min(self.refinement) < 2:
            return proposal.at(query)[0]
        load = cell_load(problem.known_load, self.medium, self.refinement)
        size, sweeps = self.space.size, self.scheme.sweeps
        skeleton = skeleton_of(self.medium, load, self.refinement, size, sweeps, self._distinct)
        level, upright = proposal.at(*lines(self.medium.cells, self.refinement))
        values = skeleton.relaxed(Values.of_lines(level, upright, skeleton.r))
        if proposal.effective is not None:
            values = skeleton.corrected(values, proposal.effective.correction, self.scheme)
        field = skeleton.field(values)
        return field if query == skeleton.nodes else prolongate(field, query)


def solve(
    problem: BoundaryValueProblem,
    target: FineQ1,
    proposer: Proposer,
    scheme: Scheme | None = None,
    query: Query | None = None,
) -> Tensor:
    """Solve a problem once; for many loads of the same media see :class:`PreparedSolve`.

    Parameters
    ----------
    problem : B media with K loads each, torch.
    target : the fine Q1 solution that is sought.
    proposer : who makes first values and the effective problem.
    scheme : how local solves and corrections are done.
    query : where values are wanted; default: the fine nodes.

    Returns
    -------
    Values (B, K, *shape of the query), float64.
    """
    return PreparedSolve(problem.medium, problem.space, target, proposer, scheme).solve(problem, query)


def cell_load(load: Load[Tensor], medium: Medium, refinement: tuple[int, int]) -> Tensor:
    """Sample a load on parts of the coefficient's cells, as finely as it is given and the cells are divided.

    Parameters
    ----------
    load : loads (B, K, …).
    medium : the raster (my, mx).
    refinement : (ry, rx) fine cells per coefficient cell.

    Returns
    -------
    Nodal values (B, K, qy my + 1, qx mx + 1) with 1 ≤ q ≤ r.
    """
    (py, px), (my, mx) = load.cells, medium.cells
    qy, qx = max(1, min(refinement[0], py // my)), max(1, min(refinement[1], px // mx))
    return load.at((qy * my, qx * mx)).double()
