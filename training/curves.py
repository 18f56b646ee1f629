"""Validation curves with and without the stochastic cosine similarity in the loss of the paper's network."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .loop import train
from .protocols import SCS, Protocol, Variant
from .reproduce import cell_folder
from .runs import steps_done
from .validation import Case

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Name of the curve -> what is trained.
CURVES = {"with SCS": Variant("nhcsr", {}, SCS), "without SCS": Variant("nhcsr", {}, "l1")}
#: Validations per run.
POINTS = 12


@dataclass(frozen=True)
class Curve:
    """Validation errors of one run.

    Attributes
    ----------
    name : of the curve.
    steps : at which it was validated.
    energy, l2 : median relative errors against u_h by case, one per validation.
    """

    name: str
    steps: list[int]
    energy: dict[str, list[float]]
    l2: dict[str, list[float]]


def validation_cases(protocol: Protocol) -> tuple[Case, ...]:
    """Choose validation cases: random media at the protocol's largest trained scale and at twice that."""
    last = protocol.trained[-1]
    return tuple(Case(f"{s}x", coarse=protocol.coarse, scale=s, count=protocol.tests) for s in (last, 2 * last))


def run_curves(
    protocol: Protocol,
    folder: Path,
    data: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    report: Callable[[Curve], None] = lambda curve: None,
) -> list[Curve]:
    """Train with and without the cosine similarity, or read what is there; a run that was cut short is made again.

    Parameters
    ----------
    protocol : sizes of the experiment.
    folder : of the runs.
    data : folder of the shards.
    seed : of the runs.
    device : of the training.
    report : called with each curve when it is done.

    Returns
    -------
    The curves of ``CURVES``.
    """
    curves = []
    cases = validation_cases(protocol)
    for name, variant in CURVES.items():
        cell = cell_folder(folder, variant, protocol, seed)
        run = cell.with_name(f"curve-{cell.name}")
        if steps_done(run) < protocol.steps:
            for stale in ("last.safetensors", "log.csv"):
                (run / stale).unlink(missing_ok=True)
            train(
                protocol.config(variant, seed),
                run,
                data,
                steps=protocol.steps,
                validate_steps=max(1, protocol.steps // POINTS),
                cases=cases,
                device=device,
            )
        with open(run / "log.csv", newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        energy, l2 = ({c.name: [float(r[f"{c.name} {n}"]) for r in rows] for c in cases} for n in ("energy", "L2"))
        curves.append(Curve(name, [int(r["step"]) for r in rows], energy, l2))
        report(curves[-1])
    return curves


def to_markdown(curves: list[Curve]) -> str:
    """Write a table: a row per validation, energy / L2 errors for every curve and case."""
    cases = list(curves[0].energy)
    heads = [f"{curve.name}, {case}" for curve in curves for case in cases]
    lines = ["| step | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for k, step in enumerate(curves[0].steps):
        cells = [f"{curve.energy[case][k]:.3g} / {curve.l2[case][k]:.3g}" for curve in curves for case in cases]
        lines.append(f"| {step} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(curves: list[Curve]) -> Figure:
    """Draw the L2 errors over steps, one panel per case."""
    from matplotlib.figure import Figure

    cases = list(curves[0].l2)
    figure = Figure(figsize=(4.5 * len(cases), 3.4), layout="constrained")
    figure.suptitle("NH-CSR: L2 error against u_h on validation problems", fontsize=11)
    for case, axes in zip(cases, figure.subplots(1, len(cases), squeeze=False)[0], strict=True):
        for curve, line in zip(curves, ("-", "--"), strict=True):
            axes.plot(curve.steps, curve.l2[case], line, marker="o", markersize=3, label=curve.name)
        axes.set(yscale="log", xlabel="steps", title=case)
        axes.grid(True, which="both", alpha=0.3)
        axes.legend(fontsize=9)
    return figure
