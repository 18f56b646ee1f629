"""Can a bad field slip through? Random problems far outside the training distribution, each against its fine solution.

    python examples/guard_stress.py --count 1000 --largest 512

Contrasts up to 1e6, white noise, checkerboards and stripes laid against the mesh, threads one cell wide, point sources
and noisy loads, rectangles, mixed boundaries and boundary values, 7 to 100 coarse cells a side. A third of the problems
keeps to what the model's card allows, so that its own flag is tested and not only the contract's. Problems are made as
arrays and go through `Corrector.correct_problem`, which is all of `correct` but the reading from NGSolve and the
writing back: building a thousand pairs of meshes would take most of the time.

As it stands twelve small problems, ten seconds. Ends with exit code 1 if a guarded field is worse than the coarse
solution, or not finite.
"""

# %% What one problem gives.
import argparse
import sys
from dataclasses import dataclass

import numpy as np

from ngs_nhcsr import Corrector, Problem, SolverFailure, Status
from ngs_nhcsr.media.families import families
from ngs_nhcsr.media.loads import LOADS, load
from ngs_nhcsr.refine import Refiner
from ngs_nhcsr.solvers.direct import DirichletSystem
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.q1 import stiffness
from ngs_nhcsr.solvers.target import FineQ1
from ngs_nhcsr.solvers.transfer import prolongate

FIRST_SEED = 5_000_000_000
#: A field below this relative energy error that is flagged by its estimate is a false alarm.
LARGE_ERROR, SMALL_ERROR = 0.08, 0.04
#: Fields with a smaller error count as exact.
EXACT = 1e-4


@dataclass(frozen=True)
class Trial:
    """What one problem gave; errors are relative energy errors against the fine solution."""

    seed: int
    label: str
    inside: bool
    status: Status
    finite: bool
    error: float
    coarse_error: float
    estimate: float

    @property
    def violated(self) -> bool:
        """Whether the field is worse than the coarse solution, or not finite."""
        return not (self.finite and self.error <= self.coarse_error * (1 + 1e-6) + 1e-7)


