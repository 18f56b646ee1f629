"""What local solves start from: values on the skeleton and an effective problem, whoever makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from ..bvp import BoundaryValueProblem
    from ..medium import Medium
    from ..positions import Query
    from ..space import Space
    from ..target import FineQ1
    from .effective import EffectiveProblem


@dataclass(frozen=True)
class Proposal:
    """First values of a solution.

    Attributes
    ----------
    at : queries -> one field (B, K, *shape of the query) for each, float64, equal to the Dirichlet data at fixed nodes.
    effective : operator of the coarse corrections; ``None``: no corrections.
    final : the field is the solution as it is: no local solves, no corrections.
    """

    at: Callable[..., list[Tensor]]
    effective: EffectiveProblem | None
    final: bool = False


class PreparedProposer(Protocol):
    """A proposer with everything done that depends on the media only."""

    @property
    def separate(self) -> bool:
        """Whether every load needs a medium of its own: proposals depend on the solution as well."""
        ...

    @property
    def owner(self) -> Proposer:
        """The proposer that was prepared."""
        ...

    def expect(self, *queries: Query) -> None:
        """Do the part of proposals at these queries that no load changes; only worth it for more than one load."""
        ...

    def propose(self, problem: BoundaryValueProblem) -> Proposal:
        """Propose values for the loads and boundary data of a problem with these media and this space."""
        ...


class Proposer(Protocol):
    """Whoever proposes: a network (``ngs_nhcsr.proposer``), or Q1 on the coefficient's cells (``plain_start``)."""

    def prepare(self, medium: Medium, space: Space, target: FineQ1) -> PreparedProposer:
        """Do everything that does not depend on the load.

        Parameters
        ----------
        medium : B media, torch.
        space : the coarse space.
        target : the fine Q1 solution that is sought.

        Returns
        -------
        PreparedProposer, for any number of loads.
        """
        ...
