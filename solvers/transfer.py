"""Q1 prolongation and its transpose: the one place where nodal values go from grid to grid, in numpy and in torch.

Grids of one rectangle need not be nested. ``prolongate`` evaluates a Q1 function at the nodes of another grid or at any
points; ``restrict`` is the transpose of the former on load vectors. Between grids whose mesh sizes differ by two,
``prolongate_by_two`` and ``restrict_by_two`` are the same maps as convolutions, for multigrid cycles.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .axes import along
from .backend import plain

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from .positions import Query


@overload
def prolongate(U: np.ndarray, to: tuple[int, int] | np.ndarray) -> np.ndarray: ...
@overload
def prolongate(U: Tensor, to: tuple[int, int] | Query) -> Tensor: ...


def prolongate(U: Any, to: Any) -> Any:
    """Evaluate the Q1 functions with nodal values ``U`` at the nodes of another grid, or at points.

    Parameters
    ----------
    U : (..., N+1, M+1) nodal values, numpy or torch.
    to : cells (ny, nx) of the other grid; or points (P, 2) as (y, x) in the unit square (numpy); or a query of
        ``positions`` (torch).

    Returns
    -------
    Values (..., ny+1, nx+1), or (..., P) at points, of the kind of ``U``; numpy in float64, torch in its own type.

    Examples
    --------
    >>> prolongate(np.array([[0.0, 1.0], [0.0, 1.0]]), (1, 4))[0]
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    >>> prolongate(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[0.5, 0.3]]))
    array([0.3])
    """
    if not isinstance(U, (np.ndarray, list)):
        return _prolongate_tensor(U, to)
    U = np.asarray(U, dtype=float)
    if isinstance(to, np.ndarray):
        return _at_points(U, to)
    Ry, Rx = (_restriction(N - 1, n) for N, n in zip(U.shape[-2:], to, strict=True))
    return along(Ry.T, along(Rx.T, U, -1), -2)  # x first: its result is the small one


@overload
def restrict(b: np.ndarray, cells: tuple[int, int]) -> np.ndarray: ...
@overload
def restrict(b: Tensor, cells: tuple[int, int]) -> Tensor: ...


def restrict(b: Any, cells: tuple[int, int]) -> Any:
    """Apply the transpose of :func:`prolongate` to load vectors.

    Parameters
    ----------
    b : (..., ny+1, nx+1) load vectors: moments with the hats of their grid.
    cells : (Ny, Nx) of the other grid.

    Returns
    -------
    Load vectors (..., Ny+1, Nx+1): moments with the hats of that grid, exact where it is coarser and nested.

    Examples
    --------
    >>> restrict(np.ones((2, 5)), (1, 1))[0]
    array([2.5, 2.5])
    """
    if not isinstance(b, (np.ndarray, list)):
        return _restrict_tensor(b, cells)
    b = np.asarray(b, dtype=float)
    Ry, Rx = (_restriction(N, n - 1) for N, n in zip(cells, b.shape[-2:], strict=True))
    return along(Rx, along(Ry, b, -2), -1)


def prolongate_by_two(u: Tensor) -> Tensor:
    """Prolongate (..., ny+1, nx+1) to the grid with half the mesh size, (..., 2ny+1, 2nx+1)."""
    import torch.nn.functional as F

    fine = F.conv_transpose2d(u.reshape(-1, 1, *u.shape[-2:]), _hat(u), stride=2, padding=1)
    return fine.reshape(*u.shape[:-2], *fine.shape[-2:])


def restrict_by_two(r: Tensor) -> Tensor:
    """Apply the transpose of :func:`prolongate_by_two`: (..., 2ny+1, 2nx+1) to (..., ny+1, nx+1)."""
    import torch.nn.functional as F

    coarse = F.conv2d(r.reshape(-1, 1, *r.shape[-2:]), _hat(r), stride=2, padding=1)
    return coarse.reshape(*r.shape[:-2], *coarse.shape[-2:])


def _places(N: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Cell of N in which each of the n + 1 nodes lies, in integers, and its place in the cell (0 … 1)."""
    base = np.minimum(np.arange(n + 1) * N // n, N - 1)
    return base, (np.arange(n + 1) * N - base * n) / n


@lru_cache(maxsize=32)
def _restriction(N: int, n: int) -> csr_array:
    """Transpose (N+1, n+1) of the evaluation of piecewise linear functions of N intervals at n + 1 nodes."""
    from scipy.sparse import csr_array

    base, frac = _places(N, n)
    nodes = np.arange(n + 1)
    entries = np.concatenate([1 - frac, frac]), (np.concatenate([base, base + 1]), np.tile(nodes, 2))
    return csr_array(entries, shape=(N + 1, n + 1))


def _at_points(U: np.ndarray, yx: np.ndarray) -> np.ndarray:
    n = np.array(U.shape[-2:]) - 1
    t = yx * n
    base = np.minimum(t.astype(int), n - 1)
    (fy, fx), (iy, ix) = (t - base).T, base.T
    low = U[..., iy, ix] * (1 - fx) + U[..., iy, ix + 1] * fx
    high = U[..., iy + 1, ix] * (1 - fx) + U[..., iy + 1, ix + 1] * fx
    return low * (1 - fy) + high * fy


def _prolongate_tensor(U: Tensor, to: tuple[int, int] | Query) -> Tensor:
    import torch

    from .linalg import apply_x, apply_y
    from .positions import Nodes

    query = Nodes(to) if isinstance(to, tuple) else to
    if isinstance(query, Nodes) and plain(U):
        return torch.from_numpy(prolongate(U.detach().numpy(), query.cells))
    intervals = (U.shape[-2] - 1, U.shape[-1] - 1)
    if isinstance(query, Nodes):
        Py, Px = _matrices(query, intervals, U)
        return apply_x(Px, apply_y(Py, U))
    at = query.locate(intervals, centred=False)
    parts = []
    for dy in (0, 1):
        for dx in (0, 1):
            w = (at.y.frac if dy else 1 - at.y.frac) * (at.x.frac if dx else 1 - at.x.frac)
            parts.append(U[..., at.y.base + dy, at.x.base + dx] * w.to(U))
    return parts[0] + parts[1] + parts[2] + parts[3]


def _restrict_tensor(b: Tensor, cells: tuple[int, int]) -> Tensor:
    import torch

    from .linalg import apply_x, apply_y
    from .positions import Nodes

    if plain(b):
        return torch.from_numpy(restrict(b.detach().numpy(), cells))
    Py, Px = _matrices(Nodes((b.shape[-2] - 1, b.shape[-1] - 1)), cells, b)
    return apply_x(Px.T, apply_y(Py.T, b))


def _matrices(query: Query, intervals: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Matrices (nodes, intervals + 1) of both axes that evaluate piecewise linear functions at the nodes."""
    import torch

    out = []
    for k, n in enumerate(intervals):
        axis = query.axis(k, n, centred=False)  # type: ignore[union-attr]
        P = torch.zeros(len(axis.base), n + 1, dtype=torch.float64)
        rows = torch.arange(len(axis.base))
        P[rows, axis.base] = 1 - axis.frac
        P[rows, axis.base + 1] += axis.frac
        out.append(P.to(like))
    return out[0], out[1]


def _hat(like: Tensor) -> Tensor:
    return like.new_tensor([[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]).view(1, 1, 3, 3)
