"""The coefficients of −div(a∇u) + c u = f as values on the cells of rasters, numpy or torch; or a batch of them.

With them goes α of Robin sides: every operator is made of a medium on a space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import GridMismatch, InvalidProblem
from ..short_repr import ShortRepr
from .robin import Sides

if TYPE_CHECKING:
    from torch import Tensor

Mean = Literal["arithmetic", "harmonic", "geometric"]
MEANS: tuple[Mean, ...] = ("arithmetic", "harmonic", "geometric")


@dataclass(frozen=True, eq=False, repr=False)
class Medium(ShortRepr):
    """Positive cell values of a scalar coefficient, and those of a reaction and α of Robin sides where there are any.

    Attributes
    ----------
    values : (..., my, mx) a on the raster's cells, numpy or torch; leading dimensions are a batch of media.
    reaction : (..., py, px) c ≥ 0 on the cells of a raster of its own, which may be the same; ``None``: c = 0.
    robin : α ≥ 0 of bottom, right, top, left in a∂u/∂n + α u = q, the same for a whole batch; ``None``: α = 0.

    Examples
    --------
    >>> m = Medium(np.array([[1.0, 4.0]]))
    >>> m.cells, m.contrast, m.mean("geometric", (1, 1)).round(12).tolist()
    ((1, 2), 4.0, [[2.0]])
    """

    values: np.ndarray | Tensor
    reaction: np.ndarray | Tensor | None = None
    robin: Sides | None = None

    @property
    def cells(self) -> tuple[int, int]:
        """Cells (my, mx) of the raster."""
        return int(self.values.shape[-2]), int(self.values.shape[-1])

    @property
    def array(self) -> Any:
        """The coefficient as users give it: (my, mx), or symmetric tensors (my, mx, 2, 2)."""
        return self.values

    @property
    def isotropic(self) -> bool:
        """Whether the coefficient is a scalar; else it is a ``tensor_medium.TensorMedium``."""
        return True

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value; of a tensor, eigenvalue."""
        return float(self.values.min()), float(self.values.max())

    @property
    def contrast(self) -> float:
        """Largest over smallest value; of a tensor, eigenvalue."""
        lowest, highest = self.range
        return highest / lowest

    @property
    def only_diffuses(self) -> bool:
        """Whether the form is ∫ a ∇u·∇v alone, without reaction and Robin sides: it vanishes for constants."""
        return self.reaction is None and self.robin is None

    def diffusion(self, weights: Any = 1.0) -> Medium:
        """Leave reaction and Robin sides out, and multiply the coefficient by cell weights (my, mx) or a number."""
        return replace(self, reaction=None, robin=None).map(lambda v: v * weights)

    def map(self, change: Callable[[Any], Any]) -> Medium:
        """Apply a function to the arrays that hold cell values, such as a conversion or a repetition of the batch."""
        reaction = None if self.reaction is None else change(self.reaction)
        return replace(self, values=change(self.values), reaction=reaction)

    def scaled(self, factor: float) -> Medium:
        """Multiply the operator −div(a∇·) + c, and α with it, by a number."""
        return self.map(lambda v: v * factor).with_robin(_scaled(self.robin, factor))

    def with_robin(self, robin: Sides | None) -> Medium:
        """Replace α of the Robin sides; ``None``: there are none."""
        return replace(self, robin=robin)

    def tensors(self, device: Any = "cpu") -> Medium:
        """Convert from numpy to a batch of one medium in torch, float64."""
        import torch

        return self.map(lambda v: torch.from_numpy(np.array(v, dtype=np.float64, order="C"))[None].to(device))

    def per(self, coarse: tuple[int, int]) -> tuple[int, int]:
        """Count the raster's cells per cell of a coarse grid, in y and x.

        Parameters
        ----------
        coarse : cells (Ny, Nx).

        Returns
        -------
        Pair of whole numbers.

        Raises
        ------
        GridMismatch
            If the raster is no multiple of the coarse cells.
        """
        (my, mx), (Ny, Nx) = self.cells, coarse
        if not self.refines(coarse):
            raise GridMismatch(
                f"the raster {self.cells} is no multiple of the coarse cells {coarse}; resample it to, say, "
                f"{(max(1, round(my / Ny)) * Ny, max(1, round(mx / Nx)) * Nx)}. (coarse_solve takes it as it is with "
                "mean='galerkin'.)"
            )
        return my // Ny, mx // Nx

    def refines(self, coarse: tuple[int, int]) -> bool:
        """Tell whether the raster consists of whole cells per cell (Ny, Nx) of a coarse grid."""
        return all(m % n == 0 for m, n in zip(self.cells, coarse, strict=True))

    def mean(self, kind: Mean, coarse: tuple[int, int]) -> np.ndarray | Tensor:
        """Average over the cells of a coarse grid.

        Parameters
        ----------
        kind : "arithmetic", "harmonic" or "geometric".
        coarse : cells (Ny, Nx); the raster must be a multiple of them.

        Returns
        -------
        Means (..., Ny, Nx), of the kind of ``values``.

        Raises
        ------
        GridMismatch, InvalidProblem
        """
        if kind not in MEANS:
            raise InvalidProblem(f"mean must be one of {', '.join(MEANS)}, not {kind!r}.")
        ry, rx = self.per(coarse)
        v = self.values.reshape(*self.values.shape[:-2], coarse[0], ry, coarse[1], rx)
        if kind == "arithmetic":
            return v.mean((-3, -1))
        if kind == "harmonic":
            return 1 / (1 / v).mean((-3, -1))
        if isinstance(v, np.ndarray):
            return np.exp(np.log(v).mean((-3, -1)))
        return v.log().mean((-3, -1)).exp()

    def on(self, cells: tuple[int, int]) -> np.ndarray | Tensor:
        """Repeat the values on the cells of a grid that refines the raster.

        Parameters
        ----------
        cells : (ny, nx), multiples of the raster's.

        Returns
        -------
        Values (..., ny, nx), of the kind of ``values``.

        Raises
        ------
        GridMismatch
            If they are no multiples.

        Examples
        --------
        >>> Medium(np.array([[1.0, 4.0]])).on((2, 2)).tolist()
        [[1.0, 4.0], [1.0, 4.0]]
        """
        (my, mx), (ny, nx) = self.cells, cells
        if ny % my or nx % mx:
            raise GridMismatch(
                f"{ny} x {nx} cells are no multiple of the raster {self.cells}: the coefficient would jump inside a "
                f"cell. Take a multiple of it, such as {max(1, round(ny / my)) * my} x {max(1, round(nx / mx)) * mx} "
                "(and of the coarse cells, where there are any)."
            )
        return repeated(self.values, cells)

    def reaction_on_raster(self) -> np.ndarray | Tensor | None:
        """Repeat the reaction on the cells of the coefficient.

        Returns
        -------
        c (..., my, mx) on the cells of ``values``; ``None`` where there is none.

        Raises
        ------
        GridMismatch
            If it varies inside them: its raster does not divide theirs.
        """
        if self.reaction is None:
            return None
        (my, mx), (py, px) = self.cells, self.reaction.shape[-2:]
        if my % py or mx % px:
            raise GridMismatch(
                f"the reaction's raster {(py, px)} does not divide that of the coefficient {(my, mx)}: static "
                "condensation needs a reaction that is constant on the coefficient's cells. Give cell values of that "
                "shape, such as means."
            )
        return repeated(self.reaction, self.cells)


