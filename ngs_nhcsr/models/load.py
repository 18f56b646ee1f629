"""Load models, trusting nothing that is not checked, and write them."""

from __future__ import annotations

import dataclasses
import json
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelFileError
from .card import Contract, ModelCard, read_bytes, read_card
from .catalogue import check_model_name, shipped_cards
from .devices import resolve_device
from .model import Model

if TYPE_CHECKING:
    import torch

    from ..networks.architecture import Architecture

#: Weights above this size are refused before anything is allocated.
MAX_WEIGHT_BYTES = 200 * 2**20
#: Fields of the architecture in cards of format 1 that are arguments of a call now (``substructuring.scheme.Scheme``).
SCHEME_IN_FORMAT_1 = ("corrections", "tolerance")


def load_model(name_or_path: str | Path, device: Any = "auto") -> Model:
    """Load a shipped model by name or a model card by path.

    The weights stand beside the card with the suffix ``.safetensors``. Sizes, format, hash, names, shapes and
    finiteness are checked; nothing is ever unpickled. Models are kept until their files change.

    Parameters
    ----------
    name_or_path : name (``str``) of a shipped model, or ``Path`` to the ``.json`` of any. A former name is taken with a
        ``DeprecationWarning``.
    device : see :func:`ngs_nhcsr.models.devices.resolve_device`.

    Returns
    -------
    Model
        Shared between calls: do not change it.

    Raises
    ------
    ModelFileError
        With the path and the reason.
    DeviceError
        If the device is not there.

    Examples
    --------
    >>> load_model("basis-hybrid", device="cpu").card.name
    'basis-hybrid'
    """
    resolved = resolve_device(device)
    if isinstance(name_or_path, Path):
        path = name_or_path.resolve()
    elif isinstance(name_or_path, str):
        path = _path_of(name_or_path)
    else:
        raise ModelFileError(f"a model is named by str or pathlib.Path, not {type(name_or_path).__name__}.")
    stamp = _stamp(path), _stamp(path.with_suffix(".safetensors"))
    return _load(path, stamp, str(resolved))


def _path_of(name: str) -> Path:
    """Card of a shipped model."""
    now = check_model_name(name)
    if now != name:
        warnings.warn(
            f"the model {name!r} is called {now!r} now: a U-Net and a basis decoder, not the NH-CSR network.",
            DeprecationWarning,
            stacklevel=4,
        )
    return shipped_cards()[now]


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of the last change: a model is loaded anew when one differs."""
    try:
        status = path.stat()
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror}.") from error
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=8)
def _load(path: Path, stamp: tuple, device: str) -> Model:
    import torch

    from ..networks.corrector import CorrectorNetwork

    card = read_card(path)
    weights_path = path.with_suffix(".safetensors")
    data = read_bytes(weights_path, MAX_WEIGHT_BYTES)
    if card.digest(data) != card.sha256:
        raise ModelFileError(
            f"{weights_path} and {path.name} do not match the SHA-256 in the card: one of them was changed or "
            "damaged. Install or export the model again."
        )
    tensors = _tensors(data, weights_path)
    try:
        network = CorrectorNetwork(_architecture(card))
        network.load_state_dict(tensors, strict=True)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ModelFileError(f"{weights_path} does not fit the architecture of its card: {error}") from error
    network = network.eval().requires_grad_(False).to(torch.device(device))
    return Model(card, network.to(memory_format=torch.channels_last), torch.device(device))  # type: ignore[call-overload]


def _tensors(data: bytes, path: Path) -> dict[str, torch.Tensor]:
    """Weights of a file's content, all finite."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ModelFileError(f"{path} is not a valid safetensors file: {error}.") from error
    bad = [k for k, v in tensors.items() if not bool(torch.isfinite(v).all())]
    if bad:
        raise ModelFileError(f"{path} has values that are not finite in {', '.join(bad[:3])}.")
    return tensors


def _architecture(card: ModelCard) -> Architecture:
    from ..networks.architecture import Architecture

    dropped = SCHEME_IN_FORMAT_1 if card.format == 1 else ()
    return Architecture(**{k: v for k, v in card.architecture.items() if k not in dropped})


def export_model(
    tensors: dict[str, torch.Tensor],
    path: Path,
    *,
    name: str,
    architecture: Architecture,
    contract: Contract,
    training: dict[str, Any],
    validation: dict[str, Any],
) -> ModelCard:
    """Write a model: its card, and its weights beside it.

    Parameters
    ----------
    tensors : the network's ``state_dict``; stored in the precision that it has, loaded in float32.
    path : of the card, ``.json``; the weights get the suffix ``.safetensors``.
    name : of the model.
    architecture : of the network.
    contract : what it was trained for.
    training : how it was trained; what JSON can hold.
    validation : its errors on test problems; what JSON can hold.

    Returns
    -------
    ModelCard
        As written, with the hash of both.
    """
    from safetensors.torch import save

    weights = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
    plain = json.loads(json.dumps(dataclasses.asdict(architecture)))
    card = ModelCard(name, plain, contract, training, validation)
    # Through JSON once, so that the digest is that of the card as it will be read.
    card = dataclasses.replace(
        card, training=json.loads(json.dumps(training)), validation=json.loads(json.dumps(validation))
    )
    card = dataclasses.replace(card, sha256=card.digest(weights))
    path.with_suffix(".safetensors").write_bytes(weights)
    path.write_text(json.dumps(dataclasses.asdict(card), indent=1) + "\n", encoding="utf-8")
    return card
