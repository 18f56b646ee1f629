"""The corrector network: encoder on the cell map, coordinate decoder, structured output on the coarse solution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from . import features as ft
from .decoders import decoders
from .encoders import encoders
from .positions import Nodes, Query, bilinear
from .upscale import Upscaling, solve_with_mean

INPUTS = ("coefficient", "coefficient+solution", "coefficient+solutions", "solution")
OUTPUT_TERMS = {"residual": 1, "first-order": 2, "second-order": 5}


@dataclass(frozen=True)
class Architecture:
    """Everything that defines a network; stored in the model card.

    Attributes
    ----------
    encoder, decoder : registered names, with keyword options.
    inputs : "coefficient", "coefficient+solution" as in the paper, "coefficient+solutions" (U and those for the
        geometric and the harmonic mean of a on coarse cells), or for comparison "solution". The first makes the map
        from U exactly linear and lets one encoding serve many loads.
    output : "residual": u = PU + |U| o; "first-order": u = PU + H∂U·o, the form of first-order homogenisation;
        "second-order" adds H²∂²U. No term U o: constants must pass, and its error in the energy would grow with the
        domain (at 64 coarse cells it doubled the whole error of a network trained at 16).
    upscaling : solve the coarse problem again with a learned effective coefficient (``upscale.py``), on a grid with
        this many cells per coarse cell, or fewer where the fine mesh has fewer; 0: take U as it is. Where that grid is
        the fine mesh, the coefficient itself is taken: the field is u_h, and the network has nothing to add.
    """

    encoder: str = "unet"
    decoder: str = "basis"
    encoder_options: dict[str, Any] = field(default_factory=dict)
    decoder_options: dict[str, Any] = field(default_factory=dict)
    inputs: str = "coefficient"
    output: str = "second-order"
    upscaling: int = 4


@dataclass(frozen=True)
class Encoding:
    """What the encoder makes of one batch; decode it at as many queries as you like.

    ``features`` (B, C, my, mx), ``base`` (B, K, …) and ``terms`` (B, K, J, …) on coarse nodes; ``batch`` is the shape
    of U's leading dimensions, which the decoded field gets again. ``exact``: the base is the fine solution itself.
    """

    features: Tensor
    base: Tensor
    terms: Tensor
    sides: ft.Sides
    ratio: float
    batch: tuple[int, ...]
    exact: bool = False


class CorrectorNetwork(nn.Module):
    """(coarse nodal values U, coefficient cells A) -> field at any query.

    By construction the output scales with U, is unchanged by ``a -> c a`` at fixed U, and equals P U on Dirichlet
    sides.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = a = architecture
        if a.output not in OUTPUT_TERMS:
            raise ValueError(f"output must be one of {', '.join(OUTPUT_TERMS)}, not {a.output!r}")
        if a.inputs not in INPUTS:
            raise ValueError(f"inputs must be one of {', '.join(INPUTS)}, not {a.inputs!r}")
        solutions = 0 if "solution" not in a.inputs else 1 + len(ft.MEANS) * a.inputs.endswith("solutions")
        channels = ft.COEFFICIENT_CHANNELS + ft.SOLUTION_CHANNELS * solutions
        self.encoder = encoders[a.encoder](channels, **a.encoder_options)
        self.decoder = decoders[a.decoder](self.encoder.channels, OUTPUT_TERMS[a.output], **a.decoder_options)
        self.upscaling = Upscaling(self.encoder.channels, int(a.upscaling)) if a.upscaling else None

    def exact_at(self, scale: float) -> bool:
        """True where the effective problem is the fine problem: nothing to learn, nothing to add."""
        return self.upscaling is not None and abs(self.upscaling.grid_for(scale) - scale) < 1e-9

    def encode(
        self,
        U: Tensor,
        A: Tensor,
        ratio: float,
        sides: ft.Sides = (True, True, True, True),
        free: Tensor | None = None,
        size: tuple[float, float] = (1.0, 1.0),
        load: Tensor | None = None,
    ) -> Encoding:
        """Encode a batch.

        Parameters
        ----------
        U : (B, N+1, M+1) canonical coarse solutions, or (B, K, N+1, M+1) for K loads of each coefficient; float64.
        A : (B, my, mx) coefficient cell values, float64; my, mx multiples of N, M.
        ratio : fine cells per coefficient cell, ε/h.
        sides : which of the sides bottom, right, top, left carry Dirichlet conditions.
        free : (N+1, M+1) mask of free coarse nodes; default: all that are not on a Dirichlet side.
        size : (Ly, Lx) of the rectangle.
        load : load vectors, leading dimensions as those of U, on a grid with a whole number of cells per coarse cell;
            default: recovered from U.
        """
        coarse = (U.shape[-2] - 1, U.shape[-1] - 1)
        cells = (A.shape[-2], A.shape[-1])
        batch = tuple(U.shape[:-2])
        U = U.double().reshape(len(A), -1, *U.shape[-2:])
        load = None if load is None else load.double().reshape(*U.shape[:2], *load.shape[-2:])
        if "solution" in self.architecture.inputs:  # every solution needs features of its own
            A = A.repeat_interleave(U.shape[1], 0)
            U = U.flatten(0, 1).unsqueeze(1)
            load = None if load is None else load.flatten(0, 1).unsqueeze(1)
        maps = ft.coefficient_maps(A, coarse, sides, ratio)
        mask = (ft.boundary_factor(Nodes(coarse), coarse, sides) > 0).to(U.device) if free is None else free
        if "solution" in self.architecture.inputs:
            solutions = [U]
            if self.architecture.inputs.endswith("solutions"):
                solutions += [solve_with_mean(mean, U, A, mask, size) for mean in ft.MEANS]
            maps = torch.cat([maps, *(ft.solution_maps(v[:, 0], cells) for v in solutions)], 1)
        if "coefficient" not in self.architecture.inputs:
            maps[:, 0] = 0  # log a
        scale = ratio * cells[1] / coarse[1]
        per = 1 if self.upscaling is None else self.upscaling.grid_for(scale)
        exact = self.exact_at(scale)
        maps = maps.to(next(self.parameters()).dtype)
        if exact and not torch.is_grad_enabled():
            features = maps.new_zeros(len(maps), self.encoder.channels, *cells)
        else:
            features = self.encoder(maps)
        if self.upscaling is None:
            base = U
        elif exact:
            base = self.upscaling.fine_solution(U, A, mask, size, per, load)
        else:
            base = self.upscaling(features, U, A, mask, size, ratio, per, load)
        if self.architecture.output == "residual":
            terms = ft.amplitude(base).expand_as(base).unsqueeze(-3)
        else:
            terms = ft.expansion_terms(base, 1 if self.architecture.output == "first-order" else 2, per)
        return Encoding(features, base, terms, sides, ratio, batch, exact)

    def decode(self, encoding: Encoding, query: Query) -> Tensor:
        """Field at a query (*leading dimensions of U, *shape of the query), float64."""
        field = bilinear(encoding.base, query)
        if encoding.exact and not torch.is_grad_enabled():
            return field.reshape(*encoding.batch, *field.shape[2:])
        dtype = encoding.features.dtype
        o = self.decoder(encoding.features, query, encoding.ratio)
        cells = (encoding.features.shape[-2], encoding.features.shape[-1])
        factor = ft.boundary_factor(query, cells, encoding.sides).to(o)
        correction = (o.unsqueeze(1) * bilinear(encoding.terms.to(dtype), query)).sum(2) * factor
        field = field + correction.double() * (not encoding.exact)
        return field.reshape(*encoding.batch, *field.shape[2:])

    def forward(self, U: Tensor, A: Tensor, cells: tuple[int, int], **options: Any) -> Tensor:
        """Nodal values (…, ny+1, nx+1) on the fine grid of ``cells``; options as for :meth:`encode`."""
        ratio = cells[0] / A.shape[-2]
        return self.decode(self.encode(U, A, ratio, **options), Nodes(cells))
