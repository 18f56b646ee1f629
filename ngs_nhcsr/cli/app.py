"""Command line ``ngs-nhcsr``: common options, and the commands of the modules beside this one.

Exit codes: 0 done, 2 wrong options or files, 1 no result to rely on (``codes``).
"""

from __future__ import annotations

import io
import logging
import sys
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from .._version import __version__
from ..errors import DependencyMissing, NhcsrError, SolverFailure, UntrustedResult
from . import bench, compare, correct, demo, evaluate, models, train
from .codes import INTERRUPTED, NO_RESULT, WRONG_INPUT
from .interrupts import insistent
from .progress import Clocked
from .terminal import Command

#: By panel, in the order of ``ngs-nhcsr --help``; what a command needs is imported when it runs.
COMMANDS = {
    "Use": (correct.correct, correct.effective, demo.demo, compare.compare, models.models, models.doctor),
    "Develop": (
        evaluate.evaluate,
        bench.bench,
        train.generate,
        train.train,
        train.ablation,
        train.reproduce,
        train.pieces,
        train.export,
        train.revalidate,
    ),
}
VERBOSE = ("--verbose", "-v")
#: What no other input would have spared, and errors of the system that another path would have.
FAILURES = (SolverFailure, DependencyMissing, UntrustedResult)
PATHS = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
#: Packages that pip knows by another name than Python.
INSTALLED_AS = {"PIL": "Pillow", "skimage": "scikit-image", "netgen": "netgen-mesher"}
#: Of an installation of which a part is missing or hidden by what an earlier one left.
REMEDY = "pip uninstall ngs-nhcsr, delete the folder ngs_nhcsr in site-packages if it is still there, install again."


class _Commands(TyperGroup):
    """Commands that take ``--verbose`` before or after their name."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override] - typer's own click
        """Move ``--verbose`` to the front; behind ``--`` it is an argument."""
        end = args.index("--") if "--" in args else len(args)
        asked = [a for a in args[:end] if a in VERBOSE]
        return super().parse_args(ctx, asked + [a for a in args[:end] if a not in VERBOSE] + args[end:])


app = typer.Typer(
    help="Learned fine-scale correction of coarse NGSolve solutions.",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # docstrings have code between backticks
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ngs-nhcsr {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is being done, and since when.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s")
    if verbose:
        logging.getLogger().handlers[0].setFormatter(Clocked())


for _panel, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(cls=Command, rich_help_panel=_panel)(_command)


def main() -> None:
    """Run the command line: errors become one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a symbol shows a question mark
    lost = None
    try:
        with insistent() as lost:
            app()
    except (NhcsrError, ValueError) as error:
        _fail(str(error), NO_RESULT if isinstance(error, FAILURES) else WRONG_INPUT)
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _fail(said, WRONG_INPUT if isinstance(error, PATHS) else NO_RESULT)
    except MemoryError as error:
        _fail(f"there is not enough memory: {error or 'take fewer pixels or a smaller scale'}", NO_RESULT)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package == "ngs_nhcsr":
            _fail(f"this installation lacks {error.name}: {REMEDY}", NO_RESULT)
        if not package:
            raise
        package = INSTALLED_AS.get(package, package)
        _fail(f"{package} is not installed, or not in this environment; pip install it (ngs-nhcsr doctor).", NO_RESULT)
    except Exception as error:
        if not (_interrupted(error) or (lost and lost.is_set())):
            raise
        sys.exit(INTERRUPTED)  # Numba reports a Ctrl-C while it compiles as an error of its own


def _interrupted(error: BaseException | None) -> bool:
    """Whether an error came out of the handling of a Ctrl-C."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _fail(message: str, code: int) -> NoReturn:
    Console(stderr=True).print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)
    sys.exit(code)
