"""The NH-CSR paper's tables by one command: every comparator trained the same way and measured on fresh problems.

A cell of a table is one configuration with one seed; it is trained, measured on test seeds and kept as a JSON file, so
that a table can be interrupted anywhere. Two protocols:

- ``full``: 32² coarse cells, 128² coefficients, scales 2 … 16 trained, 32 and 64 not; published sizes; for GPUs.
- ``mini``: 16² coarse cells, 64² coefficients, scales 2 … 8 trained, 16 and 32 not; networks of a tenth of the size.

All rows of a table share encoder, data, steps, optimiser and (but for what a row says) the loss: L1 on random points.
"""

from __future__ import annotations

import json
import logging
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline
from torch import Tensor, nn

from ..networks.nhcsr import Architecture
from .config import DataSet, TrainConfig, to_json
from .denoising import DENOISING
from .loop import train
from .maps import MAPS
from .metrics import Cost, cost, field_metrics
from .problems import Recipe
from .runs import steps_done, trained_network
from .validation import TEST_SEEDS, Case

log = logging.getLogger(__name__)

#: Stands for the row without a network.
UNTRAINED = "none"
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
    """A row of a table: decoder with options, loss, and other fields of the architecture.

    ``full_field``: the loss needs all nodes, not random ones. ``stages``: changes of the decoder's options in earlier
    parts of the training, which share its steps evenly; each goes on with the weights of the one before.
    """

    decoder: str
    options: dict[str, Any] = field(default_factory=dict)
    loss: str = "l1"
    architecture: dict[str, Any] = field(default_factory=dict)
    full_field: bool = False
    stages: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Protocol:
    """Sizes of one kind of experiment; ``encoders`` and ``decoders`` where they are not the published ones."""

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

    def config(self, variant: Variant, seed: int) -> TrainConfig:
        """Configuration of one cell."""
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
                ),
            ),
            scale_weights=tuple((s, 1.0) for s in self.trained),
            loss=variant.loss,
            points=0 if variant.full_field else self.points,
            loads=1,
            batch=2 * self.coarse / 32,
            rate=1e-3,
            schedule="cosine",
            cumulative=bool(variant.stages),
            seed=seed,
        )


