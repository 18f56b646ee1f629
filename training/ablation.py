"""Networks and losses compared at equal compute on equal data: one run per row, one table, resumable row by row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..paths import replacing
from .config import configs, override
from .loop import train
from .runs import slug, steps_done, trained_network
from .validation import VALIDATION_SEEDS, Case, network_errors

#: What the rows are judged by, on validation seeds (test seeds are for shipped models).
CASES = (
    Case("random 1:10", coarse=16, scale=8),
    Case("random 1:100", coarse=16, scale=8, contrast=100.0),
    Case("soil 1:10", coarse=16, scale=8, family="soil"),
    Case("random 1:10, f localised", coarse=16, scale=8, load="localised"),
)

#: From the paper's network and loss to the recipe of this package, one step after the other; each keeps those before.
STEPS: dict[str, dict[str, str]] = {
    "1 as in the paper: L1 + 0.1 SCS": {
        "architecture.encoder": "edsr",
        "architecture.encoder_options": '{"channels": 32, "blocks": 6}',
        "architecture.inputs": "coefficient+solution",
        "architecture.output": "residual",
        "architecture.upscaling": "0",
        "loss": "l1 + 0.1 scs",
        "loads": "1",
    },
    "2 and the energy in the loss": {"loss": "energy + l1 + 0.1 scs"},
    "3 and the output of homogenisation": {"architecture.output": "second-order"},
    "4 and the effective problem, four loads for one encoding": {
        "architecture.inputs": "coefficient",
        "architecture.upscaling": "4",
        "loads": "0",
    },
    "5 and local solves": {"architecture.local_solves": "true", "validation.corrections": "0"},
    "6 and corrections by the effective problem": {"validation.corrections": "4"},
}
#: The decoders that take these steps.
DECODERS: dict[str, dict[str, str]] = {
    "NH-CSR": {
        "architecture.decoder": "nhcsr",
        "architecture.decoder_options": '{"dim": 32, "heads": 4, "gabor": 32, "mlp": [64]}',
    },
    "basis": {"architecture.decoder": "basis"},
}


def _what_decides() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield rows and overrides of the steps from the paper to the recipe."""
    for decoder, overrides in DECODERS.items():
        for step, more in STEPS.items():
            overrides = {**overrides, **more}
            yield f"[what decides, {decoder}] {step}", overrides


#: Name of the row -> what differs from the configuration "mini". Brackets group the rows by question.
ROWS: dict[str, dict[str, str]] = {
    "as in the configuration": {},
    "[local solves] on, no correction": {"architecture.local_solves": "true", "validation.corrections": "0"},
    "[local solves] on": {"architecture.local_solves": "true"},
    "[local solves] on, trained through the correction": {"architecture.local_solves": "true", "corrections": "1"},
    "[optimiser] AdamW, rate 8e-4": {"optimiser": "adamw", "rate": "8e-4"},
    "[encoder] EDSR, 8 blocks x 32": {
        "architecture.encoder": "edsr",
        "architecture.encoder_options": '{"channels": 32, "blocks": 8}',
    },
    "[encoder] RDN, 6 blocks x 4 layers": {
        "architecture.encoder": "rdn",
        "architecture.encoder_options": '{"channels": 32, "blocks": 6, "layers": 4, "growth": 16}',
    },
    "[encoder] narrower: 16, 24": {"architecture.encoder_options": '{"widths": [16, 24]}'},
    "[encoder] wider: 48, 72": {"architecture.encoder_options": '{"widths": [48, 72]}'},
    "[encoder] no pyramid: 32": {"architecture.encoder_options": '{"widths": [32]}'},
    "[encoder] four levels: 32, 48, 64, 96": {"architecture.encoder_options": '{"widths": [32, 48, 64, 96]}'},
    "[encoder] shallower: 1 block": {"architecture.encoder_options": '{"depth": 1}'},
    "[encoder] deeper: 5 blocks": {"architecture.encoder_options": '{"depth": 5}'},
    "[decoder] attention, window 1": {
        "architecture.decoder": "nhcsr",
        "architecture.decoder_options": '{"dim": 32, "heads": 4, "gabor": 32, "mlp": [64], "window": 1}',
    },
    "[decoder] attention, window 3": {
        "architecture.decoder": "nhcsr",
        "architecture.decoder_options": '{"dim": 32, "heads": 4, "gabor": 32, "mlp": [64], "window": 3}',
    },
    "[decoder] attention, window 5": {
        "architecture.decoder": "nhcsr",
        "architecture.decoder_options": '{"dim": 32, "heads": 4, "gabor": 32, "mlp": [64], "window": 5}',
    },
    "[decoder] basis of rank 8": {"architecture.decoder_options": '{"rank": 8}'},
    "[output] residual": {"architecture.output": "residual"},
    "[output] first order": {"architecture.output": "first-order"},
    "[coarse problem] effective, on coarse cells": {"architecture.upscaling": "1"},
    "[coarse problem] effective, on half cells": {"architecture.upscaling": "2"},
    "[coarse problem] U as it is": {"architecture.upscaling": "0"},
    "[inputs] coefficient and solution": {"architecture.inputs": "coefficient+solution"},
    "[inputs] coefficient, solution and those for two means": {"architecture.inputs": "coefficient+solutions"},
    "[inputs] both, U as it is, residual (paper)": {
        "architecture.inputs": "coefficient+solution",
        "architecture.upscaling": "0",
        "architecture.output": "residual",
    },
    "[data] one load per coefficient": {"loads": "1"},
    "[loss] energy after one multigrid cycle": {"loss": "energy + 2 cycle"},
    "[loss] L1 + 0.1 SCS (paper)": {"loss": "l1 + 0.1 scs"},
    "[loss] energy + 0.1 spectral": {"loss": "energy + 0.1 spectral"},
    **dict(_what_decides()),
}


