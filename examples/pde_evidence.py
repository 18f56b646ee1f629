"""Evidence for the PDE's own solution: guaranteed bounds against finer spaces, and media whose answer is known exactly.

As it stands a quick look, ten seconds. The figures of docs/pde.md were made with (some ten minutes of one core)

    python examples/pde_evidence.py --full --save docs/pde/evidence
"""

# %% What a check finds.
from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.norms import energy_distance, functional
from ngs_nhcsr.solvers.q1 import mass_apply
from ngs_nhcsr.solvers.threads import suited_threads
from ngs_nhcsr.solvers.trace import TraceField, effective_conductivity, solve_pde

SIDES = ("bottom", "right", "top", "left")
#: Functions per edge and algebraic tolerance of what stands for the truth.
TRUTH = {"modes": 12, "tolerance": 1e-8}


@dataclass(frozen=True)
class Finding:
    """One line of the table: what was checked, what was asked for, what was measured, and whether that suffices."""

    check: str
    asked: str
    measured: str
    holds: bool


def main(full: bool = False, seed: int = 13, save: Path | None = None) -> list[Finding]:
    """Run all checks and print a table; ``save`` is the stem of files to write it to."""
    findings = []
    for finding in checks(full, seed):
        print(line(finding), flush=True)
        findings.append(finding)
    if save is not None:
        table = ["| check | asked for | measured | holds |", "|---|---|---|---|", *map(line, findings)]
        save.with_suffix(".md").write_text("\n".join(table) + "\n", encoding="utf-8")
        content = json.dumps([asdict(f) for f in findings], indent=1, ensure_ascii=False)
        save.with_suffix(".json").write_text(content + "\n", encoding="utf-8")
    return findings


def line(f: Finding) -> str:
    """One row of a Markdown table."""
    return f"| {f.check} | {f.asked} | {f.measured} | {'yes' if f.holds else '**no**'} |"


def checks(full: bool, seed: int) -> Iterator[Finding]:
    """All checks, the quick ones first."""
    yield from checkerboards((10.0, 1e2, 1e3, 1e4, 1e5, 1e6) if full else (10.0, 1e4))
    yield from four_phases(10 if full else 2, seed)
    yield from self_dual((4, 8, 16) if full else (4,), seed)
    yield from duality((10.0, 1e3, 1e6) if full else (10.0,), 32 if full else 8, seed)
    yield from relative_bounds(128 if full else 16, seed, strict=full)
    yield from interpolants(128 if full else 16, seed)
    yield from guarantee(200 if full else 3, 64 if full else 16, seed)


# %% media whose effective conductivity is known


def checkerboards(contrasts: tuple[float, ...]) -> Iterator[Finding]:
    """√(ab) on 16² pixels with half cells at the boundary, two opposite sides sealed (Keller 1964)."""
    half = (np.arange(16) + 1) // 2
    for modes, asked, top in ((6, 1e-5, 1e4), (8, 1e-7, 1e6)):
        for contrast in contrasts:
            A = np.where(np.add.outer(half, half) % 2, contrast, 1.0)
            sigma = effective_conductivity(A, boundary="sealed", modes=modes, tolerance=1e-10)
            low, high, mean = (v[0, 0] / math.sqrt(contrast) - 1 for v in (sigma.lower, sigma.upper, sigma.tensor))
            largest = max(abs(low), abs(high))
            wanted = f"≤ {asked:.0e}, enclosed" if contrast <= top else "enclosed"
            yield Finding(
                f"checkerboard 1:{contrast:.0e}, {modes} functions per edge, σ = √(ab)",
                wanted,
                f"lower {low:.1e}, upper {high:+.1e}, mean {mean:+.1e}",
                bool(low <= 1e-9 and high >= -1e-9 and (largest <= asked or contrast > top)),
            )


