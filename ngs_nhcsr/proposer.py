"""Networks as proposers: what a corrector network contributes to the solvers of ``solvers.substructuring``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .networks.features import MEANS
from .networks.symmetry import symmetries, transform
from .solvers.bvp import BoundaryValueProblem
from .solvers.linalg import quiet_blas
from .solvers.medium import Medium, cell_values
from .solvers.space import Space
from .solvers.stencil import galerkin_elements
from .solvers.substructuring.effective import EffectiveProblem
from .solvers.substructuring.proposal import Proposal
from .solvers.substructuring.solve import PreparedSolve
from .solvers.target import FineQ1
from .solvers.transfer import prolongate

if TYPE_CHECKING:
    from .networks.corrector import CorrectorNetwork, Features
    from .solvers.positions import Query
    from .solvers.substructuring.scheme import Scheme


class NetworkProposer:
    """Proposer of a network's fields and of its effective problem.

    Parameters
    ----------
    network : on the device of the problems.
    """

    def __init__(self, network: CorrectorNetwork):
        self.network = network

    def prepare(self, medium: Medium, space: Space, target: FineQ1) -> PreparedNetwork:
        """Encode media and factorise the effective problem.

        Parameters
        ----------
        medium : B media, torch.
        space : the coarse space.
        target : the fine Q1 solution that is sought.

        Returns
        -------
        PreparedNetwork
        """
        return PreparedNetwork(self, medium, space, target)


class PreparedNetwork:
    """A network's encoding of media, for any number of loads; see ``solvers.substructuring.proposal``.

    Parameters
    ----------
    owner : the proposer.
    medium : B media, torch.
    space : the coarse space.
    target : the fine Q1 solution that is sought.
    """

    def __init__(self, owner: NetworkProposer, medium: Medium, space: Space, target: FineQ1):
        self.owner, self.network, self.medium, self.space = owner, owner.network, medium, space
        architecture = self.network.architecture
        self.separate = architecture.reads_solution
        self.target = target
        if architecture.local_solves and not self.network.exact_at(target.scale):
            self.target = target.aligned(medium, space)
        self.exact = self.network.exact_at(self.target.scale)
        self.final = self.exact or not architecture.local_solves
        self._features: Features | None = None
        self._effective: EffectiveProblem | None = None
        if self.exact:
            self._effective = self._fine_problem()
        elif not self.separate:
            self._encode(None)

    def _fine_problem(self) -> EffectiveProblem:
        """The effective problem where its grid is the fine mesh: with the coefficient itself."""
        fine = self.space.refined(self.target.scale)
        elements = galerkin_elements(cell_values(self.medium), fine.cells, fine.size)
        return EffectiveProblem.of_diffusion(elements, self.medium, fine)

    def _encode(self, solution: Tensor | None) -> Features:
        self._features = self.network.encode(
            self.medium, self.space, self.target.ratio(self.medium, self.space), solution
        )
        if self.network.upscaling is not None:
            grid = self.space.refined(self.network.per(self.target.scale))
            kappa = self.network.kappa(self._features)
            self._effective = EffectiveProblem.of_diffusion(kappa, self.medium, grid)
        return self._features

    def expect(self, *queries: Query) -> None:
        """Decode the fields at these queries and keep them, in inference mode.

        Parameters
        ----------
        *queries : grids at which every load will be asked for.
        """
        if self._features is not None:
            self.network.expect(self._features, queries)

    def encoded(self, problem: BoundaryValueProblem, *, start: bool = False) -> tuple[Features | None, Tensor]:
        """Encode a problem and solve its effective problem.

        Parameters
        ----------
        problem : as for :meth:`propose`.
        start : as for ``EffectiveProblem.solve``.

        Returns
        -------
        features : of the media; ``None`` where the effective problem is the fine one.
        base : (B, K, n+1, m+1) the solution that ``network.fine_scales`` takes.
        """
        features = self._features
        if self.separate and not self.exact:
            features = self._encode(self._solutions(problem))
        base = problem.U
        if self._effective is not None:
            base = self._effective.solve(problem.known_load, base, start=start)
        return features, base

    def propose(self, problem: BoundaryValueProblem) -> Proposal:
        """Propose the network's field.

        Parameters
        ----------
        problem : with these media and this space; one load per medium where the network reads solutions.

        Returns
        -------
        Proposal
        """
        features, base = self.encoded(problem, start=not self.final)

        def at(*queries: Query) -> list[Tensor]:
            if features is None:
                return [prolongate(base, q) for q in queries]
            self.network.expect(features, queries)
            terms = self.network.terms(features, base)
            return [self.network.fine_scales(features, base, q, terms) for q in queries]

        return Proposal(at, None if self.exact else self._effective, self.final)

    def _solutions(self, problem: BoundaryValueProblem) -> Tensor:
        """Coarse solutions (B, S, N+1, M+1) that the network reads: U, and for means of a on the coarse cells."""
        solutions = [problem.U]
        for mean in MEANS[: self.network.architecture.solutions - 1]:
            solutions.append(solve_with_mean(mean, problem))
        return torch.cat(solutions, 1)


def solve_with_mean(mean: str, problem: BoundaryValueProblem) -> Tensor:
    """Solve coarse problems with one mean of the coefficient per coarse cell.

    Parameters
    ----------
    mean : "geometric", "harmonic" or "arithmetic".
    problem : B media with K loads each, torch.

    Returns
    -------
    Coarse solutions (B, K, N+1, M+1) for the same load and boundary data.
    """
    space = problem.space
    kappa = problem.medium.mean(mean, space.cells)  # type: ignore[arg-type]
    elements = galerkin_elements(kappa.double(), space.cells, space.size)  # type: ignore[union-attr]
    effective = EffectiveProblem.of_diffusion(elements, problem.medium, space)
    return effective.solve(problem.known_load, problem.U)


class NetworkSolver:
    """A network on a device with everything prepared for one medium and scale; problems and fields in numpy.

    Parameters
    ----------
    network : on ``device``.
    medium : the coefficient, numpy.
    space : the coarse space.
    scale : fine cells per coarse cell.
    scheme : of local solves and corrections.
    """

    def __init__(
        self, network: CorrectorNetwork, medium: Medium, space: Space, scale: float, scheme: Scheme | None = None
    ):
        self._device = next(network.parameters()).device
        with torch.inference_mode(), quiet_blas():
            self._solve = PreparedSolve(
                medium.tensors(self._device), space, FineQ1(scale), NetworkProposer(network), scheme
            )

    def expect_many(self) -> None:
        """Do now what the first load would do for all others; changes no result."""
        with torch.inference_mode(), quiet_blas():
            self._solve.expect_many()

    def __call__(self, problem: BoundaryValueProblem, query: Query | None = None) -> np.ndarray:
        """Compute the network's field for the load and the Dirichlet data of a problem.

        Parameters
        ----------
        problem : with this medium and space, numpy; a load that is not known is recovered from U.
        query : where values are wanted; default: the fine nodes.

        Returns
        -------
        Values (*shape of the query), float64.
        """
        with torch.inference_mode(), quiet_blas():
            return self._solve.solve(problem.tensors(self._device), query)[0, 0].cpu().numpy()


def symmetrized(
    network: CorrectorNetwork, problem: BoundaryValueProblem, scale: float, scheme: Scheme | None = None
) -> np.ndarray:
    """Average a network's field over the symmetries of the square, eight of them or four on rectangles.

    Parameters
    ----------
    network : on its device.
    problem : in numpy.
    scale : fine cells per coarse cell.
    scheme : of local solves and corrections.

    Returns
    -------
    Nodal values (ny+1, nx+1), float64.
    """
    cells, raster = problem.space.cells, problem.medium.cells
    fine = problem.space.refined(scale).cells
    group = symmetries(transpositions=all(n == m for n, m in (cells, raster, fine)))
    total = np.zeros((fine[0] + 1, fine[1] + 1))
    for g in group:
        turned = transformed(problem, g)
        total += transform(NetworkSolver(network, turned.medium, turned.space, scale, scheme)(turned), g, inverse=True)
    return total / len(group)


def transformed(problem: BoundaryValueProblem, g: int) -> BoundaryValueProblem:
    """Apply a symmetry of the square to a problem in numpy; ``g`` as for ``networks.symmetry.transform``."""

    def turn(v: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(transform(v, g))

    old = problem.space
    size = (old.size[1], old.size[0]) if g & 4 else old.size
    free = turn(old.free)
    space = Space.with_free((free.shape[0] - 1, free.shape[1] - 1), old.lower, size, free)
    load = None if problem.load is None else problem.load.map(turn)
    if load is not None:
        load = replace(load, size=size, known=None if load.known is None else turn(load.known))
    return BoundaryValueProblem(space, problem.medium.map(turn), load, turn(problem.U))
