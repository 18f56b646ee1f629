"""What commands print: lines that fit the terminal, and help that a narrow one does not cut."""

from __future__ import annotations

import shutil
import textwrap
from typing import Any

import typer
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

    def format_help(self, ctx: Any, formatter: Any) -> None:  # both of typer's own click
        """Write the help."""
        mode = self.rich_markup_mode
        if width() < NARROW:
            self.rich_markup_mode, formatter.width = None, width()
        try:
            super().format_help(ctx, formatter)
        finally:
            self.rich_markup_mode = mode
