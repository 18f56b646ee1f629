"""The training loop: a budget in minutes or steps, validation in errors, checkpoints that survive anything."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path

import torch
from tqdm import tqdm

from ..errors import TrainingFailure
from .config import TrainConfig
from .keeper import Keeper
from .schedule import Allowance, stop_requested
from .state import State, check_config, restore, take_weights
from .step import Stepper
from .team import Team
from .validation import CASES, Case

log = logging.getLogger(__name__)

#: Weight of the newest loss in the running mean that is shown and logged.
NEWEST = 0.02


def train(
    config: TrainConfig,
    folder: Path,
    data_folder: Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    until: int | None = None,
    clock: str = "wall",
    device: str | torch.device = "cpu",
    workers: int = 1,
    validate_every: float = 5.0,
    validate_steps: int | None = None,
    cases: tuple[Case, ...] = CASES,
    start_from: Path | None = None,
    force: bool = False,
    progress: bool = False,
) -> Path:
    """Train, or continue what is in ``folder``; under ``torchrun``, with every process of it.

    Parameters
    ----------
    config : what to train; the resolved one is kept in every checkpoint.
    folder : receives ``last.safetensors`` (to continue), ``best.safetensors`` (network weights), ``log.csv``.
    data_folder : shards of training problems; missing ones are generated. Unused by data sets with ``refresh``.
    minutes : budget of this call; the learning rate falls to zero over it.
    steps : the same in steps; give one of them.
    until : steps of the whole run instead: one that was stopped continues as if it had not been, the learning rate
        falls to zero over all of them; ``minutes`` are then only a limit of this call.
    clock : of the minutes: "wall", or "cpu" for those that this process computed.
    device : "cpu", "cuda" …; under ``torchrun``, "cuda" is the GPU of each process's own number.
    workers : processes that generate shards.
    validate_every : minutes between validations (with a budget in steps: only at the end, or every ``validate_steps``).
    validate_steps : steps between validations.
    cases : validation problems; the first one decides which weights are best.
    start_from : weights to begin with: a checkpoint of any run, or the weights of a model, of this architecture.
    force : continue although ``folder`` holds a run with another configuration.
    progress : show bars.

    Returns
    -------
    Path of the network weights with the smallest median energy error, against u_h, on the first validation case.

    Raises
    ------
    ValueError
        If there is no budget, a checkpoint does not fit or was made with another configuration, or the configuration
        does not fit together.
    TrainingFailure
        If a loss is not finite; the last checkpoint stays.
    """
    allowance = Allowance(minutes, steps, until, clock, validate_every, validate_steps)
    device = _own_device(torch.device(device))
    team = Team.from_environment(device)
    state = begin(config, folder / "last.safetensors", device, start_from, force)
    step = Stepper(config, state, data_folder, team, device, workers, progress and team.leads)
    keeper = Keeper(config, folder, cases, device, team.leads)
    folder.mkdir(parents=True, exist_ok=True)
    before, smooth = state.seconds, float("nan")
    allowance.begin(state.step)
    done = allowance.taken(state.step)
    bar = tqdm(total=allowance.steps, initial=done, disable=not (progress and team.leads), unit=" step")
    with stop_requested() as stop:
        # The leader's clock ends the run: the others did not validate and began earlier.
        while not team.decides((team.leads and allowance.over(state.step)) or stop(), device):
            try:
                loss = step(allowance.used(state.step), allowance.taken(state.step))
            except TrainingFailure as error:
                remedy = f"the last good state is {keeper.last}. Lower rate= or clip= and continue."
                raise TrainingFailure(f"{error}; {remedy}") from error
            state.seconds = before + allowance.seconds
            smooth = loss if math.isnan(smooth) else (1 - NEWEST) * smooth + NEWEST * loss
            bar.update()
            if allowance.due(state.step):
                bar.set_postfix_str(keeper.keep(state, smooth))
                allowance.validated()
    keeper.keep(state, smooth)
    bar.close()
    team.decides(False, device)  # nobody leaves while the leader still writes: who does is aborted now and then
    return keeper.best


def begin(
    config: TrainConfig, last: Path, device: torch.device, start_from: Path | None = None, force: bool = False
) -> State:
    """Make the state from which a run continues.

    Parameters
    ----------
    config : of the run.
    last : checkpoint to continue, if it is there.
    device : where the network lies.
    start_from : weights to begin with if it is not; default: random ones.
    force : continue a checkpoint of another configuration.

    Returns
    -------
    State of the checkpoint, or at step 0.

    Raises
    ------
    ValueError
        If checkpoint or weights do not fit the configuration.
    """
    state = State.random(config, device)
    if last.exists():
        check_config(last, config, force=force)
        restore(last, state)
        log.info("continuing %s at step %d", last, state.step)
    elif start_from is not None:
        take_weights(start_from, state)
    return state


def _own_device(device: torch.device) -> torch.device:
    """Under ``torchrun`` every process has the GPU of its own number."""
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device
