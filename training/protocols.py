"""What the tables of the NH-CSR paper compare, and at which sizes: rows, protocols, and the order of the long run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..networks.architecture import Architecture
from ..solvers.substructuring.scheme import Scheme
from .config import DataSet, TrainConfig
from .problems import Recipe

#: Stands for the row without a network.
UNTRAINED = "none"
#: No cell is validated while it is trained, but the scheme is part of the configuration and so of the names of stored
#: cells (``reproduce.cell_folder``). It stays what it was when the first were trained, whatever becomes the default.
VALIDATION = Scheme(corrections=4, tolerance=5e-4, sweeps=None)
SCS = "l1 + 0.1 scs"
#: Encoder sizes of the mini protocol.
MINI_ENCODERS: dict[str, dict[str, Any]] = {
    "edsr": {"channels": 32, "blocks": 6},
    "rdn": {"channels": 32, "blocks": 6, "layers": 4, "growth": 16},
    "swinir": {"channels": 32, "width": 36, "groups": 2, "depth": 2, "heads": 3},
}
#: Decoder sizes of the mini protocol; the published ones are the decoders' defaults.
MINI_SIZES: dict[str, dict[str, Any]] = {
    "metasr": {"width": 64},
    "ipe-metasr": {"width": 64},
    "liif": {"widths": (64, 64, 64)},
    "ipe-liif": {"widths": (64, 64, 64)},
    "lte": {"waves": 32, "widths": (64, 64)},
    "lmf": {"latent": (64,), "depth": 4},
    "lit": {"dim": 32, "heads": 4, "window": 5, "widths": (64, 64)},
    "clit": {"dim": 32, "heads": 4, "window": 5, "widths": (64, 64)},
    "clit-3": {"dim": 32, "heads": 4, "window": 5, "widths": (64, 64)},
    "srno": {"width": 64, "heads": 4},
    "idm": {"width": 16, "multipliers": (1, 2, 4), "blocks": 1, "attention_level": 2},
    "nhcsr": {"dim": 32, "heads": 4, "gabor": 32, "mlp": (64,)},
    "frl": {"decoder": "liif", "decoder_options": {"widths": (64, 64, 64)}},
}


@dataclass(frozen=True)
class Variant:
    """What distinguishes a row of a table.

    Attributes
    ----------
    decoder : registered name, or ``UNTRAINED``.
    options : of the decoder, where they differ from the protocol's.
    loss : as in ``TrainConfig``.
    architecture : other fields of ``Architecture``, where they differ from the paper's network.
    full_field : train on all nodes, not on random ones.
    stages : changes of the decoder's options in earlier parts of the training, which share its steps evenly; each part
        continues with the weights of the one before.
    """

    decoder: str
    options: dict[str, Any] = field(default_factory=dict)
    loss: str = "l1"
    architecture: dict[str, Any] = field(default_factory=dict)
    full_field: bool = False
    stages: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Protocol:
    """Sizes of one kind of experiment.

    Attributes
    ----------
    name : of the protocol.
    coarse : coarse cells a side of the test problems and of most training problems.
    trained, beyond : scales of the training problems, and further ones of the tests.
    encoders, decoders : options by name, where the sizes are not the published ones.
    problems : number of training problems.
    steps : training steps of a cell.
    points : random nodes per problem and step.
    seeds : of the tables' cells.
    tests : test problems per case.
    further : data sets beside the ``problems`` of ``coarse`` cells.
    share : how often a step draws from the ``problems``, relative to those (0: by their number of cells).
    """

    name: str
    coarse: int
    trained: tuple[int, ...]
    beyond: tuple[int, ...]
    encoders: dict[str, dict[str, Any]]
    decoders: dict[str, dict[str, Any]]
    problems: int
    steps: int
    points: int
    seeds: tuple[int, ...]
    tests: int
    further: tuple[DataSet, ...] = ()
    share: float = 0.0

    def config(self, variant: Variant, seed: int) -> TrainConfig:
        """Make the configuration of one cell.

        Parameters
        ----------
        variant : row of the table.
        seed : of the run.

        Returns
        -------
        TrainConfig, of the last stage.
        """
        sized = {**self.decoders.get(variant.decoder, {}), **variant.options}
        encoder = variant.architecture.get("encoder", "edsr")
        plain = Architecture(
            encoder="edsr",
            decoder=variant.decoder,
            encoder_options=self.encoders.get(encoder, {}),
            decoder_options=sized,
            inputs="coefficient+solution",
            output="residual",
            upscaling=0,
            local_solves=False,
        )
        return TrainConfig(
            name=f"reproduce-{self.name}",
            architecture=replace(plain, **variant.architecture),
            data=(
                DataSet(
                    Recipe(plain_share=1.0, plain_contrasts=(10.0,), coarse=self.coarse, scales=self.trained),
                    self.problems,
                    share=self.share,
                ),
                *self.further,
            ),
            scale_weights=tuple((s, 1.0) for s in self.trained),
            loss=variant.loss,
            points=0 if variant.full_field else self.points,
            loads=1,
            batch=2 * self.coarse / 32,
            rate=1e-3,
            schedule="cosine",
            cumulative=bool(variant.stages),
            validation=VALIDATION,
            seed=seed,
        )


PROTOCOLS = {
    "mini": Protocol(
        "mini", 16, (2, 4, 8), (16, 32), MINI_ENCODERS, MINI_SIZES,
        problems=256, steps=600, points=2048, seeds=(0, 1, 2), tests=6,
    ),
    "midi": Protocol(
        "midi", 16, (2, 4, 8, 16), (32, 64), MINI_ENCODERS, MINI_SIZES,
        problems=512, steps=4000, points=2048, seeds=(0, 1, 2), tests=6, share=0.7,
        further=(
            DataSet(
                Recipe(plain_share=1.0, plain_contrasts=(10.0,), coarse=32, scales=(2, 4, 8)),
                192, first_seed=100_000, share=0.3,
            ),
        ),
    ),
    "full": Protocol(
        "full", 32, (2, 4, 8, 16), (32, 64), {}, {},
        problems=2560, steps=100_000, points=2304, seeds=(0, 1, 2), tests=16,
    ),
}  # fmt: skip

_ALONE = {"encoder": "unet", "encoder_options": {}, "inputs": "coefficient", "output": "second-order", "upscaling": 4}
_PRODUCT = {**_ALONE, "local_solves": True}

#: Options are given where they differ from the decoder's defaults, so that equal cells of two tables are seen as such.
TABLES: dict[str, dict[str, Variant]] = {
    "table1": {
        "bicubic interpolation of U": Variant(UNTRAINED),
        "MetaSR": Variant("metasr"),
        "IPE-MetaSR": Variant("ipe-metasr"),
        "LIIF": Variant("liif"),
        "IPE-LIIF": Variant("ipe-liif"),
        "LTE": Variant("lte"),
        "LIT": Variant("lit"),
        "CLIT, 2 branches": Variant("clit", stages=({"active": 1},)),
        "CLIT, 3 branches": Variant("clit-3", stages=({"active": 1}, {"active": 2})),
        "SRNO": Variant("srno"),
        "IDM": Variant("idm", loss="denoising", full_field=True),
        "FRL (LIIF)": Variant("frl", loss="l1 + 0.1 spectral", full_field=True),
        "LMF": Variant("lmf"),
        "basis": Variant("basis"),
        "NH-CSR": Variant("nhcsr", loss=SCS),
        "basis-hybrid's recipe, no local solves": Variant("basis", loss="energy", architecture=_ALONE, full_field=True),
        "basis-hybrid's recipe": Variant("basis", loss="energy", architecture=_PRODUCT, full_field=True),
    },
    "table2": {
        f"NH-CSR, {name} coordinates": Variant("nhcsr", {} if name == "gabor" else {"encoding": name}, SCS)
        for name in ("plain", "sinusoid", "ipe", "lte", "gabor")
    },
    "table3": {
        f"{'multi' if multi else 'single'}-scale, {'with' if scs else 'without'} SCS": Variant(
            "nhcsr", {} if multi else {"multiscale": False}, SCS if scs else "l1"
        )
        for multi in (False, True)
        for scs in (False, True)
    },
    "conditional": {
        f"NH-CSR, {encoder}, {inputs}": Variant("nhcsr", {}, SCS, {"encoder": encoder, "inputs": inputs})
        for encoder in ("edsr", "rdn", "swinir")
        for inputs in ("coefficient+solution", "solution")
    },
}

#: Rows of Table I that every seed of the long run trains, most wanted first.
FIRST_ROWS = ("NH-CSR", "LIIF", "LTE", "LIT", "MetaSR", "IDM")


def plan(protocol: Protocol) -> Iterator[tuple[str, Variant, int]]:
    """Order the cells of all tables by value: main rows seed by seed, other rows once, then Tables II and III.

    Parameters
    ----------
    protocol : sizes of the experiment.

    Yields
    ------
    tuple[str, Variant, int]
        Row, variant and seed of each cell.

    Examples
    --------
    >>> [f"{row} {seed}" for row, _, seed in plan(PROTOCOLS["midi"])][:8]
    ['NH-CSR 0', 'LIIF 0', 'LTE 0', 'LIT 0', 'MetaSR 0', 'IDM 0', 'NH-CSR 1', 'LIIF 1']
    """
    first = TABLES["table1"]
    for seed in protocol.seeds:
        for row in FIRST_ROWS:
            yield row, first[row], seed
    for table in TABLES.values():
        for row, variant in table.items():
            if row not in FIRST_ROWS:
                yield row, variant, protocol.seeds[0]


def wanted(row: str, only: Collection[str], rows: Collection[str]) -> bool:
    """Tell whether a row of a table is one of those that were asked for.

    Parameters
    ----------
    row : its name.
    only : names of rows, or parts of names; empty: all are wanted.
    rows : names of all rows of the table.

    Returns
    -------
    bool
        A whole name means that row alone.

    Examples
    --------
    >>> [wanted(row, ["LIIF"], ["LIIF", "IPE-LIIF"]) for row in ("LIIF", "IPE-LIIF")]
    [True, False]
    >>> wanted("IPE-LIIF", ["IPE"], ["LIIF", "IPE-LIIF"])
    True
    """
    return not only or row in only or any(part in row for part in only if part not in rows)