PROTOCOLS = {
    "mini": Protocol(
        "mini", 16, (2, 4, 8), (16, 32), MINI_ENCODERS, MINI_SIZES,
        problems=256, steps=600, points=2048, seeds=(0, 1, 2), tests=6,
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
        "IDM": Variant("idm", loss=DENOISING, full_field=True),
        "FRL (LIIF)": Variant("frl", loss="l1 + 0.1 spectral", full_field=True),
        "basis": Variant("basis"),
        "NH-CSR": Variant("nhcsr", loss=SCS),
        "nhcsr-light's recipe, no local solves": Variant("basis", loss="energy", architecture=_ALONE, full_field=True),
        "nhcsr-light's recipe": Variant("basis", loss="energy", architecture=_PRODUCT, full_field=True),
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


@dataclass(frozen=True)
class Cell:
    """One trained configuration: means over the test problems of every metric by case, and its cost."""

    row: str
    seed: int
    metrics: dict[str, dict[str, float]]
    cost: Cost


class Interpolation(nn.Module):
    """The row without learning: a bicubic spline through the coarse nodal values."""

    def forward(self, U: Tensor, A: Tensor, cells: tuple[int, int], **options: Any) -> Tensor:
        """Nodal values (B, K, ny+1, nx+1) on the fine grid; U (B, K, N+1, M+1)."""
        coarse, fine = ([np.linspace(0, 1, n) for n in shape] for shape in (U.shape[-2:], (cells[0] + 1, cells[1] + 1)))
        fields = [RectBivariateSpline(coarse[0], coarse[1], u)(fine[0], fine[1]) for u in U.flatten(0, 1).numpy()]
        return torch.from_numpy(np.stack(fields)).unflatten(0, U.shape[:2])


def cases(protocol: Protocol) -> tuple[Case, ...]:
    """Test cases: random media at every scale, the thirteen maps and soil at the largest trained one."""
    random = [
        Case(f"{s}x", coarse=protocol.coarse, scale=s, count=protocol.tests)
        for s in (*protocol.trained, *protocol.beyond)
    ]
    last = protocol.trained[-1]
    maps = [Case(f"map {m}", f"map {m}", coarse=protocol.coarse, scale=last, count=1) for m in MAPS]
    return (*random, *maps, Case("soil", "soil", coarse=protocol.coarse, scale=last, count=protocol.tests))


@torch.inference_mode()
def measure(network: nn.Module, protocol: Protocol) -> tuple[dict[str, dict[str, float]], Cost]:
    """Metrics on all cases, the maps as one mean, and the cost at the largest trained scale."""
    found: dict[str, list[dict[str, float]]] = {}
    price: Cost | None = None
    for case in cases(protocol):
        problems = case.problems(TEST_SEEDS)
        for i in range(len(problems)):
            A, U, F = (v[i : i + 1] for v in (problems.A, problems.U, problems.F))
            target = problems.targets[case.scale][i]
            n = target.shape[-1] - 1
            v = network(U, A, (n, n), load=F)[0]
            name = "maps" if case.name.startswith("map ") else case.name
            found.setdefault(name, []).append(field_metrics(v, target, A))
            if price is None and case.scale == protocol.trained[-1]:
                price = cost(network, U, A, F, n)
    means = {name: {k: statistics.fmean(r[k] for r in rows) for k in rows[0]} for name, rows in found.items()}
    return means, price or Cost(0, 0.0, 0.0)


def train_row(variant: Variant, protocol: Protocol, seed: int, run: Path, data: Path, device: str = "cpu") -> Path:
    """Train one cell, stage by stage; stages that are there are kept, one that was cut short is made again."""
    stages = (*variant.stages, {})
    share, start = protocol.steps // len(stages), None
    for k, options in enumerate(stages):
        last = k + 1 == len(stages)
        folder = run if last else run.with_name(f"{run.name}-stage{k + 1}")
        steps = protocol.steps - share * k if last else share
        if steps_done(folder) < steps:
            (folder / "last.safetensors").unlink(missing_ok=True)
            config = protocol.config(replace(variant, options={**variant.options, **options}), seed)
            train(config, folder, data, steps=steps, device=device, cases=(), start_from=start)
        start = folder / "best.safetensors"
    return run


def cell_folder(folder: Path, variant: Variant, protocol: Protocol, seed: int) -> Path:
    """Where the run of a cell lies. Its name stands for everything that decides it, so tables share their cells."""
    decides = json.dumps([to_json(protocol.config(variant, seed)), variant.stages, protocol.steps])
    return folder / f"{variant.decoder}-{sha256(decides.encode()).hexdigest()[:8]}-{seed}"


def run_cell(
    row: str, variant: Variant, protocol: Protocol, seed: int, folder: Path, data: Path, device: str = "cpu"
) -> Cell:
    """Train and measure one cell, or read it if it is there."""
    run = cell_folder(folder, variant, protocol, seed)
    done = run.with_suffix(".json")
    if not done.exists():
        if variant.decoder == UNTRAINED:
            network: nn.Module = Interpolation()
        else:
            network = trained_network(train_row(variant, protocol, seed, run, data, device))
        metrics, price = measure(network, protocol)
        folder.mkdir(parents=True, exist_ok=True)
        done.write_text(json.dumps({"metrics": metrics, "cost": asdict(price)}, indent=1))
    stored = json.loads(done.read_text())
    return Cell(row, seed, stored["metrics"], Cost(**stored["cost"]))


def run_table(
    table: str,
    protocol: Protocol,
    folder: Path,
    data: Path,
    *,
    only: Sequence[str] = (),
    device: str = "cpu",
    report: Callable[[Cell], None] = lambda cell: None,
) -> list[Cell]:
    """All cells of a table, seed by seed, so that an interrupted table has every row once before any row twice."""
    cells = []
    for seed in protocol.seeds:
        for row, variant in TABLES[table].items():
            if not only or any(o in row for o in only):
                cells.append(run_cell(row, variant, protocol, seed, folder, data, device))
                report(cells[-1])
    return cells


def to_markdown(cells: Sequence[Cell], metrics: Sequence[str] = ("energy", "L2", "MSE", "MAE", "SSIM")) -> str:
    """One table per metric, mean ± spread over seeds; MSE in 1e-5, MAE in 1e-3 of max |u_h|; then the cost."""
    factor = {"MSE": 1e5, "MAE": 1e3}
    rows = list(dict.fromkeys(c.row for c in cells))
    names = list(cells[0].metrics)
    out = []
    for metric in metrics:
        unit = {"MSE": " (1e-5)", "MAE": " (1e-3)"}.get(metric, "")
        out += [f"**{metric}{unit}**", "", "| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        for row in rows:
            texts = []
            for name in names:
                values = [c.metrics[name][metric] * factor.get(metric, 1.0) for c in cells if c.row == row]
                spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
                texts.append(f"{statistics.fmean(values):.3g}{spread}")
            out.append(f"| {row} | " + " | ".join(texts) + " |")
        out.append("")
    out += [
        "**cost of one correction**",
        "",
        "| | parameters | 1e9 multiply-adds | seconds | MiB | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        own = [c for c in cells if c.row == row]
        c = own[0].cost
        out.append(f"| {row} | {c.parameters:,} | {c.gmac:.3g} | {c.seconds:.3g} | {_text(c.memory)} | {len(own)} |")
    return "\n".join(out) + "\n"


def _text(memory: float | None) -> str:
    return "?" if memory is None else f"{memory:.0f}"
