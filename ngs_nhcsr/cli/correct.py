"""Commands for one's own image: ``correct`` writes the solution on it, ``effective`` its conductivity."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidProblem
from .codes import NO_RESULT
from .terminal import say

if TYPE_CHECKING:
    from ..media.images import Medium

log = logging.getLogger(__name__)

Source = Annotated[
    Path, typer.Argument(metavar="IMAGE", help="png, tif, jpg (top row first); npy, npz (bottom first).")
]
Values = Annotated[
    str | None, typer.Option(help="Coefficients of the grey levels, the darkest first, e.g. 1,10; 0: voids.")
]
Threshold = Annotated[float | None, typer.Option(help="Levels above it get the second of two values; default: Otsu's.")]
#: So many values are told one by one.
MOST_PHASES = 4
#: Messages of the solver for an effective conductivity, by boundary.
STEPS = {"periodic": 6, "linear": 3, "sealed": 2}
#: Entries of a tensor below this fraction of its diagonal are shown as 0.
ROUNDING = 1e-13
Pixel = Annotated[float | None, typer.Option(help="Side of a pixel; default: the longer side of the image is 1.")]


def correct(
    image: Source,
    values: Values = None,
    threshold: Threshold = None,
    pixel: Pixel = None,
    bc: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIDES",
            help='Values of sides, or sealed, in quotes: "left=0, right=1, top=sealed, bottom=sealed"; '
            "may be repeated; default: all 0.",
        ),
    ] = None,
    load: Annotated[
        float | None, typer.Option(help="The load f; default: 1 if all boundary values are 0, else 0.")
    ] = None,
    target: Annotated[
        str, typer.Option(help="pde: the equation's own solution; fine: the fine mesh's, by network.")
    ] = "pde",
    accuracy: Annotated[
        float | None,
        typer.Option(help="With pde: relative energy error to guarantee, e.g. 1e-3; 1e-5 is near the least."),
    ] = None,
    scale: Annotated[float, typer.Option(help="Fine cells per coarse cell of 4 pixels and axis.")] = 16,
    crop: Annotated[bool, typer.Option("--crop", help="Cut down to multiples of 4 pixels, for the network.")] = False,
    model: Annotated[str | None, typer.Option(help="With fine: model name; default: basis-hybrid.")] = None,
    device: Annotated[str, typer.Option(help="With fine: auto, cpu, cuda, cuda:1 …")] = "auto",
    out: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="File to write: .vtu, .npz or .png; may be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Solve for an image's pixels and write the field: -div(a grad u) = f with bounds of its error."""
    from ..checks import check_memory
    from ..files import check_paths, import_writers, write
    from .image_problem import (
        PIXELS_PER_COARSE,
        check_pixels,
        fine_per_pixel,
        image_problem,
        parse_sides,
    )
    from .progress import progress, seconds_in_words

    # What is wrong with an option is told before anything large is imported or read.
    _check_target(target, accuracy, model, device)
    if any(path.resolve() == image.resolve() for path in out or ()):
        raise InvalidProblem(f"--out {image} is the image itself; give another name.")
    check_paths(out or (), force)
    sides, per_pixel = parse_sides(",".join(bc) if bc else None), fine_per_pixel(scale)
    medium = read_image(image, values, threshold)
    if crop:
        medium = medium.cropped(PIXELS_PER_COARSE)
    problem = image_problem(medium.a, sides, load, pixel, medium.voids)
    check_pixels(problem.a)
    check_memory((problem.a.shape[0] * per_pixel, problem.a.shape[1] * per_pixel))
    with progress("loading"):
        import_writers(out or ())
        from .image_solve import solve_exact, solve_fine
    describe(image, medium)
    say(problem.described)
    with progress("solving"):
        if target == "pde":
            solved = solve_exact(problem, per_pixel, accuracy)
        else:
            solved = solve_fine(problem, scale, model, device)
    for line in solved.summary:
        say(line)
    for note in solved.notes:
        say(f"Note: {note}")
    start = time.perf_counter()
    with progress("writing"):
        for path in out or ():
            log.info("writing %s", path)
            write(path, solved.fields)
    if out:
        say(f"written in {seconds_in_words(time.perf_counter() - start)} s: {', '.join(map(_with_size, out))}")
    else:
        say("no file written; --out u.vtu, u.npz or u.png writes the field")
    if not solved.trusted:
        raise typer.Exit(NO_RESULT)


