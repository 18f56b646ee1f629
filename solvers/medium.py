"""The coefficient a of −div(a∇u) = f as values on the cells of its raster, numpy or torch; or a batch of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import GridMismatch, InvalidProblem

if TYPE_CHECKING:
    from torch import Tensor

Mean = Literal["arithmetic", "harmonic", "geometric"]
MEANS: tuple[Mean, ...] = ("arithmetic", "harmonic", "geometric")


@dataclass(frozen=True, eq=False)
class Medium:
    """Positive cell values of a scalar coefficient.

    Attributes
    ----------
    values : (..., my, mx) a on the raster's cells, numpy or torch; leading dimensions are a batch of media.

    Examples
    --------
    >>> m = Medium(np.array([[1.0, 4.0]]))
    >>> m.cells, m.contrast, m.mean("geometric", (1, 1)).round(12).tolist()
    ((1, 2), 4.0, [[2.0]])
    """

    values: np.ndarray | Tensor

    @property
    def cells(self) -> tuple[int, int]:
        """Cells (my, mx) of the raster."""
        return int(self.values.shape[-2]), int(self.values.shape[-1])

    @property
    def contrast(self) -> float:
        """Largest over smallest value."""
        return float(self.values.max() / self.values.min())

    def map(self, change: Callable[[Any], Any]) -> Medium:
        """Apply a function to the arrays that hold cell values, such as a conversion or a repetition of the batch."""
        return replace(self, values=change(self.values))

    def scaled(self, factor: float) -> Medium:
        """Multiply the operator −div(a∇·) by a number."""
        return replace(self, values=self.values * factor)

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
        if my % Ny or mx % Nx:
            raise GridMismatch(
                f"the raster {self.cells} is no multiple of the coarse cells {coarse}; use mean='galerkin', or "
                f"resample it to, say, {(max(1, round(my / Ny)) * Ny, max(1, round(mx / Nx)) * Nx)}."
            )
        return my // Ny, mx // Nx

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
        if isinstance(self.values, np.ndarray):
            return self.values.repeat(ny // my, -2).repeat(nx // mx, -1)
        return self.values.repeat_interleave(ny // my, -2).repeat_interleave(nx // mx, -1)


def as_medium(a: Any) -> Medium:
    """Return a medium as it is, and an array of cell values (..., my, mx) as a medium."""
    return a if isinstance(a, Medium) else Medium(a)


def cell_values(a: Any) -> Any:
    """Return the cell values (..., my, mx) of a medium; an array is returned as it is."""
    return a.values if isinstance(a, Medium) else a
