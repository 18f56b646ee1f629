"""The corrector network: an encoder on the raster, a learned effective coefficient, and a coordinate decoder.

It is three functions of tensors: ``encode`` a medium, ``kappa`` for the effective problem, ``fine_scales`` of a
solution of that problem at any query. It solves nothing: who solves with it is ``ngs_nhcsr.proposer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..solvers.medium import Medium
from ..solvers.positions import Nodes, Query
from ..solvers.space import Space
from ..solvers.stencil import tensor_elements
from . import features as ft
from .architecture import INPUTS, OUTPUT_TERMS, Architecture
from .compiled import sum_of_products
from .decoders import decoders
from .encoders import encoders
from .kappa import KappaHead

#: The scheme of the effective problem: compact and of order 4 where κ is constant, which narrow loads need.
HOURGLASS = 2.0


@dataclass(frozen=True, eq=False)
class Features:
    """What the encoder makes of B media at one scale; serves any number of loads, and queries.

    Attributes
    ----------
    maps : (B, channels, my, mx) features on the raster.
    medium : the media.
    space : the coarse space.
    ratio : ε/h, fine cells per coefficient cell.
    prepared : what the decoder makes of them for all queries.
    decoded : fields (B, J, *shape) and their boundary factor by query, kept in inference: the same for all loads.
    """

    maps: Tensor
    medium: Medium
    space: Space
    ratio: float
    prepared: Any
    decoded: dict[Nodes, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    @property
    def scale(self) -> float:
        """Fine cells per coarse cell."""
        return self.ratio * self.medium.cells[0] / self.space.cells[0]


class CorrectorNetwork(nn.Module):
    """Network that adds the fine scales to a coarse or effective solution.

    By construction the output scales with the solution, is unchanged by ``a -> c a`` at fixed solution, and equals the
    prolongation on Dirichlet sides.

    Parameters
    ----------
    architecture : what it is made of.

    Raises
    ------
    ValueError
        If a name in the architecture is not known.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = a = architecture
        if a.output not in OUTPUT_TERMS:
            raise ValueError(f"output must be one of {', '.join(OUTPUT_TERMS)}, not {a.output!r}")
        if a.inputs not in INPUTS:
            raise ValueError(f"inputs must be one of {', '.join(INPUTS)}, not {a.inputs!r}")
        channels = ft.COEFFICIENT_CHANNELS + ft.SOLUTION_CHANNELS * a.solutions
        self.encoder = encoders[a.encoder](channels, **a.encoder_options)
        self.decoder = decoders[a.decoder](self.encoder.channels, OUTPUT_TERMS[a.output], **a.decoder_options)
        self.upscaling = KappaHead(self.encoder.channels, int(a.upscaling)) if a.upscaling else None

    def per(self, scale: float) -> int:
        """Choose the cells per coarse cell of the grid on which the base solution of ``fine_scales`` lives."""
        return 1 if self.upscaling is None else self.upscaling.grid_for(scale)

    def exact_at(self, scale: float) -> bool:
        """Tell whether the effective problem is the fine problem at this scale: nothing to learn, nothing to add."""
        return self.upscaling is not None and abs(self.upscaling.grid_for(scale) - scale) < 1e-9

    def encode(self, medium: Medium, space: Space, ratio: float, solution: Tensor | None = None) -> Features:
        """Encode media.

        Parameters
        ----------
        medium : coefficients (B, my, mx), float64; my, mx multiples of the coarse cells.
        space : the coarse space; its Dirichlet sides and the place in the coarse cell are inputs.
        ratio : ε/h, fine cells per coefficient cell.
        solution : (B, S, N+1, M+1) the coarse solutions of ``Architecture.solutions``, where these are inputs.

        Returns
        -------
        Features
        """
        maps = ft.coefficient_maps(medium.values, space.cells, space.sides, ratio)  # type: ignore[arg-type]
        if solution is not None:
            maps = torch.cat([maps, *(ft.solution_maps(v, medium.cells) for v in solution.unbind(1))], 1)
        if "coefficient" not in self.architecture.inputs:
            maps[:, 0] = 0  # log a
        features = self.encoder(maps.to(next(self.parameters()).dtype))
        return Features(features, medium, space, ratio, self.decoder.prepare(features))

    def kappa(self, features: Features) -> Tensor:
        """Predict the effective problem.

        Parameters
        ----------
        features : of B media.

        Returns
        -------
        Element matrices (B, 10, ny, nx) of κ on the grid with ``per(scale)`` cells per coarse cell, float64.

        Raises
        ------
        ValueError
            If the architecture has no effective problem.
        """
        if self.upscaling is None:
            raise ValueError("this architecture has upscaling=0: no effective problem")
        fine = features.space.refined(self.per(features.scale))
        kappa = self.upscaling(features.maps, features.medium.values, fine.cells, features.ratio)
        hy, hx = fine.spacing
        return tensor_elements(*kappa, hy=hy, hx=hx, hourglass=HOURGLASS)

    def terms(self, features: Features, base: Tensor) -> Tensor:
        """Compute the terms that decoded fields multiply.

        Parameters
        ----------
        features, base : as for :meth:`fine_scales`.

        Returns
        -------
        Nodal values (B, K, J, n+1, m+1) of the terms t_j of ``Architecture.output``.
        """
        if self.architecture.output == "residual":
            return ft.amplitude(base).expand_as(base).unsqueeze(-3)
        order = 1 if self.architecture.output == "first-order" else 2
        return ft.expansion_terms(base, order, self.per(features.scale))

    def fine_scales(self, features: Features, base: Tensor, query: Query, terms: Tensor | None = None) -> Tensor:
        """Add the fine scales to a solution of the effective problem, or to the coarse solution.

        Parameters
        ----------
        features : of B media.
        base : (B, K, n+1, m+1) nodal values on the grid with ``per(scale)`` cells per coarse cell.
        query : where values are wanted.
        terms : as of :meth:`terms`, where they serve several queries.

        Returns
        -------
        Values (B, K, *shape of the query), float64: base + Σ_j o_j t_j, with the decoded fields o_j (zero on Dirichlet
        sides).
        """
        o, factor = self.decoded(features, query)
        terms = self.terms(features, base) if terms is None else terms
        return sum_of_products(base, terms, o, factor, query)

    def expect(self, features: Features, queries: Sequence[Query]) -> None:
        """Decode the fields at several queries in one go and keep them in the features, in inference mode.

        Parameters
        ----------
        features : of B media.
        queries : for which :meth:`fine_scales` will be called; those that are no grids are left out.
        """
        if not torch.is_inference_mode_enabled():
            return
        grids = [q for q in dict.fromkeys(queries) if type(q) is Nodes and q not in features.decoded]
        for grid, o in zip(grids, self.decoder.evaluate_many(features.prepared, grids, features.ratio), strict=True):
            features.decoded[grid] = o, self._factor(features, grid, o)

    def decoded(self, features: Features, query: Query) -> tuple[Tensor, Tensor]:
        """Decode the fields of :meth:`fine_scales`; on grids, in inference mode, they are kept in the features.

        Parameters
        ----------
        features : of B media.
        query : where.

        Returns
        -------
        Fields o (B, J, *shape of the query), and the factor (*shape) that vanishes on Dirichlet sides.
        """
        if torch.is_inference_mode_enabled() and type(query) is Nodes:
            self.expect(features, [query])
            return features.decoded[query]
        o = self.decoder.evaluate(features.prepared, query, features.ratio)
        return o, self._factor(features, query, o)

    def _factor(self, features: Features, query: Query, like: Tensor) -> Tensor:
        return ft.boundary_factor(query, features.medium.cells, features.space.sides).to(like)
