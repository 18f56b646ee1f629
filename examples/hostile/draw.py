"""Problems as users might have them, drawn at random: for random_problems.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import ngsolve as ngs
import numpy as np
from netgen.geom2d import SplineGeometry
from ngsolve import IfPos, cos, sin, x, y

from ngs_nhcsr.media.families import families

from .loads import box
from .pde import Pde, quads

SIDES = ("bottom", "right", "top", "left")
#: Ways to say what the load is, drawn alike from this list.
GIVEN = ("recovered", "recovered", "form", "f", "f", "LinearForm")
#: Coarse cells per wave up to which a coarse mesh does not see a wave: below two its moments are those of a longer one.
VISIBLE = 2.0


@dataclass(frozen=True)
class Loading:
    """A right-hand side.

    Attributes
    ----------
    kind : its name.
    f : the function.
    jumps : its parts that are constant in a box, as for ``Pde``.
    points : (x, y, weight) of point sources.
    flux : by side.
    wavelength : in x; infinite where nothing oscillates.
    """

    kind: str
    f: Any = 0.0
    jumps: tuple = ()
    points: tuple[tuple[float, float, float], ...] = ()
    flux: dict[str, Any] | None = None
    wavelength: float = float("inf")


@dataclass(frozen=True)
class Drawn:
    """A problem with what is passed.

    Attributes
    ----------
    pde : the problem that is meant.
    mesh, order, bonus : of its coarse solution.
    a, scale, options : what ``correct`` gets besides.
    given : how the load is told, one of ``GIVEN``.
    visible : whether the coarse mesh can see the load, or it is given.
    told : False where a load that sits in a point was recovered: it has the moments of a box in one coarse cell.
    label : all of it in words.
    """

    pde: Pde
    mesh: ngs.Mesh
    order: int
    bonus: int
    a: Any
    scale: float
    options: dict[str, Any]
    given: str
    visible: bool
    told: bool
    label: str

    def solve(self) -> tuple[ngs.GridFunction, dict[str, Any]]:
        """Solve the coarse problem.

        Returns
        -------
        The coarse solution, and the options of ``correct``.
        """
        u, form, load = self.pde.coarse(self.mesh, order=self.order, bonus=self.bonus)
        told = {"form": {"form": form}, "LinearForm": {"f": load}}.get(self.given, {})
        return u, {**self.options, **told}


def draw_load(rng: np.random.Generator, size: tuple[float, float]) -> Loading:
    """Draw a load in the domain.

    Parameters
    ----------
    rng : decides it.
    size : (Lx, Ly).

    Returns
    -------
    Loading
    """
    lx, ly = size
    t = rng.uniform(0.1, 0.9, 4)
    frequency = float(rng.uniform(20, 300))
    edges = (t[0] * lx / 2, (t[0] / 2 + 0.3) * lx, t[1] * ly / 2, (t[1] / 2 + 0.3) * ly)
    jumps = {"box": ((1.0, edges),), "step": ((1.5, (t[0] * lx, lx, 0.0, ly)),)}
    loads = {
        "constant": 1.0,
        "smooth": 1.2 + sin(3 * t[0] * x / lx + t[1]) * cos(4 * t[2] * y / ly),
        "sign-changing": sin(6 * t[0] * x / lx - 3) + y / ly - 0.5,
        "box": box(*edges),
        "step": IfPos(x - t[0] * lx, 2.0, 0.5),
        "wave": 1 + sin(frequency * x / lx),
        "point": 0.0,
        "none": 0.0,
    }
    kind = str(rng.choice(list(loads)))
    return Loading(
        kind,
        loads[kind],
        jumps.get(kind, ()),
        points=((float(t[2] * lx), float(t[3] * ly), 1.0),) if kind == "point" else (),
        wavelength=2 * np.pi * lx / frequency if kind == "wave" else float("inf"),
    )


def draw_mesh(rng: np.random.Generator, nx: int, ny: int, size: tuple[float, float]) -> tuple[str, ngs.Mesh]:
    """Draw quads, or triangles of about the same size.

    Parameters
    ----------
    rng : decides it.
    nx : cells in x.
    ny : cells in y.
    size : (Lx, Ly).

    Returns
    -------
    The kind of the cells, and the mesh.
    """
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
    other = [v for v in (3, 5, 6, 7, 10, 33, 2.5, 7.5) if v * max(nx, ny) <= largest and v * nx % 1 == v * ny % 1 == 0]
    scale = float(rng.choice(aligned if rng.random() < 0.7 or not other else other))
    fits = rng.random() < 0.6
    shape = (4 * ny, 4 * nx) if fits else (int(rng.integers(10, 200)), int(rng.integers(10, 200)))
    family, contrast = str(rng.choice(families.names())), float(10 ** rng.uniform(0.3, 6))
    pixels = np.asarray(families[family](shape, rng, contrast), dtype=float) * 10.0 ** rng.integers(-2, 3)
    load = draw_load(rng, size)
    sides = [str(v) for v in rng.permutation(SIDES)]
    dirichlet, natural = np.split(sides, [int(rng.choice([4, 4, 4, 3, 2, 1]))])
    if len(natural) and rng.random() < 0.4:
        load = replace(load, flux={str(natural[0]): 0.3 + x / size[0] * y / size[1]})
    # Linear on every side, so that the coarse solution has the same boundary values.
    g = x + 2 * y - 0.3 * x * y if load.kind == "none" or rng.random() < 0.2 else 0.0
    reaction = float(10 ** rng.uniform(-1, 4)) if rng.random() < 0.25 else 0.0
    bonus = 20 if load.kind == "wave" else 6  # of loads that oscillate inside fine cells; others are exact with less
    pde = Pde(
        pixels=pixels,
        f=load.f,
        jumps=load.jumps,
        g=g,
        reaction=reaction,
        points=load.points,
        flux=load.flux or {},
        dirichlet="|".join(dirichlet),
        size=size,
        bonus=bonus,
    )
    mesh_name, mesh = draw_mesh(rng, nx, ny, size)
    given, array = str(rng.choice(GIVEN)), rng.random() < 0.5
    options: dict[str, Any] = {"reaction": reaction} if reaction else {}
    if given == "f":
        parts = {"f": load.f, "points": list(load.points), "flux": load.flux}
        options |= {name: part for name, part in parts.items() if name == "f" or part}
    order, quadrature = (2 if rng.random() < 0.15 else 1), int(rng.choice([0, 0, 0, 1, 2, 5]))
    recovered = given in ("recovered", "form")
    per_wave = load.wavelength * nx / size[0]
    label = (
        f"{family} 1:{pixels.max() / pixels.min():.3g} of {shape[1]} x {shape[0]} {'array' if array else 'voxels'}, "
        f"{nx} x {ny} {mesh_name} of order {order} and bonus {quadrature}, scale {scale:g}, {load.kind} load"
        + (f" of {per_wave:.1f} cells a wave" if load.kind == "wave" else "")
        + (f" and flux on the {natural[0]}" if load.flux else "")
        + f", {given}, Dirichlet {'|'.join(dirichlet)}"
        + (f", reaction {reaction:.2g}" if reaction else "")
    )
    visible = not recovered or per_wave > VISIBLE
    told = not (recovered and load.points)
    a = pixels if array else pde.a
    return Drawn(pde, mesh, order, quadrature, a, scale, options, given, visible, told, label)
