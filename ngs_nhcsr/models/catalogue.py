"""What is known by name: architectures, and the models shipped with weights."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ..registry import Registry

if TYPE_CHECKING:
    import torch

    from ..networks.architecture import Architecture

#: Architectures by name; each entry is a function without arguments that makes one.
architectures: Registry[Callable[[], Architecture]] = Registry("architecture")


@architectures.register("nhcsr-light")
def _light() -> Architecture:
    """U-Net on the cell map and low-rank Gabor coordinate basis; the default.

    Half as wide as the classes' defaults: local solves and corrections do the rest at the same errors, and half of a
    correction's time were convolutions (docs/training.md).
    """
    from ..networks.architecture import Architecture

    return Architecture(encoder_options={"widths": (16, 32), "depth": 2}, decoder_options={"hidden": 48})


@architectures.register("nhcsr")
def _paper() -> Architecture:
    """The paper's network: RDN-class encoder of solution and coefficient, two-branch attention decoder."""
    from ..networks.architecture import Architecture

    return Architecture(
        encoder="rdn", decoder="nhcsr", inputs="coefficient+solution", output="first-order", upscaling=True
    )


def shipped_cards() -> dict[str, Path]:
    """Return the model cards shipped with weights by name, sorted."""
    folder = Path(str(files("ngs_nhcsr.weights")))
    return {p.stem: p for p in sorted(folder.glob("*.json"))}


def list_models() -> list[str]:
    """List the names of the models shipped with weights.

    Returns
    -------
    list[str]
        Sorted.

    Examples
    --------
    >>> "nhcsr-light" in list_models()
    True
    """
    return sorted(shipped_cards())


def default_model(device: torch.device) -> str:
    """Choose the best shipped model for a device.

    Parameters
    ----------
    device : where it will run.

    Returns
    -------
    str
        ``nhcsr`` on GPUs once its weights are shipped, else ``nhcsr-light``.
    """
    return "nhcsr" if device.type == "cuda" and "nhcsr" in shipped_cards() else "nhcsr-light"
