"""Fixed validation problems, apart from all training seeds, and the errors of a network on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..media.families import families
from ..media.loads import load
from ..networks.corrector import CorrectorNetwork
from ..networks.symmetry import symmetries, transform
from ..solvers.norms import relative_errors
from ..solvers.substructuring.scheme import Scheme
from .prediction import predict
from .problems import Problems, joined, solve_ladder

#: Seeds below are for training, from here on for validation, from twice this for reported tests.
VALIDATION_SEEDS = 1_000_000_000
TEST_SEEDS = 2_000_000_000


@dataclass(frozen=True)
class Case:
    """A kind of test problem: ``count`` coefficients of a family at a contrast, one load, one mesh.

    Attributes
    ----------
    name : for tables.
    family : of ``media.families``.
    contrast : largest over smallest value of the coefficient.
    load : kind of ``media.loads``.
    coarse : coarse cells a side; the raster has four cells per coarse cell and axis.
    scale : fine cells per coarse cell, a power of 2.
    count : number of problems.
    """

    name: str
    family: str = "iid"
    contrast: float = 10.0
    load: str = "constant"
    coarse: int = 32
    scale: int = 16
    count: int = 16

    def draw(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw the coefficient (4N, 4N) and the nodal values (n+1, n+1) of the load of one problem."""
        rng, n = np.random.default_rng(seed), self.coarse * self.scale
        A = families[self.family]((4 * self.coarse, 4 * self.coarse), rng, self.contrast)
        return A, load(self.load, (n + 1, n + 1), rng)

    def problems(self, first_seed: int, device: str | torch.device = "cpu", tolerance: float = 1e-8) -> Problems:
        """Draw and solve them.

        Parameters
        ----------
        first_seed : seed of the first one; the others follow.
        device : where they are solved, and lie.
        tolerance : relative energy error at which multigrid stops.

        Returns
        -------
        Problems with one load each, and targets at ``scale``.
        """
        parts = []
        scales = tuple(2**k for k in range(1, self.scale.bit_length()) if 2**k <= self.scale)
        for seed in range(first_seed, first_seed + self.count):
            A, f = self.draw(seed)
            a, load_values = (torch.from_numpy(v).to(device) for v in (A[None], f[None, None]))
            parts.append(solve_ladder(a, load_values, self.coarse, scales, tolerance))
        whole = joined(parts)
        return Problems(whole.A, whole.U, whole.F, {self.scale: whole.targets[self.scale]})


#: What a training run looks at: the figures of the first row decide which checkpoint is best.
CASES = (
    Case("random 1:10"),
    Case("random 1:100", contrast=100.0, count=8),
    Case("soil 1:10", family="soil", count=8),
    Case("random 1:10, f localised", load="localised", count=8),
    Case("random 1:10, N = 8, scale 64", coarse=8, scale=64, count=8),
)


@torch.inference_mode()
def network_errors(
    network: CorrectorNetwork,
    problems: Problems,
    scale: int,
    *,
    scheme: Scheme | None = None,
    symmetrize: bool = False,
) -> dict[str, Tensor]:
    """Measure a network on problems with one load each, one at a time, in float64.

    Parameters
    ----------
    network : in evaluation mode.
    problems : B of them.
    scale : fine cells per coarse cell; the problems must have targets at it.
    scheme : how local solves and corrections are done; default: as in ``correct``.
    symmetrize : take the mean of the network's fields over the eight symmetries of the square.

    Returns
    -------
    Relative errors (B,) against u_h in the norms "L2", "H1" and "energy".
    """
    found: list[dict[str, Tensor]] = []
    for i in range(len(problems)):
        A, U, F = (v[i : i + 1].double() for v in (problems.A, problems.U, problems.F))
        fields = []
        for g in symmetries() if symmetrize else range(1):
            u, a, b = (transform(v, g) for v in (U, A, F))
            fields.append(transform(predict(network, u, a, b, scale, scheme=scheme), g, inverse=True))
        found.append(relative_errors(torch.stack(fields).mean(0)[0], problems.targets[scale][i].double(), A))
    return {norm: torch.cat([errors[norm] for errors in found]).cpu() for norm in found[0]}
