"""Published benchmarks of neural operators: the network, multigrid and the PDE target on problems by formula.

Errors are relative, against three references: u_h, the Q1 solution on the fine mesh of the suite; u, the PDE's solution
on the pixels; and the benchmark's own labels at the pixels' centres, which are neither.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidProblem
from ..problem import Problem
from ..solvers.hierarchy import hierarchy
from ..solvers.norms import relative_errors
from ..solvers.pde import PDE
from ..solvers.target import FineQ1
from .context import Context
from .medians import median_row, timed
from .outside_suites import SUITES, OutsideSuite
from .reference import energy_error, l2_error, pde_solution

log = logging.getLogger(__name__)

#: Relative energy error at which the timed fine solve stops.
TOLERANCE = 1e-6
#: Fields of a row of which the median over the problems is shown.
MEDIANS = ("l2", "h1", "pde_l2", "pde_energy", "label_l2", "seconds")


@dataclass(frozen=True)
class OutsideRow:
    """One method on one suite, medians over its problems; ``None`` where an error has no meaning.

    Attributes
    ----------
    suite, method : names.
    l2, h1 : errors against u_h, in L2 and in the H1 seminorm.
    pde_l2, pde_energy : errors against u, in L2 at the pixels' vertices and, for constant loads, in the energy norm.
    label_l2 : distance from the labels, root mean square over the pixels' centres, relative to the labels.
    bound : guaranteed relative energy error against u, the largest.
    seconds : wall clock of one problem, everything included that depends on it.
    problems : how many.
    """

    suite: str
    method: str
    l2: float | None = None
    h1: float | None = None
    pde_l2: float | None = None
    pde_energy: float | None = None
    label_l2: float | None = None
    bound: float | None = None
    seconds: float | None = None
    problems: int = 1


def evaluate_outside(
    names: Sequence[str] = tuple(SUITES), *, count: int = 3, first_seed: int = 2_000_000_000, model: Any = None
) -> tuple[OutsideRow, ...]:
    """Measure the suites.

    Parameters
    ----------
    names : of the suites.
    count : problems of each.
    first_seed : of the problems.
    model : of the network, as for ``Corrector``.

    Returns
    -------
    Rows by suite: "network", "fine", "pde", and "labels" where their recipe is public.

    Raises
    ------
    InvalidProblem
        If ``count`` is below 1.
    """
    if count < 1:
        raise InvalidProblem(f"a suite needs at least one problem; count is {count}.")
    rows: list[OutsideRow] = []
    for name in names:
        found = []
        for k in range(count):
            log.info("%s: problem %d of %d", name, k + 1, count)
            found.append(measure_problem(SUITES[name], np.random.default_rng(first_seed + k), model))
        rows += [median_row(same, MEDIANS) for same in zip(*found, strict=True)]
    return tuple(rows)


def measure_problem(suite: OutsideSuite, rng: np.random.Generator, model: Any = None) -> list[OutsideRow]:
    """Measure all methods on one problem.

    Parameters
    ----------
    suite : the benchmark.
    rng : decides the problem.
    model : of the network, as for ``Corrector``.

    Returns
    -------
    Rows as of :func:`evaluate_outside`.
    """
    from ..corrector import Corrector

    A, f = suite.draw(rng)
    problem = Problem.from_arrays(A, coarse=len(A) // 4, f=f)
    fine = problem.space.refined(suite.scale)
    corrector, b = Corrector(model), problem.known_load.vector(fine.cells)
    outcome, network_seconds = timed(lambda: corrector.correct_problem(problem, suite.scale))
    _, fine_seconds = timed(lambda: hierarchy(problem.medium, fine).solve(b, tolerance=TOLERANCE))
    field, pde_seconds = timed(lambda: PDE().solve(problem))
    u_h = FineQ1(suite.scale).solve(problem, fine)
    context = Context.of(problem, suite.scale, model=model)
    context = dataclasses.replace(context, solution=pde_solution(context))
    u = context.solution.nodes(A.shape)  # type: ignore[union-attr]
    labels = None if suite.labels is None else suite.labels(A)

    exact = not isinstance(f, np.ndarray)  # else E(v) − E(u) also sees how the trace space integrates f

    def row(method: str, nodes: np.ndarray, seconds: float | None, energy: float | None = None) -> OutsideRow:
        step = (len(nodes) - 1) // len(A)
        return OutsideRow(
            suite.name,
            method,
            pde_l2=l2_error(nodes[::step, ::step], u, (1.0, 1.0)),
            pde_energy=energy_error(nodes, context, energy) if exact else None,
            label_l2=None if labels is None else _distance(nodes[step // 2 :: step, step // 2 :: step], labels),
            seconds=seconds,
        )

    own = relative_errors(outcome.values, u_h, A)
    rows = [
        dataclasses.replace(row("network", outcome.values, network_seconds), l2=own["L2"], h1=own["H1"]),
        row("fine", u_h, fine_seconds),
        dataclasses.replace(
            row("pde", field.nodes(fine.cells), pde_seconds, PDE().energy(field, problem)),
            bound=field.relative_error_bound,
        ),
    ]
    if labels is not None:
        reference = context.solution.nodes((2 * len(A), 2 * len(A)))[1::2, 1::2]  # type: ignore[union-attr]
        rows.append(OutsideRow(suite.name, "labels", pde_l2=_distance(labels, reference)))
    return rows


def to_json(rows: Sequence[OutsideRow]) -> str:
    """Write rows as JSON text."""
    return json.dumps([dataclasses.asdict(row) for row in rows], indent=1)


def _distance(v: np.ndarray, reference: np.ndarray) -> float:
    return float(np.linalg.norm(v - reference) / np.linalg.norm(reference))
