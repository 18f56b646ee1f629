"""Training configurations: frozen dataclasses, changed by ``dataclasses.replace`` or dotted overrides."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..networks.architecture import Architecture
from ..registry import Registry
from ..solvers.substructuring.scheme import Scheme
from .problems import Recipe


@dataclass(frozen=True)
class DataSet:
    """A set of training problems.

    Attributes
    ----------
    recipe : distribution of the problems.
    count : number of problems.
    first_seed : seed of the first problem; the others follow.
    share : how often a step draws from this set, relative to the others; 0: by its number of coefficient cells.
    refresh : 0: problems are stored in shards and stay. Else they are made on the training device, without files, and
        every ``refresh`` steps new ones replace the oldest: for GPUs, which solve faster than a disk reads.
    chunk : problems that are replaced at a time; divides ``count``.
    """

    recipe: Recipe
    count: int
    first_seed: int = 0
    share: float = 0.0
    refresh: int = 0
    chunk: int = 64


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes
    ----------
    name : for messages and model cards.
    architecture : the network.
    data : sets of training problems; each step draws a batch from one of them, see ``DataSet.share``.
    scale_weights : pairs (scale, how often it is drawn relative to the others); those at which the network is exact are
        not drawn.
    loss : weighted sum of registered losses, like "l1 + 0.1 scs"; see ``training.losses``.
    optimiser : registered name, see ``training.optimisers``.
    batch : problems per step at 32 coarse cells a side; more where problems are smaller, one at least.
    points : random inner nodes per problem that a step looks at, drawn anew; 0: all nodes. Losses with ``needs_grid``
        need all.
    corrections : coarse corrections that a step differentiates through, for architectures with local solves.
    validation : scheme of the fields that are validated; by default that of ``correct``.
    loads : loads of every coefficient that a step looks at, drawn anew; 0: all of them.
    rate : peak learning rate.
    schedule : learning rate over the budget: "cosine" to zero, "steps" (halved once, the paper's) or "constant".
    cumulative : begin with the smallest scale; the others join one by one in the first half of the budget (as CLIT).
    weight_decay : decoupled, relative to the learning rate.
    warmup : steps of a linear warm-up of the learning rate.
    clip : largest norm of the gradient; longer ones are scaled down to it.
    ema : decay of the running mean of the weights that is validated and shipped, 0 … 1.
    seed : decides initial weights and everything random in the steps.
    """

    name: str = "small"
    architecture: Architecture = field(default_factory=Architecture)
    data: tuple[DataSet, ...] = (DataSet(Recipe(), 1280),)
    scale_weights: tuple[tuple[int, float], ...] = (
        (2, 0.05), (4, 0.1), (8, 0.2), (16, 0.65), (32, 0.3), (64, 0.2)
    )  # fmt: skip
    loss: str = "energy"
    optimiser: str = "adamw"
    batch: float = 4
    points: int = 0
    corrections: int = 0
    validation: Scheme = field(default_factory=Scheme)
    loads: int = 0
    rate: float = 1.5e-3
    schedule: str = "cosine"
    cumulative: bool = False
    weight_decay: float = 1e-4
    warmup: int = 200
    clip: float = 1.0
    ema: float = 0.998
    seed: int = 0


def _decode(kind: Any, value: Any) -> Any:
    """Make a configuration, or a part of one, of the class ``kind`` from what JSON knows of it."""
    names = {f.name: f for f in dataclasses.fields(kind)}
    unknown = set(value) - set(names)
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}; it has {', '.join(names)}")
    nested = {"architecture": Architecture, "recipe": Recipe, "validation": Scheme}
    out = {}
    for key, v in value.items():
        if key == "data":
            out[key] = tuple(_decode(DataSet, item) for item in v)
        elif key in nested:
            out[key] = _decode(nested[key], v)
        else:
            out[key] = _tuples(v)
    return kind(**out)


def _tuples(value: Any) -> Any:
    """Turn lists, as JSON knows them, back to tuples at any depth."""
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def to_json(config: TrainConfig) -> str:
    """Write a configuration as JSON text."""
    return json.dumps(dataclasses.asdict(config), indent=1)


def from_json(text: str) -> TrainConfig:
    """Read a configuration from JSON text.

    Parameters
    ----------
    text : as :func:`to_json` writes it; fields that are missing take their defaults.

    Returns
    -------
    TrainConfig

    Raises
    ------
    ValueError
        For unknown fields.
    """
    return _decode(TrainConfig, json.loads(text))


def override(config: Any, assignments: dict[str, str]) -> Any:
    """Replace fields of a configuration, also of those inside it.

    Parameters
    ----------
    config : a dataclass.
    assignments : values in JSON by dotted names, like ``{"rate": "3e-4", "architecture.output": '"residual"'}``; what
        is no JSON is a text.

    Returns
    -------
    The changed configuration.

    Raises
    ------
    ValueError
        For unknown fields.

    Examples
    --------
    >>> override(TrainConfig(), {"rate": "3e-4", "architecture.encoder": "rdn"}).architecture.encoder
    'rdn'
    """
    for name, text in assignments.items():
        head, _, rest = name.partition(".")
        if head not in {f.name for f in dataclasses.fields(config)}:
            known = ", ".join(f.name for f in dataclasses.fields(config))
            raise ValueError(f"no field {head!r} in {type(config).__name__}; there are: {known}")
        if rest:
            config = replace(config, **{head: override(getattr(config, head), {rest: text})})
            continue
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        config = replace(config, **{head: _tuples(value)})
    return config


