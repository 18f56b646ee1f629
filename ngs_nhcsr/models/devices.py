"""Devices by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import DeviceError

if TYPE_CHECKING:
    import torch


def check_device_name(device: str) -> None:
    """Check that a device has a name that can be one, without asking the machine for it.

    Parameters
    ----------
    device : as for :func:`resolve_device`, a name.

    Raises
    ------
    DeviceError
        If no machine has a device of this name.

    Examples
    --------
    >>> check_device_name("cuda:1")
    """
    if not re.fullmatch(r"auto|cpu(:0)?|cuda(:\d+)?", device):
        raise DeviceError(f"no device {device!r}; give auto, cpu, cuda, or cuda:1 for the second of several.")


def resolve_device(device: Any) -> torch.device:
    """Find a device, and never fall back to another one silently.

    Parameters
    ----------
    device : ``"auto"`` (CUDA if there is one, else CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or a ``torch.device``.

    Returns
    -------
    torch.device
        One that exists here.

    Raises
    ------
    DeviceError
        If it does not exist here.
    """
    import torch

    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(f"no device {device!r}; here are: {', '.join(there)} (or 'auto').") from error
    index = resolved.index or 0
    if resolved.type == "cpu" or (resolved.type == "cuda" and index < torch.cuda.device_count()):
        return resolved
    raise DeviceError(f"device {device!r} is not available here; there are: {', '.join(there)} (or 'auto').")
