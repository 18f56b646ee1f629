"""Training problems: a coefficient, several loads, their coarse solutions, and u_h on a ladder of meshes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InvalidProblem
from ..media.families import families, test_only
from ..media.loads import load
from ..solvers.backend import compiled
from ..solvers.hierarchy import Solved, hierarchy
from ..solvers.load import Load
from ..solvers.multigrid import Multigrid, SolveInfo
from ..solvers.space import Space
from ..solvers.transfer import prolongate_by_two, restrict_by_two

#: Load vectors of training problems are kept on a grid with this many cells per coarse cell.
LOAD_CELLS = 4


@dataclass(frozen=True)
class Recipe:
    """Distribution of training problems on the unit square, with u = 0 on its boundary.

    With probability ``plain_share`` the medium of a problem is the paper's (family "iid", contrast drawn from
    ``plain_contrasts``), else one of ``families`` drawn by its weight, with a contrast drawn log-uniformly from
    ``contrast``; then one load is drawn for each entry of ``loads``. The fields are part of the names of stored
    problems: a changed recipe makes new ones.

    Attributes
    ----------
    families : pairs (family of ``media.families``, weight); the weights need not sum to 1.
    contrast : (lowest, highest) contrast of the families.
    plain_share : probability of the paper's medium, 0 … 1.
    plain_contrasts : contrasts that it is drawn with, all equally likely; repeat one to have it more often.
    loads : one entry per load that every coefficient is solved for: the kinds of ``media.loads`` it is drawn from. One
        encoding of the coefficient serves all its loads, so more of them cost little and show every cell under several
        gradients.
    coarse : coarse cells a side, N.
    cells_per_coarse : coefficient cells per coarse cell and axis, H/ε.
    scales : fine cells per coarse cell and axis for which targets u_h are made; each twice the one before.
    tolerance : relative energy error at which multigrid stops for the targets.

    Raises
    ------
    InvalidProblem
        If a family is for tests only, see ``media.families.test_only``.
    """

    families: tuple[tuple[str, float], ...] = (
        ("iid", 0.25),
        ("iid-fraction", 0.15),
        ("multivalued", 0.1),
        ("blocks", 0.1),
        ("lognormal", 0.05),
        ("soil", 0.15),
        ("inclusions", 0.1),
        ("channels", 0.05),
        ("periodic", 0.05),
    )
    contrast: tuple[float, float] = (2.0, 200.0)
    plain_share: float = 0.45
    plain_contrasts: tuple[float, ...] = (10.0, 10.0, 100.0)
    loads: tuple[tuple[str, ...], ...] = (
        ("constant",),
        ("smooth", "sign-changing"),
        ("localised",),
        ("localised", "sign-changing"),
    )
    coarse: int = 32
    cells_per_coarse: int = 4
    scales: tuple[int, ...] = (2, 4, 8, 16)
    tolerance: float = 5e-4

    def __post_init__(self) -> None:
        regular = [name for name, _ in self.families if test_only(name)]
        if regular:
            raise InvalidProblem(f"{', '.join(regular)}: regular patterns are for tests, no model is trained on them.")


def draw(recipe: Recipe, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one problem.

    Parameters
    ----------
    recipe : its distribution.
    seed : decides everything.

    Returns
    -------
    A : (m, m) coefficient cells.
    f : (K, n+1, n+1) nodal values of its loads on the finest mesh.
    """
    rng = np.random.default_rng(seed)
    m = recipe.coarse * recipe.cells_per_coarse
    n = recipe.coarse * recipe.scales[-1]
    if rng.random() < recipe.plain_share:
        name, contrast = "iid", recipe.plain_contrasts[int(rng.integers(len(recipe.plain_contrasts)))]
    else:
        names, weights = zip(*recipe.families, strict=True)
        p = np.asarray(weights) / np.sum(weights)
        name = names[int(rng.choice(len(names), p=p))]
        lo, hi = recipe.contrast
        contrast = lo * (hi / lo) ** rng.random()
    A = families[name]((m, m), rng, contrast)
    drawn = [kinds[int(rng.integers(len(kinds)))] for kinds in recipe.loads]
    return A, np.stack([load(kind, (n + 1, n + 1), rng) for kind in drawn])


