"""The options of a correction, in one place for ``correct``, ``Corrector`` and ``Corrector.prepare``."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from .errors import InvalidProblem
from .number_checks import check_refinement
from .solvers.pde import PDE
from .solvers.target import FineQ1, Target

if TYPE_CHECKING:
    from .ngsolve_io.types import BilinearForm, FESpace, Mesh

OnUntrusted = Literal["raise", "warn", "return"]
TargetName = Literal["fine", "pde"]
#: The options that say what problem is meant; the others say what becomes of it.
OF_THE_PROBLEM = ("f", "points", "flux", "reaction", "robin", "form", "mesh", "cells_per_coarse", "g")


class Options(TypedDict, total=False):
    """Keyword arguments of :func:`correct` that :class:`Corrector` takes as well; see there."""

    f: Any
    points: Sequence[tuple[float, float, float]]
    flux: Any
    reaction: Any
    robin: Any
    form: BilinearForm | None
    mesh: Mesh | None
    cells_per_coarse: int | None
    fes: FESpace | None
    refine: int | None
    refine_to: float | None
    target: TargetName | Target
    accuracy: float | None
    g: Any
    on_untrusted: OnUntrusted


@dataclass(frozen=True)
class Request:
    """Checked options with their defaults; attributes as the arguments of :func:`correct`.

    Raises
    ------
    InvalidProblem
        If options contradict each other or make no sense.
    """

    f: Any = None
    points: Any = ()
    flux: Any = None
    reaction: Any = None
    robin: Any = None
    form: Any = None
    mesh: Any = None
    cells_per_coarse: int | None = None
    fes: Any = None
    refine: int | None = None
    refine_to: float | None = None
    target: TargetName | Target = "fine"
    accuracy: float | None = None
    g: Any = None
    on_untrusted: OnUntrusted = "warn"

    def __post_init__(self) -> None:
        if not hasattr(self.points, "__len__"):
            raise InvalidProblem("points= takes a list of (x, y, weight), three numbers each.")
        if self.on_untrusted not in ("raise", "warn", "return"):
            raise InvalidProblem(f'on_untrusted must be "raise", "warn" or "return", not {self.on_untrusted!r}.')
        if self.target not in ("fine", "pde") and not isinstance(self.target, Target):
            raise InvalidProblem(f'target must be "fine", "pde" or a Target, not {self.target!r}.')
        if self.fine:
            check_refinement(self.refine or 0, self.refine_to)
            if self.refine is not None and self.refine_to is not None:
                raise InvalidProblem("refine= and refine_to= say in two ways when multigrid stops; give one of them.")
            if self.accuracy is not None:
                raise InvalidProblem('accuracy= is for target="pde"; use refine_to= for the fine solution.')
        else:
            if self.refine or self.refine_to:
                raise InvalidProblem('refine= and refine_to= are for target="fine"; use accuracy= for target="pde".')
            if len(self.points):
                raise InvalidProblem(
                    'points= are for target="fine": the PDE with point sources has no solution of finite energy.'
                )
            if self.flux is not None:
                raise InvalidProblem('flux= is for target="fine"; the trace space has homogeneous natural sides only.')
            if self.reaction is not None and self.target == "pde":
                raise InvalidProblem(
                    'reaction= is for target="fine"; the trace space has the solutions of −div(a∇u) = f only.'
                )
            if self.robin is not None and self.target == "pde":
                raise InvalidProblem(
                    'robin= is for target="fine"; the trace space has Dirichlet and natural sides only.'
                )
            if self.target != "pde" and self.accuracy is not None:
                raise InvalidProblem('accuracy= is for target="pde"; give it to the Target itself.')

    @staticmethod
    def of(options: Options) -> Request:
        """Check keyword arguments.

        Parameters
        ----------
        options : as the user gave them.

        Returns
        -------
        Request

        Raises
        ------
        InvalidProblem
            If there is one of another name; the message names the nearest.
        """
        known = [f.name for f in fields(Request)]
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]}=?" if near else f"; there are: {', '.join(known)}."
                raise InvalidProblem(f"unknown option {name}={hint}")
        return Request(**options)

    @property
    def fine(self) -> bool:
        """Whether the network's target u_h is asked for."""
        return self.target == "fine" or isinstance(self.target, FineQ1)

    @property
    def automatic(self) -> bool:
        """Whether multigrid steps are taken where the estimated error asks for them."""
        return self.refine is None and self.refine_to is None

    @property
    def reading(self) -> dict[str, Any]:
        """The options that say how the coarse problem is read."""
        return {"f": self.f, "form": self.form, "points": self.points, "flux": self.flux, "g": self.g}

    @property
    def other_target(self) -> Target:
        """The target that is not u_h."""
        return self.target if isinstance(self.target, Target) else PDE(accuracy=self.accuracy)
