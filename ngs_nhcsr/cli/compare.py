"""Command ``compare``: all methods on one random problem."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import get_console


def compare(
    family: Annotated[str, typer.Option(help="Coefficient family.")] = "iid",
    contrast: Annotated[float, typer.Option(min=1, help="Largest over smallest coefficient.")] = 10.0,
    n: Annotated[int, typer.Option(min=2, help="Coarse cells a side.")] = 16,
    scale: Annotated[int, typer.Option(min=1, help="Fine cells per coarse cell and axis.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the coefficient.")] = 2026,
    methods: Annotated[str | None, typer.Option(help="Names with commas between; default: all.")] = None,
    model: Annotated[str | None, typer.Option(help="Model name; default: the best for the device.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    json_: Annotated[Path | None, typer.Option("--json", help="Where to save the rows as JSON.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Where to save the time-accuracy picture.")] = None,
) -> None:
    """Run network, LOD, MsFEM, multigrid and fine solves on one random problem; show errors, times and memory."""
    import numpy as np

    from ..comparison import compare as run
    from ..demo import coarse_problem
    from ..media.families import families

    kappa = families[family]((4 * n, 4 * n), np.random.default_rng(seed), contrast)
    u, a = coarse_problem(kappa, n)
    names = None if methods is None else [name.strip() for name in methods.split(",")]
    result = run(u, a, scale, f=1.0, methods=names, model=model, device=device)
    get_console().print(result.table())
    for note in result.notes:
        get_console().print(f"Note: {note}")
    if json_ is not None:
        json_.write_text(result.to_json(), encoding="utf-8")
        get_console().print(f"Rows: {json_}")
    if picture is not None:
        result.plot(picture)
        get_console().print(f"Picture: {picture}")
