"""The training loop: a budget in minutes or steps, validation in errors, checkpoints that survive anything."""

from __future__ import annotations

import csv
import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from ..networks.nhcsr import CorrectorNetwork
from . import state as checkpoint
from .config import TrainConfig, to_json
from .losses import combine, finite
from .pools import make_pool
from .problems import Problems
from .validation import CASES, VALIDATION_SEEDS, Case, network_errors

log = logging.getLogger(__name__)


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """SIGTERM and Ctrl-C set a flag instead of ending the process; asked once per step."""
    seen: list[int] = []
    old = {s: signal.signal(s, lambda number, _: seen.append(number)) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(seen)
    finally:
        for s, handler in old.items():
            signal.signal(s, handler)


def rate_factor(progress: float, step: int, warmup: int) -> float:
    """Learning rate relative to its peak: linear warm-up, cosine to zero over the budget."""
    return min(1.0, (step + 1) / max(warmup, 1)) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def _validate(network: CorrectorNetwork, sets: list[tuple[Case, Problems]]) -> dict[str, float]:
    network.eval()
    figures = {}
    for case, problems in sets:
        energy, l2 = network_errors(network, problems, case.scale)
        figures[f"{case.name} energy"] = float(energy.median())
        figures[f"{case.name} L2"] = float(l2.median())
    network.train()
    return figures


def train(
    config: TrainConfig,
    folder: Path,
    data_folder: Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    device: str | torch.device = "cpu",
    workers: int = 1,
    validate_every: float = 5.0,
    cases: tuple[Case, ...] = CASES,
    start_from: Path | None = None,
    progress: bool = False,
) -> Path:
    """Train, or go on with what is in ``folder``.

    Parameters
    ----------
    config : what to train; the resolved one is kept in every checkpoint.
    folder : receives ``last.safetensors`` (to go on), ``best.safetensors`` (network weights), ``log.csv``.
    data_folder : shards of training problems; missing ones are generated. Unused by data sets with ``refresh``.
    minutes, steps : budget of this call, one of them; the learning rate falls to zero over it.
    validate_every : minutes between validations (with a budget in steps: only at the end).
    start_from : weights (a checkpoint of any run with this architecture) to begin with.

    Returns
    -------
    Path of the network weights with the smallest energy error on the first validation case.

    Raises
    ------
    ValueError : no budget, or a checkpoint that does not fit.
    ArithmeticError : a loss that is not finite; the last checkpoint stays.
    """
    if (minutes is None) == (steps is None):
        raise ValueError("give a budget: either minutes= or steps=")
    torch.manual_seed(config.seed)
    network = CorrectorNetwork(config.architecture).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.rate, weight_decay=config.weight_decay)
    state = checkpoint.State(network, {k: v.clone() for k, v in network.state_dict().items()}, optimiser)
    last, best = folder / "last.safetensors", folder / "best.safetensors"
    if last.exists():
        checkpoint.restore(last, state)
        log.info("going on from %s at step %d", last, state.step)
    elif start_from is not None:
        checkpoint.restore(start_from, state)
        state.step, state.seconds, state.best = 0, 0.0, float("inf")
        optimiser.state.clear()
    pools = [make_pool(d, data_folder, device, state.step, workers, progress) for d in config.data]
    held_out = [(c, c.problems(VALIDATION_SEEDS)) for c in cases]
    loss_function = combine(config.loss)
    average = CorrectorNetwork(config.architecture).to(device)
    first_step, begin = state.step, time.monotonic()
    before = state.seconds
    next_validation = begin + 60 * validate_every

    def used() -> float:
        """Share of this call's budget."""
        if steps is not None:
            return (state.step - first_step) / steps
        return (time.monotonic() - begin) / (60 * minutes)  # type: ignore[operator]

    def validate() -> None:
        average.load_state_dict(state.average)
        figures = _validate(average, held_out)
        score = figures[f"{cases[0].name} energy"] if cases else float("nan")
        log.info("step %d: %s", state.step, ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
        row = {"step": state.step, "minutes": round(state.seconds / 60, 2), "loss": round(smooth, 5), **figures}
        new = not (folder / "log.csv").exists()
        with open(folder / "log.csv", "a", newline="") as f:
            writer = csv.DictWriter(f, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        if not cases or score < state.best:
            state.best = score
            save_file({k: v.detach().cpu().contiguous() for k, v in state.average.items()}, best)
        bar.set_postfix_str(f"loss {smooth:.3f}, energy {score:.3f}")

    folder.mkdir(parents=True, exist_ok=True)
    smooth = float("nan")
    bar = tqdm(total=steps, disable=not progress, unit="step")
    with stop_requested() as stop:
        while used() < 1 and not stop():
            rng = torch.Generator().manual_seed(config.seed * 1_000_003 + state.step)
            weights = torch.tensor([float(p.cells) for p in pools])
            pool = pools[int(torch.multinomial(weights, 1, generator=rng))]
            options = [(s, w) for s, w in config.scale_weights if s in pool.recipe.scales]
            scale = options[int(torch.multinomial(torch.tensor([w for _, w in options]), 1, generator=rng))][0]
            size = max(1, round(config.batch * 32 / pool.recipe.coarse))
            pool.advance(state.step)
            U, A, target = (v.to(device) for v in pool.batch(size, scale, rng))
            for group in optimiser.param_groups:
                group["lr"] = config.rate * rate_factor(used(), state.step - first_step, config.warmup)
            n = target.shape[-1] - 1
            loss = loss_function(network(U, A.double(), (n, n)).float(), target, A, rng)
            if not finite(loss):
                raise ArithmeticError(
                    f"loss is not finite at step {state.step} (seed {config.seed}, scale {scale}); the last good "
                    f"state is {last}. Lower rate= or clip= and go on."
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            optimiser.step()
            decay = min(config.ema, (1 + state.step) / (10 + state.step))
            with torch.no_grad():
                for k, v in network.state_dict().items():
                    state.average[k].lerp_(v, 1 - decay)
            state.step += 1
            state.seconds = before + time.monotonic() - begin
            value = float(loss.detach())
            smooth = value if math.isnan(smooth) else 0.98 * smooth + 0.02 * value
            bar.update()
            if steps is None and time.monotonic() > next_validation:
                validate()
                checkpoint.save(last, state, to_json(config))
                next_validation = time.monotonic() + 60 * validate_every
    validate()
    checkpoint.save(last, state, to_json(config))
    bar.close()
    return best
