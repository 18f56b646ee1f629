"""What a decoder is, and the registry of those that exist."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...registry import Registry
from ...solvers.positions import Query


class Decoder(nn.Module, ABC):
    """Map from features on the raster to fields at any query: an implicit function of the place.

    What a subclass promises:

    - It is made as ``decoder(channels, outputs, **options)``: channels of the features, number of decoded fields, and
      options that all have defaults.
    - The value at a place depends on features, place and ratio only: not on whether a grid or scattered points are
      asked for, in what pieces, or with which other problems in the batch. A decoder with whole-field operations
      (``srno``, ``idm``) therefore works on the node grid that belongs to the ratio, whatever is asked for.
    - It accepts every raster, every query in the closed unit square and every ratio > 0, whole or not. Places come from
      ``positions.py`` (integers on node grids), so that nodes on cell faces are not a matter of rounding.
    - Its last layer starts at zero: an untrained network adds nothing to the coarse solution. (``bicubic`` has no
      layers and cannot.)
    - It multiplies no batches of matrices itself but uses ``solvers.linalg.batched`` and ``dense.Linear``:
      ``torch.bmm`` may end the process after ``import ngsolve``.
    - Memory does not grow with the query beyond the result: ``local.in_pieces`` cuts queries into pieces.

    Continuity across cell faces is no part of the contract; each file says what its decoder does there.

    Attributes
    ----------
    stochastic : whether values depend on a seed.

    Examples
    --------
    To add a decoder: one file with a registered class, and one import line in ``decoders/__init__.py``. What decoders
    share (cells around a point, blending, work in pieces) is in ``networks/local.py``.

    >>> from ngs_nhcsr.networks import local
    >>> from ngs_nhcsr.networks.dense import zero_linear
    >>> from ngs_nhcsr.solvers.positions import Nodes
    >>> class Blend(Decoder):
    ...     "A linear map of the features blended between cell centres."
    ...
    ...     def __init__(self, channels, outputs):
    ...         super().__init__()
    ...         self.last = zero_linear(channels, outputs)
    ...
    ...     def evaluate(self, prepared, query, ratio):
    ...         rows, size = local.rows(prepared), prepared.shape[-2:]
    ...         piece = lambda q: local.shaped(self.last(local.interpolate(rows, q, size)), q)
    ...         return local.in_pieces(piece, query, len(prepared))
    >>> Blend(6, 2)(torch.rand(1, 6, 4, 4), Nodes((16, 16)), ratio=4.0).shape
    torch.Size([1, 2, 17, 17])
    """

    stochastic: ClassVar[bool] = False

    def prepare(self, features: Tensor) -> Any:
        """Compute what is the same for all queries and ratios; by default the features themselves.

        Parameters
        ----------
        features : (B, channels, my, mx) from an encoder.

        Returns
        -------
        Whatever :meth:`evaluate` of the same class takes.
        """
        return features

    @abstractmethod
    def evaluate(self, prepared: Any, query: Query, ratio: float) -> Tensor:
        """Evaluate the fields at a query.

        Parameters
        ----------
        prepared : from :meth:`prepare`.
        query : nodes of a grid or scattered points of the unit square (``positions.Nodes``, ``positions.Points``).
        ratio : ε/h, fine cells per coefficient cell of the mesh whose solution is sought; not of the query.

        Returns
        -------
        Fields (B, outputs, *shape of the query), of the features' type.
        """

    def evaluate_many(self, prepared: Any, queries: Sequence[Query], ratio: float) -> list[Tensor]:
        """Evaluate the fields at several queries; by default one by one.

        Parameters
        ----------
        prepared : from :meth:`prepare`.
        queries : as for :meth:`evaluate`.
        ratio : ε/h, as for :meth:`evaluate`.

        Returns
        -------
        Fields for each query, as from :meth:`evaluate`.
        """
        return [self.evaluate(prepared, query, ratio) for query in queries]

    def forward(self, features: Tensor, query: Query, ratio: float) -> Tensor:
        """Prepare and evaluate in one: features (B, channels, my, mx) to fields (B, outputs, *shape of the query)."""
        return self.evaluate(self.prepare(features), query, ratio)


class GenerativeDecoder(Decoder):
    """Decoder that draws its fields from a learned distribution: made from noise, and trained to remove noise."""

    stochastic = True

    @abstractmethod
    def denoising_loss(self, features: Tensor, clean: Tensor, ratio: float, generator: torch.Generator) -> Tensor:
        """Compute the loss that trains this decoder, given the fields that it should produce.

        Parameters
        ----------
        features : (B, channels, my, mx) from an encoder.
        clean : (B, outputs, ny+1, nx+1) the wanted fields at the nodes of the mesh that belongs to ``ratio``.
        ratio : ε/h, fine cells per coefficient cell.
        generator : draws noise and noise level.

        Returns
        -------
        A scalar, differentiable in the parameters and the features.
        """


#: Decoders by name: classes made from (channels, outputs, **options).
decoders: Registry[type[Decoder]] = Registry("decoder")
