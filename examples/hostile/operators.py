"""Operators with more than a∇u·∇v, and inputs that belong to another problem than the one that was solved."""

from __future__ import annotations

import inspect
import time
import warnings
from typing import Any

import numpy as np
from ngsolve import CF, H1, GridFunction, sin, x

from ngs_nhcsr import correct

from .pde import Pde, nodal, quads, voxels
from .pixels import row_order
from .registry import Inputs, Row, Setting, case, estimate_of, judge, refusal


@case("reaction 100 u v")
def reaction(s: Setting) -> Inputs:
    """Make a reaction term that dominates."""
    pde = Pde(pixels=s.pixels(), reaction=100.0)
    u, form, _ = pde.coarse(quads(s.n))
    variants = {"form= given": {"form": form}, "f= given": {"f": 1.0}, "nothing given": {}}
    variants["reaction= and f= given"] = {"f": 1.0, "reaction": 100.0}
    return Inputs(u, pde.a, pde, {**variants, "reaction= given": {"reaction": 100.0}}, s.scale)


@case("reaction 50 (1 + sin 5x)", "more")
def varying_reaction(s: Setting) -> Inputs:
    """Make a reaction term that varies."""
    c = 50 * (1 + sin(5 * x))
    pde = Pde(pixels=s.pixels(), reaction=c, bonus=4)
    u, _, _ = pde.coarse(quads(s.n))
    return Inputs(u, pde.a, pde, {"nothing given": {}, "reaction= given": {"f": 1.0, "reaction": CF(c)}}, s.scale)


@case("convection (10, 0)")
def convection(s: Setting) -> Inputs:
    """Make a flow to the right."""
    pde = Pde(pixels=s.pixels(), flow=10.0)
    u, form, _ = pde.coarse(quads(s.n))
    return Inputs(u, pde.a, pde, {"form= given": {"form": form}, "f= given": {"f": 1.0}, "nothing given": {}}, s.scale)


@case("image upside down")
def upside_down(s: Setting) -> Inputs:
    """Pass the image with its first row at the top."""
    pde = Pde(pixels=s.pixels())
    u, form, _ = pde.coarse(quads(s.n))
    variants = {"f= given": {"f": 1.0}, "form= given": {"form": form}, "nothing given": {}}
    return Inputs(u, np.flipud(pde.pixels).copy(), pde, variants, s.scale)


@case("2 a instead of a")
def twice(s: Setting) -> Inputs:
    """Pass twice the coefficient: without a load given, that is the same problem with twice the load."""
    pde = Pde(pixels=s.pixels())
    u, form, _ = pde.coarse(quads(s.n))
    variants = {"f= given": {"f": 1.0}, "form= given": {"form": form}, "nothing given": {}}
    return Inputs(u, 2 * pde.pixels, pde, variants, s.scale)


@case("f = 2 instead of 1")
def other_load(s: Setting) -> Inputs:
    """Pass a load that was not solved for."""
    pde = Pde(pixels=s.pixels())
    u, _, _ = pde.coarse(quads(s.n))
    return Inputs(u, pde.a, pde, {"f=2 given": {"f": 2.0}}, s.scale)


class _Trajectory:
    """The fine trajectory from zero with f = 1 by NGSolve: nodal values of every step, and their energy distance."""

    def __init__(self, s: Setting, tau: float, steps: int):
        n = int(s.n * s.scale)
        self.pixels, self.tau, self.nodes = s.pixels(), tau, (n + 1, n + 1)
        mesh = quads(n)
        self._order, self.states = row_order(mesh)[0], []
        old = GridFunction(Pde(pixels=self.pixels).space(mesh))
        for _ in range(steps):
            values, self._energy = self.step(old).fine(mesh)
            old.vec.FV().NumPy()[:] = values
            self.states.append(values[self._order].reshape(self.nodes))

    def step(self, old: Any) -> Pde:
        """The elliptic problem of a step from a state."""
        return Pde(pixels=self.pixels, reaction=1 / self.tau, f=1 + old / self.tau)

    def distance(self, v: np.ndarray, u: np.ndarray) -> float:
        """Relative energy distance of nodal values."""
        e, w = np.empty(v.size), np.empty(v.size)
        e[self._order], w[self._order] = (v - u).ravel(), u.ravel()
        return float((e @ (self._energy @ e) / (w @ (self._energy @ w))) ** 0.5)


@case("implicit Euler, tau = 0.01")
def euler(s: Setting) -> list[Row]:
    """Correct three time steps; with ``reaction=`` every step starts from the corrected one before it."""
    fine, mesh = _Trajectory(s, 0.01, 3), quads(s.n)
    rows, old = [], GridFunction(H1(mesh, order=1))
    for k, state in enumerate(fine.states):  # states of the coarse mesh, each corrected as if it were stationary
        u, _, _ = fine.step(old).coarse(mesh)
        rows.append(_step(f"step {k + 1}, nothing given", fine, state, u, s, {})[0])
        old = u
    old, values = CF(0.0), np.zeros(fine.nodes)
    for k, state in enumerate(fine.states):
        u, _, _ = fine.step(old).coarse(mesh)
        options = {"f": 1 + values / fine.tau, "reaction": 1 / fine.tau}
        row, corrected = _step(f"step {k + 1}, reaction= and f= given", fine, state, u, s, options)
        rows.append(row)
        if corrected is None:
            break
        old, values = corrected, nodal(corrected)
    return rows


def _step(
    name: str, fine: _Trajectory, state: np.ndarray, u: GridFunction, s: Setting, options: dict
) -> tuple[Row, GridFunction | None]:
    """Correct one step: its row, and the corrected field if there is one."""
    row, start = Row("", "", name, ""), time.perf_counter()
    missing = [option for option in options if option not in inspect.signature(correct).parameters]
    if missing:
        row.said, row.words, row.verdict = "–", f"correct() has no {missing[0]}=", "not yet"
        return row, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            r = correct(u, voxels(fine.pixels), s.scale, full=True, on_untrusted="return", **options)
            field = r.u_fine
    except Exception as error:
        row.said, row.words, row.verdict = type(error).__name__, str(error), refusal(error)
        return row, None
    row.seconds = time.perf_counter() - start
    row.said, row.words, row.estimate = r.status.name, " ".join(r.notes), estimate_of(r)
    row.truth = fine.distance(nodal(field), state)
    row.verdict = judge(row, row.words or r.status.value)
    return row, field
