"""Fine solvers against each other: this package's multigrid, NGSolve's, PyAMG, SuperLU."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np

from ..solvers.direct import DirichletSystem
from ..solvers.hierarchy import hierarchy
from ..solvers.load import Load
from ..solvers.q1 import stiffness
from ..solvers.space import Space
from .timing import Timing, clocked

SECTION = "fine solvers"
TOLERANCE = 1e-8
#: Unknowns up to which others are measured; they take minutes and gigabytes beyond.
OTHERS_UP_TO = 300_000
#: Bytes a conjugate gradient step moves per fine node, if every field is streamed from memory once per pass.
BYTES_PER_NODE = 92 * 4 / 3


def medium(pixels: int, contrast: float, seed: int = 1) -> np.ndarray:
    """Draw iid cells with the values 1 and ``contrast``: (pixels, pixels)."""
    return np.where(np.random.default_rng(seed).random((pixels, pixels)) < 0.5, 1.0, contrast)


def measure(sizes: list[tuple[int, int]], contrasts: list[float], repeats: int, others: bool) -> Iterator[Timing]:
    """Measure fine solves of −div(a∇u) = 1.

    Parameters
    ----------
    sizes : (cells a side, pixels a side).
    contrasts : of the media.
    repeats : calls a median is of.
    others : measure other libraries, too, where the problem is not too large for them.

    Yields
    ------
    Timing
    """
    for n, m in sizes:
        for contrast in contrasts:
            A, space = medium(m, contrast), Space((n, n))
            b = Load.of(1.0, space.cells, space.size).vector(space.cells)
            case = f"{n}², {m}² pixels, 1:{contrast:g}"
            yield from _own(A, space, b, case, repeats)
            if others and b.size <= OTHERS_UP_TO:
                yield from _superlu(A, space, b, case, repeats)
                if find_spec("pyamg"):
                    yield from _pyamg(A, space, b, case, repeats)


def _own(A: np.ndarray, space: Space, b: np.ndarray, case: str, repeats: int) -> Iterator[Timing]:
    mg = hierarchy(A, space)
    solve = clocked(lambda: mg.solve(b, tolerance=TOLERANCE), repeats)
    steps, seconds = solve.result[1].iterations, float(np.median(solve.times))
    traffic = BYTES_PER_NODE * b.size * (steps + 1) / seconds / 1e9
    yield clocked(lambda: hierarchy(A, space), repeats).timing(SECTION, "multigrid, set-up", case)
    yield solve.timing(SECTION, "multigrid, another load", case, steps=steps)
    whole = clocked(lambda: hierarchy(A, space).solve(b, tolerance=TOLERANCE), repeats)
    rate = b.size / float(np.median(whole.times))
    yield whole.timing(SECTION, "multigrid", case, steps=steps, unknowns_per_second=rate, gigabytes_per_second=traffic)


def _superlu(A: np.ndarray, space: Space, b: np.ndarray, case: str, repeats: int) -> Iterator[Timing]:
    def run() -> np.ndarray:
        return DirichletSystem(stiffness(A, space.cells, space.size), space.free).solve(b)

    yield clocked(run, repeats, warm=False).timing(SECTION, "SuperLU (assembly, factorisation, solve)", case)


def _pyamg(A: np.ndarray, space: Space, b: np.ndarray, case: str, repeats: int) -> Iterator[Timing]:
    import pyamg  # type: ignore[import-not-found]

    free = space.free.ravel()
    K = stiffness(A, space.cells, space.size)[free][:, free].tocsr()
    right = b.ravel()[free]
    for name, make in (
        ("PyAMG, Ruge-Stüben + CG", pyamg.ruge_stuben_solver),
        ("PyAMG, smoothed aggregation + CG", pyamg.smoothed_aggregation_solver),
    ):
        residuals: list[float] = []

        def run(make=make, residuals=residuals) -> None:
            residuals.clear()
            make(K).solve(right, tol=TOLERANCE, accel="cg", residuals=residuals)

        yield clocked(run, repeats).timing(SECTION, f"{name} (without assembly)", case, steps=len(residuals) - 1)
