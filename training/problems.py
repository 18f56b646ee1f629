"""Training problems: a coefficient, its canonical coarse solution, and fine Q1 solutions on a ladder of meshes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..solvers.multigrid import Multigrid
from ..solvers.stencil import apply_mass, interpolate, restrict
from .coefficients import LOADS, families, load


@dataclass(frozen=True)
class Recipe:
    """Distribution of training problems.

    Attributes
    ----------
    families : pairs (family, weight) of ``coefficients.families``.
    contrast : bounds of the log-uniform contrast; families named in ``fixed`` use that contrast instead.
    coarse : coarse cells a side; the raster has four coefficient cells per coarse cell.
    scales : fine cells per coarse cell for which targets are made; each twice the one before.
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
    plain_share: float = 0.4
    coarse: int = 32
    cells_per_coarse: int = 4
    scales: tuple[int, ...] = (2, 4, 8, 16)
    tolerance: float = 5e-4


def draw(recipe: Recipe, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficient (m, m) and nodal load (n+1, n+1) of one problem; the seed decides everything.

    A share ``plain_share`` is the paper's medium, iid {1, 10}; the rest is drawn from the families.
    """
    rng = np.random.default_rng(seed)
    m = recipe.coarse * recipe.cells_per_coarse
    n = recipe.coarse * recipe.scales[-1]
    if rng.random() < recipe.plain_share:
        name, contrast = "iid", 10.0
    else:
        names, weights = zip(*recipe.families, strict=True)
        p = np.asarray(weights) / np.sum(weights)
        name = names[int(rng.choice(len(names), p=p))]
        lo, hi = recipe.contrast
        contrast = lo * (hi / lo) ** rng.random()
    A = families[name]((m, m), rng, contrast)
    kind = LOADS[int(rng.choice(len(LOADS), p=(0.4, 0.3, 0.15, 0.15)))]
    return A, load(kind, (n + 1, n + 1), rng)


@dataclass
class Problems:
    """A batch: coefficients (B, m, m), canonical coarse solutions (B, N+1, N+1), targets by scale (B, n+1, n+1)."""

    A: Tensor
    U: Tensor
    targets: dict[int, Tensor]

    def __len__(self) -> int:
        return len(self.A)


def solve_ladder(A: Tensor, f: Tensor, coarse: int, scales: tuple[int, ...], tolerance: float) -> Problems:
    """Galerkin solutions on every mesh ``coarse * scale`` and on the coarse mesh itself.

    The meshes are the levels of one multigrid hierarchy, so all operators and loads are nested Galerkin products.
    """
    n = coarse * scales[-1]
    mg = Multigrid(A, (n, n))
    b = apply_mass(f)
    targets: dict[int, Tensor] = {}
    loads = [b]
    while loads[-1].shape[-1] - 1 > coarse:
        loads.append(restrict(loads[-1]))
    U = torch.empty(0)
    x: Tensor | None = None
    for depth in range(len(loads) - 1, -1, -1):  # coarse to fine: every solution starts the next solve
        cells = loads[depth].shape[-1] - 1
        exact = depth == len(loads) - 1
        x, info = mg.solve(loads[depth], x, tolerance=1e-10 if exact else tolerance, depth=depth)
        if not info.converged:
            raise ArithmeticError(f"multigrid did not converge at {cells}²: {info}")
        if exact:
            U = x
        if cells // coarse in scales and not exact:
            targets[cells // coarse] = x
        if depth:
            x = interpolate(x)
    return Problems(A, U, targets)


def make_problems(recipe: Recipe, seeds: range, device: str | torch.device = "cpu") -> Problems:
    """Draw and solve the problems of the given seeds."""
    pairs = [draw(recipe, s) for s in seeds]
    A = torch.from_numpy(np.stack([a for a, _ in pairs])).to(device)
    f = torch.from_numpy(np.stack([f for _, f in pairs])).to(device)
    return solve_ladder(A, f, recipe.coarse, recipe.scales, recipe.tolerance)
