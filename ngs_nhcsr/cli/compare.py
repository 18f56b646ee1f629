"""Command ``compare``: all methods on one problem, of an image or random."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich import get_console

from .correct import Threshold, Values, describe, read_image
from .terminal import say, show

#: What is compared unless other methods are named: every kind of method once.
DEFAULT = (
    "prolongation-own", "best-multiple", "geometric-mean", "cells+1", "msfem-galerkin", "lod2", "lod3-rhs", "network",
    "multigrid", "direct",
)  # fmt: skip
PICTURES = (".png", ".svg", ".pdf")


def compare(
    image: Annotated[
        Path | None, typer.Argument(metavar="[IMAGE]", help="The pixels, as for correct; default: random ones.")
    ] = None,
    values: Values = None,
    threshold: Threshold = None,
    family: Annotated[str, typer.Option(help="Coefficient family, without image.")] = "iid",
    contrast: Annotated[float, typer.Option(min=1, help="Largest over smallest coefficient, without image.")] = 10.0,
    n: Annotated[int, typer.Option(min=2, help="Coarse cells a side, without image.")] = 16,
    scale: Annotated[int, typer.Option(min=1, help="Fine cells per coarse cell of 4 pixels and axis.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the coefficient, without image.")] = 2026,
    methods: Annotated[str | None, typer.Option(help="Names with commas between; default: ten.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All methods that there are.")] = False,
    model: Annotated[str | None, typer.Option(help="Model name; default: basis-hybrid.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    json_: Annotated[Path | None, typer.Option("--json", help="Where to save the rows as JSON.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Where to save the time-accuracy picture: .png, .svg or .pdf.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Run network, LOD, MsFEM, multigrid and fine solves on one problem; show errors, times and memory.

    The load is 1, the boundary values are 0. Of an image, rows and columns beyond multiples of 4 are left out.
    """
    import numpy as np

    from ..errors import InvalidProblem
    from ..files import check_paths
    from ..media.families import families
    from ..models.catalogue import check_model_name
    from ..models.devices import check_device_name
    from .image_problem import PIXELS_PER_COARSE
    from .progress import progress

    if image is None and not (values is None and threshold is None):
        raise InvalidProblem("--values and --threshold are for an image; name one, or leave them out.")
    if all_ and methods is not None:
        raise InvalidProblem("--all and --methods exclude each other; give one of them.")
    check_paths([] if picture is None else [picture], force, PICTURES)
    check_paths([] if json_ is None else [json_], force, (".json",))
    draw_medium = families[family]
    check_device_name(device)
    if model is not None:
        check_model_name(model)
    medium = None if image is None else read_image(image, values, threshold).cropped(PIXELS_PER_COARSE)
    if medium is not None and medium.voids is not None:
        raise InvalidProblem("the methods that are compared take no voids (0); give them a small value.")
    names = list(DEFAULT) if methods is None else [name.strip() for name in methods.split(",")]
    with progress("loading"):
        from ..comparison import compare as run
        from ..comparison import methods as known

        for name in names if not all_ else ():
            _ = known[name]  # an unknown one is told before NGSolve is imported
        if picture is not None:
            import_module("matplotlib.figure")  # missed here rather than after the work
        from ..ngsolve_io.coarse_solve import coarse_solution
        from ..solvers.space import SIDES
    if image is None or medium is None:
        shape = (PIXELS_PER_COARSE * n, PIXELS_PER_COARSE * n)
        a, size = draw_medium(shape, np.random.default_rng(seed), contrast), (1.0, 1.0)
    else:
        a, size = medium.a, medium.size
        describe(image, medium)
    cells = (a.shape[0] // PIXELS_PER_COARSE, a.shape[1] // PIXELS_PER_COARSE)
    u = coarse_solution(a, cells, size, dict.fromkeys(SIDES, 0.0), 1.0)
    with progress("comparing"):
        result = run(u, a, scale, f=1.0, methods=None if all_ else names, model=model, device=device)
    show(result.table())
    for line in result.legend():
        say(line)
    if not all_ and methods is None:
        get_console().print("More methods: --all; some of them: --methods NAME,NAME")
    for note in result.notes:
        get_console().print(f"Note: {note}")
    if json_ is not None:
        json_.write_text(result.to_json(), encoding="utf-8")
        get_console().print(f"Rows: {json_}")
    if picture is not None:
        result.plot(picture)
        get_console().print(f"Picture: {picture}")
