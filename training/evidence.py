"""What the paper's figures are drawn from: trained rows, one test problem on all its meshes, every row's fields."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..media.families import families
from ..networks.corrector import CorrectorNetwork
from ..networks.decoders.nhcsr import NHCSRDecoder
from ..solvers.positions import Nodes
from .interpolation import Interpolation
from .prediction import encode, predict
from .problems import solve_ladder
from .protocols import TABLES, UNTRAINED, Protocol, wanted
from .reproduce import cell_folder
from .runs import steps_done, trained_network
from .spectra import resolution_errors, resolution_table
from .validation import TEST_SEEDS

log = logging.getLogger(__name__)

ROWS = TABLES["table1"]
#: Rows with a picture of their own where there is room for few, unless rows are chosen by name.
SHOWN = ("bicubic interpolation of U", "LIIF", "LTE", "NH-CSR", "basis-hybrid's recipe, no local solves")
CONTRAST = 10.0
#: Between a row and its number of steps in the labels of runs that are not finished.
AFTER = " after "


@dataclass(frozen=True)
class Evidence:
    """One test problem and what every row makes of it.

    Attributes
    ----------
    protocol : sizes of the experiment.
    A, U, F : (1, m, m), (1, 1, N+1, N+1), (1, 1, L+1, L+1), as in ``problems.Problems``.
    truths : u_h (n+1, n+1) by scale.
    reference : Q1 solution on a mesh twice as fine as that of the largest scale.
    networks : by row.
    fields : (n+1, n+1) by row and scale.
    shown : rows with pictures of their own.
    """

    protocol: Protocol
    A: Tensor
    U: Tensor
    F: Tensor
    truths: dict[int, Tensor]
    reference: Tensor
    networks: dict[str, nn.Module]
    fields: dict[str, dict[int, Tensor]]
    shown: tuple[str, ...]

    @property
    def last(self) -> int:
        """The largest trained scale."""
        return self.protocol.trained[-1]

    def error(self, row: str, scale: int) -> Tensor:
        """Compute the error (v - u_h) / max |u_h| (n+1, n+1) of a row at a scale."""
        return (self.fields[row][scale] - self.truths[scale]) / self.truths[scale].abs().max()


def trained_rows(protocol: Protocol, folder: Path, only: Sequence[str] = ()) -> dict[str, nn.Module]:
    """Load the networks of a table's rows, of the first seed that has weights.

    Rows without weights are left out and logged; runs that have not yet made the protocol's steps say so in their name.

    Parameters
    ----------
    protocol : sizes of the experiment.
    folder : of the table's runs.
    only : names of the rows that are wanted, or parts of names; default: all.

    Returns
    -------
    Networks by row.
    """
    found: dict[str, nn.Module] = {}
    for row, variant in ROWS.items():
        if not wanted(row, only, ROWS):
            continue
        if variant.decoder == UNTRAINED:
            found[row] = Interpolation()
            continue
        runs = [cell_folder(folder, variant, protocol, seed) for seed in protocol.seeds]
        run = next((r for r in runs if steps_done(r)), None)
        if run is None:
            log.info("%s is not trained yet: left out", row)
            continue
        step, enough = steps_done(run), protocol.steps // (1 + len(variant.stages))
        found[row if step >= enough else f"{row}{AFTER}{step} steps"] = trained_network(run)
    return found


@torch.inference_mode()
def gather(
    protocol: Protocol, networks: dict[str, nn.Module], shown: Sequence[str] = SHOWN, device: str = "cpu"
) -> Evidence:
    """Solve the first random test problem of a protocol on all its meshes, and evaluate rows on it.

    Parameters
    ----------
    protocol : sizes of the experiment.
    networks : by row.
    shown : rows with pictures of their own, as far as there are networks.
    device : of all computations.

    Returns
    -------
    Evidence on the CPU.
    """
    scales = (*protocol.trained, *protocol.beyond)
    cells, n = 4 * protocol.coarse, 2 * protocol.coarse * scales[-1]
    medium = families["iid"]((cells, cells), np.random.default_rng(TEST_SEEDS), CONTRAST)
    # One load for all scales: every mesh sees the restriction of that of the finest.
    p = solve_ladder(
        torch.from_numpy(medium[None]).to(device),
        torch.ones(1, 1, n + 1, n + 1, dtype=torch.float64, device=device),
        protocol.coarse,
        (*scales, 2 * scales[-1]),
        1e-6,
    )
    targets = {s: t[0, 0].cpu() for s, t in p.targets.items()}
    fields: dict[str, dict[int, Tensor]] = {}
    for row, network in networks.items():
        log.info("evaluating %s", row)
        place = device if any(True for _ in network.parameters()) else "cpu"
        network.to(place)
        U, A, F = (t.to(place) for t in (p.U, p.A, p.F))
        fields[row] = {s: predict(network, U, A, F, s)[0, 0].cpu() for s in scales}
        network.to("cpu")
    reference = targets.pop(2 * scales[-1])
    few = tuple(r for r in networks if r.split(AFTER)[0] in shown) or tuple(networks)
    return Evidence(protocol, p.A.cpu(), p.U.cpu(), p.F.cpu(), targets, reference, networks, fields, few)


def branch_fields(network: nn.Module, e: Evidence, scale: int) -> list[Tensor]:
    """Evaluate the branches of the NH-CSR decoder one by one.

    Parameters
    ----------
    network : any row.
    e : the test problem.
    scale : fine cells per coarse cell.

    Returns
    -------
    Fields (dim, n+1, n+1) of the coarse and the fine branch; for networks with another decoder none.
    """
    if not isinstance(network, CorrectorNetwork) or not isinstance(network.decoder, NHCSRDecoder):
        return []
    n = e.protocol.coarse * scale
    features, _ = encode(network, e.U, e.A, e.F, scale)
    return [f[0] for f in network.decoder.branches(features.prepared, Nodes((n, n)), features.ratio)]


def between_resolutions(e: Evidence) -> dict[str, Any]:
    """Measure every row against the solution on the finer mesh.

    The reference is a Q1 solution too, so the errors of u_h on the finest meshes are a little too small.

    Parameters
    ----------
    e : the test problem.

    Returns
    -------
    By name: the problem, its sizes, and ``rows`` of :func:`resolution_errors`.
    """
    rows = {"u_h of the same mesh": e.truths, **e.fields}
    return {
        "problem": f"iid 1:{CONTRAST:g}, f = 1, seed {TEST_SEEDS}",
        "coarse cells": e.protocol.coarse,
        "reference cells": e.reference.shape[-1] - 1,
        "trained scales": e.protocol.trained,
        "rows": {row: resolution_errors(fields, e.reference, e.A) for row, fields in rows.items()},
    }


def ratios(e: Evidence) -> list[str]:
    """Name the ratios of scales that are shown: the largest over the largest trained one, and over the smallest."""
    return list(dict.fromkeys(f"{max(e.truths)}/{s}" for s in (e.last, min(e.truths)) if s < max(e.truths)))


def to_markdown(errors: dict[str, Any], e: Evidence) -> str:
    """Write tables of the ``errors`` of :func:`between_resolutions`, energy and L2."""
    n, N = errors["reference cells"], errors["coarse cells"]
    return (
        f"Relative errors against u on the {n} x {n} mesh: {errors['problem']}, {N} x {N} coarse cells, trained at "
        + ", ".join(f"{s}x" for s in errors["trained scales"])
        + ". A ratio of 1 in the last columns: nothing gained from the finer mesh; u_h gains the most.\n\n"
        + resolution_table(errors["rows"], ratios(e))
    )
