"""Command line ``ngs-nhcsr``; every command is a thin layer over a function of the package."""

from __future__ import annotations


def main() -> None:
    """Run the command line: errors become one line and an exit code."""
    from .app import main

    main()