configs: Registry[Callable[[], TrainConfig]] = Registry("configuration")


@configs.register("small")
def small() -> TrainConfig:
    """Configure ``basis-hybrid`` on one CPU core: what the shipped weights were trained with."""
    high = partial(Recipe, contrast=(200.0, 1000.0), plain_contrasts=(1000.0,))
    return TrainConfig(
        name="small",
        # Narrow: half of a correction's time were convolutions, and local solves and corrections do the rest.
        architecture=Architecture(encoder_options={"widths": (16, 32), "depth": 2}, decoder_options={"hidden": 48}),
        batch=0.5,
        optimiser="muon",
        rate=1e-3,
        loss="log",
        # What is to be learned is local, so most steps take a small domain: four of them for the price of one large
        # one. The smallest carry the large scales: 16 x 32 and 8 x 64 are 512 fine cells as well.
        data=(
            DataSet(Recipe(coarse=16, scales=(2, 4, 8, 16)), 640, first_seed=300_000, share=0.3),
            DataSet(Recipe(), 768, share=0.08),
            DataSet(Recipe(coarse=16, scales=(2, 4, 8, 16, 32)), 192, first_seed=100_000, share=0.15),
            DataSet(Recipe(coarse=8, scales=(2, 4, 8, 16, 32, 64)), 192, first_seed=200_000, share=0.25),
            DataSet(high(coarse=16, scales=(2, 4, 8, 16)), 256, first_seed=400_000, share=0.12),
            DataSet(high(coarse=8, scales=(2, 4, 8, 16, 32, 64)), 64, first_seed=500_000, share=0.1),
        ),
        scale_weights=((8, 0.25), (16, 0.5), (32, 0.5), (64, 1.5)),
    )


@configs.register("hybrid")
def hybrid() -> TrainConfig:
    """Configure ``nhcsr-hybrid`` on one CPU core: a small one of the paper's networks in the recipe of ``small``.

    It reads the coefficient alone and learns second-order terms and an effective coefficient by the energy; the edges
    it predicts are relaxed by local solves. Its steps on large domains take long, so these are rare.
    """
    base = small()
    shares = (0.25, 0.02, 0.05, 0.38, 0.1, 0.2)
    return replace(
        base,
        name="hybrid",
        architecture=Architecture(
            encoder="rdn",
            decoder="nhcsr",
            encoder_options={"channels": 16, "blocks": 3, "layers": 3, "growth": 16},
            decoder_options={"dim": 16, "heads": 2, "gabor": 16, "mlp": (32,)},
        ),
        data=tuple(replace(d, share=share) for d, share in zip(base.data, shares, strict=True)),
    )


@configs.register("mini")
def mini() -> TrainConfig:
    """Configure comparisons of networks in minutes on one core: 16 coarse cells, scales up to 8, no local solves."""
    return replace(
        small(),
        name="mini",
        architecture=Architecture(local_solves=False),
        rate=2e-3,
        loss="energy",
        data=(DataSet(Recipe(coarse=16, scales=(2, 4, 8)), 512),),
        scale_weights=((8, 1.0),),
    )


@configs.register("large")
def large() -> TrainConfig:
    """Configure a wider ``basis-hybrid`` on data that are replaced all the time; for a GPU."""
    recipe = Recipe(contrast=(2.0, 1000.0))
    return TrainConfig(
        name="large",
        architecture=Architecture(
            encoder_options={"widths": (96, 128), "depth": 5},
            decoder_options={"rank": 64, "width": 64, "hidden": 192},
        ),
        batch=8,
        rate=8e-4,
        scale_weights=((8, 0.2), (16, 0.5), (32, 0.5), (64, 0.5)),
        data=(
            DataSet(recipe, 1024, refresh=2),
            DataSet(replace(recipe, coarse=16, scales=(2, 4, 8, 16, 32)), 256, 200_000_000, refresh=8),
            DataSet(replace(recipe, coarse=8, scales=(2, 4, 8, 16, 32, 64)), 256, 400_000_000, refresh=8),
        ),
    )


@configs.register("paper")
def paper() -> TrainConfig:
    """Configure the paper's network and loss on its medium, iid {1, 10}; for a GPU."""
    return TrainConfig(
        name="paper",
        architecture=Architecture(
            encoder="rdn",
            decoder="nhcsr",
            inputs="coefficient+solution",
            output="residual",
            upscaling=0,
            local_solves=False,
        ),
        data=(DataSet(Recipe(plain_share=1.0), 2560),),
        loss="l1 + 0.1 scs",
        batch=8,
        rate=1e-4,
    )
