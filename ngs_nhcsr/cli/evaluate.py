"""Command ``evaluate``: errors of a model on suites of test problems."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[str | None, typer.Option(help="Model name; default: basis-hybrid.")] = None,
    card: Annotated[Path | None, typer.Option(help="Model card to evaluate instead.")] = None,
    suite: Annotated[
        str,
        typer.Option(
            help="paper, families, scales, maps or loads; beyond: all methods against the PDE's solution; darcy, "
            "darcy-rough, trigonometric, condiff, or outside for these four: published benchmarks."
        ),
    ] = "paper",
    count: Annotated[
        int | None, typer.Option(min=1, help="Test problems per case; default: 16; beyond, outside: 3.")
    ] = None,
    first_seed: Annotated[int, typer.Option(min=0, help="First test seed.")] = 2_000_000_000,
    symmetrize: Annotated[bool, typer.Option(help="Also the mean over the symmetries of the square.")] = False,
    save: Annotated[
        Path | None, typer.Option(help="Stem of the .json and .md to write; beyond: also error_time.png beside them.")
    ] = None,
) -> None:
    """Median and worst errors of a model on fresh test seeds, beside free competitors."""
    if suite == "beyond":
        _evaluate_beyond(card or model, 3 if count is None else count, first_seed, save)
        return
    from ..comparison.outside_suites import SUITES as OUTSIDE

    if suite == "outside" or suite in OUTSIDE:
        names = tuple(OUTSIDE) if suite == "outside" else (suite,)
        _evaluate_outside(names, card or model, 3 if count is None else count, first_seed, save)
        return
    from ..models import DEFAULT_MODEL, load_model
    from ..training.evaluate import SUITES, to_json, to_markdown
    from ..training.evaluate import evaluate as measure

    if suite not in SUITES:
        raise typer.BadParameter(
            f"no suite {suite!r}; there are: {', '.join((*SUITES, 'beyond', *OUTSIDE, 'outside'))}"
        )
    network = load_model(card or model or DEFAULT_MODEL, "cpu").network
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
        save.parent.mkdir(parents=True, exist_ok=True)
        save.with_suffix(".md").write_text(text, encoding="utf-8")
        save.with_suffix(".json").write_text(to_json(results) + "\n", encoding="utf-8")


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


def _evaluate_outside(
    names: tuple[str, ...], model: str | Path | None, count: int, first_seed: int, save: Path | None
) -> None:
    """Measure published benchmarks; with ``save`` write the page and its rows."""
    from ..comparison.outside import evaluate_outside, to_json
    from ..comparison.outside_report import outside_page

    logging.getLogger("ngs_nhcsr.comparison").setLevel(logging.INFO)  # which problem it is at
    rows = evaluate_outside(names, count=count, first_seed=first_seed, model=model)
    typer.echo(outside_page(rows))
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        save.with_suffix(".md").write_text(outside_page(rows), encoding="utf-8")
        save.with_suffix(".json").write_text(to_json(rows) + "\n", encoding="utf-8")