@dataclass
class Problems:
    """A batch of B coefficients with K loads each; U and F in float64, A and targets in float32 or float64.

    Attributes
    ----------
    A : (B, m, m) coefficient cells.
    U : (B, K, N+1, N+1) coarse Galerkin solutions.
    F : (B, K, L+1, L+1) load vectors on the grid with ``LOAD_CELLS`` cells per coarse cell, or on the finest mesh if
        that has less.
    targets : (B, K, n+1, n+1) nodal values of u_h by scale.
    """

    A: Tensor
    U: Tensor
    F: Tensor
    targets: dict[int, Tensor]

    def __len__(self) -> int:
        return len(self.A)


def solve_ladder(A: Tensor, f: Tensor, coarse: int, scales: tuple[int, ...], tolerance: float) -> Problems:
    """Solve on the coarse mesh and on the mesh of every scale.

    The coefficient is integrated exactly on every mesh and loads are restricted, so all problems are nested.

    Parameters
    ----------
    A : (B, m, m) coefficient cells, float64.
    f : (B, K, n+1, n+1) nodal values of the loads on the finest mesh.
    coarse : coarse cells a side.
    scales : fine cells per coarse cell, each twice the one before.
    tolerance : relative energy error at which multigrid stops for the targets; coarse solutions are exact to 1e-10.

    Returns
    -------
    Problems

    Raises
    ------
    SolverFailure
        If multigrid does not converge.
    """
    loads = [Load(f).vector((f.shape[-2] - 1, f.shape[-1] - 1))]
    while loads[-1].shape[-1] - 1 > coarse:
        loads.append(restrict_by_two(loads[-1]))
    solutions: dict[int, Tensor] = {}
    x: Tensor | None = None
    for b in reversed(loads):  # coarse to fine: every solution starts the next solve
        cells = b.shape[-1] - 1
        x = _solve_all(A, b, x, 1e-10 if cells == coarse else tolerance)
        solutions[cells // coarse] = x
        x = prolongate_by_two(x)
    kept = next(b for b in loads if b.shape[-1] - 1 == min(LOAD_CELLS, scales[-1]) * coarse)
    return Problems(A, solutions[1], kept, {s: solutions[s] for s in scales})


def _solve_all(A: Tensor, b: Tensor, x: Tensor | None, tolerance: float) -> Tensor:
    """Solve for load vectors b (B, K, n+1, n+1) from a start: medium by medium on CPUs, in batches on other devices."""
    n = b.shape[-1] - 1
    if A.device.type == "cpu" and compiled():
        solvers = [hierarchy(a, Space((n, n))) for a in A.numpy()]
        loads, starts = b.numpy(), None if x is None else x.numpy()
        solved = [
            [mg.solve(v, None if starts is None else starts[i, k], tolerance=tolerance) for k, v in enumerate(loads[i])]
            for i, mg in enumerate(solvers)
        ]
        infos: list[Solved | SolveInfo] = [info for of in solved for _, info in of]
        fields = torch.from_numpy(np.array([[u for u, _ in of] for of in solved]))
    else:
        mg = Multigrid(A, (n, n))
        batch = [mg.solve(b[:, k], None if x is None else x[:, k], tolerance=tolerance) for k in range(b.shape[1])]
        infos = [info for _, info in batch]
        fields = torch.stack([u for u, _ in batch], 1)
    for info in infos:
        info.check(tolerance, "draw media of a lower contrast")
    return fields


def make_problems(recipe: Recipe, seeds: range, device: str | torch.device = "cpu") -> Problems:
    """Draw and solve problems.

    Parameters
    ----------
    recipe : their distribution.
    seeds : one for each.
    device : where they are solved, and lie.

    Returns
    -------
    Problems in float64.
    """
    pairs = [draw(recipe, s) for s in seeds]
    A = torch.from_numpy(np.stack([a for a, _ in pairs])).to(device)
    f = torch.from_numpy(np.stack([f for _, f in pairs])).to(device)
    return solve_ladder(A, f, recipe.coarse, recipe.scales, recipe.tolerance)


def in_single(p: Problems) -> Problems:
    """Round coefficients and targets to float32, as on disk; U and F stay in float64."""
    return Problems(p.A.float(), p.U, p.F, {s: t.float() for s, t in p.targets.items()})


def joined(parts: list[Problems]) -> Problems:
    """Join batches of the same recipe to one."""
    targets = {s: torch.cat([p.targets[s] for p in parts]) for s in parts[0].targets}
    A, U, F = (torch.cat([getattr(p, k) for p in parts]) for k in ("A", "U", "F"))
    return Problems(A, U, F, targets)