@dataclass(frozen=True)
class Row:
    """One finished run.

    Attributes
    ----------
    name : of the row.
    command : that makes the run.
    steps, minutes : of the training.
    parameters : number of the network's parameters.
    errors : median relative errors (energy, L2) against u_h by case.
    """

    name: str
    command: str
    steps: int
    minutes: float
    parameters: int
    errors: dict[str, tuple[float, float]]


def command(overrides: dict[str, str], minutes: float) -> str:
    """Write the command that makes a row's run, from its ``overrides`` of the configuration and its ``minutes``."""
    parts = [f"--set {k}={v}" if " " not in v and '"' not in v else f"--set '{k}={v}'" for k, v in overrides.items()]
    return " ".join(["ngs-nhcsr train --config mini", f"--minutes {minutes:g}", "--clock cpu", *parts])


def run_row(name: str, folder: Path, data: Path, minutes: float) -> Row:
    """Train and measure one row, or read it if it is done; a run that was cut short is made again from its start.

    Parameters
    ----------
    name : of the row.
    folder : of the runs.
    data : folder of the shards.
    minutes : processor minutes of the training.

    Returns
    -------
    Row
    """
    overrides = ROWS[name]
    run = folder / slug(name)
    done = run.with_suffix(".json")
    if done.exists():
        stored = json.loads(done.read_text(encoding="utf-8"))
        return Row(**{**stored, "errors": {k: tuple(v) for k, v in stored["errors"].items()}})
    config = override(configs["mini"](), overrides)
    train(config, run, data, minutes=minutes, clock="cpu", cases=CASES[:1], validate_every=1e9)
    network = trained_network(run)
    errors = {}
    for case in CASES:
        found = network_errors(network, case.problems(VALIDATION_SEEDS), case.scale, scheme=config.validation)
        errors[case.name] = (round(float(found["energy"].median()), 6), round(float(found["L2"].median()), 7))
    count = sum(p.numel() for p in network.parameters())
    row = Row(name, command(overrides, minutes), steps_done(run), minutes, count, errors)
    with replacing(done) as temporary:
        temporary.write_text(json.dumps(asdict(row), indent=1), encoding="utf-8")
    return row


def run_rows(
    folder: Path,
    data: Path,
    minutes: float,
    names: Sequence[str] = (),
    report: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Train and measure rows.

    Parameters
    ----------
    folder : of the runs.
    data : folder of the shards.
    minutes : processor minutes of each training.
    names : parts of the names of the rows that are wanted; default: all.
    report : called with each row when it is done.

    Returns
    -------
    Rows
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in ROWS:
        if not names or any(n in name for n in names):
            rows.append(run_row(name, folder, data, minutes))
            report(rows[-1])
    return rows


def to_markdown(rows: Sequence[Row]) -> str:
    """Write a table of the errors, then the commands."""
    cases = [c.name for c in CASES]
    lines = ["| row | parameters | steps | " + " | ".join(cases) + " |", "|---" * (3 + len(cases)) + "|"]
    for r in rows:
        cells = [f"{r.errors[c][0]:.2g} / {r.errors[c][1]:.2g}" for c in cases]
        lines.append(f"| {r.name} | {r.parameters:,} | {r.steps:,} | " + " | ".join(cells) + " |")
    lines += ["", *(f"- {r.name}: `{r.command}`" for r in rows)]
    return "\n".join(lines) + "\n"
