"""Random problems as users might have them, each with its own fine solution: does what is said hold?

    python random_problems.py                     # 50 problems
    python random_problems.py --count 1000 --strict
    python random_problems.py --seed 3 --only 17  # one of them again

Coefficient families, contrast to 1e6, images whose size fits the coarse cells or does not, rectangles, quads and
triangles, order 1 and 2, quadrature of all kinds, Dirichlet conditions on any sides, scales from 2 to 64 that may cut
pixels, loads that are smooth, jump or sit in a point, recovered or given. The coarse solution is NGSolve's, and the
truth is the Q1 solution on the fine mesh of the very problem, with exact stiffness (hostile/pde.py). Checked is that

    claim     an accepted field has a true relative energy error of at most 3 x its estimate + 1e-3
    foreign   nothing but this package's own exceptions comes out
    worse     the field is no worse than the coarse solution in energy, where its load is known

--strict ends with exit code 1 if one does not hold. Every violation is printed with what makes it again.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import ngsolve as ngs
import numpy as np
from hostile.loads import box
from hostile.pde import Pde, quads
from hostile.pixels import row_order
from hostile.registry import RIGHT, estimate_of
from netgen.geom2d import SplineGeometry
from ngsolve import IfPos, cos, sin, x, y
from rich.console import Console
from rich.table import Table

from ngs_nhcsr import NhcsrError, SolverFailure, correct, solve_fine
from ngs_nhcsr.media.families import families

#: Slack for round-off when two fields are compared.
EQUAL = 1e-6
SIDES = ("bottom", "right", "top", "left")


@dataclass
class Drawn:
    """A problem with what is passed; ``label`` says in words what it is."""

    pde: Pde
    mesh: ngs.Mesh
    order: int
    bonus: int
    a: Any
    scale: float
    options: dict[str, Any]
    given: str
    label: str


@dataclass
class Trial:
    """What came out: a status or the name of an exception, errors, and what was violated."""

    number: int
    label: str
    said: str
    estimate: float | None = None
    error: float | None = None
    coarse_error: float | None = None
    seconds: float = 0.0
    violations: tuple[str, ...] = ()


def draw_load(rng: np.random.Generator, size: tuple[float, float]) -> tuple[str, Any, tuple]:
    """Draw the name of a load, its function, and its point sources."""
    lx, ly = size
    t = rng.uniform(0.1, 0.9, 4)
    kind = str(rng.choice(["constant", "smooth", "sign-changing", "box", "step", "wave", "point", "none"]))
    f = {
        "constant": 1.0,
        "smooth": 1.2 + sin(3 * t[0] * x / lx + t[1]) * cos(4 * t[2] * y / ly),
        "sign-changing": sin(6 * t[0] * x / lx - 3) + y / ly - 0.5,
        "box": box(t[0] * lx / 2, (t[0] / 2 + 0.3) * lx, t[1] * ly / 2, (t[1] / 2 + 0.3) * ly),
        "step": IfPos(x - t[0] * lx, 2.0, 0.5),
        "wave": 1 + sin(float(rng.uniform(20, 300)) * x / lx),
    }.get(kind, 0.0)
    points = ((float(t[2] * lx), float(t[3] * ly), 1.0),) if kind == "point" else ()
    return kind, f, points


def draw_mesh(rng: np.random.Generator, nx: int, ny: int, size: tuple[float, float]) -> tuple[str, ngs.Mesh]:
    """Draw quads, or triangles of about the same size."""
    if rng.random() < 0.65:
        return "quads", quads(nx, ny, size)
    geometry = SplineGeometry()
    geometry.AddRectangle((0, 0), size, bcs=SIDES)
    return "triangles", ngs.Mesh(geometry.GenerateMesh(maxh=size[0] / nx))


def draw(seed: int, number: int, largest: int) -> Drawn:
    """Draw a problem.

    Parameters
    ----------
    seed : decides everything random, together with
    number : of the problem.
    largest : most fine cells a side.

    Returns
    -------
    Drawn
    """
    rng = np.random.default_rng([seed, number])
    nx = int(rng.integers(6, 33))
    ny = nx if rng.random() < 0.6 else int(rng.integers(6, 33))
    size = (1.0, ny / nx) if rng.random() < 0.6 else (float(rng.uniform(0.5, 3.0)), float(rng.uniform(0.5, 3.0)))
    aligned = [v for v in (2, 4, 8, 16, 32, 64, 12, 20) if v * max(nx, ny) <= largest]
    other = [v for v in (3, 5, 6, 7, 10, 33) if v * max(nx, ny) <= largest]
    scale = float(rng.choice(aligned if rng.random() < 0.7 or not other else other))
    fits = rng.random() < 0.6
    shape = (4 * ny, 4 * nx) if fits else (int(rng.integers(10, 200)), int(rng.integers(10, 200)))
    family, contrast = str(rng.choice(families.names())), float(10 ** rng.uniform(0.3, 6))
    pixels = np.asarray(families[family](shape, rng, contrast), dtype=float) * 10.0 ** rng.integers(-2, 3)
    kind, f, points = draw_load(rng, size)
    count = int(rng.choice([4, 4, 4, 3, 2, 1]))
    dirichlet = [str(v) for v in rng.permutation(SIDES)[:count]]
    # Linear on every side, so that the coarse solution has the same boundary values.
    g = x + 2 * y - x * y if kind == "none" or rng.random() < 0.2 else 0.0
    parameters = inspect.signature(correct).parameters
    reaction = float(10 ** rng.uniform(-1, 4)) if "reaction" in parameters and rng.random() < 0.25 else 0.0
    # NGSolve's order for loads that oscillate or jump inside fine cells; others are exact with less.
    bonus = 20 if kind in ("box", "step", "wave") else 6
    pde = Pde(
        pixels=pixels, f=f, g=g, reaction=reaction, points=points, dirichlet="|".join(dirichlet), size=size, bonus=bonus
    )
    mesh_name, mesh = draw_mesh(rng, nx, ny, size)
    options: dict[str, Any] = {"reaction": reaction} if reaction else {}
    given = "recovered"
    if rng.random() < 0.5:
        given = "given"
        options["f"] = f
        if points and "points" in parameters:
            options["points"] = list(points)
        elif points:  # there is no way to give them
            given = "recovered"
            del options["f"]
    array = rng.random() < 0.5
    order, quadrature = (2 if rng.random() < 0.15 else 1), int(rng.choice([0, 0, 0, 1, 2, 5]))
    label = (
        f"{family} 1:{pixels.max() / pixels.min():.3g} of {shape[1]} x {shape[0]} {'array' if array else 'voxels'}, "
        f"{nx} x {ny} {mesh_name} of order {order} and bonus {quadrature}, scale {scale:g}, {kind} load {given}, "
        f"Dirichlet {'|'.join(dirichlet)}" + (f", reaction {reaction:.2g}" if reaction else "")
    )
    return Drawn(pde, mesh, order, quadrature, pixels if array else pde.a, scale, options, given, label)


def coarse_error(drawn: Drawn, u: ngs.GridFunction, fine: ngs.GridFunction) -> float:
    """Relative energy error of the coarse solution, interpolated at the nodes of the fine grid."""
    order, (ny, nx) = row_order(fine.space.mesh)
    lx, ly = drawn.pde.size
    inside = 1 - 1e-12  # points on the boundary are found on either side of it
    px, py = np.meshgrid(np.linspace(0, lx, nx + 1) * inside, np.linspace(0, ly, ny + 1) * inside)
    v = ngs.GridFunction(fine.space)
    v.vec.FV().NumPy()[order] = np.asarray(u(u.space.mesh(px.ravel(), py.ravel()))).ravel()
    return drawn.pde.error(v)


def run(seed: int, number: int, largest: int, check: bool) -> Trial:
    """Correct one problem and measure it; ``check`` compares the truth with this package's multigrid too."""
    drawn = draw(seed, number, largest)
    trial = Trial(number, drawn.label, "")
    u, _, _ = drawn.pde.coarse(drawn.mesh, order=drawn.order, bonus=drawn.bonus)
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            r = correct(u, drawn.a, drawn.scale, full=True, on_untrusted="return", **drawn.options)
            trial.seconds = time.perf_counter() - start
            # Where the mesh asked for cuts pixels, the result is a field of one that cuts none.
            fine = r.u_fine if r.aligned is None else drawn.pde.field(r.aligned)
    except NhcsrError as error:
        trial.said = type(error).__name__
        trial.label += f": {' '.join(str(error).split())[:150]}"
        return trial
    except Exception as error:
        trial.said, trial.violations = type(error).__name__, (f"foreign: {' '.join(str(error).split())[:200]}",)
        return trial
    trial.said, trial.estimate, trial.error = r.status.name, estimate_of(r), drawn.pde.error(fine)
    trial.coarse_error = coarse_error(drawn, u, fine)
    found = []
    if r.status.trusted and not trial.error <= 3 * (trial.estimate or 0.0) + RIGHT:
        found.append("claim")
    if r.status.name != "UNVERIFIED" and not trial.error <= trial.coarse_error * (1 + EQUAL) + EQUAL:
        found.append("worse")
    if check and not _truth_agrees(drawn, fine):
        found.append("truth: NGSolve and multigrid differ")
    trial.violations = tuple(found)
    return trial


