"""The zoo: any encoder with any decoder, as a corrector network.

Every decoder starts at zero correction (u = P U), except ``bicubic`` and wherever an encoder makes the output. Those
with whole-field operations (``srno``, ``idm``) work on the node grid of the given ratio, whatever is asked for; ``idm``
is stochastic (seeded) and expensive. ``frl``, ``idm`` and ``nhcsr`` are reconstructions; their files say of what.
"""

from __future__ import annotations

from typing import Any

from .decoders import decoders
from .encoders import encoders
from .nhcsr import Architecture, CorrectorNetwork


def list_encoders() -> list[str]:
    """Names of all encoders.

    Examples
    --------
    >>> {"edsr", "rdn-a", "rdn-b", "swinir", "unet"} <= set(list_encoders())
    True
    """
    return encoders.names()


def list_decoders(*, stochastic: bool = True) -> list[str]:
    """Names of all decoders; ``stochastic=False`` leaves out those whose answer depends on a seed.

    Examples
    --------
    >>> set(list_decoders()) - set(list_decoders(stochastic=False))
    {'idm'}
    """
    return [name for name in decoders.names() if stochastic or not getattr(decoders[name], "stochastic", False)]


def build_model(
    encoder: str,
    decoder: str,
    *,
    encoder_options: dict[str, Any] | None = None,
    decoder_options: dict[str, Any] | None = None,
    **options: Any,
) -> CorrectorNetwork:
    """Corrector network of an encoder and a decoder, with random weights (seed torch before).

    Parameters
    ----------
    encoder, decoder : names, see :func:`list_encoders` and :func:`list_decoders`.
    encoder_options, decoder_options : keyword options of the two.
    options : the other fields of ``Architecture``: ``inputs``, ``output``, ``upscaling``.

    Raises
    ------
    ValueError
        For unknown names; the message lists the known ones.
    TypeError
        For options that the encoder, the decoder or ``Architecture`` does not have.

    Examples
    --------
    >>> net = build_model("edsr", "liif", encoder_options={"channels": 8, "blocks": 1}, output="residual")
    >>> net.architecture.decoder
    'liif'
    """
    return CorrectorNetwork(
        Architecture(
            encoder=encoder,
            decoder=decoder,
            encoder_options=dict(encoder_options or {}),
            decoder_options=dict(decoder_options or {}),
            **options,
        )
    )
