"""Command ``bench``: seconds of everything, on this machine."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich import get_console


def bench(
    effort: Annotated[str, typer.Option(help="tiny (seconds), standard (ten minutes) or full (an hour).")] = "standard",
    only: Annotated[
        str | None, typer.Option(help="fine, ngsolve, correct, classical, many, with commas between; default: all.")
    ] = None,
    device: Annotated[str, typer.Option(help="Of the network: cpu, cuda …")] = "cpu",
    json_: Annotated[Path | None, typer.Option("--json", help="Where to save all numbers as JSON.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Where to save the tables.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Where to save the picture.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Time corrections, fine solvers, NGSolve, LOD and MsFEM; medians of one run, with the machine described."""
    from ..bench.run import EFFORTS, SECTIONS
    from ..bench.run import bench as run
    from ..bench.timing import Timing
    from ..errors import InvalidProblem
    from ..paths import check_path

    if effort not in EFFORTS:
        raise InvalidProblem(f"effort must be one of {', '.join(EFFORTS)}, not {effort!r}.")
    sections = None if only is None else [name.strip() for name in only.split(",")]
    unknown = sorted(set(sections or ()) - set(SECTIONS))
    if unknown:
        raise InvalidProblem(f"there is no part {unknown[0]!r}; choose among {', '.join(SECTIONS)}.")
    for path, suffixes in ((json_, (".json",)), (markdown, (".md",)), (picture, (".png", ".svg", ".pdf"))):
        if path is not None:
            check_path(path, suffixes, force=force)
    if picture is not None:
        import_module("matplotlib.figure")  # missed here rather than after the work
    console = get_console()

    def tell(t: Timing) -> None:
        exponent = t.details.get("exponent")  # of rows on how seconds grow with the mesh
        said = f"{1e3 * t.seconds:10.2f} ms" if exponent is None else f"cells^{exponent:.2f}".rjust(13)
        console.print(f"{said}  {t.name}: {t.case}", highlight=False)

    report = run(EFFORTS[effort], sections=sections, device=device, tell=tell)
    for path, text in ((json_, report.to_json), (markdown, report.to_markdown)):
        if path is not None:
            path.write_text(text() + "\n", encoding="utf-8")
            console.print(f"Saved: {path}")
    if picture is not None:
        report.plot(picture)
        console.print(f"Saved: {picture}")
