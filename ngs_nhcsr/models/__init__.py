"""Named models: weights with cards, their table, and loading that trusts nothing it has not checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy

if TYPE_CHECKING:
    from .card import Contract, ModelCard, read_card
    from .catalogue import DEFAULT_MODEL, list_models, shipped_cards
    from .devices import resolve_device
    from .load import export_model, load_model
    from .model import Model

__getattr__, __dir__ = lazy(
    globals(),
    {
        "DEFAULT_MODEL": "catalogue",
        "Contract": "card",
        "Model": "model",
        "ModelCard": "card",
        "export_model": "load",
        "list_models": "catalogue",
        "load_model": "load",
        "read_card": "card",
        "resolve_device": "devices",
        "shipped_cards": "catalogue",
    },
)

__all__ = [
    "DEFAULT_MODEL",
    "Contract",
    "Model",
    "ModelCard",
    "export_model",
    "list_models",
    "load_model",
    "read_card",
    "resolve_device",
    "shipped_cards",
]
