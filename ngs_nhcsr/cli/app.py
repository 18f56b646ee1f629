"""Command line ``ngs-nhcsr``: common options, and the commands of the modules beside this one.

Exit codes: 0 done, 1 wrong input, 2 a result that cannot be trusted.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from .._version import __version__
from ..errors import NhcsrError
from . import bench, compare, correct, demo, evaluate, models, train

#: In the order of ``ngs-nhcsr --help``; what a command needs is imported when it runs.
COMMANDS = (
    correct.correct,
    correct.effective,
    demo.demo,
    compare.compare,
    bench.bench,
    models.models,
    train.generate,
    train.train,
    train.ablation,
    train.reproduce,
    train.pieces,
    train.export,
    train.revalidate,
    evaluate.evaluate,
    models.doctor,
)


app = typer.Typer(
    help="Learned fine-scale correction of coarse NGSolve solutions.", no_args_is_help=True, add_completion=False
)


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


for _command in COMMANDS:
    app.command()(_command)


def main() -> None:
    """Run the command line: errors of this package become one line and exit code 1."""
    try:
        app()
    except (NhcsrError, ValueError) as error:
        Console(stderr=True).print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
