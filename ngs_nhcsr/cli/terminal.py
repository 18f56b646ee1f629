"""What commands print: lines that fit the terminal, and help that a narrow one does not cut."""

from __future__ import annotations

import shutil
import textwrap
from typing import Any

import typer
from rich import get_console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

#: Columns of a line at most; a wider one is hard to read.
WIDEST = 80
#: Columns below which the boxes of the help would cut the names of options.
NARROW = 60


def width() -> int:
    """Return the columns that lines may have: those of the terminal, 80 at most and in a pipe."""
    return max(20, min(WIDEST, shutil.get_terminal_size().columns))


def say(line: str) -> None:
    """Print a line, wrapped to the terminal.

    Parameters
    ----------
    line : of any length.
    """
    typer.echo(textwrap.fill(line, width(), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


class Command(TyperCommand):
    """Command whose help a narrow terminal does not cut: it has no boxes there."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options; a list with spaces, as a shell splits it, is told."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if "extra argument" in getattr(error, "message", ""):
                error.message += ". Lists have commas, --values 1,10; what has spaces needs quotes."  # type: ignore
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:  # both of typer's own click
        """Write the help."""
        mode = self.rich_markup_mode
        if width() < NARROW:
            self.rich_markup_mode, formatter.width = None, width()
        try:
            super().format_help(ctx, formatter)
        finally:
            self.rich_markup_mode = mode


def show(table: Table) -> None:
    """Print a table; where its words do not fit the terminal, a line per row instead.

    Parameters
    ----------
    table : of strings; the first column has the names of the rows.
    """
    console = get_console()
    wide = console.options.update(max_width=10 * WIDEST)
    if Measurement.get(console, wide, table).minimum <= console.width:
        console.print(table)
        return
    _say_words(table.title)
    first, *others = table.columns
    headers = [f"{_words(column.header)} " if len(others) > 1 else "" for column in others]
    for name, *row in zip(first.cells, *(column.cells for column in others), strict=True):
        cells = (header + _words(cell) for header, cell in zip(headers, row, strict=True))
        say(f"{_words(name)}: {', '.join(cells)}")
    _say_words(table.caption)


def _say_words(text: Any) -> None:
    if text:
        say(_words(text))


def _words(text: Any) -> str:
    """Return what rich would print, in one line."""
    return " ".join((text.plain if isinstance(text, Text) else Text.from_markup(str(text)).plain).split())
