"""Rows of a comparison: what tables and pictures show, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidProblem


@dataclass(frozen=True)
class Row:
    """One method. What could not be measured is ``None``; after a failure ``message`` says why.

    Attributes
    ----------
    name, label : of the method.
    l2_error, energy_error : relative, in the L2 and the energy norm, against the comparison's reference.
    offline, online : seconds per coefficient and per load.
    break_even : loads from which on the method has cost less than the multigrid fine solve; ``inf`` for
        never, ``None`` for that solve itself.
    memory : growth of the process's resident memory, MiB.
    remark : reservation about the result.
    message : why the method failed; empty if it did not.
    """

    name: str
    label: str
    l2_error: float | None = None
    energy_error: float | None = None
    offline: float | None = None
    online: float | None = None
    break_even: float | None = None
    memory: float | None = None
    remark: str = ""
    message: str = ""

    @property
    def seconds(self) -> float | None:
        """Seconds of the offline part and one load."""
        return None if self.offline is None or self.online is None else self.offline + self.online


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The rows of one problem, and how they were made.

    Attributes
    ----------
    rows : one :class:`Row` per method, in the order asked for; errors are relative, against ``reference``.
    title : the problem in one line.
    reference : what the errors are measured against.
    device, threads : where the network and multigrid ran, and torch's CPU threads.
    notes : reservations about the problem as it was read.
    """

    rows: tuple[Row, ...]
    title: str
    reference: str
    device: str
    threads: int
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Row:
        """Return the row of a method.

        Parameters
        ----------
        name : of the method.

        Returns
        -------
        Row

        Raises
        ------
        InvalidProblem
            If there is none of that name.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise InvalidProblem(f"no row {name!r}; there are: {', '.join(r.name for r in self.rows)}.")
