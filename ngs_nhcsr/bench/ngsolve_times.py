"""NGSolve's own fine solves, part by part."""

from __future__ import annotations

from collections.abc import Iterator

from ..ngsolve_io.fine_times import NGSOLVE_SOLVERS, FineProblem, geometric_multigrid
from .fine import medium
from .timing import Timing, clocked

SECTION = "NGSolve on the fine mesh"


def measure(sizes: list[tuple[int, int]], contrasts: list[float], repeats: int) -> Iterator[Timing]:
    """Measure mesh, assembly and solvers of NGSolve on fine meshes of quads.

    Parameters
    ----------
    sizes : (cells a side, pixels a side).
    contrasts : of the media.
    repeats : calls a median is of.

    Yields
    ------
    Timing
    """
    for n, m in sizes:
        for contrast in contrasts:
            A, case = medium(m, contrast), f"{n}², {m}² pixels, 1:{contrast:g}"
            mesh = clocked(lambda n=n: FineProblem.mesh_of(n), repeats, warm=False)
            yield mesh.timing(SECTION, "mesh", case)
            problem = FineProblem(mesh.result, A)
            yield clocked(problem.assemble, repeats).timing(SECTION, "assembly", case)
            for name in NGSOLVE_SOLVERS:
                solve = clocked(lambda name=name, problem=problem: problem.solve(name), repeats)
                yield solve.timing(SECTION, name, case, steps=solve.result)
            whole = clocked(lambda n=n, A=A: geometric_multigrid(n, A), repeats)
            yield whole.timing(SECTION, "multigrid, mesh and assembly on all levels", case, steps=whole.result)
