"""Rows of hostile_inputs.py: what a case is, how it is run, and how what was said is judged by the truth."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ngs_nhcsr import Correction, NhcsrError, correct

from .pde import Pde

#: Relative energy error up to which an accepted field is right.
RIGHT = 1e-3
#: Words of the warning that an accepted field has an error larger than that.
FLAG = "its relative energy error is estimated at"
#: Longest message that is read.
LINES, CHARACTERS = 10, 1000
VERDICTS = ("right", "refused", "flagged", "vague", "SILENT", "CRASH", "not yet")
BAD = ("SILENT", "CRASH")


@dataclass(frozen=True)
class Setting:
    """What all cases have in common: n coarse cells a side, scale, seed of the media."""

    n: int = 32
    scale: float = 16
    seed: int = 7_000_000_000

    def pixels(self, shape: int | tuple[int, int] | None = None, contrast: float = 10.0) -> np.ndarray:
        """Draw independent pixels 1 or ``contrast``; by default four per coarse cell and axis."""
        shape = 4 * self.n if shape is None else shape
        shape = (shape, shape) if isinstance(shape, int) else shape
        return np.where(np.random.default_rng(self.seed).random(shape) < 0.5, 1.0, contrast)


@dataclass
class Inputs:
    """One input, in one or more variants.

    Attributes
    ----------
    u, a : what is passed.
    pde : the problem that was meant.
    variants : options of ``correct`` by the name of the variant.
    scale : fine cells per coarse cell.
    truth : error of a result; by default that of its GridFunction against the fine solution of ``pde``.
    judge_estimate : whether an accepted field's estimate must be within a factor 2 too.
    denied : words that must not be said here.
    """

    u: Any
    a: Any
    pde: Pde | None = None
    variants: dict[str, dict[str, Any]] = field(default_factory=lambda: {"": {}})
    scale: float = 16
    truth: Callable[[Correction], float] | None = None
    judge_estimate: bool = False
    denied: tuple[str, ...] = ()

    def error(self, result: Correction) -> float | None:
        """Measure the true relative energy error of a result."""
        if self.truth is not None:
            return self.truth(result)
        return None if self.pde is None else self.pde.error(result.u_fine)


@dataclass
class Row:
    """A line of the table; ``said`` is a status or the name of an exception, ``words`` what came with it."""

    section: str
    case: str
    variant: str
    said: str
    words: str = ""
    estimate: float | None = None
    truth: float | None = None
    seconds: float = 0.0
    verdict: str = ""

    def json(self) -> dict[str, Any]:
        """Make a dictionary of the row."""
        return asdict(self)


@dataclass(frozen=True)
class Case:
    """A named input; ``make`` returns ``Inputs``, or finished rows where nothing is corrected in the usual way."""

    name: str
    section: str
    make: Callable[[Setting], Inputs | list[Row]]


cases: dict[str, Case] = {}


def case(name: str, section: str = "1") -> Callable:
    """Register a function of a ``Setting`` under a name; section 1 or 2 of the users' list, or "more"."""

    def register(make: Callable[[Setting], Inputs | list[Row]]) -> Callable:
        if name in cases:
            raise ValueError(f"there are two cases called {name!r}.")
        cases[name] = Case(name, section, make)
        return make

    return register


def agree(estimate: float | None, truth: float | None) -> bool:
    """Tell whether an estimate is within a factor 2 of the truth, or both are small."""
    if estimate is None or truth is None:
        return False
    return max(estimate, truth) <= RIGHT or truth / 2 <= estimate <= 2 * truth


def judge(row: Row, message: str = "", *, judge_estimate: bool = False, denied: tuple[str, ...] = ()) -> str:
    """Judge a row by its truth.

    Parameters
    ----------
    row : with ``said``, ``estimate`` and ``truth``.
    message : all that was said.
    judge_estimate : see ``Inputs``.
    denied : likewise.

    Returns
    -------
    "right", "flagged", "SILENT" or "vague".
    """
    if row.truth is None or not np.isfinite(row.truth):
        return "SILENT" if row.said == "ACCEPTED" else "vague"
    if any(words in message for words in denied):
        return "vague"
    if row.said == "ACCEPTED":
        if row.truth > RIGHT + 3 * (row.estimate or 0.0):
            return "SILENT"
        if row.truth > RIGHT:
            return "flagged" if FLAG in message and agree(row.estimate, row.truth) else "vague"
        return "right" if not judge_estimate or tight(row.estimate, row.truth) else "vague"
    return "flagged" if agree(row.estimate, row.truth) or (row.estimate is None and message) else "vague"


def tight(estimate: float | None, truth: float) -> bool:
    """Tell whether an estimate is within a factor 2 of the truth, however small; below 1e-6 nobody asks."""
    return estimate is not None and (max(estimate, truth) < 1e-6 or truth / 2 <= estimate <= 2 * truth)


def estimate_of(result: Correction) -> float | None:
    """Read the error a result claims: all of its budget where it has one, else its estimate against u_h."""
    budget = getattr(result, "budget", None)
    if budget is None:
        return result.estimate
    known = budget.parts or result.estimate is not None  # a sum of unknowns is no zero
    return budget.total if known and not np.isnan(budget.total) else None


def refusal(error: Exception, denied: tuple[str, ...] = ()) -> str:
    """Judge an exception: "refused" by a short message of this package, "vague" by another one, else "CRASH"."""
    if not isinstance(error, NhcsrError):
        return "CRASH"
    text = str(error)
    short = len(text.splitlines()) <= LINES and len(text) <= CHARACTERS
    return "refused" if short and not any(words in text for words in denied) else "vague"


def run(one: Case, setting: Setting) -> Iterator[Row]:
    """Run a case: one row per variant.

    Parameters
    ----------
    one : the case.
    setting : sizes and seed.

    Yields
    ------
    Row
    """
    made = one.make(setting)
    if isinstance(made, list):
        for row in made:
            row.section, row.case = one.section, one.name
            yield row
        return
    known = inspect.signature(correct).parameters
    for variant, options in made.variants.items():
        row = Row(one.section, one.name, variant, "")
        missing = [name for name in options if name not in known]
        if missing:
            row.said, row.words, row.verdict = "–", f"correct() has no {missing[0]}=", "not yet"
            yield row
            continue
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = correct(made.u, made.a, made.scale, full=True, on_untrusted="return", **options)
                row.seconds = time.perf_counter() - start
                result.u_fine  # noqa: B018 - what a user would do next; it may fail
        except Exception as error:
            row.seconds = time.perf_counter() - start
            row.said, row.verdict = type(error).__name__, refusal(error, made.denied)
            row.words = " ".join(str(error).split())
            yield row
            continue
        row.said, row.words = result.status.name, " ".join(result.notes)
        row.estimate, row.truth = estimate_of(result), made.error(result)
        told = row.words if result.status.trusted else f"{result.status.value} {row.words}"
        row.verdict = judge(row, told, judge_estimate=made.judge_estimate, denied=made.denied)
        yield row
