"""Random problems as users might have them, each with its own fine solution: does what is said hold?

    python examples/random_problems.py                     # 20 problems, half a minute
    python examples/random_problems.py --count 1000 --strict
    python examples/random_problems.py --seed 3 --only 17  # one of them again

Coefficient families, contrast to 1e6, images whose size fits the coarse cells or does not, rectangles, quads and
triangles, order 1 and 2, quadrature of all kinds, Dirichlet conditions on any sides, scales from 2 to 64 that may cut
pixels, loads that are smooth, jump or sit in a point, fluxes through natural sides; the load is recovered, or given by
form=, f=, points= and flux=, or a LinearForm (hostile/draw.py). The coarse solution is NGSolve's, and the truth is the
Q1 solution of the very problem, with exact stiffness (hostile/pde.py), on the mesh that the result names: the fine one,
or the nearest one that cuts no pixels. Checked is that

    claim     an accepted field has a true relative energy error of at most 3 x its estimate + 1e-3; where a recovered
              load has fewer than two coarse cells a wave, and so the moments of a longer one, with what the result
              tells of waves that u_coarse does not show (budget.unseen): such problems have a row of their own
    foreign   nothing but this package's own exceptions comes out
    worse     the field is no worse than the coarse solution in energy, but for these, and for recovered loads that sit
              in a point, where the field is not accepted

--strict ends with exit code 1 if one does not hold. Every violation is printed with what makes it again.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass

import ngsolve as ngs
import numpy as np
from hostile.draw import Drawn, draw
from hostile.pixels import row_order
from hostile.registry import RIGHT, estimate_of
from rich.console import Console
from rich.table import Table

from ngs_nhcsr import NhcsrError, SolverFailure, correct, solve_fine

# %% One problem, corrected and measured.
#: Slack for round-off when two fields are compared.
EQUAL = 1e-6
#: Row of problems whose load was recovered and cannot be seen on the coarse mesh.
INVISIBLE = "recovered load invisible on the coarse mesh"


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
    u, options = drawn.solve()
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            r = correct(u, drawn.a, drawn.scale, full=True, on_untrusted="return", **options)
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
    if not drawn.visible:
        trial.said = f"{trial.said}, {INVISIBLE}"
        trial.estimate = None if trial.estimate is None else trial.estimate + r.budget.unseen
    if r.status.trusted and not trial.error <= 3 * (trial.estimate or 0.0) + RIGHT:
        found.append("claim")
    compared = drawn.visible and r.status.name != "UNVERIFIED" and (drawn.told or r.status.trusted)
    if compared and not trial.error <= trial.coarse_error * (1 + EQUAL) + EQUAL:
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
    load = pde.exact_load(fine.space)
    try:
        return pde.error(solve_fine(pde.pixels, fine.space, load, pde.g, tolerance=1e-9)) < 1e-5
    except SolverFailure:  # says so, and claims nothing
        return True


# %% Many of them.
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
    parser.add_argument("--count", type=int, default=20, help="number of problems")
    parser.add_argument("--seed", type=int, default=0, help="decides everything random")
    parser.add_argument("--only", type=int, action="append", help="only the problem of this number; may be repeated")
    parser.add_argument("--largest", type=int, default=256, help="most fine cells a side")
    parser.add_argument("--strict", action="store_true", help="exit code 1 if something does not hold")
    sys.exit(main(parser.parse_args()))
