"""The training loop: a budget in minutes or steps, validation in errors, checkpoints that survive anything."""

from __future__ import annotations

import csv
import logging
import math
import os
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ..networks.nhcsr import CorrectorNetwork
from ..solvers.positions import Points
from ..solvers.substructuring.scheme import Scheme
from . import state as checkpoint
from .config import TrainConfig, to_json
from .denoising import DENOISING, denoising_loss
from .losses import combine, finite
from .optimisers import optimisers
from .pools import Pool, make_pool
from .schedule import Budget, rate_factor, stop_requested
from .team import Team
from .validation import CASES, VALIDATION_SEEDS, Case, network_errors

log = logging.getLogger(__name__)


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
    """Train, or go on with what is in ``folder``; under ``torchrun``, with every process of it.

    Parameters
    ----------
    config : what to train; the resolved one is kept in every checkpoint.
    folder : receives ``last.safetensors`` (to go on), ``best.safetensors`` (network weights), ``log.csv``.
    data_folder : shards of training problems; missing ones are generated. Unused by data sets with ``refresh``.
    minutes, steps : budget of this call, one of them; the learning rate falls to zero over it.
    until : steps of the whole run instead: one that was stopped goes on as if it had not been, the learning rate falls
        to zero over all of them; ``minutes`` are then only a limit of this call.
    clock : of the minutes: "wall", or "cpu" for those that this process computed.
    validate_every : minutes between validations (with a budget in steps: only at the end, or every ``validate_steps``).
    start_from : weights to begin with: a checkpoint of any run, or the weights of a model, of this architecture.
    force : go on although ``folder`` holds a run with another configuration.

    Returns
    -------
    Path of the network weights with the smallest energy error on the first validation case.

    Raises
    ------
    ValueError : no budget, a checkpoint that does not fit, or one made with another configuration.
    ArithmeticError : a loss that is not finite; the last checkpoint stays.
    """
    if until is not None and steps is not None:
        raise ValueError("give steps= for this call or until= for the whole run, not both")
    budget = Budget(minutes, steps, clock) if until is None else Budget(steps=until, clock=clock)
    limit = None if until is None or minutes is None else Budget(minutes=minutes, clock=clock)
    device = _own_device(torch.device(device))
    team = Team.from_environment(device)
    torch.manual_seed(config.seed)
    network = CorrectorNetwork(config.architecture).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    scheme = Scheme(corrections=config.corrections)
    optimiser = optimisers[config.optimiser](network, config.rate, config.weight_decay)
    state = checkpoint.State(network, {k: v.clone() for k, v in network.state_dict().items()}, optimiser)
    last, best = folder / "last.safetensors", folder / "best.safetensors"
    if last.exists():
        checkpoint.check_config(last, config, force=force)
        checkpoint.restore(last, state)
        log.info("going on from %s at step %d", last, state.step)
    elif start_from is not None:
        checkpoint.take_weights(start_from, state)
    pools = [make_pool(d, data_folder, device, state.step, workers, progress and team.leads) for d in config.data]
    held_out = [(c, c.problems(VALIDATION_SEEDS)) for c in cases] if team.leads else []
    # On meshes no finer than the effective problem's grid there is nothing to learn.
    scales = tuple((s, w) for s, w in config.scale_weights if not network.exact_at(s))
    if not all(any(s in p.recipe.scales for s, _ in scales) for p in pools):
        raise ValueError("a data set has no scale that is drawn (scale_weights=) and that this network can learn from")
    loss_function = None if config.loss == DENOISING else combine(config.loss)
    average = CorrectorNetwork(config.architecture).to(device)
    first_step, before, smooth = state.step if until is None else 0, state.seconds, float("nan")
    folder.mkdir(parents=True, exist_ok=True)
    bar = tqdm(
        total=until or steps, initial=state.step - first_step, disable=not (progress and team.leads), unit="step"
    )

    def keep() -> None:
        """Validate the running mean of the weights, log it, keep the best of them and the state."""
        if not team.leads:
            return
        average.load_state_dict(state.average)
        figures = {}
        for case, problems in held_out:
            energy, l2 = network_errors(average, problems, case.scale, scheme=config.validation)
            figures |= {f"{case.name} energy": float(energy.median()), f"{case.name} L2": float(l2.median())}
        score = figures[f"{cases[0].name} energy"] if cases else float("nan")
        log.info("step %d: %s", state.step, ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
        row = {"step": state.step, "minutes": round(state.seconds / 60, 2), "loss": round(smooth, 5), **figures}
        _append(folder / "log.csv", row)
        if not cases or score < state.best:
            state.best = score
            checkpoint.write_tensors(best, state.average)
        checkpoint.save(last, state, to_json(config))
        bar.set_postfix_str(f"loss {smooth:.3f}, energy {score:.3f}")

    budget.restart()

    def over() -> bool:
        used = budget.used(state.step - first_step) >= 1 or (limit is not None and limit.used(0) >= 1)
        return team.leads and used

    next_validation = 60 * validate_every
    with stop_requested() as stop:
        # The leader's clock ends the run: the others did not validate and began earlier.
        while not team.decides(over() or stop(), device):
            rng = torch.Generator().manual_seed(config.seed * 1_000_003 + state.step)
            done = budget.used(state.step - first_step)
            pool, scale = _choose(pools, scales, config.cumulative, done, rng)
            size = max(1, round(config.batch * 32 / pool.recipe.coarse))
            pool.advance(state.step)
            U, A, F, target = (v.to(device) for v in team.share(pool.batch(size, scale, rng)))
            if config.loads:
                some = torch.randperm(U.shape[1], generator=rng)[: config.loads].to(device)
                U, F, target = U[:, some], F[:, some], target[:, some]
            for group in optimiser.param_groups:
                group["lr"] = config.rate * rate_factor(done, state.step - first_step, config.warmup, config.schedule)
            if loss_function is None:
                loss = denoising_loss(network, U, A.double(), F, target, rng)
            else:
                field, target = _predict(network, U, A.double(), F, target, config.points, scheme, rng)
                loss = loss_function(field, target, A.repeat_interleave(U.shape[1], 0), rng)
            if not finite(loss):
                raise ArithmeticError(
                    f"loss is not finite at step {state.step} (seed {config.seed}, scale {scale}); the last good "
                    f"state is {last}. Lower rate= or clip= and go on."
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            team.average_gradients(network)
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            optimiser.step()
            decay = min(config.ema, (1 + state.step) / (10 + state.step))
            with torch.no_grad():
                for k, v in network.state_dict().items():
                    state.average[k].lerp_(v, 1 - decay)
            state.step += 1
            state.seconds = before + budget.seconds
            value = float(loss.detach())
            smooth = value if math.isnan(smooth) else 0.98 * smooth + 0.02 * value
            bar.update()
            taken = state.step - first_step
            if validate_steps and taken % validate_steps == 0 and taken != (until or steps):
                keep()
            if steps is None and until is None and budget.seconds > next_validation:
                keep()
                next_validation = budget.seconds + 60 * validate_every
    keep()
    bar.close()
    return best


def _choose(
    pools: list[Pool], scales: tuple[tuple[int, float], ...], cumulative: bool, done: float, rng: torch.Generator
) -> tuple[Pool, int]:
    """Pool by its share, then one of its scales; cumulatively, larger scales join one after the other."""
    weights = torch.tensor([p.share for p in pools])
    pool = pools[int(torch.multinomial(weights, 1, generator=rng))]
    options = [(s, w) for s, w in scales if s in pool.recipe.scales]
    if cumulative:
        options = options[: 1 + math.floor(min(2 * done, 1.0) * (len(options) - 1))]
    return pool, options[int(torch.multinomial(torch.tensor([w for _, w in options]), 1, generator=rng))][0]


def _predict(
    network: CorrectorNetwork,
    U: Tensor,
    A: Tensor,
    F: Tensor,
    target: Tensor,
    points: int,
    scheme: Scheme,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Prediction and target, one entry per load: all nodes (B K, n+1, n+1), or random inner ones (B K, 1, points)."""
    n = target.shape[-1] - 1
    if not points:
        return network(U, A, (n, n), load=F, scheme=scheme).float().flatten(0, 1), target.flatten(0, 1)
    at = torch.randint(1, n, (2, points), generator=rng)
    encoding = network.encode(U, A, n / A.shape[-1], load=F)
    field = network.decode(encoding, Points(at.T.double() / n), scheme).float()
    return field.flatten(0, 1).unsqueeze(1), target[..., at[0], at[1]].flatten(0, 1).unsqueeze(1)


def _append(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with open(path, "a", newline="") as f:
        writer = csv.DictWriter(f, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _own_device(device: torch.device) -> torch.device:
    """Under ``torchrun`` every process has the GPU of its own number."""
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device
