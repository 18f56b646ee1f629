"""The loss of generative decoders: denoising at one random level."""

from __future__ import annotations

from torch import Tensor

from ...networks.decoders import GenerativeDecoder
from ..prediction import fields_for_target
from .loss import Batch, Loss, losses


@losses.register("denoising")
class Denoising(Loss):
    """What :meth:`GenerativeDecoder.denoising_loss` says of the fields for which the network's output is u_h.

    Its steps apply the decoder once, where a prediction would take as many applications as there are denoising steps.
    """

    needs_grid = True
    predicts = False

    def __call__(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        batch : problems and targets.

        Returns
        -------
        A scalar.

        Raises
        ------
        ValueError
            For a decoder that is not generative, or an output other than "residual".
        """
        decoder = batch.network.decoder
        if not isinstance(decoder, GenerativeDecoder):
            raise ValueError(
                f"the loss 'denoising' needs a generative decoder such as idm, not {batch.network.architecture.decoder}"
            )
        features, clean = fields_for_target(batch.network, batch.U, batch.A, batch.F, batch.target)
        return decoder.denoising_loss(features, clean, batch.ratio, batch.rng)
