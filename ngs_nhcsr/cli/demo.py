"""Command ``demo``: the main job end to end on a random problem."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import get_console
from rich.table import Table


def demo(
    family: Annotated[str, typer.Option(help="Coefficient family.")] = "iid",
    contrast: Annotated[float, typer.Option(min=1, help="Largest over smallest coefficient.")] = 10.0,
    n: Annotated[int, typer.Option(min=2, help="Coarse cells a side.")] = 32,
    scale: Annotated[int, typer.Option(min=1, help="Fine cells per coarse cell and axis.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the coefficient.")] = 2026,
    model: Annotated[str | None, typer.Option(help="Model name; default: the best for the device.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    picture: Annotated[Path, typer.Option(help="Where to save the picture: .png or .html.")] = Path("demo.png"),
    surface: Annotated[bool, typer.Option("--surface", help="Draw surfaces in 3-D instead of maps.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing picture.")] = False,
) -> None:
    """Solve a random coarse problem in NGSolve, correct it, and compare with fine solves."""
    from ..demo import run_demo
    from ..files import check_outputs
    from ..visual import plot_compare
    from ..visual.backend import SCENES, check_picture, import_pyvista
    from .progress import progress

    check_outputs([picture], force, SCENES)
    check_picture(picture)
    import_pyvista()
    with progress("solving the coarse problem"):
        result = run_demo(family=family, contrast=contrast, n=n, scale=scale, seed=seed, model=model, device=device)
    fine = n * scale
    table = Table(title=f"{family} 1:{contrast:g}, H = 1/{n}, ε = 1/{4 * n}, h = 1/{fine}, f = 1, seed {seed}")
    table.add_column("method")
    for column in ("L2 error", "energy error", "seconds"):
        table.add_column(column, justify="right")
    for name, l2, energy, seconds in result.rows:
        table.add_row(name, f"{l2:.2g}", f"{energy:.2g}", f"{seconds:.2g}")
    get_console().print(table)
    get_console().print(f"Errors are relative, against the Q1 solution u_h on the {fine} x {fine} mesh.")
    get_console().print(f"Status: [bold]{result.correction.status.name}[/bold] – {result.correction.status.value}")
    for note in result.correction.notes:
        get_console().print(f"Note: {note}")
    problem = result.correction.problem
    plot_compare(
        result.u_coarse,
        result.correction.u_fine,
        result.u_reference,
        coefficient=None if problem is None or surface else problem.A,
        warp=surface,
        path=picture,
        show=False,
    ).close()
    get_console().print(f"Picture: {picture}")
    if not result.correction.status.trusted:
        raise typer.Exit(2)
