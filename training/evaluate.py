"""Errors of a model on families, contrasts, scales and coarse sizes, beside competitors that need no training.

Errors are relative to the Q1 solution u_h on the fine mesh of the scale; coefficients and loads come from test seeds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..media.loads import LOADS, TEST_LOADS
from ..media.maps import MAPS
from ..networks.corrector import CorrectorNetwork
from ..solvers.coarse import coarse_solve
from ..solvers.hierarchy import hierarchy
from ..solvers.load import Load
from ..solvers.mass import best_multiple
from ..solvers.norms import relative_errors
from ..solvers.space import Space
from ..solvers.substructuring.plain_start import PlainQ1
from ..solvers.substructuring.scheme import Scheme
from ..solvers.transfer import prolongate, restrict
from .prediction import predict
from .validation import TEST_SEEDS, Case, network_errors

MAIN = (
    Case("random 1:10"),
    Case("random 1:100", contrast=100.0),
    Case("soil 1:10", family="soil"),
    Case("mixture 1:10", family="mixture"),
)

#: What ``evaluate --suite`` measures.
SUITES: dict[str, tuple[Case, ...]] = {
    "paper": MAIN,
    "families": tuple(
        Case(f"{family} 1:{contrast:g}", family=family, contrast=contrast)
        for family in (
            "iid", "multivalued", "blocks", "lognormal", "soil", "inclusions", "channels", "periodic",
            "checkerboard", "wave", "stripes", "mixture",
        )
        for contrast in (10.0, 100.0)
    ),
    "maps": tuple(Case(f"map {name}", family=f"map {name}", count=1) for name in MAPS),
    "loads": (Case("f = 1"), *(Case(f"f {kind}", load=kind) for kind in (*LOADS[1:], *TEST_LOADS))),
    "scales": (
        *(Case(f"random 1:10, scale {s}", scale=s) for s in (2, 4, 8, 16)),
        *(Case(f"random 1:10, scale {s}", scale=s, count=c) for s, c in ((32, 6), (64, 2))),
        *(Case(f"random 1:10, N = {N}", coarse=N) for N in (8, 16, 24, 48, 64)),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """Relative errors of one method on one case, against u_h.

    Attributes
    ----------
    case, method : their names.
    energy, l2 : medians over the problems.
    worst_energy, worst_l2 : largest values.
    problems : number of problems.
    """

    case: str
    method: str
    energy: float
    l2: float
    worst_energy: float
    worst_l2: float
    problems: int


def _baselines(case: Case, A: Tensor, U: Tensor, target: Tensor, f: np.ndarray) -> dict[str, Tensor]:
    """Fields of the free competitors for one problem (B = 1)."""
    n = target.shape[-1] - 1
    coarse = torch.from_numpy(prolongate(U[0].numpy(), (n, n)))[None]
    a = A[0].numpy()
    coarse_load = Load(f).at((case.coarse, case.coarse))
    geometric = coarse_solve(a, case.coarse, coarse_load, mean="geometric")
    fields = {
        "prolongation": coarse,
        "best multiple of it": torch.from_numpy(best_multiple(coarse[0].numpy(), target[0].numpy(), (1.0, 1.0)))[None],
        "geometric mean": torch.from_numpy(prolongate(geometric, (n, n)))[None],
    }
    b = torch.from_numpy(Load(f).vector((n, n)))[None]
    m = min(A.shape[-1], n)
    on_cells, _ = hierarchy(a, Space((m, m))).solve(restrict(b[0].numpy(), (m, m)))
    fields["Q1 on the cells"] = torch.from_numpy(prolongate(on_cells, (n, n)))[None]
    if n >= 2 * m:
        for j in (1, 2):
            name = f"the same, local solves, {j} correction" + "s" * (j > 1)
            scheme = Scheme(corrections=j, tolerance=0.0)
            fields[name] = predict(PlainQ1(), U[None], A, b[None], case.scale, scheme=scheme)[0]
    mg = hierarchy(a, Space((n, n)))
    for j in (1, 2):
        name = f"coarse + {j} cycle" + "s" * (j > 1)
        field, _ = mg.solve(b[0].numpy(), coarse[0].numpy(), tolerance=0.0, max_iterations=j)
        fields[name] = torch.from_numpy(field)[None]
    return fields


def evaluate(
    network: CorrectorNetwork,
    cases: Sequence[Case],
    *,
    count: int | None = None,
    first_seed: int = TEST_SEEDS,
    baselines: bool = True,
    symmetrize: bool = False,
    progress: bool = False,
) -> list[Result]:
    """Measure a network on cases.

    Parameters
    ----------
    network : in evaluation mode.
    cases : kinds of test problems.
    count : most problems per case; default: as many as the case says.
    first_seed : seed of the first problem of each case.
    baselines : measure the competitors that need no training, too.
    symmetrize : measure the mean of the network's fields over the symmetries of the square, too.
    progress : show a bar.

    Returns
    -------
    Results, method by method for each case.
    """
    results = []
    for case in tqdm(cases, disable=None if progress else True):
        case = replace(case, count=min(case.count, count or case.count))
        problems = case.problems(first_seed)
        errors: dict[str, list[tuple[float, float]]] = {}
        for i in range(len(problems) if baselines else 0):
            A, U, target = problems.A[i : i + 1], problems.U[i], problems.targets[case.scale][i]
            f = case.draw(first_seed + i)[1]
            for name, v in _baselines(case, A, U, target, f).items():
                own = relative_errors(v, target, A)
                errors.setdefault(name, []).append((float(own["energy"]), float(own["L2"])))
        for mean in (False, True)[: 1 + symmetrize]:
            found = network_errors(network, problems, case.scale, symmetrize=mean)
            name = "network" + ", mean over symmetries" * mean
            errors[name] = list(zip(found["energy"].tolist(), found["L2"].tolist(), strict=True))
        for name, pairs in errors.items():
            e, l2 = np.array(pairs).T
            medians = (float(np.median(e)), float(np.median(l2)))
            results.append(Result(case.name, name, *medians, float(e.max()), float(l2.max()), len(pairs)))
    return results


def to_json(results: Sequence[Result]) -> str:
    """Write results as JSON text."""
    return json.dumps([asdict(r) for r in results], indent=1)


def to_markdown(results: Sequence[Result]) -> str:
    """Write a table: a row per case, median energy / L2 errors per method, the network's worst in brackets."""
    methods = list(dict.fromkeys(r.method for r in results))
    lines = ["| case | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    for case in dict.fromkeys(r.case for r in results):
        row = {r.method: r for r in results if r.case == case}
        cells = []
        for m in methods:
            r = row.get(m)
            if r is None:
                cells.append("")
                continue
            worst = f" ({r.worst_energy:.3g} / {r.worst_l2:.3g})" if m == "network" else ""
            cells.append(f"{r.energy:.3g} / {r.l2:.3g}{worst}")
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