def four_phases(count: int, seed: int) -> Iterator[Finding]:
    """Periodic 2 x 2 cell of four values (Craster and Obnosov 2001; Milton 2001).

    The mean of the bounds is exact here by symmetry, whatever the space, so the bounds alone are the evidence.
    """
    for modes, asked in ((8, 1e-6), (10, math.inf)):
        rng, worst = np.random.default_rng(seed), np.zeros(3)
        for _ in range(count):
            s1, s2, s3, s4 = values = 100.0 ** rng.random(4)
            product = sum(values.prod() / v for v in values) / values.sum()  # of the two conductivities
            ratio = (s1 + s4) * (s2 + s3) / ((s1 + s2) * (s3 + s4))
            exact = np.sqrt([product * ratio, product / ratio])
            sigma = effective_conductivity(np.array([[s4, s3], [s1, s2]]), modes=modes, tolerance=1e-10)
            found = np.array([v.diagonal() for v in (sigma.lower, sigma.upper, sigma.tensor)])
            worst = np.maximum(worst, np.abs(found / exact - 1).max(1))
        for what, off in (("`tensor`", worst[2]), ("each bound alone", worst[:2].max())):
            yield Finding(
                f"periodic cell of four values up to 1:100, {count} quadruples, {modes} functions per edge, {what}",
                f"≤ {asked:.0e}" if math.isfinite(asked) else "–",
                f"{off:.1e}",
                bool(off <= asked),
            )


def self_dual(sizes: tuple[int, ...], seed: int) -> Iterator[Finding]:
    """Find det σ = ab where exchanging the phases is a rotation by a right angle and a shift, random otherwise."""
    for n in sizes:
        pattern = self_dual_pattern(n, np.random.default_rng(seed))
        sigma = effective_conductivity(np.where(pattern, 100.0, 1.0), modes=8, tolerance=1e-10)
        low, high = (np.linalg.det(v) / 100 - 1 for v in (sigma.lower, sigma.upper))
        yield Finding(
            f"self-dual random pattern, {n}² pixels, 1:100, eight functions per edge, det σ = ab",
            "≤ 1e-6",
            f"lower {low:.1e}, upper {high:+.1e}",
            bool(low <= 1e-9 and high >= -1e-9 and max(-low, high) <= 1e-6),
        )


