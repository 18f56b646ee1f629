"""The NH-CSR paper's tables by one command: every comparator trained the same way and measured on fresh problems.

A cell of a table is one configuration with one seed (``protocols.py``); it is trained, measured on test seeds and kept
as a JSON file of its figures and a file of its weights. A run can be stopped anywhere and continues where it was.
"""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from ..media.maps import MAPS
from ..networks.corrector import CorrectorNetwork
from ..paths import replacing
from .config import to_json
from .interpolation import Interpolation
from .loop import train
from .metrics import Cost, cost, field_metrics
from .pde_errors import Exact
from .prediction import predict
from .problems import Problems
from .protocols import TABLES, UNTRAINED, Protocol, Variant, wanted
from .runs import steps_done, trained_network
from .state import write_tensors
from .validation import TEST_SEEDS, Case

log = logging.getLogger(__name__)

#: Steps between checkpoints of a cell.
CHECKPOINT_EVERY = 200


class Stopped(Exception):  # noqa: N818
    """A run was stopped, or its budget is used up; its checkpoint is kept."""


@dataclass(frozen=True)
class Cell:
    """One trained configuration.

    Attributes
    ----------
    row : of the table.
    seed : of the run.
    metrics : means over the test problems by case ("2x", …, "maps", "soil") and metric (``metrics.field_metrics``,
        ``pde_errors.Exact``; cells of earlier versions have only the first ones).
    cost : of one correction.
    """

    row: str
    seed: int
    metrics: dict[str, dict[str, float]]
    cost: Cost


@dataclass(frozen=True)
class Places:
    """Folders of a table.

    Attributes
    ----------
    runs : folder of checkpoints and logs of unfinished cells.
    cells : folder of finished cells: ``NAME.json`` with figures, ``NAME.safetensors`` with weights in half precision.
    data : shards of training problems; missing ones are made.
    """

    runs: Path
    cells: Path
    data: Path


