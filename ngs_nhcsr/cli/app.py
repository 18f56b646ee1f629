"""Command line ``ngs-nhcsr``: demo, compare, models, evaluate, doctor, and all that makes models and tables.

Exit codes: 0 done, 1 wrong input, 2 a result that cannot be trusted.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import platform
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .._version import __version__
from ..errors import NhcsrError
from . import correct as cli_correct

app = typer.Typer(
    help="Learned fine-scale correction of coarse NGSolve solutions.", no_args_is_help=True, add_completion=False
)
console = Console()


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ngs-nhcsr {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is being done.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s")


cli_correct.register(app)


@app.command()
def demo(
    family: Annotated[str, typer.Option(help="Coefficient family.")] = "iid",
    contrast: Annotated[float, typer.Option(help="Largest over smallest coefficient.")] = 10.0,
    n: Annotated[int, typer.Option(help="Coarse cells a side.")] = 32,
    scale: Annotated[int, typer.Option(help="Fine cells per coarse cell and axis.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the coefficient.")] = 2026,
    model: Annotated[str | None, typer.Option(help="Model name; default: the best for the device.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    picture: Annotated[Path | None, typer.Option(help="Where to save the picture.")] = Path("demo.png"),
    surface: Annotated[bool, typer.Option(help="Draw surfaces in 3-D instead of maps.")] = False,
) -> None:
    """Solve a random coarse problem in NGSolve, correct it, and compare with fine solves."""
    from ..demo import run_demo

    result = run_demo(family=family, contrast=contrast, n=n, scale=scale, seed=seed, model=model, device=device)
    fine = n * scale
    table = Table(title=f"{family} 1:{contrast:g}, H = 1/{n}, ε = 1/{4 * n}, h = 1/{fine}, f = 1, seed {seed}")
    table.add_column("method")
    for column in ("L2 error", "energy error", "seconds"):
        table.add_column(column, justify="right")
    for name, l2, energy, seconds in result.rows:
        table.add_row(name, f"{l2:.2g}", f"{energy:.2g}", f"{seconds:.2g}")
    console.print(table)
    console.print(f"Errors are relative, against the Q1 solution u_h on the {fine} x {fine} mesh.")
    console.print(f"Status: [bold]{result.correction.status.name}[/bold] – {result.correction.status.value}")
    for note in result.correction.notes:
        console.print(f"Note: {note}")
    if picture is not None:
        from ..visual import plot_compare

        plot_compare(
            result.u_coarse,
            result.correction.u_fine,
            result.u_reference,
            warp=surface,
            path=picture,
            show=False,
        ).close()
        console.print(f"Picture: {picture}")
    if not result.correction.status.trusted:
        raise typer.Exit(2)


@app.command()
def compare(
    family: Annotated[str, typer.Option(help="Coefficient family.")] = "iid",
    contrast: Annotated[float, typer.Option(help="Largest over smallest coefficient.")] = 10.0,
    n: Annotated[int, typer.Option(help="Coarse cells a side.")] = 16,
    scale: Annotated[int, typer.Option(help="Fine cells per coarse cell and axis.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the coefficient.")] = 2026,
    methods: Annotated[str | None, typer.Option(help="Names with commas between; default: all.")] = None,
    model: Annotated[str | None, typer.Option(help="Model name; default: the best for the device.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    json_: Annotated[Path | None, typer.Option("--json", help="Where to save the rows as JSON.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Where to save the time-accuracy picture.")] = None,
) -> None:
    """Run network, LOD, MsFEM, multigrid and fine solves on one random problem; show errors, times and memory."""
    import numpy as np

    from ..comparison import compare as run
    from ..demo import coarse_problem
    from ..media.families import families

    kappa = families[family]((4 * n, 4 * n), np.random.default_rng(seed), contrast)
    u, a = coarse_problem(kappa, n)
    names = None if methods is None else [name.strip() for name in methods.split(",")]
    result = run(u, a, scale, f=1.0, methods=names, model=model, device=device)
    console.print(result.table())
    for note in result.notes:
        console.print(f"Note: {note}")
    if json_ is not None:
        json_.write_text(result.to_json(), encoding="utf-8")
        console.print(f"Rows: {json_}")
    if picture is not None:
        result.plot(picture)
        console.print(f"Picture: {picture}")


@app.command()
def models(as_json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")] = False) -> None:
    """List the shipped models with their contracts and validation errors."""
    from ..models import _shipped, read_card

    cards = [read_card(path) for path in _shipped().values()]
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(c) for c in cards], indent=1))
        return
    table = Table("model", "encoder / decoder", "scales", "contrast", "energy, L2 error on random 1:10", "trained")
    for c in cards:
        errors = c.validation.get("random 1:10", {})
        table.add_row(
            c.name,
            f"{c.architecture['encoder']} / {c.architecture['decoder']}",
            ", ".join(f"{s:g}" for s in c.contract.scales),
            f"≤ {c.contract.contrast[1]:g}",
            f"{errors.get('energy', float('nan')):.2g}, {errors.get('L2', float('nan')):.2g}",
            f"{c.training.get('minutes', '?')} min on {c.training.get('hardware', '?')}",
        )
    console.print(table)


def _overrides(pairs: list[str]) -> dict[str, str]:
    bad = [p for p in pairs if "=" not in p]
    if bad:
        raise typer.BadParameter(f"{bad[0]!r} is not of the form name=value")
    return dict(p.split("=", 1) for p in pairs)


@app.command()
def generate(
    config: Annotated[str, typer.Option(help="Configuration whose data sets to make.")] = "small",
    data: Annotated[Path, typer.Option(help="Folder of the shards.")] = Path("data"),
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
) -> None:
    """Make the training problems of a configuration; goes on where it was stopped."""
    from ..training.config import configs
    from ..training.shards import generate as make

    for data_set in configs[config]().data:
        make(data, data_set.recipe, data_set.count, first_seed=data_set.first_seed, workers=workers, progress=True)


@app.command()
def train(
    config: Annotated[str, typer.Option(help="Named configuration.")] = "small",
    minutes: Annotated[float, typer.Option(help="Budget; the learning rate falls to zero over it.")] = 100.0,
    run: Annotated[Path, typer.Option(help="Folder of the run: checkpoints and log; an existing run goes on.")] = Path(
        "runs/small"
    ),
    data: Annotated[Path, typer.Option(help="Folder of the shards; missing ones are made.")] = Path("data"),
    workers: Annotated[int, typer.Option(help="Processes that make shards.")] = 1,
    clock: Annotated[str, typer.Option(help='Of the minutes: "wall", or "cpu" for those computed.')] = "wall",
    threads: Annotated[int, typer.Option(help="CPU threads of the training; 0: torch's default.")] = 1,
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
    console.print(f"best weights: {best}; export them with  ngs-nhcsr export --run {run}")


@app.command()
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

    from ..training.ablation import run_rows, to_markdown

    torch.set_num_threads(1)
    rows = run_rows(runs, data, minutes, only or (), lambda row: typer.echo(f"{row.name} {row.errors}"))
    typer.echo(to_markdown(rows))
    if save is not None:
        save.write_text(to_markdown(rows))


@app.command()
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
    only: Annotated[list[str] | None, typer.Option(help="Only rows whose name contains this; may be repeated.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds; default: all of the protocol.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps per cell; default: those of the protocol.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes of processor time.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    save: Annotated[Path | None, typer.Option(help="Stem of the .md and .json to write; folder of figures.")] = None,
) -> None:
    """Train and measure every row of a table of the NH-CSR paper, or draw its figures; goes on where it was stopped."""
    import torch

    from ..training.protocols import PROTOCOLS, TABLES, plan
    from ..training.reproduce import Places, run_cells, table_cells, to_markdown

    if table not in (*TABLES, "all", "curves", "figures") or protocol not in PROTOCOLS:
        raise typer.BadParameter(
            f"tables: {', '.join(TABLES)}, all, curves or figures; protocols: {', '.join(PROTOCOLS)}"
        )
    torch.set_num_threads(1)
    chosen = PROTOCOLS[protocol]
    chosen = dataclasses.replace(chosen, seeds=chosen.seeds[:seeds], steps=steps or chosen.steps)
    if table == "figures":
        from ..training.figures import draw_figures

        logging.getLogger("ngs_nhcsr").setLevel(logging.INFO)  # which rows are left out
        folder = save or runs / f"{protocol}-figures"
        for path in draw_figures(chosen, runs / protocol, folder, only=only or (), device=device):
            typer.echo(path)
        return
    if table == "curves":
        from ..training import curves

        found = curves.run_curves(chosen, runs / protocol, data, device=device)
        typer.echo(curves.to_markdown(found))
        if save is not None:
            save.with_suffix(".md").write_text(curves.to_markdown(found))
            curves.draw(found).savefig(save.with_suffix(".png"), dpi=110)
        return
    finished = run_cells(
        plan(chosen) if table == "all" else table_cells(table, chosen, only or ()),
        chosen,
        Places(runs / protocol, (cells or runs) / protocol, data),
        device=device,
        minutes=minutes,
        report=lambda cell: typer.echo(
            f"{cell.row} {cell.seed} " + str({k: round(v["energy"], 4) for k, v in cell.metrics.items()})
        ),
    )
    if not finished:
        return
    typer.echo(to_markdown(finished))
    if save is not None:
        save.with_suffix(".md").write_text(to_markdown(finished))
        save.with_suffix(".json").write_text(json.dumps([dataclasses.asdict(c) for c in finished], indent=1) + "\n")


@app.command()
def pieces(
    path: Annotated[Path, typer.Argument(help="File to cut, or the .json manifest of pieces to join.")],
    to: Annotated[Path, typer.Argument(help="Folder for the pieces, or the file to write.")],
    limit: Annotated[float, typer.Option(help="Largest piece in MiB.")] = 16.0,
) -> None:
    """Cut a checkpoint into pieces to carry to another machine, or join them again."""
    from ..training.pieces import join, split

    for written in [join(path, to)] if path.suffix == ".json" else split(path, to, int(limit * 2**20)):
        typer.echo(written)


@app.command()
def export(
    run: Annotated[Path, typer.Option(help="Folder of a training run.")],
    to: Annotated[Path, typer.Option(help="Model card to write; the weights go beside it.")],
    hardware: Annotated[str, typer.Option(help="What it was trained on, for the card.")] = platform.processor()
    or "CPU",
    count: Annotated[int, typer.Option(help="Test problems per kind for the card's table.")] = 16,
) -> None:
    """Write the best weights of a run as a model with a card: measures its errors on fresh test seeds."""
    from ..training.export import export_run

    card = export_run(run, to, hardware=hardware, count=count)
    console.print_json(json.dumps(card.validation))


@app.command()
def revalidate(
    card: Annotated[Path, typer.Argument(help="Model card (.json); its weights stand beside it and stay.")],
    count: Annotated[int, typer.Option(help="Test problems per kind.")] = 16,
) -> None:
    """Measure a model anew and write the figures into its card."""
    from ..training.export import revalidate as measure_again

    console.print_json(json.dumps(measure_again(card, count).validation))


@app.command()
def evaluate(
    model: Annotated[str | None, typer.Option(help="Model name; default: the best for CPUs.")] = None,
    card: Annotated[Path | None, typer.Option(help="Model card to evaluate instead.")] = None,
    suite: Annotated[
        str,
        typer.Option(help="paper, families, scales, maps or loads; beyond: all methods against the PDE's solution."),
    ] = "paper",
    count: Annotated[int | None, typer.Option(help="Test problems per case; default: 16, beyond: 3.")] = None,
    first_seed: Annotated[int, typer.Option(help="First test seed.")] = 2_000_000_000,
    symmetrize: Annotated[bool, typer.Option(help="Also the mean over the symmetries of the square.")] = False,
    save: Annotated[
        Path | None, typer.Option(help="Stem of the .json and .md to write; beyond: also error_time.png beside them.")
    ] = None,
) -> None:
    """Median and worst errors of a model on fresh test seeds, beside free competitors."""
    if suite == "beyond":
        _evaluate_beyond(card or model, 3 if count is None else count, first_seed, save)
        return
    from ..models import load_model
    from ..training.evaluate import SUITES, to_json, to_markdown
    from ..training.evaluate import evaluate as measure

    if suite not in SUITES:
        raise typer.BadParameter(f"no suite {suite!r}; there are: {', '.join(SUITES)}, beyond")
    network = load_model(card or model or "nhcsr-light", "cpu").network
    results = measure(
        network,
        SUITES[suite],
        count=16 if count is None else count,
        first_seed=first_seed,
        symmetrize=symmetrize,
        progress=True,
    )
    text = to_markdown(results)
    typer.echo("energy / L2 error against u_h, median (worst)\n\n" + text)
    if save is not None:
        save.with_suffix(".md").write_text(text)
        save.with_suffix(".json").write_text(to_json(results) + "\n")


def _evaluate_beyond(model: str | Path | None, count: int, first_seed: int, save: Path | None) -> None:
    """Measure the suite "beyond"; with ``save`` write its tables, its rows and its picture."""
    from ..comparison.beyond import evaluate_beyond
    from ..comparison.beyond_report import draw, to_markdown

    logging.getLogger("ngs_nhcsr.comparison").setLevel(logging.INFO)  # which medium it is at
    result = evaluate_beyond(count=count, first_seed=first_seed, model=model)
    typer.echo(to_markdown(result))
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        save.with_suffix(".md").write_text(to_markdown(result), encoding="utf-8")
        save.with_suffix(".json").write_text(result.to_json() + "\n", encoding="utf-8")
        draw(result, save.with_name("error_time.png"))


@app.command()
def doctor() -> None:
    """Report versions, devices, threads, off-screen rendering and model hashes."""
    import importlib.metadata as metadata
    import subprocess

    import torch

    from ..models import list_models, load_model

    table = Table("what", "found")
    table.add_row("ngs-nhcsr", __version__)
    table.add_row("Python", f"{platform.python_version()} on {platform.platform()}")
    for package in ("ngsolve", "netgen-mesher", "numpy", "scipy", "torch", "safetensors", "pyvista", "vtk"):
        try:
            table.add_row(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            table.add_row(package, "not installed")
    cuda = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    table.add_row("CUDA devices", ", ".join(cuda) or "none")
    table.add_row("torch threads", str(torch.get_num_threads()))
    # Rendering without a display can end the process instead of raising, so it is tried in one of its own.
    probe = (
        "from ngs_nhcsr.visual import _pyvista; pv = _pyvista(); p = pv.Plotter(off_screen=True); "
        "p.add_mesh(pv.Sphere()); p.screenshot(None)"
    )
    works = subprocess.run([sys.executable, "-c", probe], capture_output=True).returncode == 0
    table.add_row(
        "off-screen rendering", "works" if works else "does not work (on Debian and Ubuntu: apt install libegl1)"
    )
    failed = False
    for name in list_models():
        try:
            load_model(name, "cpu")
            table.add_row(f"model {name}", "SHA-256 matches")
        except NhcsrError as error:
            failed = True
            table.add_row(f"model {name}", str(error))
    console.print(table)
    if failed:
        raise typer.Exit(1)


def main() -> None:
    """Entry point: errors of this package become one line and exit code 1."""
    try:
        app()
    except (NhcsrError, ValueError) as error:
        Console(stderr=True).print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