# %% Media and loads of every kind, and problems of them.
def medium(kind, shape, contrast, per, rng):
    """Coefficient cells in [1, contrast] of a random or an adversarial kind."""
    y, x = np.indices(shape)
    if kind == "white noise":
        return contrast ** rng.random(shape)
    if kind == "spikes":
        return np.where(rng.random(shape) < 0.02, contrast, 1.0)
    if kind == "chessboard":  # squares of one cell, of half a coarse cell, or of a whole one
        side = int(rng.choice([1, max(1, per // 2), per]))
        return np.where((y // side + x // side) % 2 == 0, contrast, 1.0)
    if kind == "mesh stripes":  # conducting along, or insulating across, every coarse grid line
        line = (x if rng.random() < 0.5 else y) % per == int(rng.integers(per))
        return np.where(line ^ bool(rng.random() < 0.5), contrast, 1.0)
    if kind == "thread":
        path = np.clip(np.cumsum(rng.integers(-1, 2, shape[0])) + shape[1] // 2, 0, shape[1] - 1)
        return np.where(np.abs(x - path[:, None]) < 1, contrast, 1.0)
    return families[kind](shape, rng, contrast)


def source(kind, nodes, rng):
    """Nodal values of a load."""
    f = np.zeros(nodes)
    if kind in ("point", "dipole"):
        for sign in (1.0, -1.0)[: 1 + (kind == "dipole")]:
            # On even nodes, which a fine mesh of scale 2 has too.
            f[tuple(2 * int(rng.integers(2, n // 2 - 1)) for n in nodes)] = sign
        return f
    if kind == "noise":
        return rng.standard_normal(nodes)
    if kind == "alternating":
        return np.where(np.indices(nodes).sum(0) % 2, 1.0, -1.0) + 0.1
    return load(kind, nodes, rng)


MEDIA = ("white noise", "spikes", "chessboard", "mesh stripes", "thread", *families.names())
SOURCES = ("point", "dipole", "noise", "alternating", *LOADS)


def draw(seed, largest, contract):
    """A problem, its scale, its name, and whether it was drawn to lie inside the contract."""
    rng = np.random.default_rng(FIRST_SEED + seed)
    inside = rng.random() < 1 / 3
    ny = round(7 * (100 / 7) ** rng.random())
    ny = min(max(ny, contract.coarse[0]) if inside else ny, largest // 2)
    nx = ny if rng.random() < 0.7 else min(largest // 2, max(8, int(ny * rng.uniform(0.5, 2))))
    scales = (2, 4, 8, 16, 32) if inside else (2, 3, 4, 5, 6, 8, 12, 16, 32)
    scale = int(rng.choice([s for s in scales if s * max(ny, nx) <= largest]))
    per = 4 if inside or rng.random() < 0.5 else int(rng.choice([1, 2, 3, 8]))
    kind, about = MEDIA[int(rng.integers(len(MEDIA)))], SOURCES[int(rng.integers(len(SOURCES)))]
    contrast = float(2 * 100 ** rng.random() if inside else 10 ** rng.uniform(0.3, 6))
    A = medium(kind, (per * ny, per * nx), contrast, per, rng) * 10.0 ** (0 if inside else rng.integers(-6, 7))
    size = (ny / nx, 1.0) if inside or rng.random() < 0.7 else tuple(rng.uniform(0.2, 5.0, 2).tolist())
    boundary = "zero" if inside else str(rng.choice(["zero", "zero", "zero", "values", "mixed"]))
    y, x = np.linspace(0, 1, ny + 1)[:, None], np.linspace(0, 1, nx + 1)[None, :]
    g = np.sin(3 * x) + x * y - y if boundary == "values" else 0.0
    natural = ("bottom", "top") if boundary == "mixed" else ()
    f = source(about, (4 * ny + 1, 4 * nx + 1), rng) * 10.0 ** (0 if inside else rng.integers(-3, 4))
    problem = Problem.from_arrays(A, coarse=(ny, nx), f=f, g=g, size=size, natural=natural)
    name = f"{kind} 1:{A.max() / A.min():.3g}, {about}, {ny} x {nx} * {scale}, {per} cells per coarse, {boundary}"
    return problem, scale, name


# %% Each is corrected and compared with its fine solution.
def fine_solution(problem, fine):
    """u_h for the boundary values of the problem: multigrid, or a factorisation where that does not converge."""
    try:
        return FineQ1(fine.cells[0] / problem.space.cells[0]).solve(problem, fine)
    except SolverFailure:
        K = stiffness(problem.A, fine.cells, fine.size)
        b, boundary = problem.load.vector(fine.cells), prolongate(problem.U, fine.cells)
        return DirichletSystem(K, fine.free).solve(b, boundary)


def run(corrector, seed, largest):
    """Correct one problem and measure it; ``None`` if its solution is zero."""
    problem, scale, name = draw(seed, largest, corrector.model.card.contract)
    A, fine = problem.A, FineQ1(scale).mesh(problem.medium, problem.space)
    out = corrector.correct_problem(problem, fine.cells[0] / problem.space.cells[0], refine=0)
    u = fine_solution(problem, fine)
    norm = energy_norm(u, A, fine.size)
    if norm == 0:
        return None
    error, coarse = (energy_norm(v - u, A, fine.size) / norm for v in (out.values, prolongate(problem.U, fine.cells)))
    estimate = out.estimate
    if estimate is None:
        estimate = Refiner(problem.medium, fine).error(out.values, problem.load.vector(fine.cells))
    inside = not any("outside of what" in note for note in out.notes)
    finite = bool(np.isfinite(out.values).all())
    return Trial(seed, name, inside, out.status, finite, error, coarse, estimate)


def share(part, whole):
    """Two counts as text."""
    return f"{part} of {whole} ({part / whole:.1%})" if whole else "none"


def summary(trials):
    """Lines of the report."""
    broken = [t for t in trials if not t.finite]
    worse = [t for t in trials if t.violated and t.finite]
    lines = [f"{len(trials)} problems; worse than the coarse solution: {len(worse)}; not finite: {len(broken)}"]
    for name, group in (
        ("outside the contract", [t for t in trials if not t.inside]),
        ("inside the contract", [t for t in trials if t.inside]),
    ):
        large = [t for t in group if t.error > LARGE_ERROR]
        small = [t for t in group if t.error < SMALL_ERROR]
        flagged = sum(not t.status.trusted for t in large)
        alarms = sum(t.status is Status.INACCURATE for t in small)
        counts = {s.name: sum(t.status is s for t in group) for s in Status}
        lines.append(f"{name}: {len(group)}; " + ", ".join(f"{k} {v}" for k, v in counts.items() if v))
        lines.append(f"  energy error above {LARGE_ERROR:.0%} and flagged: {share(flagged, len(large))}")
        lines.append(f"  below {SMALL_ERROR:.0%} and called inaccurate: {share(alarms, len(small))}")
        # Scales up to 4 give u_h itself, up to the accuracy of the reference: there is no error to estimate.
        ratios = [t.estimate / t.error for t in group if t.error > EXACT]
        if ratios:
            q = np.quantile(ratios, [0, 0.01, 0.5, 0.99, 1])
            lines.append("  estimate / error: least, 1 %, median, 99 %, greatest " + " ".join(f"{v:.2f}" for v in q))
        lines += [f"  MISSED {t.error:.3f}, estimate {t.estimate:.3f}: {t.label}" for t in large if t.status.trusted]
    lines += [f"WORSE {t.error:.6f} > {t.coarse_error:.6f}: seed {t.seed}, {t.label}" for t in worse + broken]
    return lines


# %% All of them.
def main(count: int = 12, first: int = 0, largest: int = 96) -> list[Trial]:
    """Correct problems of seeds from ``first`` on with at most ``largest`` fine cells a side, and print a summary."""
    corrector, trials = Corrector(device="cpu"), []
    for seed in range(first, first + count):
        # Every tenth problem may be as large as allowed, the others a quarter of that in area or less.
        trial = run(corrector, seed, largest if seed % 10 == 0 else max(32, largest // 2))
        if trial is not None:
            trials.append(trial)
    print("\n".join(summary(trials)))
    return trials


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=12, help="number of problems")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--largest", type=int, default=96, help="most fine cells a side")
    sys.exit(int(any(trial.violated for trial in main(**vars(parser.parse_args())))))
