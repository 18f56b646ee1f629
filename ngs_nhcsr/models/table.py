"""The table of the shipped models, made from their cards: ``docs/models.md``."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .card import ModelCard, read_card
from .catalogue import DEFAULT_MODEL

#: Case of the cards that a list of models shows.
FIRST_CASE = "random 1:10"
#: Relative energy error of u_h, four fine cells to a pixel, against the PDE's solution on such media (docs/pde.md).
PIXELATION = {"random 1:10": 0.19, "random 1:100": 0.54, "random 1:1000": 0.80}

_HEAD = """# Models

Made from the model cards by

    ngs-nhcsr models --save docs/models.md

`correct(u_coarse, a, scale=16, model="lte")` takes any of them; the default, on every device, is `{default}`. A network
of the paper is not the best one: those below without local solves learned to predict the field itself, in a few
thousand steps on one core, at about a tenth of the published size. On random media 1:10 (32² coarse cells, scale 16)
their own fields have energy errors of {energy} and L2 errors of {l2}; `{default}` has {best}. For comparison: the
coarse solution has 0.62 and 0.39, and its best multiple in L2, which needs the reference, 0.80 and 0.020
([evaluation.md](evaluation.md)). In L2 they do what that factor does; in energy at best a little more, from scale 8 on
often worse than the coarse solution; and with contrast, media and size they do not carry over. They are here to be
compared with. More steps help where they are trained: four times as many took `nhcsr` from 0.69 and 0.019 to 0.63 and
0.016, and to larger errors at contrasts beyond the training; the published sizes have not been tried
([paper.md](paper.md)).

What `correct` returns is accurate with all of them: the guard keeps a field from being worse than the coarse solution,
its error is estimated, and multigrid steps follow until that is below 3e-4. They are about three, as many as from the
coarse solution. `refine=0` keeps the network's own field, guarded: its status is then `DAMPED`, `REJECTED`,
`OUT_OF_CONTRACT` or `INACCURATE`, with the estimate.

A finished cell of the paper's tables becomes a model by one command, after which this page is made again:

    ngs-nhcsr export --cell training/cells/midi/NAME.json --to ngs_nhcsr/weights/lte.json
"""


def models_page(cards: Mapping[str, Path]) -> str:
    """Write the page on the shipped models.

    Parameters
    ----------
    cards : files of the cards by name; the weights stand beside them.

    Returns
    -------
    Markdown: what the models are, how they were trained, and their errors.

    Raises
    ------
    ModelFileError
        If a card is damaged or the weights are missing.
    """
    read = [read_card(path) for path in cards.values()]
    sizes = [path.with_suffix(".safetensors").stat().st_size / 1e6 for path in cards.values()]
    text = _HEAD.format(default=DEFAULT_MODEL, **_summary(read))
    head = "\n\n".join(_filled(paragraph) for paragraph in text.split("\n\n"))
    tables = (_about(read, sizes), _trained(read), _errors(read, "energy"), _against_pde(read), _errors(read, "L2"))
    return "\n".join([head, *(line for table in tables for line in table)])


def _summary(cards: Sequence[ModelCard]) -> dict[str, str]:
    """What the page says of the errors in one sentence."""
    found = {c.name: c.validation[FIRST_CASE] for c in cards}
    own = [found[c.name] for c in cards if not c.architecture["local_solves"]]
    spans = {k: sorted(v[norm] for v in own) for k, norm in (("energy", "energy"), ("l2", "L2"))}
    best = found[DEFAULT_MODEL]
    return {
        "best": f"{best['energy']:.2g} and {best['L2']:.2g}",
        **{k: f"{v[0]:.2g} to {v[-1]:.2g}" for k, v in spans.items()},
    }


def _about(cards: Sequence[ModelCard], sizes: Sequence[float]) -> list[str]:
    rows = [
        (
            c.name,
            f"{c.architecture['encoder']} / {c.architecture['decoder']}",
            c.architecture["inputs"],
            c.architecture["output"],
            _yes(c.architecture["upscaling"]),
            _yes(c.architecture["local_solves"]),
            f"{c.training['parameters']:,}",
            f"{size:.2f}",
            f"{c.training['field']['seconds']:.2g}" if "field" in c.training else "–",
            c.licence,
        )
        for c, size in zip(cards, sizes, strict=True)
    ]
    names = ("model", "encoder / decoder", "inputs", "output", "effective problem", "local solves", "parameters", "MB")
    note = _filled(
        "Seconds: one field of 32² to 512² cells on one thread, the network alone (encoding, decoding, local solves), "
        "without reading, guard and multigrid steps; median of three, by `ngs-nhcsr revalidate CARD --only-time`."
    )
    return ["## What they are", "", note, "", *_table((*names, "seconds", "licence"), rows), ""]


def _trained(cards: Sequence[ModelCard]) -> list[str]:
    rows = [
        (
            c.name,
            f"{c.training['steps']:,}",
            str(c.training["config"]["seed"]),
            ", ".join(f"{s:g}" for s in c.contract.scales),
            f"≤ {c.contract.contrast[1]:g}",
            f"`{c.training['command']}`",
        )
        for c in cards
    ]
    names = ("model", "steps of the last run", "seed", "scales", "contrast", "command")
    return ["## How they were trained", "", *_table(names, rows), ""]


def _errors(cards: Sequence[ModelCard], norm: str) -> list[str]:
    cases = dict.fromkeys(case for c in cards for case in c.validation)
    rows = [
        (case, *(f"{c.validation[case][norm]:.2g}" if case in c.validation else "–" for c in cards)) for case in cases
    ]
    note = _filled(
        "Medians over test problems, of the network's own field, before the guard, against the Q1 solution on the fine "
        "mesh; f = 1, 32 coarse cells a side and scale 16, where nothing else is said. Problems per case, at most: "
        + ", ".join(f"{c.name} {max(v['problems'] for v in c.validation.values())}" for c in cards)
        + ". –: not measured, the network's time grows faster than the mesh."
    )
    return [
        f"## Relative {norm} errors",
        "",
        note,
        "",
        *_table(("case", *(c.name for c in cards)), rows),
        "",
    ]


def _against_pde(cards: Sequence[ModelCard]) -> list[str]:
    rows = []
    for case, d in PIXELATION.items():
        own = [c.validation[case]["energy"] if case in c.validation else float("nan") for c in cards]
        rows.append((case, f"{d:.2g}", *(f"{math.sqrt(d**2 + (1 - d**2) * e**2):.2g}" for e in own)))
    note = _filled(
        "Of the same fields v: |||u − v|||² = |||u − u_h|||² + |||u_h − v|||², as u_h is the best approximation on the "
        "fine mesh, with the errors of u_h from [pde.md](pde.md). No field on that mesh can be better than it; "
        '`correct(..., target="pde")` is, to 0.0005 to 0.002, without one.'
    )
    names = ("case", "u_h", *(c.name for c in cards))
    return ["## Relative energy errors against the PDE's solution", "", note, "", *_table(names, rows), ""]


def _filled(paragraph: str) -> str:
    """Break the lines of running text at 120 characters, as figures of any length are in it."""
    if paragraph.startswith(("#", " ")):
        return paragraph
    return textwrap.fill(paragraph, 120, break_on_hyphens=False, break_long_words=False)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _yes(value: object) -> str:
    return "yes" if value else "no"
