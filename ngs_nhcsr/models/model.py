"""A loaded network with its card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .card import ModelCard

if TYPE_CHECKING:
    import torch

    from ..networks.corrector import CorrectorNetwork
    from ..solvers.bvp import BoundaryValueProblem
    from ..solvers.positions import Query
    from ..solvers.substructuring.scheme import Scheme


@dataclass(frozen=True)
class Model:
    """A loaded network with its card, on a device.

    Attributes
    ----------
    card : architecture, contract, training and errors.
    network : in evaluation mode, without gradients.
    device : where the network lies.
    """

    card: ModelCard
    network: CorrectorNetwork
    device: torch.device

    def solve(
        self,
        problem: BoundaryValueProblem,
        scale: float,
        query: Query | None = None,
        *,
        scheme: Scheme | None = None,
        symmetrize: bool = False,
    ) -> np.ndarray:
        """Compute the network's field for a problem; many loads of one medium: ``proposer.NetworkSolver``.

        Parameters
        ----------
        problem : in numpy, such as ``Problem.from_arrays(...)``.
        scale : fine cells per coarse cell.
        query : ``Nodes`` or ``Points`` of ``solvers.positions``; default: the fine nodes.
        scheme : of the local solves and corrections.
        symmetrize : average over the symmetries of the square (eight, or four on rectangles), at the fine nodes.

        Returns
        -------
        Values (*shape of the query), float64.
        """
        from ..proposer import NetworkSolver, symmetrized

        if symmetrize and query is None:
            return symmetrized(self.network, problem, scale, scheme)
        return NetworkSolver(self.network, problem.medium, problem.space, scale, scheme)(problem, query)
