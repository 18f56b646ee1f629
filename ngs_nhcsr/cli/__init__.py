"""Command line ``ngs-nhcsr``; every command is a thin layer over a function of the package."""

from __future__ import annotations


def main() -> None:
    """Run the command line: errors of this package become one line and exit code 1."""
    from .app import main

    main()
