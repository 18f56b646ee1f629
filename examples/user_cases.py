"""Inputs that are easily read wrong: what ``correct`` says of them beside the true energy error.

The truth is NGSolve's own solution on the fine mesh, of the problem that the coarse solution was made for.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ngsolve as ngs
import numpy as np
from netgen.geom2d import unit_square
from ngsolve import (
    CF,
    H1,
    BilinearForm,
    GridFunction,
    IfPos,
    Integrate,
    LinearForm,
    VoxelCoefficient,
    dx,
    grad,
    sin,
    x,
    y,
)
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import Correction, correct
from ngs_nhcsr.ngsolve_io.meshes import structured_mesh
from ngs_nhcsr.solvers.space import Space


@dataclass
class Case:
    """A coarse problem, the coefficient that is passed, and what else is passed (given its form)."""

    name: str
    a: Any = None
    f: Any = 1.0
    passed: Any = None
    reaction: float = 0.0
    flow: float = 0.0
    g: Any = 0.0
    dirichlet: str = ".*"
    mesh: Callable[[int], ngs.Mesh] = lambda n: MakeStructured2DMesh(quads=True, nx=n, ny=n)
    options: Callable[[BilinearForm], dict] = lambda form: {}
    bonus: int = 0


def voxels(kappa: np.ndarray, linear: bool = False) -> VoxelCoefficient:
    """An image with row 0 at the bottom as coefficient on the unit square."""
    return VoxelCoefficient((0, 0), (1, 1), kappa, linear=linear)


def solve(case: Case, mesh: ngs.Mesh, bonus: int) -> tuple[GridFunction, BilinearForm]:
    """The case's own Galerkin solution of order 1 on a mesh."""
    space = H1(mesh, order=1, dirichlet=case.dirichlet)
    u, v = space.TnT()
    form = BilinearForm(space)
    form += (case.a * grad(u) * grad(v) + CF(case.reaction) * u * v) * dx(bonus_intorder=bonus)
    form += CF(case.flow) * grad(u)[0] * v * dx
    load = LinearForm(space)
    load += CF(case.f) * v * dx(bonus_intorder=max(bonus, 6))
    form.Assemble()
    load.Assemble()
    solution = GridFunction(space)
    solution.Set(CF(case.g), definedon=mesh.Boundaries(case.dirichlet))
    load.vec.data -= form.mat * solution.vec
    solution.vec.data += form.mat.Inverse(space.FreeDofs()) * load.vec
    return solution, form


def cases(seed: int, pixels: int) -> list[Case]:
    """The cases; ``seed`` decides the medium of ``pixels`` a side."""
    rng = np.random.default_rng(seed)
    kappa = np.where(rng.random((pixels, pixels)) < 0.5, 1.0, 10.0)
    image = np.where(rng.random((75 * pixels // 32, 113 * pixels // 32)) < 0.5, 1.0, 10.0)
    a = voxels(kappa)
    box = IfPos(x - 0.31, IfPos(0.62 - x, IfPos(y - 0.31, IfPos(0.62 - y, 1.0, 0.0), 0.0), 0.0), 0.0)
    halves = lambda n: two_materials(n)  # noqa: E731
    triangles = lambda n: ngs.Mesh(unit_square.GenerateMesh(maxh=1 / n))  # noqa: E731
    return [
        Case("plain", a),
        Case("plain, f= given", a, options=lambda form: {"f": 1.0}),
        Case("two materials", a, mesh=halves),
        Case("f = 0, u = x on all sides", a, 0.0, g=x),
        Case("f = 0, u = x on left and right", a, 0.0, g=x, dirichlet="left|right"),
        Case("reaction 100, form= given", a, reaction=100.0, options=lambda form: {"form": form}),
        Case("reaction 100, f= given", a, reaction=100.0, options=lambda form: {"f": 1.0}),
        Case("reaction 100, nothing given", a, reaction=100.0),
        Case("reaction 1, nothing given", a, reaction=1.0),
        Case("convection (10, 0), form= given", a, flow=10.0, options=lambda form: {"form": form}),
        Case("convection (10, 0), f= given", a, flow=10.0, options=lambda form: {"f": 1.0}),
        Case("convection (10, 0), nothing given", a, flow=10.0),
        Case("image upside down, f= given", a, passed=kappa[::-1].copy(), options=lambda form: {"f": 1.0}),
        Case("image upside down, form= given", a, passed=kappa[::-1].copy(), options=lambda form: {"form": form}),
        Case("twice the coefficient, f= given", a, passed=2 * kappa, options=lambda form: {"f": 1.0}),
        Case("f = 2 passed for 1", a, options=lambda form: {"f": 2.0}),
        Case("box load, f= given", a, box, options=lambda form: {"f": box}),
        Case("box load, recovered", a, box),
        Case("1 + sin 20x, recovered", a, 1 + sin(20 * x)),
        Case("image of 2.3 x 3.5 pixels a cell", voxels(image)),
        Case("triangles", a, mesh=triangles),
        Case("linear=True", voxels(kappa, linear=True)),
        Case("f = LinearForm", a, options=lambda form: {"f": LinearForm(form.space.TestFunction() * dx).Assemble()}),
    ]


def two_materials(n: int) -> ngs.Mesh:
    """The n x n quads of the unit square, named left and right of x = ½."""
    owner = np.tile(np.arange(n) >= n // 2, n).astype(int)
    return structured_mesh(Space((n, n)), ("left", "right"), owner)


def named(result: Correction) -> GridFunction:
    """The field on the mesh whose solution the result says it is: one that cuts no pixels."""
    if result.aligned is None:
        return result.u_fine
    ny, nx = (n - 1 for n in result.aligned.shape)
    field = GridFunction(H1(structured_mesh(Space((ny, nx))), order=1))
    field.vec.FV().NumPy()[:] = result.aligned.ravel()
    return field


def energy_error(case: Case, field: GridFunction) -> float:
    """Relative energy error of a field on the fine mesh against the case's own solution there."""
    truth, _ = solve(case, field.space.mesh, 4)
    a = CF(case.a)

    def norm(v: Any) -> float:
        return Integrate(a * v * v, field.space.mesh, order=4) ** 0.5

    return norm(grad(field) - grad(truth)) / norm(grad(truth))


def main(seed: int, only: str, n: int, scale: int) -> None:
    """Print one line per case."""
    print(f"{'case':34} {'status':16} {'estimate':>9} {'error':>9}  first words of the message")
    for case in cases(seed, 4 * n):
        if only not in case.name:
            continue
        u, form = solve(case, case.mesh(n), case.bonus)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                passed = case.a if case.passed is None else case.passed
                r = correct(u, passed, scale, full=True, on_untrusted="return", **case.options(form))
            known = r.estimate is not None and r.budget is not None and np.isfinite(r.budget.total)
            estimate = f"{r.budget.total:9.1e}" if known else "        -"
            row = (r.status.name, estimate, f"{energy_error(case, named(r)):9.1e}", " ".join(r.notes))
        except Exception as error:  # what a user would see
            row = (type(error).__name__, "        -", "        -", " ".join(str(error).split()))
        print(f"{case.name:34} {row[0]:16} {row[1]} {row[2]}  {row[3][:60]}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7_000_000_000, help="of the medium")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--n", type=int, default=16, help="coarse cells a side; four pixels each")
    parser.add_argument("--scale", type=int, default=8, help="fine cells per coarse cell")
    arguments = parser.parse_args()
    main(arguments.seed, arguments.only, arguments.n, arguments.scale)