def _truth_agrees(drawn: Drawn, fine: ngs.GridFunction) -> bool:
    """Compare NGSolve's fine solution with multigrid's, which assembles nothing of it but the load vector."""
    pde = drawn.pde
    if pde.reaction:
        return True
    load = pde.load(fine.space, max(pde.bonus, 12))
    try:
        return pde.error(solve_fine(pde.pixels, fine.space, load, pde.g, tolerance=1e-9)) < 1e-5
    except SolverFailure:  # says so, and claims nothing
        return True


def summary(trials: list[Trial]) -> Table:
    """Make a table by status."""
    table = Table(
        "said", "problems", "error: median", "largest", "estimate / error: 5 %", "median", "95 %", "violations"
    )
    for said, count in Counter(t.said for t in trials).most_common():
        group = [t for t in trials if t.said == said]
        errors = [t.error for t in group if t.error is not None]
        ratios = [t.estimate / t.error for t in group if t.error and t.estimate is not None]
        cells = [f"{np.median(errors):.1e}", f"{max(errors):.1e}"] if errors else ["–"] * 2
        cells += [f"{q:.2g}" for q in np.quantile(ratios, [0.05, 0.5, 0.95])] if ratios else ["–"] * 3
        table.add_row(said, str(count), *cells, str(sum(bool(t.violations) for t in group)))
    return table


