"""Checkpoints: one safetensors file with weights, their running mean and the optimiser, written atomically."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FORMAT = 1


@dataclass
class State:
    """All that a run needs to go on."""

    network: nn.Module
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    best: float = float("inf")


def save(path: Path, state: State, config: str) -> None:
    """Write a checkpoint beside ``path`` and move it there, so that a crash leaves the old one."""
    tensors: dict[str, Tensor] = {f"weights/{k}": v for k, v in state.network.state_dict().items()}
    tensors |= {f"average/{k}": v for k, v in state.average.items()}
    names = {id(p): n for n, p in state.network.named_parameters()}
    for group in state.optimiser.param_groups:
        for p in group["params"]:
            for key, value in state.optimiser.state.get(p, {}).items():
                tensors[f"optimiser/{names[id(p)]}/{key}"] = torch.as_tensor(value)
    progress = {"format": FORMAT, "step": state.step, "seconds": state.seconds, "best": state.best}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        save_file(
            {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()},
            temporary,
            metadata={"config": config, "progress": json.dumps(progress)},
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_config(path: Path) -> str:
    """The configuration stored in a checkpoint, as JSON."""
    with safe_open(path, "pt") as f:
        return (f.metadata() or {})["config"]


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
