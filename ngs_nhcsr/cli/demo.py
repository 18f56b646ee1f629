"""Command ``demo``: the main job end to end on a random problem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import get_console
from rich.table import Table

from ..errors import InvalidProblem
from .codes import NO_RESULT
from .terminal import show

if TYPE_CHECKING:
    from ..demo import DemoResult

#: Suffixes of the picture, and pixels per coarse cell and axis as in ``ngs_nhcsr.demo``.
PICTURES, PIXELS = (".png", ".html"), 4


def demo(
    family: Annotated[str, typer.Option(help="Coefficient family.")] = "iid",
    contrast: Annotated[float, typer.Option(min=1, help="Largest over smallest coefficient.")] = 10.0,
    n: Annotated[int, typer.Option(min=2, help="Coarse cells a side.")] = 32,
    scale: Annotated[int, typer.Option(min=1, help="Fine cells per coarse cell and axis.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the coefficient.")] = 2026,
    model: Annotated[str | None, typer.Option(help="Model name; default: basis-hybrid.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    picture: Annotated[Path, typer.Option(help="Where to save the picture: .png or .html.")] = Path("demo.png"),
    surface: Annotated[bool, typer.Option("--surface", help="Draw surfaces in 3-D instead of maps.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing picture.")] = False,
) -> None:
    """Solve a random coarse problem in NGSolve, correct it to both targets, and compare with fine solves."""
    from ..files import check_paths
    from ..media.families import families
    from ..models.catalogue import check_model_name
    from ..models.devices import check_device_name
    from .progress import progress

    check_paths([picture], force, PICTURES)
    _ = families[family]  # an unknown one is told before anything large is imported
    check_device_name(device)
    if model is not None:
        check_model_name(model)
    if scale % PIXELS:
        raise InvalidProblem(
            f"the demo has {PIXELS} x {PIXELS} pixels in a coarse cell; take a scale of {PIXELS}, {2 * PIXELS}, "
            f"{3 * PIXELS} …, not {scale}."
        )
    with progress("loading"):
        from ..demo import run_demo
        from ..visual import plot_compare
        from ..visual.backend import check_picture, import_pyvista

        check_picture(picture)
        import_pyvista()
    with progress("solving the coarse problem"):
        result = run_demo(family=family, contrast=contrast, n=n, scale=scale, seed=seed, model=model, device=device)
    table = _table(
        result,
        f"{family} 1:{contrast:g}, H = 1/{n}, ε = 1/{PIXELS * n}, h = 1/{n * scale}, f = 1, seed {seed}\n"
        "relative errors, against u_h on the fine mesh and against the PDE's solution u",
    )
    console = get_console()
    show(table)
    bound, pixels = result.exact.relative_error_bound, PIXELS * n
    console.print(
        f'With target="pde" your coarse solve is corrected to the PDE\'s own solution on its {pixels} x {pixels} '
        f"pixels: relative energy error at most {bound:.2g}, guaranteed.",
        highlight=False,
    )
    for name, correction in (("fine", result.correction), ("pde", result.exact)):
        console.print(f'Status, target="{name}": [bold]{correction.status.name}[/bold] – {correction.status.value}')
        for note in correction.notes:
            console.print(f"Note: {note}")
    problem = result.correction.problem
    plot_compare(
        result.u_coarse,
        result.correction,
        result.u_reference,
        coefficient=None if problem is None or surface else problem.A,
        warp=surface,
        path=picture,
        show=False,
    ).close()
    console.print(f"Picture: {picture}")
    if not (result.correction.status.trusted and result.exact.status.trusted):
        raise typer.Exit(NO_RESULT)


def _table(result: DemoResult, title: str) -> Table:
    """Make the table of errors and seconds."""
    from .progress import seconds_in_words

    table = Table(title=title)
    table.add_column("method")
    for column in ("L2\nu_h", "energy\nu_h", "energy\nPDE", "\nseconds"):
        table.add_column(column, justify="right")
    for row in result.rows:
        own = (
            ("–", "–", f"≤ {row.beyond:.2g}")
            if row.l2 is None or row.energy is None
            else (f"{row.l2:.2g}", f"{row.energy:.2g}", f"{row.beyond:.2g}")
        )
        table.add_row(row.name, *own, seconds_in_words(row.seconds))
    return table