def repeated(values: Any, cells: tuple[int, int]) -> Any:
    """Repeat cell values (..., my, mx), numpy or torch, on ``cells`` = (ny, nx) that are multiples of theirs."""
    ry, rx = cells[0] // values.shape[-2], cells[1] // values.shape[-1]
    if isinstance(values, np.ndarray):
        return values.repeat(ry, -2).repeat(rx, -1)
    return values.repeat_interleave(ry, -2).repeat_interleave(rx, -1)


def _scaled(robin: Sides | None, factor: float) -> Sides | None:
    if robin is None:
        return None
    bottom, right, top, left = robin
    return bottom * factor, right * factor, top * factor, left * factor


def as_medium(a: Any) -> Medium:
    """Return a medium as it is, and an array of cell values (..., my, mx) as a medium."""
    return a if isinstance(a, Medium) else Medium(a)


def cell_values(a: Any) -> Any:
    """Return the cell values (..., my, mx) of a medium; an array is returned as it is. Tensors have none."""
    return a.values if isinstance(a, Medium) else a


def reaction_values(a: Any) -> Any:
    """Return the cell values (..., py, px) of a medium's reaction; ``None`` where there is none, and for an array."""
    return a.reaction if isinstance(a, Medium) else None


def refuse_reaction(a: Any, what: str, instead: str) -> None:
    """Raise for a medium with a reaction or Robin sides where only −div(a∇u) is treated.

    Parameters
    ----------
    a : medium, or an array of cell values.
    what : the method, as the subject of the message.
    instead : what to do.

    Raises
    ------
    InvalidProblem
        If there is one of them.
    """
    if reaction_values(a) is not None:
        raise InvalidProblem(f"{what} has no reaction term, only −div(a∇u) = f; {instead}.")
    refuse_robin(a, what, instead)


def refuse_robin(a: Any, what: str, instead: str) -> None:
    """Raise for a medium with Robin sides where there are none; parameters as for :func:`refuse_reaction`.

    Parameters
    ----------
    a : medium, or an array of cell values.
    what : the method, as the subject of the message.
    instead : what to do.

    Raises
    ------
    InvalidProblem
        If there is one.
    """
    if as_medium(a).robin is not None:
        raise InvalidProblem(f"{what} has no Robin sides, only Dirichlet and natural ones; {instead}.")