def main(options: argparse.Namespace) -> int:
    """Run the problems that were asked for."""
    numbers = range(options.count) if options.only is None else options.only
    trials = []
    for number in numbers:
        trial = run(options.seed, number, options.largest, check=number % 10 == 0 or options.only is not None)
        trials.append(trial)
        if trial.violations or options.only is not None:
            error, coarse, estimate = (
                "–" if v is None else f"{v:.2e}" for v in (trial.error, trial.coarse_error, trial.estimate)
            )
            what = ", ".join(trial.violations) or "holds"
            print(f"--seed {options.seed} --only {number}: {what}; {trial.said}, error {error}, coarse {coarse}, "
                  f"estimate {estimate}; {trial.label}", flush=True)  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 120).print(summary(trials))
    broken = sum(bool(t.violations) for t in trials)
    print(f"{len(trials)} problems, {broken} with violations; {np.mean([t.seconds for t in trials]):.2f} s each")
    return int(bool(broken) and options.strict)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50, help="number of problems")
    parser.add_argument("--seed", type=int, default=0, help="decides everything random")
    parser.add_argument("--only", type=int, action="append", help="only the problem of this number; may be repeated")
    parser.add_argument("--largest", type=int, default=256, help="most fine cells a side")
    parser.add_argument("--strict", action="store_true", help="exit code 1 if something does not hold")
    sys.exit(main(parser.parse_args()))
