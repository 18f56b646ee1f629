"""The numerical options of a correction: they belong to a call, not to a model."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InvalidProblem
from ...number_checks import is_number, is_whole


@dataclass(frozen=True)
class Scheme:
    """Options of the local solves and of the corrections by the effective problem (``skeleton.py``).

    Attributes
    ----------
    corrections : how often at most the effective problem is solved again for the residual at the corners of the
        coefficient's cells, with local solves after each. None raises the energy error.
    tolerance : corrections end when one was smaller than this, relative to the field (Euclidean norms of corner
        values); 0: never before ``corrections`` of them.
    sweeps : how often corners and edges are relaxed in turn in one local solve; ``None``: by the refinement,
        max(1, log2(r) − 1) for r fine cells per coefficient cell.

    Raises
    ------
    InvalidProblem
        If a value makes no sense.

    Examples
    --------
    >>> Scheme(corrections=1)
    Scheme(corrections=1, tolerance=0.0003, sweeps=None)
    """

    corrections: int = 4
    tolerance: float = 3e-4
    sweeps: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("corrections", self.corrections), ("sweeps", self.sweeps)):
            if not (is_whole(value) and value >= 0) and not (name == "sweeps" and value is None):
                raise InvalidProblem(f"{name} of a Scheme must be a whole number ≥ 0, not {value!r}.")
        if not is_number(self.tolerance) or not 0 <= self.tolerance < 1:
            raise InvalidProblem(f"tolerance of a Scheme must lie in [0, 1), not {self.tolerance!r}.")
