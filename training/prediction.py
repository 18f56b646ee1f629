"""The one place where training applies a network: to problems on the unit square with zero Dirichlet data.

Everything else of training knows arrays: U, A, F and targets as in ``problems.Problems``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..networks import features as ft
from ..networks.corrector import CorrectorNetwork, Features
from ..proposer import NetworkProposer
from ..solvers.bvp import BoundaryValueProblem
from ..solvers.load import Load
from ..solvers.medium import Medium
from ..solvers.positions import Nodes, Query
from ..solvers.space import Space
from ..solvers.substructuring.proposal import Proposer
from ..solvers.substructuring.scheme import Scheme
from ..solvers.substructuring.solve import solve
from ..solvers.target import FineQ1
from ..solvers.transfer import prolongate

#: What a row of a table may be: a network, or whatever is a proposer itself.
Row = nn.Module | Proposer


def predict(
    row: Row,
    U: Tensor,
    A: Tensor,
    F: Tensor,
    scale: float,
    *,
    scheme: Scheme | None = None,
    query: Query | None = None,
) -> Tensor:
    """Compute the field that a network, or another row of a table, makes of coarse solutions.

    Parameters
    ----------
    row : a corrector network, or any other proposer.
    U : (B, K, N+1, N+1) coarse solutions.
    A : (B, m, m) coefficient.
    F : (B, K, L+1, L+1) load vectors.
    scale : fine cells per coarse cell.
    scheme : how local solves and corrections are done, for architectures with them; default: as in ``correct``.
    query : where values are wanted; default: the fine nodes.

    Returns
    -------
    Values (B, K, *shape of the query), float64, differentiable in the parameters.
    """
    proposer: Proposer = NetworkProposer(row) if isinstance(row, CorrectorNetwork) else row  # type: ignore[assignment]
    return solve(_problem(U, A, F), FineQ1(scale), proposer, scheme, query)


def encode(network: CorrectorNetwork, U: Tensor, A: Tensor, F: Tensor, scale: float) -> tuple[Features, Tensor]:
    """Encode problems without decoding.

    Parameters
    ----------
    network : at a scale at which it is not exact.
    U : (B, 1, N+1, N+1) coarse solutions.
    A : (B, m, m) coefficient.
    F : (B, 1, L+1, L+1) load vectors.
    scale : fine cells per coarse cell.

    Returns
    -------
    features : what the decoder evaluates.
    base : (B, 1, n+1, n+1) the solution that the decoded fields multiply: of the effective problem, or U.

    Raises
    ------
    ValueError
        If the network is exact at this scale: it has nothing to decode.
    """
    problem = _problem(U, A, F)
    features, base = NetworkProposer(network).prepare(problem.medium, problem.space, FineQ1(scale)).encoded(problem)
    if features is None:
        raise ValueError(f"at scale {scale} the effective problem is the fine problem: this network decodes nothing")
    return features, base


def fields_for_target(
    network: CorrectorNetwork, U: Tensor, A: Tensor, F: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Invert the network's output: the decoded fields o for which it would be the target.

    They are known where the output is P U* + max|U*| o, so for ``output="residual"`` only; on Dirichlet nodes, where
    any o will do, they are zero.

    Parameters
    ----------
    network : that will decode them.
    U : (B, N+1, N+1) coarse solutions.
    A : (B, m, m) coefficient, one for every solution.
    F : (B, L+1, L+1) load vectors.
    target : (B, n+1, n+1) nodal values of u_h.

    Returns
    -------
    features : (B, channels, m, m), differentiable in the encoder's parameters.
    fields : (B, 1, n+1, n+1), of the features' type.

    Raises
    ------
    ValueError
        For another output.
    """
    if network.architecture.output != "residual":
        raise ValueError(
            f"the fields that give u_h are known for output='residual' only, not {network.architecture.output!r}"
        )
    n = target.shape[-1] - 1
    features, base = encode(network, U.unsqueeze(1), A, F.unsqueeze(1), n / (U.shape[-1] - 1))
    inside = ft.boundary_factor(Nodes((n, n)), features.medium.cells, features.space.sides)
    factor = ft.amplitude(base) * inside.to(base)
    missing = target.double().unsqueeze(1) - prolongate(base, (n, n))
    clean = torch.where(factor > 0, missing / factor.clamp_min(1e-300), torch.zeros_like(missing))
    return features.maps, clean.to(features.maps.dtype)


def _problem(U: Tensor, A: Tensor, F: Tensor) -> BoundaryValueProblem:
    """The problems in float64."""
    space = Space((U.shape[-2] - 1, U.shape[-1] - 1))
    return BoundaryValueProblem(space, Medium(A.double()), Load.from_vector(F.double()), U.double())
