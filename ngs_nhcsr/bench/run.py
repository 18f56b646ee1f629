"""The whole bench: which problems at which effort."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .report import Report
from .timing import Timing, machine

CONTRASTS = [10.0, 100.0, 1000.0]
#: Parts of the bench, in their order.
SECTIONS = ("fine", "ngsolve", "correct", "classical", "many")


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes
    ----------
    solves : (cells, pixels) a side of the fine solves.
    corrections : (coarse cells, pixels, scale) of the corrections.
    classical : (coarse cells, fine cells, pixels) of LOD and MsFEM.
    media : number of media of the Monte Carlo, of 64² pixels on 16² coarse cells at scale 16.
    contrasts : of the media.
    repeats : calls a median is of.
    """

    solves: list[tuple[int, int]]
    corrections: list[tuple[int, int, int]]
    classical: tuple[int, int, int]
    media: int
    contrasts: list[float]
    repeats: int


EFFORTS = {
    "tiny": Effort([(32, 8)], [(4, 16, 8)], (4, 32, 16), 4, [10.0], 2),
    "standard": Effort(
        [(256, 128), (512, 128), (1024, 128), (2048, 128), (2048, 512), (4096, 128)],
        [(16, 64, 16), (32, 128, 2), (32, 128, 8), (32, 128, 16), (32, 128, 32), (64, 256, 8), (128, 512, 4)],
        (32, 512, 128), 300, CONTRASTS, 9,
    ),
    "full": Effort(
        [(n, m) for n in (128, 256, 512, 1024, 2048, 4096) for m in (64, 128, 512) if m <= n],
        [(16, 64, s) for s in (2, 4, 8, 16, 32, 64)] + [(N, 4 * N, 16) for N in (32, 64, 128)] + [(256, 1024, 8)],
        (32, 512, 128), 1000, CONTRASTS, 9,
    ),
}  # fmt: skip


def bench(
    effort: Effort,
    *,
    sections: list[str] | None = None,
    device: str = "cpu",
    tell: Callable[[Timing], Any] = lambda timing: None,
) -> Report:
    """Run the bench.

    Parameters
    ----------
    effort : how much is measured.
    sections : among ``SECTIONS``; default: all.
    device : of the network.
    tell : called with every timing when it is known.

    Returns
    -------
    Report
    """
    from .derived import break_evens, growth  # here, so that the efforts are known at once

    described = machine()
    timings = []
    for timing in _timings(effort, sections or list(SECTIONS), device):
        tell(timing)
        timings.append(timing)
    for timing in [*growth(timings), *break_evens(timings)]:
        tell(timing)
        timings.append(timing)
    return Report(described, timings)


def _timings(effort: Effort, sections: list[str], device: str) -> Iterator[Timing]:
    from ..corrector import Corrector
    from . import corrections, fine

    if "fine" in sections:
        yield from fine.measure(effort.solves, effort.contrasts, effort.repeats, others=True)
    if "ngsolve" in sections:
        from . import ngsolve_times

        small = [s for s in effort.solves if s[0] ** 2 <= fine.OTHERS_UP_TO]
        yield from ngsolve_times.measure(small[-1:], effort.contrasts, min(3, effort.repeats))
    if "correct" in sections:
        yield from corrections.measure(
            effort.corrections, effort.contrasts, effort.repeats, lambda: Corrector(device=device)
        )
    if "classical" in sections:
        yield from corrections.classical(*effort.classical, 10.0, min(2, effort.repeats))
    if "many" in sections:
        yield from corrections.many(effort.media, 16, 64, 16, Corrector(device=device))
