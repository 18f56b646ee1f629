"""From a training run, or a cell of the paper's tables, to a model with a card: errors measured, provenance, hash."""

from __future__ import annotations

import json
import platform
import statistics
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import ModelFileError
from ..models import Contract, ModelCard, export_model, load_model
from ..networks.corrector import CorrectorNetwork
from .config import TrainConfig, from_json
from .prediction import predict
from .problems import Recipe
from .protocols import PROTOCOLS, TABLES
from .state import read_average, read_config, read_progress
from .validation import TEST_SEEDS, Case, network_errors

#: What the card's validation table shows.
CARD_CASES = (
    Case("random 1:10"),
    *(Case(f"random 1:10, scale {s}", scale=s) for s in (2, 4, 8)),
    *(Case(f"random 1:10, scale {s}", scale=s, count=c) for s, c in ((32, 6), (64, 2))),
    Case("random 1:10, f localised", load="localised"),
    Case("random 1:100", contrast=100.0),
    Case("random 1:1000", contrast=1000.0, count=8),
    Case("soil 1:10", family="soil"),
    Case("mixture 1:10", family="mixture"),
    Case("log-normal 1:10", family="lognormal"),
    *(Case(f"random 1:10, N = {N}", coarse=N, count=c) for N, c in ((16, 16), (48, 8), (64, 6))),
)


def contract_of(config: TrainConfig) -> Contract:
    """Derive from the training data for what a model is made: scales, contrasts, coarse sizes, raster."""
    recipes = [d.recipe for d in config.data]
    sizes = [r.coarse for r in recipes]
    # A network of the coefficient alone sees a neighbourhood, whatever the domain; others see the size of U.
    carries_over = not config.architecture.reads_solution
    return Contract(
        scales=tuple(sorted({s for r in recipes for s in r.scales})),
        contrast=(1, max(_contrast(r) for r in recipes)),
        coarse=(8, 128) if carries_over else (min(sizes), max(sizes)),
        cells_per_coarse=tuple(sorted({r.cells_per_coarse for r in recipes})),
    )


def _contrast(recipe: Recipe) -> float:
    """Largest contrast that a recipe draws."""
    plain = max(recipe.plain_contrasts) if recipe.plain_share > 0 else 1.0
    return max(plain, recipe.contrast[1] if recipe.plain_share < 1 else 1.0)


def card_table(network: CorrectorNetwork, count: int = 16, cells: int | None = None) -> dict[str, dict[str, float]]:
    """Measure a network on the cases of a card, with the default scheme.

    Parameters
    ----------
    network : in evaluation mode.
    count : problems per case at most.
    cells : leave out cases with more fine cells a side than this; for networks whose time grows faster than the mesh.

    Returns
    -------
    By case: median and worst relative energy and L2 errors against u_h, and the number of problems.
    """
    table = {}
    for case in CARD_CASES:
        if cells is not None and case.coarse * case.scale > cells:
            continue
        case = replace(case, count=min(case.count, count))
        errors = network_errors(network, case.problems(TEST_SEEDS), case.scale)
        energy, l2 = errors["energy"], errors["L2"]
        table[case.name] = {
            "energy": round(float(energy.median()), 7),
            "L2": round(float(l2.median()), 8),
            "worst energy": round(float(energy.max()), 7),
            "worst L2": round(float(l2.max()), 8),
            "problems": case.count,
        }
    return table


