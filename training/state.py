"""Checkpoints: one safetensors file with weights, their running mean and the optimiser, written atomically."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .config import TrainConfig, from_json

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass
class State:
    """All that a run needs to go on; ``origin`` names the weights it began with, if it did not begin at random ones."""

    network: nn.Module
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    best: float = float("inf")
    origin: str = ""


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file beside ``path`` and move it there, so that a crash leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, temporary, metadata=metadata)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save(path: Path, state: State, config: str) -> None:
    """Write a checkpoint; a crash leaves the old one."""
    tensors: dict[str, Tensor] = {f"weights/{k}": v for k, v in state.network.state_dict().items()}
    tensors |= {f"average/{k}": v for k, v in state.average.items()}
    names = {id(p): n for n, p in state.network.named_parameters()}
    for group in state.optimiser.param_groups:
        for p in group["params"]:
            for key, value in state.optimiser.state.get(p, {}).items():
                tensors[f"optimiser/{names[id(p)]}/{key}"] = torch.as_tensor(value)
    progress = {
        "format": FORMAT,
        "step": state.step,
        "seconds": state.seconds,
        "best": state.best,
        "origin": state.origin,
    }
    write_tensors(path, tensors, {"config": config, "progress": json.dumps(progress)})


def read_config(path: Path) -> str:
    """The configuration stored in a checkpoint, as JSON; raises ``ValueError`` if there is none."""
    if not path.exists():
        raise ValueError(f"{path} is not there: no run, or one that has not come to its first validation")
    with safe_open(path, "pt") as f:
        return (f.metadata() or {})["config"]


def read_progress(path: Path) -> dict[str, Any]:
    """Steps, seconds, best score and origin stored in a checkpoint."""
    with safe_open(path, "pt") as f:
        return json.loads((f.metadata() or {})["progress"])


def check_config(path: Path, config: TrainConfig, *, force: bool = False) -> None:
    """Compare a checkpoint's configuration with ``config``.

    Raises
    ------
    ValueError
        With the names of the fields that differ; with ``force`` they are logged instead.
    """
    stored, ours = (dataclasses.asdict(c) for c in (from_json(read_config(path)), config))
    differing = sorted(k for k in ours if stored[k] != ours[k])
    if differing and force:
        log.warning("%s goes on with other values of %s", path, ", ".join(differing))
    elif differing:
        raise ValueError(
            f"{path} was trained with other values of {', '.join(differing)}; give the same configuration, "
            "force=True (--force) to go on with the new values, or begin another run with start_from= this checkpoint"
        )


def take_weights(path: Path, state: State) -> None:
    """Begin with the weights of a checkpoint, or of a model's file, but with nothing else of it.

    Raises
    ------
    ValueError
        If they do not fit the network.
    """
    try:
        tensors = load_file(path)
        weights = {k.removeprefix("average/"): v for k, v in tensors.items() if k.startswith("average/")} or tensors
        state.network.load_state_dict(weights, strict=True)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(f"{path} holds no weights for this architecture: {error}") from error
    for k, v in state.network.state_dict().items():
        state.average[k].copy_(v)
    state.origin = f"{path.name}, sha256 {sha256(path.read_bytes()).hexdigest()}"


def restore(path: Path, state: State) -> None:
    """Load a checkpoint into ``state`` in place; raises ``ValueError`` if it does not fit."""
    try:
        with safe_open(path, "pt") as f:
            progress = json.loads((f.metadata() or {})["progress"])
            tensors = {k: f.get_tensor(k) for k in f.keys()}
    except (SafetensorError, KeyError, OSError) as error:
        raise ValueError(f"{path} is not a usable checkpoint: {error}") from error
    part = {p: {k.removeprefix(p): v for k, v in tensors.items() if k.startswith(p)} for p in ("weights/", "average/")}
    state.network.load_state_dict(part["weights/"], strict=True)
    for k, v in part["average/"].items():
        state.average[k].copy_(v)
    for name, p in state.network.named_parameters():
        prefix = f"optimiser/{name}/"
        entry = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        if entry:
            state.optimiser.state[p] = {k: v if k == "step" else v.to(p.device) for k, v in entry.items()}
    state.step, state.seconds, state.best = progress["step"], progress["seconds"], progress["best"]
    state.origin = progress.get("origin", "")
