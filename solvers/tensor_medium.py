"""Tensor coefficients: a symmetric positive definite 2 x 2 matrix on every cell of a raster.

A consumer that knows scalars only asks a medium for its ``values``. Tensors have none: whoever asks gets an error that
says so, so that no tensor is silently taken for a scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..errors import InvalidProblem
from .medium import Medium, cell_values
from .robin import Sides

if TYPE_CHECKING:
    from torch import Tensor

ONLY_SCALAR = (
    "this takes scalar coefficients only, and the coefficient is a tensor. The fine solve, multigrid, correct() with "
    'target="fine", its guard and its estimate take tensors.'
)


class TensorMedium(Medium):
    """A tensor coefficient on the cells of a raster, and reaction and Robin sides where there are any.

    Parameters
    ----------
    components : (..., 3, my, mx) a_xx, a_yy and a_xy on the raster's cells, numpy or torch; leading dimensions are a
        batch of media.
    reaction : as for :class:`Medium`.
    robin : as for :class:`Medium`.

    Examples
    --------
    >>> m = TensorMedium(np.array([4.0, 1.0, 0.0])[:, None, None] * np.ones((1, 2, 2)))
    >>> m.cells, m.contrast, m.isotropic
    ((2, 2), 4.0, False)
    """

    components: np.ndarray | Tensor

    def __init__(
        self,
        components: np.ndarray | Tensor,
        reaction: np.ndarray | Tensor | None = None,
        robin: Sides | None = None,
    ):
        object.__setattr__(self, "components", components)
        object.__setattr__(self, "reaction", reaction)
        object.__setattr__(self, "robin", robin)

    @property
    def values(self) -> NoReturn:  # type: ignore[override] - what a scalar has and a tensor has not
        """Refuse: a tensor has no scalar values.

        Raises
        ------
        InvalidProblem
            Always.
        """
        raise InvalidProblem(ONLY_SCALAR)

    @property
    def array(self) -> Any:
        """Matrices (my, mx, 2, 2) of one medium."""
        xx, yy, xy = self.components
        return np.stack([xx, xy, xy, yy], axis=-1).reshape(*xx.shape, 2, 2)

    @property
    def isotropic(self) -> bool:
        """Whether the coefficient is a scalar: no."""
        return False

    @property
    def cells(self) -> tuple[int, int]:
        """Cells (my, mx) of the raster."""
        return int(self.components.shape[-2]), int(self.components.shape[-1])

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest eigenvalue."""
        lowest, highest = eigenvalues(self.components)
        return float(lowest.min()), float(highest.max())

    def map(self, change: Callable[[Any], Any]) -> TensorMedium:
        """Apply a function to the arrays that hold components and reaction."""
        reaction = None if self.reaction is None else change(self.reaction)
        return TensorMedium(change(self.components), reaction, self.robin)

    def with_robin(self, robin: Sides | None) -> TensorMedium:
        """Replace α of the Robin sides; ``None``: there are none."""
        return TensorMedium(self.components, self.reaction, robin)

    def diffusion(self, weights: Any = 1.0) -> TensorMedium:
        """Leave reaction and Robin sides out, and multiply the tensor by cell weights (my, mx) or a number."""
        return TensorMedium(self.components * weights)


def eigenvalues(components: Any) -> tuple[Any, Any]:
    """Compute the eigenvalues of symmetric 2 x 2 matrices.

    Parameters
    ----------
    components : (..., 3, my, mx) entries xx, yy, xy, numpy or torch.

    Returns
    -------
    Lower and upper eigenvalues (..., my, mx).

    Examples
    --------
    >>> low, high = eigenvalues(np.array([2.0, 2.0, 1.0])[:, None, None])
    >>> low.round(12).tolist(), high.round(12).tolist()
    ([[1.0]], [[3.0]])
    """
    xx, yy, xy = parts_of(components)
    mean, half = (xx + yy) / 2, (xx - yy) / 2
    high = mean + (half * half + xy * xy) ** 0.5
    # Not mean − radius: at high ratios that would lose the digits of the lower one.
    return (xx * yy - xy * xy) / high, high


def parts_of(components: Any) -> tuple[Any, Any, Any]:
    """Split components (..., 3, my, mx) into a_xx, a_yy, a_xy (..., my, mx)."""
    return components[..., 0, :, :], components[..., 1, :, :], components[..., 2, :, :]


def entries_of(a: Any) -> tuple[Any, Any, Any | None]:
    """Return the entries of any coefficient, for code that knows tensors.

    Parameters
    ----------
    a : medium, or cell values (..., my, mx) of a scalar.

    Returns
    -------
    a_xx, a_yy, a_xy (..., my, mx); the last is ``None``, and the first two are one array, where a is scalar.
    """
    if isinstance(a, TensorMedium):
        return parts_of(a.components)
    values = cell_values(a)
    return values, values, None


def medium_of(values: Any, reaction: Any = None) -> Medium:
    """Make a medium of checked values.

    Parameters
    ----------
    values : (my, mx) of a scalar, or components (3, my, mx) of a tensor.
    reaction : cell values, or ``None``.

    Returns
    -------
    Medium
        A scalar one where the tensor is a multiple of the identity in every cell.
    """
    if values.ndim == 2:
        return Medium(values, reaction)
    xx, yy, xy = values
    if (xx == yy).all() and not xy.any():
        return Medium(np.ascontiguousarray(xx), reaction)
    return TensorMedium(values, reaction)


def refuse_tensor(a: Any, what: str, instead: str) -> None:
    """Raise for a tensor medium where only scalar coefficients are treated.

    Parameters
    ----------
    a : medium, or an array of cell values.
    what : the method, as the subject of the message.
    instead : what to do.

    Raises
    ------
    InvalidProblem
        If it is one.
    """
    if isinstance(a, TensorMedium):
        raise InvalidProblem(f"{what} takes scalar coefficients only, not tensors; {instead}.")
