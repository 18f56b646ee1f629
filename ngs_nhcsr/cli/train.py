"""Commands that make models: data, training, ablation, the paper's tables, export."""

from __future__ import annotations

import dataclasses
import json
import logging
import platform
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import get_console

from ..errors import InvalidProblem

if TYPE_CHECKING:
    from ..training.protocols import Protocol


def generate(
    config: Annotated[str, typer.Option(help="Configuration whose data sets to make.")] = "small",
    data: Annotated[Path, typer.Option(help="Folder of the shards.")] = Path("data"),
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Make the training problems of a configuration; goes on where it was stopped."""
    from ..training.config import configs
    from ..training.shards import generate as make

    for data_set in configs[config]().data:
        make(data, data_set.recipe, data_set.count, first_seed=data_set.first_seed, workers=workers, progress=True)


def train(
    config: Annotated[str, typer.Option(help="Named configuration.")] = "small",
    minutes: Annotated[float, typer.Option(help="Budget after making data; the rate falls to zero over it.")] = 100.0,
    run: Annotated[Path, typer.Option(help="Folder of the run: checkpoints and log; an existing run goes on.")] = Path(
        "runs/small"
    ),
    data: Annotated[Path, typer.Option(help="Folder of the shards; missing ones are made.")] = Path("data"),
    workers: Annotated[int, typer.Option(min=1, help="Processes that make shards.")] = 1,
    clock: Annotated[str, typer.Option(help='Of the minutes: "wall", or "cpu" for those computed.')] = "wall",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of the training; 0: torch's default.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    start_from: Annotated[Path | None, typer.Option(help="Checkpoint whose weights to begin with.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override, e.g. --set rate=3e-4.")] = None,
    force: Annotated[bool, typer.Option(help="Go on although the configuration of the run differs.")] = False,
) -> None:
    """Train a network; ``--config small`` made the shipped weights. Under ``torchrun``: on several devices."""
    import torch

    from ..training.config import configs, override
    from ..training.loop import train as run_training

    if threads:
        torch.set_num_threads(threads)
    chosen = override(configs[config](), _overrides(set_ or []))
    logging.getLogger("ngs_nhcsr").setLevel(logging.INFO)
    best = run_training(
        chosen,
        run,
        data,
        minutes=minutes,
        clock=clock,
        device=device,
        workers=workers,
        start_from=start_from,
        force=force,
        progress=True,
    )
    get_console().print(f"best weights: {best}; export them with  ngs-nhcsr export --run {run}")


def ablation(
    minutes: Annotated[float, typer.Option(help="Computing minutes of one core per row.")] = 3.0,
    runs: Annotated[Path, typer.Option(help="Folder of the rows' runs; finished rows are kept.")] = Path(
        "runs/ablation"
    ),
    data: Annotated[Path, typer.Option(help="Folder of the shards; missing ones are made.")] = Path("data"),
    only: Annotated[list[str] | None, typer.Option(help="Only rows whose name contains this; may be repeated.")] = None,
    save: Annotated[Path | None, typer.Option(help="Markdown file to write.")] = None,
) -> None:
    """Compare encoders, decoders, outputs, losses at equal compute on equal data; goes on where it was stopped."""
    import torch

    from ..training.ablation import ROWS, run_rows, to_markdown

    _check_rows(only, ROWS)
    torch.set_num_threads(1)
    rows = run_rows(runs, data, minutes, only or (), lambda row: typer.echo(f"{row.name} {row.errors}"))
    typer.echo(to_markdown(rows))
    if save is not None:
        save.write_text(to_markdown(rows), encoding="utf-8")


def reproduce(
    table: Annotated[
        str, typer.Argument(help="table1, table2, table3, conditional, all (by value), curves or figures (of table1).")
    ],
    protocol: Annotated[str, typer.Option(help="mini (minutes), midi (hours on a core) or full (GPU).")] = "mini",
    runs: Annotated[Path, typer.Option(help="Folder of unfinished runs, which go on from there.")] = Path(
        "runs/reproduce"
    ),
    cells: Annotated[
        Path | None, typer.Option(help="Folder of finished cells: figures and weights; default: that of the runs.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder of the shards; missing ones are made.")] = Path("data"),
    only: Annotated[
        list[str] | None, typer.Option(help="Only this row, or rows whose name contains this; may be repeated.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How many seeds; default: all of the protocol.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps per cell; default: those of the protocol.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes of processor time.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    finished: Annotated[bool, typer.Option("--finished", help="Only finished cells; nothing is trained.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure finished cells anew.")] = False,
    save: Annotated[Path | None, typer.Option(help="Stem of the .md and .json to write; folder of figures.")] = None,
) -> None:
    """Train and measure every row of a table of the NH-CSR paper, or draw its figures; goes on where it was stopped."""
    import torch

    from ..training.cell_tables import to_markdown
    from ..training.protocols import PROTOCOLS, TABLES, plan
    from ..training.reproduce import Places, run_cells, table_cells

    if table not in (*TABLES, "all", "curves", "figures") or protocol not in PROTOCOLS:
        raise typer.BadParameter(
            f"tables: {', '.join(TABLES)}, all, curves or figures; protocols: {', '.join(PROTOCOLS)}"
        )
    if table in TABLES or table == "figures":
        _check_rows(only, TABLES["table1" if table == "figures" else table])
    kept = (cells or runs) / protocol
    if finished and not kept.is_dir():
        raise InvalidProblem(f"there is no folder {kept} of finished cells; name its parent by --cells.")
    torch.set_num_threads(1)
    chosen = PROTOCOLS[protocol]
    chosen = dataclasses.replace(chosen, seeds=chosen.seeds[:seeds], steps=steps or chosen.steps)
    if table == "figures":
        _draw_figures(chosen, runs / protocol, save or runs / f"{protocol}-figures", only or (), device)
        return
    if table == "curves":
        _draw_curves(chosen, runs / protocol, data, device, save)
        return
    done = run_cells(
        plan(chosen) if table == "all" else table_cells(table, chosen, only or ()),
        chosen,
        Places(runs / protocol, kept, data),
        device=device,
        minutes=minutes,
        finished=finished,
        again=again,
        report=lambda cell: typer.echo(
            f"{cell.row} {cell.seed} " + str({k: round(v["energy"], 4) for k, v in cell.metrics.items()})
        ),
    )
    if not done:
        return
    typer.echo(to_markdown(done))
    if save is not None:
        save.with_suffix(".md").write_text(to_markdown(done), encoding="utf-8")
        save.with_suffix(".json").write_text(
            json.dumps([dataclasses.asdict(c) for c in done], indent=1) + "\n", encoding="utf-8"
        )


def _check_rows(only: list[str] | None, rows: Collection[str]) -> None:
    """Check that every name that is asked for is part of the name of a row."""
    for name in only or ():
        if not any(name in row for row in rows):
            raise InvalidProblem(f"no row is called {name!r}; there are: {', '.join(rows)}.")


def _draw_figures(protocol: Protocol, runs: Path, folder: Path, only: Sequence[str], device: str) -> None:
    """Draw the paper's figures from finished runs."""
    from ..training.figures import draw_figures

    logging.getLogger("ngs_nhcsr").setLevel(logging.INFO)  # which rows are left out
    for path in draw_figures(protocol, runs, folder, only=only, device=device):
        typer.echo(path)


def _draw_curves(protocol: Protocol, runs: Path, data: Path, device: str, save: Path | None) -> None:
    """Train and draw the curves of errors over steps."""
    from ..training import curves

    found = curves.run_curves(protocol, runs, data, device=device)
    typer.echo(curves.to_markdown(found))
    if save is not None:
        save.with_suffix(".md").write_text(curves.to_markdown(found), encoding="utf-8")
        curves.draw(found).savefig(save.with_suffix(".png"), dpi=110)


def pieces(
    path: Annotated[Path, typer.Argument(help="File to cut, or the .json manifest of pieces to join.")],
    to: Annotated[Path, typer.Argument(help="Folder for the pieces, or the file to write.")],
    limit: Annotated[float, typer.Option(help="Largest piece in MiB.")] = 16.0,
) -> None:
    """Cut a checkpoint into pieces to carry to another machine, or join them again."""
    from ..training.pieces import join, split

    for written in [join(path, to)] if path.suffix == ".json" else split(path, to, int(limit * 2**20)):
        typer.echo(written)


def export(
    to: Annotated[Path, typer.Option(help="Model card to write; the weights go beside it.")],
    run: Annotated[Path | None, typer.Option(help="Folder of a training run.")] = None,
    cell: Annotated[Path | None, typer.Option(help="Or the .json of a finished cell of the paper's tables.")] = None,
    hardware: Annotated[str, typer.Option(help="What it was trained on, for the card.")] = platform.processor()
    or "CPU",
    count: Annotated[int, typer.Option(help="Test problems per kind for the card's table.")] = 16,
    cells: Annotated[int | None, typer.Option(help="Leave out kinds with more fine cells a side.")] = None,
    last: Annotated[
        bool, typer.Option(help="With --run: the last weights instead of those of the best validation.")
    ] = False,
) -> None:
    """Write the weights of a run or cell as a model with a card: measures its errors on fresh test seeds."""
    from ..training.export import export_cell, export_run

    if run is not None and cell is None:
        card = export_run(run, to, hardware=hardware, count=count, cells=cells, last=last)
    elif cell is not None and run is None:
        card = export_cell(cell, to, hardware=hardware, count=count, cells=cells)
    else:
        raise typer.BadParameter("pass either --run or --cell")
    get_console().print_json(json.dumps(card.validation))


def revalidate(
    card: Annotated[Path, typer.Argument(help="Model card (.json); its weights stand beside it and stay.")],
    count: Annotated[int, typer.Option(help="Test problems per kind.")] = 16,
    cells: Annotated[int | None, typer.Option(help="Leave out kinds with more fine cells a side.")] = None,
    only_time: Annotated[bool, typer.Option("--only-time", help="Keep the errors; time one field anew.")] = False,
) -> None:
    """Measure a model anew and write the figures into its card."""
    from ..training.export import revalidate as measure_again

    found = measure_again(card, count, cells, only_time=only_time)
    get_console().print_json(json.dumps({"one field": found.training["field"], **found.validation}))


def _overrides(pairs: list[str]) -> dict[str, str]:
    """Split pairs name=value."""
    bad = [p for p in pairs if "=" not in p]
    if bad:
        raise typer.BadParameter(f"{bad[0]!r} is not of the form name=value")
    return dict(p.split("=", 1) for p in pairs)