@torch.inference_mode()
def field_time(network: CorrectorNetwork, repeats: int = 3) -> dict[str, Any]:
    """Time one field of the first case of a card on one thread: encoding, decoding, local solves; no guard, no steps.

    Parameters
    ----------
    network : in evaluation mode.
    repeats : timed fields, after one that is not.

    Returns
    -------
    Median in seconds, and the machine in words.
    """
    case = replace(CARD_CASES[0], count=1)
    problem = case.problems(TEST_SEEDS)
    U, A, F = (v.double() for v in (problem.U, problem.A, problem.F))
    threads, times = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for _ in range(repeats + 1):
            start = perf_counter()
            predict(network, U, A, F, case.scale)
            times.append(perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return {"seconds": round(statistics.median(times[1:]), 4), "machine": f"one thread, {platform.machine()}"}


def revalidate(path: Path, count: int = 16, cells: int | None = None, *, only_time: bool = False) -> ModelCard:
    """Measure a model anew, with the scheme that is the default now, and write its card; the weights stay.

    Parameters
    ----------
    path : model card; its weights stand beside it.
    count : problems per case at most.
    cells : leave out cases with more fine cells a side than this.
    only_time : keep the errors of the card, and time one field.

    Returns
    -------
    The card as written, in the present format.

    Raises
    ------
    ModelFileError
        If card or weights are damaged.
    """
    model = load_model(path, "cpu")
    return export_model(
        load_file(path.with_suffix(".safetensors")),
        path,
        name=model.card.name,
        architecture=model.network.architecture,
        contract=model.card.contract,
        training={**model.card.training, "field": field_time(model.network)},
        validation=model.card.validation if only_time else card_table(model.network, count, cells),
    )


def export_run(
    run: Path, to: Path, *, hardware: str, count: int = 16, cells: int | None = None, last: bool = False
) -> ModelCard:
    """Write the model card ``to`` and its weights from a run; see ``models.export_model``.

    Parameters
    ----------
    run : folder of the run.
    to : model card to write; its stem is the name of the model.
    hardware : on what it was trained, in words.
    count : problems per case of the card's table at most.
    cells : leave out cases with more fine cells a side than this.
    last : take the running mean of the weights at the last checkpoint, instead of those with the smallest validation
        error. That error depends on where corrections stop: a better network may end with fewer of them.

    Returns
    -------
    The card as written.
    """
    stored = read_config(run / "last.safetensors")
    config, progress = from_json(stored), read_progress(run / "last.safetensors")
    minutes = round(progress["seconds"] / 60, 1)
    training = {
        "command": f"ngs-nhcsr train --config {config.name} --minutes {minutes:.0f}",
        "config": json.loads(stored),
        "began with": progress.get("origin") or "random weights",
        "steps": progress["step"],
        "minutes": minutes,
        "hardware": hardware,
    }
    if last:
        training["weights"] = "running mean at the last step"
        return _export(read_average(run / "last.safetensors"), to, config, training, count, cells)
    return _export(load_file(run / "best.safetensors"), to, config, training, count, cells)


def export_cell(cell: Path, to: Path, *, hardware: str, count: int = 16, cells: int | None = None) -> ModelCard:
    """Write the model card ``to`` and its weights from a finished cell of the paper's tables (``reproduce.py``).

    Parameters
    ----------
    cell : JSON file of the cell; its weights, in half precision, stand beside it and stay so.
    to : model card to write; its stem is the name of the model.
    hardware : on what it was trained, in words.
    count : problems per case of the card's table at most.
    cells : leave out cases with more fine cells a side than this.

    Returns
    -------
    The card as written.

    Raises
    ------
    ModelFileError
        If the file is no finished cell with a network.
    """
    try:
        about = json.loads(cell.read_text(encoding="utf-8"))
        protocol, seed, steps = PROTOCOLS[about["protocol"]], int(about["seed"]), int(about["steps"])
        config, row = from_json(json.dumps(about["config"])), about["row"]
        table = next(name for name, rows in TABLES.items() if row in rows)
        weights = load_file(cell.with_suffix(".safetensors"))
    except (OSError, ValueError, KeyError, TypeError, StopIteration, SafetensorError) as error:
        raise ModelFileError(f"{cell} is not a finished cell with weights beside it: {error!r}.") from error
    more = "" if steps == protocol.steps else f" --steps {steps}"
    training = {
        "command": f'ngs-nhcsr reproduce {table} --protocol {protocol.name} --only "{row}" --seeds {seed + 1}{more}',
        "row": row,
        "seed": seed,
        "cell": f"{protocol.name}/{cell.stem}",
        "config": about["config"],
        "began with": "random weights",
        "steps": steps,
        "hardware": hardware,
        "means of the cell": {
            case: {k: round(v, 5) for k, v in found.items()} for case, found in about["metrics"].items()
        },
    }
    return _export(weights, to, config, training, count, cells)


def _export(
    weights: dict[str, Tensor], to: Path, config: TrainConfig, training: dict[str, Any], count: int, cells: int | None
) -> ModelCard:
    """Measure a network and write it."""
    network = CorrectorNetwork(config.architecture)
    network.load_state_dict(weights)
    table = card_table(network.eval(), count, cells)
    to.parent.mkdir(parents=True, exist_ok=True)
    training = {
        **training,
        "field": field_time(network),
        "parameters": sum(p.numel() for p in network.parameters()),
        "errors": "relative, median, against the Q1 solution on the fine mesh; f = 1; test seeds from 2e9",
    }
    return export_model(
        weights,
        to,
        name=to.stem,
        architecture=config.architecture,
        contract=contract_of(config),
        training=training,
        validation=table,
    )
