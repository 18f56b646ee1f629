"""Checkpoints: one safetensors file with weights, their running mean and the optimiser, written atomically."""

from __future__ import annotations

import dataclasses
import json
import logging
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..networks.corrector import CorrectorNetwork
from ..paths import replacing
from .config import TrainConfig, from_json
from .optimisers import optimisers

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass
class State:
    """All that a run needs to continue.

    Attributes
    ----------
    network : the network with the weights of the last step.
    average : running mean of its weights, by name: what is validated and shipped.
    optimiser : with its own state.
    step, seconds : steps taken, and time used, in all calls of the run together.
    best : smallest energy error in validations so far.
    origin : names the weights that the run began with; empty: random ones.
    """

    network: CorrectorNetwork
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    best: float = float("inf")
    origin: str = ""

    @staticmethod
    def random(config: TrainConfig, device: torch.device | str = "cpu") -> State:
        """Make the state of a run that begins: random weights by the seed of the configuration.

        Parameters
        ----------
        config : of the run.
        device : where the network lies.

        Returns
        -------
        State at step 0.
        """
        torch.manual_seed(config.seed)
        network = CorrectorNetwork(config.architecture).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = optimisers[config.optimiser](network, config.rate, config.weight_decay)
        return State(network, {k: v.clone() for k, v in network.state_dict().items()}, optimiser)

    @torch.no_grad()
    def average_weights(self, decay: float) -> None:
        """Move the running mean towards the weights; in the first steps of a run faster than ``decay`` (0 … 1) says."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for k, v in self.network.state_dict().items():
            self.average[k].lerp_(v, 1 - decay)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file; a crash leaves the old one.

    Parameters
    ----------
    path : of the file.
    tensors : by name.
    metadata : texts by name.
    """
    with replacing(path) as temporary:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, temporary, metadata=metadata)


def save(path: Path, state: State, config: str) -> None:
    """Write a checkpoint; a crash leaves the old one.

    Parameters
    ----------
    path : of the file.
    state : of the run.
    config : its configuration as JSON.
    """
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
    """Read the configuration of a checkpoint.

    Parameters
    ----------
    path : of the file.

    Returns
    -------
    JSON text.

    Raises
    ------
    ValueError
        If there is no such file.
    """
    if not path.exists():
        raise ValueError(f"{path} is not there: no run, or one that has not come to its first validation")
    with safe_open(path, "pt") as f:
        return (f.metadata() or {})["config"]


def read_progress(path: Path) -> dict[str, Any]:
    """Read steps, seconds, best score and origin from a checkpoint."""
    with safe_open(path, "pt") as f:
        return json.loads((f.metadata() or {})["progress"])


def read_average(path: Path) -> dict[str, Tensor]:
    """Read the running mean of the weights of a checkpoint, by the names of the network's ``state_dict``."""
    with safe_open(path, "pt") as f:
        return {name.removeprefix("average/"): f.get_tensor(name) for name in f.keys() if name.startswith("average/")}


def check_config(path: Path, config: TrainConfig, *, force: bool = False) -> None:
    """Compare the configuration of a checkpoint with another one.

    Parameters
    ----------
    path : of the checkpoint.
    config : that it should have.
    force : log differences instead.

    Raises
    ------
    ValueError
        With the names of the fields that differ.
    """
    stored, ours = (dataclasses.asdict(c) for c in (from_json(read_config(path)), config))
    differing = sorted(k for k in ours if stored[k] != ours[k])
    if differing and force:
        log.warning("%s continues with other values of %s", path, ", ".join(differing))
    elif differing:
        raise ValueError(
            f"{path} was trained with other values of {', '.join(differing)}; give the same configuration, "
            "force=True (--force) to continue with the new values, or begin a new run with start_from= this checkpoint"
        )


def take_weights(path: Path, state: State) -> None:
    """Begin with the weights of a checkpoint, or of a model's file, but with nothing else of it.

    Parameters
    ----------
    path : of the file.
    state : whose weights, running mean and origin are replaced.

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
    """Load a checkpoint.

    Parameters
    ----------
    path : of the file.
    state : that is replaced in place.

    Raises
    ------
    ValueError
        If the file is no checkpoint.
    """
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