def effective(
    image: Source,
    values: Values = None,
    threshold: Threshold = None,
    pixel: Pixel = None,
    boundary: Annotated[
        str, typer.Option(help="periodic, linear (u = x, u = y) or sealed (pressure drops).")
    ] = "periodic",
    json_: Annotated[bool, typer.Option("--json", help="Print the tensors as JSON.")] = False,
) -> None:
    """Print the effective conductivity of an image's pixels, a 2 x 2 tensor with guaranteed bounds.

    Fields with mean gradients along x and y bound it from above, fluxes from below: periodic solves four cell
    problems, linear and sealed solve two problems with values on the sides.
    """
    import numpy as np

    from .image_problem import check_boundary, check_pixels, image_problem, no_way, parse_sides
    from .progress import counted, progress, seconds_in_words

    check_boundary(boundary)
    medium = read_image(image, values, threshold)
    check_pixels(medium.a)
    size = image_problem(medium.a, parse_sides(None), pixel=pixel).size
    with progress("loading"):
        from ..solvers.threads import suited_threads
        from ..solvers.trace import effective_conductivity
    if not json_:  # before what may take minutes
        describe(image, medium)
    start = time.perf_counter()
    steps = counted("ngs_nhcsr.solvers.trace.effective", STEPS[boundary])
    with suited_threads(), progress("solving the cell problems"), steps:
        found = effective_conductivity(medium.a, size, boundary)  # type: ignore[arg-type] - checked above
    seconds = time.perf_counter() - start
    if json_:
        tensors = {name: getattr(found, name).tolist() for name in ("tensor", "lower", "upper")}
        typer.echo(json.dumps({**tensors, "boundary": boundary, "size": size, "phases": medium.phases}, indent=1))
        return
    say(f"effective conductivity, {boundary} boundary, {found.modes} functions per edge, {seconds_in_words(seconds)} s")
    typer.echo(f"{'':8}{'xx':>15}{'xy':>15}{'yy':>15}")
    for name in ("tensor", "lower", "upper"):
        (xx, xy), (_, yy) = getattr(found, name)
        xy = 0.0 if abs(xy) < ROUNDING * min(xx, yy) else xy  # as of a symmetric cell
        typer.echo(f"{name:8}{xx:15.9g}{xy:15.4g}{yy:15.9g}")
    if boundary == "sealed" and medium.voids is not None:
        for one, other in (("left", "right"), ("bottom", "top")):
            if said := no_way(medium.voids, one, other):
                say(f"Note: {said}")
    gap = float(np.linalg.norm(found.upper - found.lower, 2) / np.linalg.norm(found.tensor, 2))
    say(f"lower <= tensor <= upper as symmetric matrices, guaranteed; relative gap {gap:.1e}")


def _with_size(path: Path) -> str:
    """Name of a file, with its size where that is worth to be known."""
    megabytes = path.stat().st_size / 1e6
    return f"{path} ({megabytes:.0f} MB)" if megabytes >= 10 else str(path)


def read_image(image: Path, values: str | None, threshold: float | None) -> Medium:
    """Read the medium and check that the solvers take it; values as text."""
    from ..media.images import read_medium
    from .image_problem import check_contrast

    try:
        numbers = None if values is None else [float(v) for v in values.split(",")]
    except ValueError as error:
        raise InvalidProblem(f"--values needs numbers with commas between, e.g. 1,10, not {values!r}.") from error
    log.info("reading %s", image)
    medium = read_medium(image, numbers, threshold)
    check_contrast(medium.a)
    return medium


def _check_target(target: str, accuracy: float | None, model: str | None, device: str) -> None:
    """Check the target and that it takes the other options."""
    from ..models.catalogue import check_model_name
    from ..models.devices import check_device_name

    if target not in ("fine", "pde"):
        raise InvalidProblem(f'--target must be "fine" or "pde", not {target!r}.')
    if target == "fine" and accuracy is not None:
        raise InvalidProblem("--accuracy is for --target pde; fields of the network have an estimate only.")
    if target == "pde" and (model is not None or device != "auto"):
        raise InvalidProblem("--model and --device are for --target fine; the PDE is solved without a network.")
    if accuracy is not None and not 0 < accuracy < 1:
        raise InvalidProblem(f"--accuracy is a relative error between 0 and 1, e.g. 1e-3, not {accuracy:g}.")
    check_device_name(device)
    if model is not None:
        check_model_name(model)


def describe(image: Path, medium: Medium) -> None:
    """Tell size, orientation, and the value of every grey level with its fraction of the area."""
    my, mx = medium.a.shape
    say("; ".join([f"{image.name}: {mx} x {my} pixels", *medium.notes]))
    fractions = dict(medium.phases)
    if len(fractions) > MOST_PHASES or len(medium.greys) > MOST_PHASES:
        low, high = min(fractions), max(fractions)
        say(f"a: {len(fractions)} values from {low:g} to {high:g}")
    elif not medium.greys:
        say("a: " + ", ".join(f"{value:g} on {fraction:.1%}" for value, fraction in fractions.items()))
    else:
        greys: dict[float, list[str]] = {}
        for low, high, value in medium.greys:
            greys.setdefault(value, []).append(f"{low:g}" if low == high else f"{low:g} … {high:g}")
        of_value = ((", ".join(levels), value, fractions.get(value, 0.0)) for value, levels in greys.items())
        say("a: " + ", ".join(f"grey {levels} → {value:g} on {fraction:.1%}" for levels, value, fraction in of_value))
