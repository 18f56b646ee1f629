"""The corrector network: encoder on the cell map, coordinate decoder, structured output on the coarse solution."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..solvers.positions import Nodes, Query, bilinear
from ..solvers.stencil import apply_mass
from ..solvers.substructuring.scheme import Scheme
from ..solvers.substructuring.skeleton import Skeleton
from . import features as ft
from .decoders import decoders
from .encoders import encoders
from .upscale import EffectiveProblem, Upscaling, coarse_moments, nodal_load, projected, solve_with_mean

INPUTS = ("coefficient", "coefficient+solution", "coefficient+solutions", "solution")
OUTPUT_TERMS = {"residual": 1, "first-order": 2, "second-order": 5}


@dataclass(frozen=True)
class Architecture:
    """Everything that defines a network; stored in the model card.

    Attributes
    ----------
    encoder, decoder : registered names, with keyword options.
    inputs : "coefficient", "coefficient+solution" as in the paper, "coefficient+solutions" (U and those for the
        geometric and the harmonic mean of a on coarse cells), or for comparison "solution". With the first the
        decoded field is linear in U (line searches of the local solves are not), and one encoding serves many loads.
    output : "residual": u = PU + |U| o; "first-order": u = PU + H∂U·o, the form of first-order homogenisation;
        "second-order" adds H²∂²U. No term U o: constants must pass, and its error in the energy would grow with the
        domain (at 64 coarse cells it doubled the whole error of a network trained at 16).
    upscaling : solve the coarse problem again with a learned effective coefficient (``upscale.py``), on a grid with
        this many cells per coarse cell, or fewer where the fine mesh has fewer; 0: take U as it is. Where that grid is
        the fine mesh, the coefficient itself is taken: the field is u_h, and the network has nothing to add.
    local_solves : the decoded field is taken on the edges of the coefficient cells only and relaxed there, and inside
        the cells the field is exact for its values on the edges (``skeleton.py``); else it is the decoded field.
        How they and the corrections after them are done is no property of a network: see ``solvers.scheme.Scheme``.
    """

    encoder: str = "unet"
    decoder: str = "basis"
    encoder_options: dict[str, Any] = field(default_factory=dict)
    decoder_options: dict[str, Any] = field(default_factory=dict)
    inputs: str = "coefficient"
    output: str = "second-order"
    upscaling: int = 4
    local_solves: bool = True


@dataclass(frozen=True)
class Encoding:
    """What the encoder makes of one batch; decode it at as many queries as you like.

    ``features`` (B, C, my, mx), ``base`` (B, K, …) and ``terms`` (B, K, J, …) on coarse nodes; ``batch`` is the shape
    of U's leading dimensions, which the decoded field gets again. ``exact``: the base is the fine solution itself.
    ``skeleton``: where the field is decoded, and what makes the rest of it; ``problem``: the effective one.
    """

    features: Tensor
    base: Tensor
    terms: Tensor
    sides: ft.Sides
    ratio: float
    batch: tuple[int, ...]
    exact: bool = False
    skeleton: Skeleton | None = None
    problem: EffectiveProblem | None = None


def aligned_ratio(ratio: float) -> float:
    """Fine cells per coefficient cell of the field that is made: whole numbers as they are, else the power of 2 below.

    A mesh whose cells cut raster cells is about as stiff as the next coarser one that is aligned with them: at scale 6
    on 16 coarse cells, the solution at scale 4 differs from that at 6 by 0.028 in L2, the one at scale 8 by 0.098.

    Examples
    --------
    >>> aligned_ratio(3.0), aligned_ratio(1.25), aligned_ratio(0.75)
    (3.0, 1.0, 0.5)
    """
    return ratio if ratio == int(ratio) else 2.0 ** math.floor(math.log2(ratio))


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
        f: Tensor | None = None,
    ) -> Encoding:
        """Encode a batch.

        Parameters
        ----------
        U : (B, N+1, M+1) canonical coarse solutions, or (B, K, N+1, M+1) for K loads of each coefficient; float64.
        A : (B, my, mx) coefficient cell values, float64; my, mx multiples of N, M.
        ratio : fine cells per coefficient cell, ε/h. With ``local_solves`` it becomes :func:`aligned_ratio`.
        sides : which of the sides bottom, right, top, left carry Dirichlet conditions.
        free : (N+1, M+1) mask of free coarse nodes; default: all that are not on a Dirichlet side.
        size : (Ly, Lx) of the rectangle.
        load : load vectors, leading dimensions as those of U, on a grid with a whole number of cells per coarse cell;
            default: those of f, or recovered from U.
        f : nodal values of the load instead, on such a grid.
        """
        coarse = (U.shape[-2] - 1, U.shape[-1] - 1)
        cells = (A.shape[-2], A.shape[-1])
        batch = tuple(U.shape[:-2])
        U = U.double().reshape(len(A), -1, *U.shape[-2:])
        f, load = (None if v is None else v.double().reshape(*U.shape[:2], *v.shape[-2:]) for v in (f, load))
        if f is not None:
            load = apply_mass(f, size)
        if "solution" in self.architecture.inputs:  # every solution needs features of its own
            A = A.repeat_interleave(U.shape[1], 0)
            U = U.flatten(0, 1).unsqueeze(1)
            f, load = (None if v is None else v.flatten(0, 1).unsqueeze(1) for v in (f, load))
        scale = ratio * cells[0] / coarse[0]
        exact = self.exact_at(scale)
        if self.architecture.local_solves and not exact:
            ratio = aligned_ratio(ratio)
            scale = ratio * cells[0] / coarse[0]
            exact = self.exact_at(scale)
        maps = ft.coefficient_maps(A, coarse, sides, ratio)
        mask = (ft.boundary_factor(Nodes(coarse), coarse, sides) > 0).to(U.device) if free is None else free
        if "solution" in self.architecture.inputs:
            solutions = [U]
            if self.architecture.inputs.endswith("solutions"):
                solutions += [solve_with_mean(mean, U, A, mask, size) for mean in ft.MEANS]
            maps = torch.cat([maps, *(ft.solution_maps(v[:, 0], cells) for v in solutions)], 1)
        if "coefficient" not in self.architecture.inputs:
            maps[:, 0] = 0  # log a
        per = 1 if self.upscaling is None else self.upscaling.grid_for(scale)
        maps = maps.to(next(self.parameters()).dtype)
        if exact and not torch.is_grad_enabled():
            features = maps.new_zeros(len(maps), self.encoder.channels, *cells)
        else:
            features = self.encoder(maps)
        problem = None
        if self.upscaling is None:
            base = U
        elif exact:
            base = self.upscaling.fine_solution(U, A, mask, size, per, load)
        else:
            base, problem = self.upscaling(features, U, A, mask, size, ratio, per, load)
        if self.architecture.output == "residual":
            terms = ft.amplitude(base).expand_as(base).unsqueeze(-3)
        else:
            terms = ft.expansion_terms(base, 1 if self.architecture.output == "first-order" else 2, per)
        skeleton = None
        r = (int(ratio), max(1, int(scale * coarse[1] / cells[1] + 1e-9)))
        if self.architecture.local_solves and min(r) > 1 and not exact:
            skeleton = Skeleton(A, self._load_in_cells(f, U, A, mask, size, load, r), r, size)
        return Encoding(features, base, terms, sides, ratio, batch, exact, skeleton, problem)

    @staticmethod
    def _load_in_cells(
        f: Tensor | None,
        U: Tensor,
        A: Tensor,
        mask: Tensor,
        size: tuple[float, float],
        load: Tensor | None,
        r: tuple[int, int],
    ) -> Tensor:
        """Nodal values of f on the coefficient's cells, or on parts of them where f is told so finely."""
        if f is None and load is not None and load.shape[-1] > A.shape[-1]:
            f = projected(load, size)
        if f is None:
            return nodal_load(coarse_moments(U, A, size), mask, (A.shape[-2], A.shape[-1]), size, load)
        q = [max(1, min(r[k], (f.shape[k - 2] - 1) // A.shape[k - 2])) for k in (0, 1)]
        return bilinear(f, Nodes((q[0] * A.shape[-2], q[1] * A.shape[-1])))

    def decode(self, encoding: Encoding, query: Query, scheme: Scheme | None = None) -> Tensor:
        """Field at a query (*leading dimensions of U, *shape of the query), float64.

        With ``local_solves``, done by ``scheme``, it is a function of the finite element space, else smooth between its
        nodes.
        """
        scheme = scheme or Scheme()
        if encoding.skeleton is None:
            (field,) = self._decoded(encoding, query)
        else:
            skeleton = replace(encoding.skeleton, sweeps=scheme.sweeps)
            values = skeleton.relaxed(skeleton.values(*self._decoded(encoding, *skeleton.lines)))
            if encoding.problem is not None:
                values = skeleton.corrected(values, encoding.problem.correction, scheme)
            field = skeleton.field(values)
            if query != skeleton.nodes:
                field = bilinear(field, query)
        return field.reshape(*encoding.batch, *field.shape[2:])

    def _decoded(self, encoding: Encoding, *queries: Query) -> list[Tensor]:
        """What the decoder makes of the base at several queries: (B, K, *shape of the query) each."""
        fields = [bilinear(encoding.base, q) for q in queries]
        if encoding.exact and not torch.is_grad_enabled():
            return fields
        decode, features = self.decoder, encoding.features
        if hasattr(decode, "prepare"):
            decode, features = decode.evaluate, decode.prepare(features)
        terms = encoding.terms.to(encoding.features.dtype)
        cells = (encoding.features.shape[-2], encoding.features.shape[-1])
        for k, query in enumerate(queries):
            o = decode(features, query, encoding.ratio)
            factor = ft.boundary_factor(query, cells, encoding.sides).to(o)
            correction = (o.unsqueeze(1) * bilinear(terms, query)).sum(2) * factor
            fields[k] = fields[k] + correction.double() * (not encoding.exact)
        return fields

    def forward(
        self, U: Tensor, A: Tensor, cells: tuple[int, int], *, scheme: Scheme | None = None, **options: Any
    ) -> Tensor:
        """Nodal values (…, ny+1, nx+1) on the fine grid of ``cells``; options as for :meth:`encode`."""
        ratio = cells[0] / A.shape[-2]
        return self.decode(self.encode(U, A, ratio, **options), Nodes(cells), scheme)
