"""Energy and L2 norms of Q1 functions, the only ones of the project: of single arrays in numpy, of batches in torch.

Both norms are exact for the Q1 function, whatever the raster of the coefficient: the energy integrates a, and c of a
medium with reaction, on their own cells, and α along Robin sides; the L2 norm is that of the mass matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .backend import compiled
from .medium import Medium, as_medium, cell_values
from .q1 import SYMMETRIC_PAIRS, at_corners, mass_apply, mass_elements
from .robin import edge_weights
from .space import EDGES
from .tensor_energy import product_by_elements, tensor_product
from .tensor_medium import TensorMedium, entries_of

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray
Size = tuple[float, float]

#: Nodes per strip in which :func:`energy_squared` works through one array: what they need stays in the cache.
STRIP = 20_000


def energy_product(v: Array, w: Array, A: Array | Medium, size: Size = (1.0, 1.0)) -> float:
    r"""Compute the energy inner product :math:`a(v, w) = \int a\,\nabla v\cdot\nabla w + c\,v w` of two nodal fields.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values.
    w : (ny+1, nx+1) nodal values on the same grid.
    A : (my, mx) coefficient cell values, or the medium, whose reaction and Robin sides count; grids need not be nested.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    a(v, w), exact up to round-off.
    """
    if not as_medium(A).only_diffuses:
        return energy_product(v, w, as_medium(A).diffusion(), size) + float(_mass_product(v, w, as_medium(A), size))
    if isinstance(A, TensorMedium):
        return float(tensor_product(v, w, A, size))
    v, w = np.asarray(v, dtype=float), np.asarray(w, dtype=float)
    A = np.asarray(cell_values(A), dtype=float)
    ny, nx = v.shape[0] - 1, v.shape[1] - 1
    if ny % A.shape[0] == 0 and nx % A.shape[1] == 0:
        if compiled():
            from .kernels.energy import energy_product as kernel

            v, w, A = (np.ascontiguousarray(x) for x in (v, w, A))
            return float(kernel(v, w, A, (size[0] / ny) / (size[1] / nx)))
        vx, wx = np.diff(v, axis=1), np.diff(w, axis=1)
        vy, wy = np.diff(v, axis=0), np.diff(w, axis=0)

        def edges(p: tuple[Array, Array], q: tuple[Array, Array]) -> Array:
            # exact integral of a product of two linear functions, times 6
            return 2 * (p[0] * q[0] + p[1] * q[1]) + p[0] * q[1] + p[1] * q[0]

        x_part = edges((vx[:-1], vx[1:]), (wx[:-1], wx[1:]))
        y_part = edges((vy[:, :-1], vy[:, 1:]), (wy[:, :-1], wy[:, 1:]))
        ratio = (size[0] / ny) / (size[1] / nx)
        density = ratio * x_part + y_part / ratio
        blocks = density.reshape(A.shape[0], ny // A.shape[0], A.shape[1], nx // A.shape[1]).sum((1, 3))
        return float(np.sum(A * blocks) / 6)
    return float(product_by_elements(v, w, Medium(A), size))


@overload
def energy_squared(v: Array, A: Array | Medium, size: Size = (1.0, 1.0)) -> float: ...
@overload
def energy_squared(v: Tensor, A: Tensor | Medium, size: Size = (1.0, 1.0)) -> Tensor: ...


def energy_squared(v: Any, A: Any, size: Size = (1.0, 1.0)) -> Any:
    r"""Compute squared energy norms :math:`a(v, v) = \int a\,|\nabla v|^2 + c\,v^2` of nodal fields.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values, numpy; or a batch (..., ny+1, nx+1), torch.
    A : (my, mx) coefficient cell values, or a batch (..., my, mx), or a medium; the two grids need not be nested.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    A number, or those of the batch (...) in the type of ``v``; exact up to round-off.

    Examples
    --------
    >>> energy_squared(np.outer(np.ones(65), np.linspace(0, 1, 65)), np.full((32, 4), 3.0))
    3.0
    """
    if not as_medium(A).only_diffuses:
        return energy_squared(v, as_medium(A).diffusion(), size) + _mass_product(v, v, as_medium(A), size)
    if isinstance(A, TensorMedium):
        found = tensor_product(v, v, A, size)
        return float(found) if isinstance(v, np.ndarray) else found
    A = cell_values(A)
    if not isinstance(v, np.ndarray):
        return _energy_of_batch(v, A, size)
    v, A = np.asarray(v, dtype=float), np.asarray(A, dtype=float)
    rows, remainder = divmod(v.shape[0] - 1, A.shape[0])
    if remainder or (v.shape[1] - 1) % A.shape[1]:
        return energy_product(v, v, A, size)
    total, step = 0.0, max(1, STRIP // (rows * v.shape[1]))
    for k in range(0, A.shape[0], step):
        strip = A[k : k + step]
        part = v[k * rows : (k + len(strip)) * rows + 1]
        total += energy_product(part, part, strip, (size[0] * len(strip) / A.shape[0], size[1]))
    return total


@overload
def l2_squared(v: Array, size: Size = (1.0, 1.0)) -> float: ...
@overload
def l2_squared(v: Tensor, size: Size = (1.0, 1.0)) -> Tensor: ...


def l2_squared(v: Any, size: Size = (1.0, 1.0)) -> Any:
    r"""Compute squared L2 norms :math:`\int v^2` of Q1 functions: vᵀ M v with the mass matrix M.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values, numpy; or a batch (..., ny+1, nx+1), torch.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    A number, or those of the batch (...) in the type of ``v``.

    Examples
    --------
    >>> round(3 * l2_squared(np.outer(np.ones(5), np.linspace(0, 1, 9))), 12)
    1.0
    """
    if isinstance(v, np.ndarray):
        return float(np.sum(v * mass_apply(v, size)))
    from .stencil import apply_mass

    return (v * apply_mass(v, size)).sum((-2, -1))


def energy_norm(v: Array, A: Array | Medium, size: Size = (1.0, 1.0)) -> float:
    r"""Compute the energy norm :math:`(\int a|\nabla v|^2 + c\,v^2)^{1/2}` of a nodal field.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values.
    A : (my, mx) coefficient cell values, or the medium; the two grids need not be nested.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    The norm.

    Examples
    --------
    >>> x = np.linspace(0, 1, 9)[None, :] * np.ones((9, 1))
    >>> round(energy_norm(x, 4 * np.ones((4, 4))), 12)
    2.0
    """
    return float(np.sqrt(max(energy_squared(v, A, size), 0.0)))


def functional(v: Array, A: Array | Medium, b: Array, size: Size = (1.0, 1.0)) -> float:
    """Compute the energy functional E(v) = ½ a(v, v) − f(v); E(v) − E(u_h) = ½ |||v − u_h|||².

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values.
    A : coefficient cell values (my, mx), or the medium.
    b : (ny+1, nx+1) load vector on the grid of v.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    E(v).
    """
    return 0.5 * energy_squared(v, A, size) - float(np.sum(b * v))


def energy_distance(E_v: float, E_u: float, energy: float) -> float:
    """Compute the relative energy distance |||u − v||| / |||u||| from energy functionals: E(v) − E(u) = ½ |||u − v|||².

    Parameters
    ----------
    E_v : E(v) of any function with the boundary values of u.
    E_u : E(u) of the minimiser u.
    energy : a(u, u).

    Returns
    -------
    The distance, 0 where round-off makes the difference negative; infinite for u = 0.

    Examples
    --------
    >>> energy_distance(-0.42, -0.5, 1.0)
    0.4
    """
    return relative(float(np.sqrt(max(0.0, 2 * (E_v - E_u)))), float(np.sqrt(energy)))


def relative(error: float, norm: float) -> float:
    """Divide an error by the norm of its reference: 0 where both vanish, infinite where the reference alone does."""
    return error / norm if norm > 0 else (0.0 if error == 0 else float("inf"))


def l2_norm(v: Array, size: Size = (1.0, 1.0)) -> float:
    """Compute the L2 norm of the Q1 function with nodal values ``v`` (ny+1, nx+1) on a rectangle (Ly, Lx)."""
    return float(np.sqrt(max(l2_squared(v, size), 0.0)))


@overload
def relative_errors(v: Array, reference: Array, A: Array | Medium, size: Size = (1.0, 1.0)) -> dict[str, float]: ...
@overload
def relative_errors(v: Tensor, reference: Tensor, A: Tensor | Medium, size: Size = (1.0, 1.0)) -> dict[str, Tensor]: ...


def relative_errors(v: Any, reference: Any, A: Any, size: Size = (1.0, 1.0)) -> Any:
    """Compute the errors of ``v`` relative to ``reference`` in the L2 norm, the H1 seminorm and the energy norm.

    Parameters
    ----------
    v : (ny+1, nx+1) nodal values, numpy; or a batch (..., ny+1, nx+1), torch.
    reference : nodal values on the same grid, by whose norms the errors are divided.
    A : (my, mx) coefficient cell values, or a batch (..., my, mx), or a medium; the two grids need not be nested.
    size : (Ly, Lx) of the rectangle.

    Returns
    -------
    ``{"L2", "H1", "energy"}``: numbers, or those of the batch (...). Numbers are 0 for zero fields, and infinite for
    an error against one.

    Examples
    --------
    >>> v = np.outer(np.ones(5), np.linspace(0, 1, 5))
    >>> relative_errors(1.5 * v, v, np.ones((2, 2)))
    {'L2': 0.5, 'H1': 0.5, 'energy': 0.5}
    >>> relative_errors(0 * v, 0 * v, np.ones((2, 2)))["L2"], relative_errors(v, 0 * v, np.ones((2, 2)))["energy"]
    (0.0, inf)
    """
    if isinstance(v, np.ndarray):
        e, one = np.asarray(v, dtype=float) - reference, np.ones((1, 1))
        return {
            "L2": relative(l2_norm(e, size), l2_norm(reference, size)),
            "H1": relative(energy_norm(e, one, size), energy_norm(reference, one, size)),
            "energy": relative(energy_norm(e, A, size), energy_norm(reference, A, size)),
        }
    e, one = v - reference, entries_of(A)[0].new_ones(1, 1)
    squares = {
        "L2": l2_squared(e, size) / l2_squared(reference, size),
        "H1": energy_squared(e, one, size) / energy_squared(reference, one, size),
        "energy": energy_squared(e, A, size) / energy_squared(reference, A, size),
    }
    import torch

    # The root's gradient is infinite at zero.
    return {norm: s.clamp_min(torch.finfo(s.dtype).tiny).sqrt() for norm, s in squares.items()}


def _mass_product(v: Any, w: Any, medium: Medium, size: Size) -> Any:
    """What reaction and Robin sides add to energy products."""
    cells, total = (v.shape[-2] - 1, v.shape[-1] - 1), 0.0
    if medium.reaction is not None:
        total = total + _reaction_product(v, w, medium.reaction, size)
    if medium.robin is not None:
        for edge, weight in zip(EDGES.values(), edge_weights(medium.robin, cells, size), strict=True):
            total = total + weight * _lines(v[edge], w[edge]).sum(-1)
    return total


def _lines(a: Any, b: Any) -> Any:
    """Integrals of products of two rows of nodal values (..., n+1) over their edges, times 6 / h."""
    return (
        2 * (a[..., :-1] * b[..., :-1] + a[..., 1:] * b[..., 1:]) + a[..., :-1] * b[..., 1:] + a[..., 1:] * b[..., :-1]
    )


def _reaction_product(v: Any, w: Any, c: Any, size: Size) -> Any:
    """Integrals of c v w for nodal fields, numpy or torch, leading dimensions a batch."""
    (ny, nx), (py, px) = (v.shape[-2] - 1, v.shape[-1] - 1), c.shape[-2:]
    if ny % py or nx % px:
        if isinstance(v, np.ndarray):
            return _mass_by_elements(v, w, mass_elements(c, (ny, nx), size))
        from .stencil import mass_elements as batched

        return _mass_by_elements(v, w, batched(c, (ny, nx), size).to(v))
    if isinstance(v, np.ndarray) and v.ndim == 2 and compiled():
        from .kernels.energy import reaction_product

        fields = (np.ascontiguousarray(u, dtype=float) for u in (v, w, c))
        return reaction_product(*fields) * (size[0] / ny * size[1] / nx)

    rows = _lines(v, w)
    density = 2 * (rows[..., :-1, :] + rows[..., 1:, :])
    density += _lines(v[..., :-1, :], w[..., 1:, :]) + _lines(v[..., 1:, :], w[..., :-1, :])
    cells = density.reshape(*density.shape[:-2], py, ny // py, px, nx // px).sum((-3, -1))
    return (cells * c).sum((-2, -1)) * (size[0] / ny * size[1] / nx / 36)


def _mass_by_elements(v: Any, w: Any, M: Any) -> Any:
    """Products vᵀ M w of nodal fields (..., ny+1, nx+1) by element mass matrices (..., 10, ny, nx)."""
    lv, lw = at_corners(v), at_corners(w)
    total: Any = 0.0
    for k, (i, j) in enumerate(SYMMETRIC_PAIRS):
        entry = M[..., k, :, :]
        total = total + (entry * lv[i] * lw[j]).sum((-2, -1))
        if i != j:
            total = total + (entry * lv[j] * lw[i]).sum((-2, -1))
    return total


def _energy_of_batch(v: Tensor, A: Tensor, size: Size) -> Tensor:
    """Squared energy norms of a batch from differences of nodal values: in float32 vᵀ K v would lose digits."""
    from torch.nn.functional import avg_pool2d

    (ny, nx), (my, mx) = (v.shape[-2] - 1, v.shape[-1] - 1), A.shape[-2:]
    if ny % my or nx % mx:
        return product_by_elements(v, v, Medium(A.double()), size)
    dx, dy = v[..., :, 1:] - v[..., :, :-1], v[..., 1:, :] - v[..., :-1, :]
    x0, x1, y0, y1 = dx[..., :-1, :], dx[..., 1:, :], dy[..., :, :-1], dy[..., :, 1:]
    ratio = (size[0] / ny) / (size[1] / nx)
    density = (x0 * (x0 + x1) + x1.square()) * ratio + (y0 * (y0 + y1) + y1.square()) / ratio
    r = (ny // my, nx // mx)
    if r != (1, 1):
        cells = avg_pool2d(density.reshape(-1, 1, ny, nx), r) * (r[0] * r[1])
        density = cells.reshape(*density.shape[:-2], my, mx)
    return (density * A.to(v)).sum((-2, -1)) / 3
