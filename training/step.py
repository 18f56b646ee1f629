"""One training step: draw a batch, predict, follow the gradient of the loss, update the running mean of the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..errors import TrainingFailure
from ..solvers.positions import Points
from ..solvers.substructuring.scheme import Scheme
from .config import TrainConfig
from .losses import Batch, combine
from .pools import Pool, make_pool
from .prediction import predict
from .schedule import rate_factor
from .state import State
from .team import Team

#: Weighted scales: pairs (scale, how often it is drawn relative to the others).
Scales = tuple[tuple[int, float], ...]


class Stepper:
    """Takes training steps. Everything random in a step is a function of the seed and the number of the step.

    Parameters
    ----------
    config : what is trained, and how.
    state : network, optimiser and counters; every step changes them in place.
    data_folder : shards of training problems; missing ones are made now, unless the configuration does not fit.
    team : processes that share every batch.
    device : where the network lies.
    workers : processes that make shards.
    progress : whether making them shows a bar.

    Raises
    ------
    ValueError
        If the loss is unknown, or needs the whole grid while the configuration looks at random nodes; or if a data set
        has no scale that can be trained.
    """

    def __init__(
        self,
        config: TrainConfig,
        state: State,
        data_folder: Path,
        team: Team | None = None,
        device: torch.device | str = "cpu",
        workers: int = 1,
        progress: bool = False,
    ):
        self.config, self.state, self.team, self.device = config, state, team or Team(), device
        self.scheme = Scheme(corrections=config.corrections)
        self.loss = combine(config.loss)
        if config.points and self.loss.needs_grid:
            raise ValueError(
                f"the loss {config.loss!r} needs all nodes of the fine grid; set points=0, not {config.points}"
            )
        # On meshes no finer than the effective problem's grid there is nothing to learn.
        self.scales: Scales = tuple((s, w) for s, w in config.scale_weights if not state.network.exact_at(s))
        if not all(any(s in d.recipe.scales for s, _ in self.scales) for d in config.data):
            raise ValueError(
                "a data set has no scale that is drawn (scale_weights=) and that this network can learn from"
            )
        self.pools = [make_pool(d, data_folder, device, state.step, workers, progress) for d in config.data]

    def __call__(self, used: float, taken: int) -> float:
        """Take one step.

        Parameters
        ----------
        used : share of the run's budget that is used, 0 … 1; decides learning rate and, cumulatively, scales.
        taken : steps since the schedule began; decides the warm-up.

        Returns
        -------
        The loss before the step.

        Raises
        ------
        TrainingFailure
            If the loss is not finite; the weights are as before.
        """
        config, state = self.config, self.state
        rng = torch.Generator().manual_seed(config.seed * 1_000_003 + state.step)
        pool, scale = choose(self.pools, self.scales, used, rng, cumulative=config.cumulative)
        pool.advance(state.step)
        problems = pool.batch(max(1, round(config.batch * 32 / pool.recipe.coarse)), scale, rng)
        U, A, F, target = (v.to(self.device) for v in self.team.share(problems))
        loss = self.loss(self.batch(U, A, F, target, scale, rng))
        if not bool(torch.isfinite(loss).all()):
            raise TrainingFailure(f"loss is not finite at step {state.step} (seed {config.seed}, scale {scale})")
        for group in state.optimiser.param_groups:
            group["lr"] = config.rate * rate_factor(used, taken, config.warmup, config.schedule)
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.team.average_gradients(state.network)
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.clip)
        state.optimiser.step()
        state.average_weights(config.ema)
        state.step += 1
        return float(loss.detach())

    def batch(self, U: Tensor, A: Tensor, F: Tensor, target: Tensor, scale: int, rng: torch.Generator) -> Batch:
        """Predict, and flatten problems and loads, for a loss.

        Parameters
        ----------
        U : (M, K, N+1, N+1) coarse solutions.
        A : (M, m, m) coefficients.
        F : (M, K, L+1, L+1) load vectors.
        target : (M, K, n+1, n+1) nodal values of u_h.
        scale : fine cells per coarse cell.
        rng : draws ``TrainConfig.loads`` of the loads and ``TrainConfig.points`` of the nodes.

        Returns
        -------
        Batch of the M K problems, or those of the loads drawn.
        """
        if self.config.loads:
            some = torch.randperm(U.shape[1], generator=rng)[: self.config.loads].to(U.device)
            U, F, target = U[:, some], F[:, some], target[:, some]
        query = None
        if self.config.points:
            n = target.shape[-1] - 1
            at = torch.randint(1, n, (2, self.config.points), generator=rng)
            query, target = Points(at.T.double() / n), target[..., at[0], at[1]].unsqueeze(-2)
        prediction = None
        if self.loss.predicts:
            field = predict(self.state.network, U, A, F, scale, scheme=self.scheme, query=query)
            prediction = field.float().reshape(-1, *target.shape[-2:])
        return Batch(
            A.repeat_interleave(U.shape[1], 0),
            U.flatten(0, 1),
            F.flatten(0, 1),
            target.flatten(0, 1),
            prediction,
            self.state.network,
            scale,
            rng,
        )


def choose(
    pools: Sequence[Pool], scales: Scales, used: float, rng: torch.Generator, *, cumulative: bool = False
) -> tuple[Pool, int]:
    """Draw a pool by its share, then one of its scales by its weight.

    Parameters
    ----------
    pools : to draw from.
    scales : pairs (scale, weight).
    used : share of the budget that is used, 0 … 1.
    rng : draws both.
    cumulative : begin with the smallest scale; the others join one by one in the first half of the budget.

    Returns
    -------
    Pool and scale.
    """
    weights = torch.tensor([p.share for p in pools])
    pool = pools[int(torch.multinomial(weights, 1, generator=rng))]
    options = [(s, w) for s, w in scales if s in pool.recipe.scales]
    if cumulative:
        options = options[: 1 + math.floor(min(2 * used, 1.0) * (len(options) - 1))]
    return pool, options[int(torch.multinomial(torch.tensor([w for _, w in options]), 1, generator=rng))][0]
