"""Elliptic problems as solvers see them: space, medium, load and boundary data; one in numpy, or a batch in torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidProblem
from ..short_repr import ShortRepr
from .dirichlet import Data
from .load import Load
from .medium import Medium
from .space import Space

NEEDS_LOAD = "this needs the load; pass f= or form= to correct()."


@dataclass(frozen=True, eq=False, repr=False)
class BoundaryValueProblem(ShortRepr):
    """−div(a∇u) = f on a rectangle with Dirichlet and homogeneous natural conditions.

    In numpy it is one problem; in torch it has B media with K loads each.

    Attributes
    ----------
    space : the coarse space, with its boundary conditions.
    medium : coefficient (my, mx), or (B, my, mx).
    load : the load, or (B, K, …); ``None`` where it is not known.
    U : (N+1, M+1) or (B, K, N+1, M+1) coarse Galerkin solution. Its values at fixed nodes are the Dirichlet data.
    dirichlet : those that are not linear between coarse nodes: nodal values by side on any grids, of one problem in
        numpy. Networks do not see them.
    """

    space: Space
    medium: Medium
    load: Load | None
    U: Any
    dirichlet: Data | None = None

    @property
    def batch(self) -> tuple[int, int]:
        """Number of media B and of loads K of each; of a problem in torch."""
        return int(self.U.shape[0]), int(self.U.shape[1])

    @property
    def known_load(self) -> Load:
        """The load.

        Raises
        ------
        InvalidProblem
            If it is not known.
        """
        if self.load is None:
            raise InvalidProblem(NEEDS_LOAD)
        return self.load

    def tensors(self, device: Any = "cpu") -> BoundaryValueProblem:
        """Convert a problem in numpy to torch, with a batch of one medium and one load.

        Parameters
        ----------
        device : where the tensors lie.

        Returns
        -------
        BoundaryValueProblem in float64; a load that is not known is recovered from U.
        """
        import torch

        U = torch.from_numpy(np.array(self.U, dtype=np.float64, order="C"))[None, None].to(device)
        medium = self.medium.tensors(device)
        load = Load.from_solution(U, medium, self.space) if self.load is None else self.load.tensors(device)
        return BoundaryValueProblem(self.space, medium, load, U)

    def separated(self) -> BoundaryValueProblem:
        """Repeat every medium of a problem in torch for each of its loads: B K media with one load each."""
        K = self.batch[1]
        if K == 1:
            return self
        return BoundaryValueProblem(
            self.space,
            self.medium.map(lambda v: v.repeat_interleave(K, 0)),
            self.known_load.map(lambda v: v.flatten(0, 1).unsqueeze(1)),
            self.U.flatten(0, 1).unsqueeze(1),
        )