def cases(protocol: Protocol) -> tuple[Case, ...]:
    """List the test cases of a protocol: random media at every scale, maps and soil at the largest trained one."""
    last = protocol.trained[-1]
    few = max(1, protocol.tests // 3)
    random = [
        Case(f"{s}x", coarse=protocol.coarse, scale=s, count=protocol.tests if protocol.coarse * s <= 512 else few)
        for s in (*protocol.trained, *protocol.beyond)
    ]
    maps = [Case(f"map {m}", f"map {m}", coarse=protocol.coarse, scale=last, count=1) for m in MAPS]
    return (*random, *maps, Case("soil", "soil", coarse=protocol.coarse, scale=last, count=protocol.tests))


@lru_cache(maxsize=32)
def _test_problems(case: Case) -> Problems:
    return case.problems(TEST_SEEDS)


@lru_cache(maxsize=32)
def _exact(case: Case) -> list[Exact]:
    """Solve the PDE for the problems of a case."""
    p = _test_problems(case)
    return [Exact.of(p.A[i], p.F[i, 0], p.targets[case.scale][i, 0]) for i in range(len(p))]


@torch.inference_mode()
def measure(network: nn.Module, protocol: Protocol) -> tuple[dict[str, dict[str, float]], Cost]:
    """Measure a row on the test cases of a protocol.

    Parameters
    ----------
    network : a row, see ``prediction.predict``.
    protocol : sizes of the experiment.

    Returns
    -------
    metrics : means over the problems by case and metric, the maps as one case.
    cost : of one correction at the largest trained scale.
    """
    found: dict[str, list[dict[str, float]]] = {}
    price: Cost | None = None
    for case in cases(protocol):
        problems = _test_problems(case)
        for i in range(len(problems)):
            A, U, F = (v[i : i + 1] for v in (problems.A, problems.U, problems.F))
            target = problems.targets[case.scale][i]
            v = predict(network, U, A, F, case.scale)[0]
            name = "maps" if case.name.startswith("map ") else case.name
            errors = field_metrics(v, target, A)
            errors |= _exact(case)[i].errors(v[0], errors["energy"])
            found.setdefault(name, []).append(errors)
            if price is None and case.scale == protocol.trained[-1]:
                price = cost(network, U, A, F, case.scale)
    means = {name: {k: statistics.fmean(r[k] for r in rows) for k in rows[0]} for name, rows in found.items()}
    return means, price or Cost(0, 0.0, 0.0)


def train_row(
    variant: Variant,
    protocol: Protocol,
    seed: int,
    run: Path,
    data: Path,
    device: str = "cpu",
    minutes: float | None = None,
) -> Path:
    """Train one cell, stage by stage, from where it was stopped.

    Parameters
    ----------
    variant : row of the table.
    protocol : sizes of the experiment.
    seed : of the run.
    run : folder of the last stage; earlier ones lie beside it.
    data : folder of the shards.
    device : of the training.
    minutes : processor minutes that this call may use; default: as many as it takes.

    Returns
    -------
    ``run``.

    Raises
    ------
    Stopped
        If it was stopped (SIGTERM, Ctrl-C) or the minutes are used up before the last step.
    """
    begin = time.process_time()
    stages = (*variant.stages, {})
    share, start = protocol.steps // len(stages), None
    for k, options in enumerate(stages):
        last = k + 1 == len(stages)
        folder = run if last else run.with_name(f"{run.name}-stage{k + 1}")
        steps = protocol.steps - share * k if last else share
        if steps_done(folder) < steps:
            config = protocol.config(replace(variant, options={**variant.options, **options}), seed)
            left = None if minutes is None else max(minutes - (time.process_time() - begin) / 60, 1e-9)
            train(
                config,
                folder,
                data,
                until=steps,
                minutes=left,
                clock="cpu",
                device=device,
                cases=(),
                validate_steps=CHECKPOINT_EVERY,
                start_from=start,
            )
            if steps_done(folder) < steps:
                raise Stopped(f"{folder} has {steps_done(folder)} of {steps} steps.")
        start = folder / "best.safetensors"
    return run


def cell_folder(folder: Path, variant: Variant, protocol: Protocol, seed: int) -> Path:
    """Name the folder of a cell's run by a hash of everything that decides it, so that tables share cells.

    Parameters
    ----------
    folder : of all runs.
    variant : row of the table.
    protocol : sizes of the experiment.
    seed : of the run.

    Returns
    -------
    Folder ``DECODER-HASH-SEED``.
    """
    decides = json.dumps([to_json(protocol.config(variant, seed)), variant.stages, protocol.steps])
    return folder / f"{variant.decoder}-{sha256(decides.encode()).hexdigest()[:8]}-{seed}"


def run_cell(
    row: str,
    variant: Variant,
    protocol: Protocol,
    seed: int,
    places: Places,
    device: str = "cpu",
    minutes: float | None = None,
    again: bool = False,
) -> Cell:
    """Train and measure one cell, or read it if it is there. Its weights are measured as they are kept, rounded.

    Parameters
    ----------
    row : name of the row.
    variant : what distinguishes it.
    protocol : sizes of the experiment.
    seed : of the run.
    places : folders.
    device : of the training.
    minutes : processor minutes that this call may use; default: as many as it takes.
    again : measure a finished cell anew.

    Returns
    -------
    Cell
    """
    run = cell_folder(places.runs, variant, protocol, seed)
    done = places.cells / f"{run.name}.json"
    if again or not done.exists():
        network: nn.Module = Interpolation()
        training: dict[str, Any] = {}
        if variant.decoder != UNTRAINED:
            config = protocol.config(variant, seed)
            if done.exists():
                network = CorrectorNetwork(config.architecture)
                network.load_state_dict(load_file(done.with_suffix(".safetensors")))
                network.eval()
            else:
                network = trained_network(train_row(variant, protocol, seed, run, places.data, device, minutes))
                weights = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
                network.load_state_dict(weights)
                write_tensors(done.with_suffix(".safetensors"), weights)
            training = {"steps": protocol.steps, "config": json.loads(to_json(config))}
        metrics, price = measure(network, protocol)
        about = {"row": row, "protocol": protocol.name, "seed": seed}
        text = json.dumps({**about, "metrics": metrics, "cost": asdict(price), **training}, indent=1) + "\n"
        with replacing(done) as temporary:
            temporary.write_text(text, encoding="utf-8")
    stored = json.loads(done.read_text(encoding="utf-8"))
    return Cell(row, seed, stored["metrics"], Cost(**stored["cost"]))


def run_cells(
    todo: Iterable[tuple[str, Variant, int]],
    protocol: Protocol,
    places: Places,
    *,
    device: str = "cpu",
    minutes: float | None = None,
    report: Callable[[Cell], None] = lambda cell: None,
    finished: bool = False,
    again: bool = False,
) -> list[Cell]:
    """Train and measure cells one after the other.

    Parameters
    ----------
    todo : row, variant and seed of each.
    protocol : sizes of the experiment.
    places : folders.
    device : of the training.
    minutes : processor minutes that this call may use; default: as many as it takes.
    report : called with each cell when it is done.
    finished : take those that are there only; nothing is trained.
    again : measure those that are there anew.

    Returns
    -------
    The finished cells: all, or those before the run was stopped.
    """
    begin, cells = time.process_time(), []
    for row, variant, seed in todo:
        name = cell_folder(places.cells, variant, protocol, seed).with_suffix(".json")
        if finished and variant.decoder != UNTRAINED and not name.exists():
            continue
        left = None if minutes is None else minutes - (time.process_time() - begin) / 60
        if left is not None and left <= 0:
            log.info("the budget of %g minutes is used up", minutes)
            break
        try:
            cells.append(run_cell(row, variant, protocol, seed, places, device, left, again))
        except Stopped as stopped:
            log.info("stopped: %s", stopped)
            break
        report(cells[-1])
    return cells


def table_cells(table: str, protocol: Protocol, only: Sequence[str] = ()) -> Iterable[tuple[str, Variant, int]]:
    """List the cells of a table, seed by seed, so that an interrupted table has every row once before any row twice.

    Parameters
    ----------
    table : its name.
    protocol : sizes of the experiment.
    only : names of the rows that are wanted, or parts of names; default: all.

    Yields
    ------
    tuple[str, Variant, int]
        Row, variant and seed of each cell.
    """
    rows = TABLES[table]
    for seed in protocol.seeds:
        for row, variant in rows.items():
            if variant.decoder == UNTRAINED and seed != protocol.seeds[0]:
                continue  # the same with every seed
            if wanted(row, only, rows):
                yield row, variant, seed
