"""Any encoder with any decoder, as a corrector network.

What all of them promise is in ``encoders/encoder.py`` and ``decoders/decoder.py``. ``idm`` is stochastic (seeded) and
expensive; ``frl`` and ``nhcsr`` are reconstructions of papers without public code, ``idm`` in parts of one with code,
and their files say what is reconstructed.
"""

from __future__ import annotations

from typing import Any

from .architecture import Architecture
from .corrector import CorrectorNetwork
from .decoders import decoders
from .encoders import encoders


def list_encoders() -> list[str]:
    """List the names of all encoders, sorted.

    Returns
    -------
    Names for :func:`build_model` and ``Architecture.encoder``.

    Examples
    --------
    >>> {"edsr", "rdn-a", "rdn-b", "swinir", "unet"} <= set(list_encoders())
    True
    """
    return encoders.names()


def list_decoders(*, stochastic: bool = True) -> list[str]:
    """List the names of all decoders, sorted.

    Parameters
    ----------
    stochastic : whether those are listed whose fields depend on a seed.

    Returns
    -------
    Names for :func:`build_model` and ``Architecture.decoder``.

    Examples
    --------
    >>> set(list_decoders()) - set(list_decoders(stochastic=False))
    {'idm'}
    """
    return [name for name in decoders.names() if stochastic or not decoders[name].stochastic]


def build_model(
    encoder: str,
    decoder: str,
    *,
    encoder_options: dict[str, Any] | None = None,
    decoder_options: dict[str, Any] | None = None,
    **options: Any,
) -> CorrectorNetwork:
    """Make the corrector network of an encoder and a decoder, with random weights (seed torch before).

    Parameters
    ----------
    encoder : name, see :func:`list_encoders`.
    decoder : name, see :func:`list_decoders`.
    encoder_options : keyword options of the encoder.
    decoder_options : keyword options of the decoder.
    **options : other fields of ``Architecture``: ``inputs``, ``output``, ``upscaling``, ``local_solves``.

    Returns
    -------
    The network, in training mode.

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
