"""The row of the tables without learning: bicubic splines through coarse nodal values."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline
from torch import Tensor, nn

from ..solvers.bvp import BoundaryValueProblem
from ..solvers.medium import Medium
from ..solvers.positions import Nodes, Query
from ..solvers.space import Space
from ..solvers.substructuring.proposal import Proposal
from ..solvers.target import FineQ1


class Interpolation(nn.Module):
    """The row without learning, as a proposer: a bicubic spline through the coarse nodal values, at nodes of grids."""

    separate = False

    @property
    def owner(self) -> Interpolation:
        """The proposer that was prepared."""
        return self

    def prepare(self, medium: Medium, space: Space, target: FineQ1) -> Interpolation:
        """Do nothing: splines depend on the solution only; see ``solvers.substructuring.proposal``."""
        return self

    def expect(self, *queries: Query) -> None:
        """Do nothing: all is done for each load."""

    def propose(self, problem: BoundaryValueProblem) -> Proposal:
        """Interpolate the coarse solutions of a problem; no local solves follow."""

        def at(*queries: Nodes) -> list[Tensor]:
            return [_splines(problem.U, q.cells) for q in queries]

        return Proposal(at, None, final=True)


def _splines(U: Tensor, cells: tuple[int, int]) -> Tensor:
    """Bicubic splines through U (B, K, N+1, M+1) at the nodes of a grid: (B, K, ny+1, nx+1)."""
    coarse, fine = ([np.linspace(0, 1, n) for n in shape] for shape in (U.shape[-2:], (cells[0] + 1, cells[1] + 1)))
    fields = [RectBivariateSpline(coarse[0], coarse[1], u)(fine[0], fine[1]) for u in U.flatten(0, 1).numpy()]
    return torch.from_numpy(np.stack(fields)).unflatten(0, U.shape[:2])
