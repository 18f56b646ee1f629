"""Commands about what is installed: ``models`` and ``doctor``."""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from .._version import __version__
from ..errors import DependencyMissing, NhcsrError
from .codes import NO_RESULT
from .progress import progress
from .terminal import show

#: What ``doctor`` tells the versions of: what is needed, and what is only for pictures.
PACKAGES = (
    "ngsolve", "netgen-mesher", "numpy", "scipy", "numba", "torch", "safetensors",
    "pyvista", "vtk", "matplotlib", "imageio", "trame-vtk", "webgui-jupyter-widgets",
)  # fmt: skip
CAPTION = (
    "energy, L2: median relative errors against u_h of the network's own field on random media 1:10; correct goes on "
    "by multigrid where they are large"
)


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")] = False,
    save: Annotated[Path | None, typer.Option(help="Markdown file to write: all that the cards say.")] = None,
) -> None:
    """List the shipped models with what they were trained for and their median errors on random media 1:10."""
    from ..models import read_card, shipped_cards
    from ..models.table import FIRST_CASE, models_page

    if save is not None:
        save.write_text(models_page(shipped_cards()), encoding="utf-8")
        return
    cards = [read_card(path) for path in shipped_cards().values()]
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(c) for c in cards], indent=1))
        return
    columns = ("decoder", "scales", "contrast", "energy", "L2", "steps")
    table = Table(Column("model"), *columns, caption=CAPTION)
    for c in cards:
        errors = c.validation.get(FIRST_CASE, {})
        row = (
            c.architecture["decoder"],
            f"{min(c.contract.scales):g} … {max(c.contract.scales):g}",
            f"≤ {c.contract.contrast[1]:g}",
            f"{errors.get('energy', float('nan')):.2g}",
            f"{errors.get('L2', float('nan')):.2g}",
            str(c.training.get("steps", "?")),
        )
        table.add_row(c.name, *row)
    show(table)


def doctor() -> None:
    """Report versions, devices, threads, off-screen rendering and model hashes."""
    from ..models import list_models

    table = Table("what", "found")
    table.add_row("ngs-nhcsr", __version__)
    table.add_row("Python", f"{platform.python_version()} on {platform.platform()}")
    for package in PACKAGES:
        try:
            table.add_row(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            table.add_row(package, "not installed")
    try:
        import torch
    except ImportError:
        show(table)
        raise DependencyMissing("without torch nothing can be solved: pip install torch.") from None
    cuda = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    table.add_row("CUDA devices", ", ".join(cuda) or "none")
    table.add_row("torch threads", str(torch.get_num_threads()))
    # Rendering without a display can end the process instead of raising, so it is tried in one of its own.
    probe = (
        "from ngs_nhcsr.visual import import_pyvista; pv = import_pyvista(); p = pv.Plotter(off_screen=True); "
        "p.add_mesh(pv.Sphere()); p.screenshot(None)"
    )
    with progress("drawing something off screen"):
        works = subprocess.run([sys.executable, "-c", probe], capture_output=True).returncode == 0
    table.add_row(
        "off-screen rendering", "works" if works else "does not work (on Debian and Ubuntu: apt install libegl1)"
    )
    failed = False
    for name in list_models():
        try:
            from ..models import load_model  # needs safetensors, which may be what is missing

            load_model(name, "cpu")
            table.add_row(f"model {name}", "SHA-256 matches")
        except (NhcsrError, ImportError) as error:
            failed = True
            table.add_row(f"model {name}", str(error))
    show(table)
    if failed:
        raise typer.Exit(NO_RESULT)