def self_dual_pattern(n: int, rng: np.random.Generator) -> np.ndarray:
    """Periodic pattern (n, n), n even, with P(i, j) = 1 − P(j, i + n/2): one random bit for every orbit of four."""
    P, seen = np.zeros((n, n), bool), np.zeros((n, n), bool)
    for start in np.ndindex(n, n):
        at, bit = start, bool(rng.random() < 0.5)
        while not seen[at]:
            P[at], seen[at] = bit, True
            at, bit = (at[1], (at[0] + n // 2) % n), not bit
    return P


def duality(contrasts: tuple[float, ...], n: int, seed: int) -> Iterator[Finding]:
    """s_x(a) s_y(1/a) = 1 between sealed sides, each factor by its primal problem alone."""
    for contrast in contrasts:
        A = np.where(np.random.default_rng(seed).random((n, n)) < 0.5, 1.0, contrast)
        s, t = (effective_conductivity(v, boundary="sealed", modes=8, tolerance=1e-10) for v in (A, contrast / A))
        off = s.upper[0, 0] * t.upper[1, 1] / contrast - 1
        yield Finding(
            f"duality s_x(a)·s_y(1/a) = 1, random {n}², 1:{contrast:.0e}, eight functions per edge, primal energies",
            "≤ 1e-6",
            f"{off:+.1e}",
            bool(-1e-9 <= off <= 1e-6),
        )


# %% guaranteed bounds


def error(u: TraceField, truth: TraceField) -> float:
    """Energy error against a field of a richer space with the same boundary values: a lower bound of the error."""
    return math.sqrt(max(0.0, 2 * (u.functional - truth.functional)))


def relative_bounds(n: int, seed: int, *, strict: bool) -> Iterator[Finding]:
    """Guaranteed relative bounds as they come by default, and their index, on random media with f = 1."""
    limits = {10.0: 2e-3, 100.0: 3e-3, 1000.0: 3.5e-3}
    for contrast, limit in limits.items():
        A = np.where(np.random.default_rng(seed).random((n, n)) < 0.5, 1.0, contrast)
        truth = solve_pde(A, **TRUTH)
        for modes, asked in ((6, limit), (8, 6e-4)):
            for tolerance in (None, 1e-5):
                u = solve_pde(A, modes=modes, tolerance=tolerance)
                index = u.error_bound / error(u, truth)
                told = "by default" if tolerance is None else f"{tolerance:.0e}"
                wanted = f"≤ {100 * asked:g} %" + ", index ≤ 1.6" * (modes == 6) if strict else "–"
                yield Finding(
                    f"guaranteed bound, random {n}², 1:{contrast:g}, {modes} functions, tolerance {told}",
                    wanted,
                    f"{100 * u.relative_error_bound:.3f} %, index {index:.2f}",
                    bool(not strict or (u.relative_error_bound <= asked and (modes == 8 or index <= 1.6))),
                )
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid((np.arange(n) + 0.5) / n, (np.arange(n) + 0.5) / n)
    media = {
        "log-uniform 1:100": 100.0 ** rng.random((n, n)),
        "three phases 1, 10, 100": rng.choice([1.0, 10.0, 100.0], (n, n)),
        "smooth wave 1:19": 10 + 9 * np.sin(12 * np.pi * (x + 0.3 * y)) * np.sin(10 * np.pi * y),
    }
    for name, A in media.items():
        u = solve_pde(A)
        yield Finding(
            f"guaranteed bound, {name}, {n}², as it comes",
            "≤ 0.5 %" if strict else "–",
            f"{100 * u.relative_error_bound:.3f} %",
            bool(not strict or u.relative_error_bound <= 5e-3),
        )


def interpolants(n: int, seed: int) -> Iterator[Finding]:
    """Energy errors against the PDE of two Q1 functions on 4 x 4 cells per pixel: u_h, and the interpolant of u."""
    for contrast in (10.0, 100.0, 1000.0):
        A = np.where(np.random.default_rng(seed).random((n, n)) < 0.5, 1.0, contrast)
        u, b = solve_pde(A), mass_apply(np.ones((4 * n + 1, 4 * n + 1)))
        with suited_threads():
            fields = fine_solve(A, 4 * n), u.nodes(4 * n)
        best, interpolant = (energy_distance(functional(v, A, b), u.functional, u.energy) for v in fields)
        yield Finding(
            f"energy error of Q1 functions, 4 cells per pixel and axis, random {n}², 1:{contrast:g}",
            "u_h is the best",
            f"u_h {100 * best:.0f} %, interpolant of u {100 * interpolant:.0f} %",
            bool(best <= interpolant),
        )


def guarantee(count: int, largest: int, seed: int) -> Iterator[Finding]:
    """The bound of six and eight functions is never below the error against twelve, on random problems of all kinds."""
    rng = np.random.default_rng(seed)
    indices: dict[int, list[float]] = {6: [], 8: []}
    for _ in range(count):
        A, given = random_problem(rng, largest)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            truth = solve_pde(A, **given, **TRUTH)
            for modes, found in indices.items():
                u = solve_pde(A, modes=modes, **given)
                index = u.error_bound / max(error(u, truth), 1e-300)
                found.append(index)
    for modes, found in indices.items():
        low, middle, high = np.quantile(found, [0.0, 0.5, 0.9])
        yield Finding(
            f"bound ≥ error against twelve functions, {count} random problems, {modes} functions",
            "always",
            f"{sum(i < 1 for i in found)} failures; index: least {low:.2f}, median {middle:.2f}, 90 % {high:.2f}",
            bool(min(found) >= 1),
        )


def random_problem(rng: np.random.Generator, largest: int) -> tuple[np.ndarray, dict]:
    """A medium and arguments of ``solve_pde``: everything the guarantee speaks of, at random.

    Contrasts are quarter decades from 1.8 to 1e4; boundary data linear on every edge, so that all spaces contain them.
    """
    my, mx = rng.integers(min(16, largest // 2), largest + 1, 2)
    contrast = 10 ** (rng.integers(1, 17) / 4)
    kind = rng.integers(3)
    if kind == 0:
        A = np.where(rng.random((my, mx)) < rng.uniform(0.2, 0.8), 1.0, contrast)
    elif kind == 1:
        A = contrast ** rng.random((my, mx))
    else:
        A = rng.choice([1.0, math.sqrt(contrast), contrast], (my, mx))
    given: dict = {"f": float(rng.normal()), "size": (float(rng.choice([0.5, 1.0])), 1.0)}
    if rng.random() < 0.5:
        given["f"] = polynomial(rng)
    if rng.random() < 0.4:
        given["natural"] = list(rng.permutation(SIDES)[: rng.integers(1, 4)])
    if rng.random() < 0.4:
        y, x = np.linspace(0, given["size"][0], my + 1)[:, None], np.linspace(0, 1, mx + 1)[None, :]
        given["g"] = polynomial(rng)(x, y) * 0.1
    return A, given


def polynomial(rng: np.random.Generator):
    """A random quadratic polynomial of (x, y)."""
    c = rng.normal(size=6)
    return lambda x, y: c[0] + c[1] * x + c[2] * y + c[3] * x * y + c[4] * x * x + c[5] * y * y


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all sizes and 200 random problems")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--save", type=Path, help="stem of the .md and .json to write")
    main(**vars(parser.parse_args()))
