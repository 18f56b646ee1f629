"""The problems behind the golden results: the public interface on about twenty problems, and the classical solvers.

``python tests/golden/make.py`` writes what they give now to ``golden.npz``; do that only when a number is meant to
change, in a commit that names it and says why.

A case returns arrays and numbers by name. The end of a name says how near they must be: ``~`` fields through a
network in float32 (1e-8 of the largest value), ``≈`` estimates and errors (1e-3), ``=`` texts and counts, else 1e-10.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ngsolve import IfPos, VoxelCoefficient, exp, sin, x, y
from safetensors.torch import load_file

from ngs_nhcsr import compare, correct
from ngs_nhcsr.ngsolve_io.meshes import structured_mesh
from ngs_nhcsr.solvers import LOD, EquilibratedFlux, MsFEM, Multigrid, fine_solve
from ngs_nhcsr.solvers.space import Space

#: Values a side that are kept of a field.
KEPT = 16

Results = dict[str, Any]
cases: dict[str, Callable[[], Results]] = {}


def kept(v: np.ndarray) -> np.ndarray:
    """About KEPT x KEPT values of a field, spread evenly."""
    steps = (max(1, (n - 1) // KEPT) for n in v.shape)
    rows, columns = (slice(None, None, s) for s in steps)
    return np.array(v[rows, columns], dtype=float)


def medium(shape: tuple[int, int], contrast: float, name: str) -> np.ndarray:
    """Random cells of two values, of their own for every case."""
    rng = np.random.default_rng([5_000_000_000, zlib.crc32(name.encode())])
    return np.where(rng.random(shape) < 0.5, 1.0, contrast)


# --- corrections


def _coarse(kappa: np.ndarray, mesh: Any, size: tuple[float, float], f: Any, g: Any, dirichlet: str, order: int) -> Any:
    from ngsolve import H1, BilinearForm, CoefficientFunction, GridFunction, LinearForm, dx, grad

    a = VoxelCoefficient((0, 0), (size[1], size[0]), kappa, linear=False)
    space = H1(mesh, order=order, dirichlet=dirichlet)
    u, v = space.TnT()
    form, load, solution = BilinearForm(a * grad(u) * grad(v) * dx).Assemble(), LinearForm(space), GridFunction(space)
    load += CoefficientFunction(f) * v * dx(bonus_intorder=6)
    load.Assemble()
    solution.Set(CoefficientFunction(g), definedon=mesh.Boundaries(dirichlet))
    load.vec.data -= form.mat * solution.vec
    solution.vec.data += form.mat.Inverse(space.FreeDofs(), "sparsecholesky") * load.vec
    return solution, a


def correction(
    name: str,
    *,
    cells: tuple[int, int] = (16, 16),
    scale: float = 8,
    contrast: float = 10.0,
    size: tuple[float, float] = (1.0, 1.0),
    f: Any = 1.0,
    g: Any = 0.0,
    dirichlet: str = ".*",
    order: int = 1,
    mesh: Callable[[], Any] | None = None,
    as_array: bool = False,
    passes_f: bool = False,
    **options: Any,
) -> None:
    """Register a case of ``correct`` under a name."""

    def run() -> Results:
        from ngsolve.meshes import MakeStructured2DMesh

        kappa = medium((4 * cells[0], 4 * cells[1]), contrast, name)
        own = mesh or (
            lambda: MakeStructured2DMesh(
                quads=True, nx=cells[1], ny=cells[0], mapping=lambda s, t: (size[1] * s, size[0] * t)
            )
        )
        u, a = _coarse(kappa, own(), size, f, g, dirichlet, order)
        given = {"f": f} if passes_f else {}
        r = correct(u, kappa if as_array else a, scale, full=True, on_untrusted="return", **given, **options)
        out: Results = {"values~": kept(r.values), "status=": r.status.name, "cells=": str(r.values.shape)}
        if r.energy is not None:
            out |= {"energies~": np.array([r.energy, r.coarse_energy]), "damping~": r.damping}
            out["estimate≈"] = r.error_estimate
        out["boundary="] = str(sorted(set(r.u_fine.space.mesh.GetBoundaries())))
        return out

    cases[f"correct, {name}"] = run


def _triangles() -> Any:
    from netgen.geom2d import unit_square
    from ngsolve import Mesh

    return Mesh(unit_square.GenerateMesh(maxh=0.08))


def _two_materials() -> Any:
    return structured_mesh(Space((16, 16)), ("left", "right"), np.tile(np.arange(16) >= 8, 16).astype(int))


BOX = IfPos(x - 0.3, IfPos(0.6 - x, IfPos(y - 0.3, IfPos(0.6 - y, 1.0, 0.0), 0.0), 0.0), 0.0)

for _contrast in (2.0, 10.0, 100.0, 1000.0):
    correction(f"contrast {_contrast:g}", contrast=_contrast)
for _scale, _cells in ((2, 16), (4, 16), (16, 16), (32, 8), (64, 8), (6, 8), (2.5, 16)):
    correction(f"scale {_scale}", scale=_scale, cells=(_cells, _cells))
correction("rectangle", cells=(8, 20), size=(0.5, 1.25))
correction("boundary data", g=x * x - y + sin(3 * x))
correction("left and right", dirichlet="left|right")
correction("pressure drop", f=0.0, g=x)
correction("triangles", mesh=_triangles, as_array=True)
correction("order 2", order=2)
correction("two materials", mesh=_two_materials)
correction("narrow load, given", f=exp(-50 * ((x - 0.3) ** 2 + (y - 0.6) ** 2)), passes_f=True)
correction("narrow load, recovered", f=exp(-50 * ((x - 0.3) ** 2 + (y - 0.6) ** 2)))
correction("box load, given", f=BOX, passes_f=True)
correction("refined", contrast=1000.0, refine=2)
correction("symmetrised", symmetrize=True, cells=(8, 8))


# --- classical solvers, float64


def case(name: str) -> Callable[[Callable[[], Results]], Callable[[], Results]]:
    """Register a function as a case."""

    def register(run: Callable[[], Results]) -> Callable[[], Results]:
        cases[name] = run
        return run

    return register


def _load(x: Any, y: Any) -> Any:
    return 1 + np.sin(3 * x) * y


@case("LOD")
def _lod() -> Results:
    A, out = medium((24, 32), 20.0, "LOD"), {}
    variants = {
        "galerkin": {},
        "petrov-galerkin": {"variant": "petrov-galerkin"},
        "load": {"rhs_correctors": True},
        "weighted": {"interpolation": "weighted", "rhs_correctors": True},
    }
    for name, options in variants.items():
        lod = LOD(A, (6, 8), (48, 64), layers=2, size=(0.75, 1.0), **options)
        out[name] = kept(lod.solve(_load, lambda x, y: x - y * y))
    return out


@case("MsFEM")
def _msfem() -> Results:
    A, out = medium((24, 32), 20.0, "MsFEM"), {}
    for name, options in {
        "linear": {"oversampling": 0.0},
        "oversampled": {"oversampling": 0.5},
        "petrov-galerkin": {"oversampling": 0.5, "variant": "petrov-galerkin"},
        "averaged": {"oversampling": 0.5, "variant": "averaged"},
    }.items():
        solver = MsFEM(A, (6, 8), (48, 64), size=(0.75, 1.0), **options)
        out[name] = kept(solver.solve(_load, lambda x, y: x - y * y))
    return out


@case("fine solves")
def _fine() -> Results:
    A = medium((16, 24), 100.0, "fine")
    direct = fine_solve(A, (64, 96), _load, size=(2 / 3, 1.0))
    b = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 65, 97)))
    free = torch.ones(65, 97, dtype=torch.bool)
    free[0] = free[-1] = False
    u, info = Multigrid(torch.from_numpy(A)[None], (64, 96), (2 / 3, 1.0), free).solve(b, tolerance=1e-13)
    return {"direct": kept(direct), "multigrid~": kept(u[0].numpy()), "steps=": str(info.converged)}


@case("flux bounds")
def _flux() -> Results:
    A = medium((16, 16), 10.0, "flux")
    f = np.add.outer(np.linspace(0, 1, 65), np.linspace(1, 2, 65) ** 2)
    u = fine_solve(A, 64, f)
    flux = EquilibratedFlux(A, (64, 64), f)
    return {"bound~": flux.bound(u), "relative~": flux.relative_bound(u), "indicator≈": kept(flux.indicator(u))}


@case("compare")
def _compare() -> Results:
    from ngsolve.meshes import MakeStructured2DMesh

    kappa = medium((32, 32), 10.0, "compare")
    u, a = _coarse(kappa, MakeStructured2DMesh(quads=True, nx=8, ny=8), (1.0, 1.0), 1.0, 0.0, ".*", 1)
    found = compare(u, a, 8, f=1)
    rows = {r.name: (r.l2_error, r.energy_error) for r in found.rows}
    exact = {"direct", "multigrid"}  # their errors are round-off and tolerances
    errors = {f"{name}≈": np.array(e) for name, e in rows.items() if name not in exact}
    return errors | {"rows=": " ".join(sorted(rows))}


@case("a training step")
def _training() -> Results:
    from ngs_nhcsr.training.config import configs
    from ngs_nhcsr.training.loop import train

    config = configs["mini"]()
    small = {"encoder_options": {"widths": (4, 6), "depth": 1}, "decoder_options": {"rank": 2, "width": 4}}
    data = (replace(config.data[0], recipe=replace(config.data[0].recipe, coarse=4), count=8),)
    config = replace(config, architecture=replace(config.architecture, **small), data=data, batch=1)
    with tempfile.TemporaryDirectory() as folder:
        weights = load_file(train(config, Path(folder) / "run", Path(folder) / "data", steps=2, cases=()))
    norms = {k: float(v.double().norm()) for k, v in sorted(weights.items()) if v.is_floating_point()}
    return {"norms≈": np.array(list(norms.values())), "names=": " ".join(norms)}
