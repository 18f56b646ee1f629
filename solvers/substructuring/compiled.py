"""The local solves of the skeleton in compiled kernels (numba): CPU, float64, no gradients; see ``skeleton``.

Owns the choice of the backend and of the number of threads, and the matrices in the form that the kernels want.
``Skeleton`` is the twin in torch: the same steps in the same order, so both agree to round-off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..backend import compiled, plain
from ..kernels.workers import Workers
from ..medium import Medium
from ..q1 import reference_matrices
from ..space import cell_aspect
from .cell import nodal_cell
from .values import Values

log = logging.getLogger(__name__)

#: Fewer cells, of all problems together, are treated on one thread: handing out work takes longer than doing it.
SMALL = 64 * 64
MAX_THREADS = 4


def applies(*tensors: Tensor) -> bool:
    """Tell whether compiled kernels can do the work.

    Parameters
    ----------
    *tensors : everything that the work depends on.

    Returns
    -------
    Whether numba is there and all tensors are float64, on the CPU and without gradients.
    """
    return plain(*tensors) and compiled()


@dataclass(frozen=True)
class KernelValues:
    """``Values`` in the kernels' order of axes, see ``kernels.skeleton``; B media with K loads each, P = B K.

    Attributes
    ----------
    C : (P, my+1, mx+1) at corners.
    H : (P, my+1, rx-1, mx) on level edges.
    V : (P, my, ry-1, mx+1) on upright edges.
    batch : (B, K).
    """

    C: np.ndarray
    H: np.ndarray
    V: np.ndarray
    batch: tuple[int, int]

    @staticmethod
    def of(v: Values) -> KernelValues:
        """Convert; memory that is already in this order is shared."""
        parts = (v.corners, v.level.transpose(-1, -2), v.upright.transpose(-1, -2))
        C, H, V = (t.detach().contiguous().flatten(0, 1).numpy() for t in parts)
        return KernelValues(C, H, V, (v.corners.shape[0], v.corners.shape[1]))

    def values(self) -> Values:
        """Convert back, as views of the same memory."""
        corners, level, upright = (torch.from_numpy(v).unflatten(0, self.batch) for v in self.triple)
        return Values(corners, level.transpose(-1, -2), upright.transpose(-1, -2))

    @property
    def triple(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(C, H, V), as the kernels take them."""
        return self.C, self.H, self.V

    @property
    def corners(self) -> Tensor:
        """Values (B, K, my+1, mx+1) at the corners."""
        return torch.from_numpy(self.C).unflatten(0, self.batch)

    def copy(self) -> KernelValues:
        """Copy."""
        return KernelValues(self.C.copy(), self.H.copy(), self.V.copy(), self.batch)

    def plus_bilinear(self, step: Tensor) -> KernelValues:
        """Add the function with values ``step`` (B, K, my+1, mx+1) at the corners, linear on the edges."""
        from ..kernels.skeleton import add_bilinear

        x = self.copy()
        add_bilinear(step.detach().contiguous().flatten(0, 1).numpy(), x.triple, 0, len(x.C) * x.C.shape[1])
        return x


@dataclass(frozen=True)
class _Matrices:
    """Matrices of a cell with a = 1, as the kernels take them (named there), and the inverses of S_EE of an edge."""

    upright: np.ndarray
    upright_across: np.ndarray
    level: np.ndarray
    stiffness: np.ndarray
    hats: np.ndarray
    loads: np.ndarray
    inside: np.ndarray
    inverses: tuple[np.ndarray, np.ndarray]
    entries: tuple[float, ...]


@lru_cache(maxsize=16)
def _matrices(r: tuple[int, int], aspect: float, q: tuple[int, int]) -> _Matrices:
    """Return the matrices of ``nodal_cell(r, aspect, q)``."""
    from ..kernels.skeleton import filled

    cell, (h, v) = nodal_cell(r, aspect, q), (r[1] - 1, r[0] - 1)
    left, right, corners = slice(2 * h, 2 * h + v), slice(2 * h + v, 2 * (h + v)), slice(2 * (h + v), None)
    upright, S = cell.upright.after, cell.stiffness
    edges = (S[:h, :h], S[left, left])  # level, upright
    Kxx, Kyy, _ = reference_matrices(aspect, 1.0)
    return _Matrices(
        upright=filled(np.concatenate([upright[:, : 2 * h], upright[:, corners]], 1)),
        upright_across=filled(upright[:, right]),
        level=filled(cell.level.after[:, h:]),
        stiffness=np.ascontiguousarray((S + S.T) / 2),
        hats=-cell.hats @ S,
        loads=np.concatenate([cell.moments.T, cell.hats @ cell.moments.T]),
        inside=np.concatenate([cell.inside, cell.load_inside], 1).reshape(v, h, -1),
        inverses=(np.linalg.inv(edges[0]), np.linalg.inv(edges[1])),
        entries=tuple(float(entry) for entry in (Kxx + Kyy)[0]),
    )


class CompiledSkeleton:
    """The condensed system on the skeleton for B media with K loads each, and its local solves.

    No method changes what it is given, but for ``line_search``.

    Parameters
    ----------
    medium : B media (B, my, mx).
    load : (B, K, qy my + 1, qx mx + 1) nodal values of f.
    r : (ry, rx) fine cells per coefficient cell, 2 at least.
    size : (Ly, Lx) of the rectangle.
    sweeps : sweeps over corners and edges in a local solve.
    """

    def __init__(self, medium: Medium, load: Tensor, r: tuple[int, int], size: tuple[float, float], sweeps: int):
        self._take(medium.cells, load, r, size, sweeps)
        self.matrices = _matrices(r, cell_aspect(medium.cells, size), self.parts)
        self.a = medium.values.detach().contiguous().numpy()  # type: ignore[union-attr]
        self._condense_loads()

    def _take(
        self, cells: tuple[int, int], load: Tensor, r: tuple[int, int], size: tuple[float, float], sweeps: int
    ) -> None:
        """Take all but the media; the raster has ``cells``."""
        from ..kernels import skeleton, skeleton_cells

        if not skeleton.relax_upright.signatures:
            log.info("loading compiled kernels; the first use after an installation compiles them, about 10 s")
        self.kernels, self.cell_kernels = skeleton, skeleton_cells
        self.r, self.sweeps, (self.my, self.mx) = r, sweeps, cells
        self.K, self.problems = load.shape[1], load.shape[0] * load.shape[1]
        self.batch = (load.shape[0], load.shape[1])
        self.parts = (load.shape[-2] - 1) // self.my, (load.shape[-1] - 1) // self.mx
        self.f = ((size[1] / self.mx) ** 2 * load.detach()).contiguous().flatten(0, 1).numpy()
        small = self.problems * self.my * self.mx < SMALL
        # torch's threads are the free cores while ``threads.suited_threads`` holds; asking again would take 1 ms
        self.workers = Workers(1 if small else min(MAX_THREADS, torch.get_num_threads()))

    def _run(self, kernel: Callable[..., Any], rows: int, *arguments: Any) -> None:
        """Call a kernel for ``rows`` rows of every problem."""
        if rows > 0:
            self.workers.map(kernel, self.workers.ranges(self.problems * rows), *arguments)

    def _condense_loads(self) -> None:
        """Compute load vectors of boundary values and of hats, and the load's part in the values on edges."""
        P, kernels, M = self.problems, self.cell_kernels, self.matrices
        self._clear_loads()
        self._run(kernels.load_vectors, self.my + 1, self.f, self.parts, M.loads, self.g, self.hats)
        self.level, self.upright = np.empty_like(self.g[1]), np.empty_like(self.g[2])
        for edges, inverse, g in zip((self.level, self.upright), M.inverses, self.g[1:], strict=True):
            rows = edges.shape[1]
            self._run(kernels.multiply_rows, rows, inverse, *(t.reshape(P * rows, *t.shape[2:]) for t in (g, edges)))

    def _clear_loads(self) -> None:
        """Make zero load vectors of the boundary values and of the hats."""
        P, my, mx, (h, v) = self.problems, self.my, self.mx, (self.r[1] - 1, self.r[0] - 1)
        self.g = np.zeros((P, my + 1, mx + 1)), np.zeros((P, my + 1, h, mx)), np.zeros((P, my, v, mx + 1))
        self.hats = np.zeros((P, my + 1, mx + 1))

    def relaxed(self, v: KernelValues) -> KernelValues:
        """Apply two local solves, and the line search through their results; see ``Skeleton.relaxed``."""
        once = self._swept(v)
        return self.line_search(once, self._swept(once), extrapolate=True)

    def _swept(self, v: KernelValues) -> KernelValues:
        x = v.copy()
        self._relax_edges(x)
        for _ in range(self.sweeps):
            self._relax_corners(x)
            self._relax_edges(x)
        return x

    def _relax_edges(self, x: KernelValues) -> None:
        """Minimise the energy over every inner edge in turn, in four colours, in place."""
        M, kernels = self.matrices, self.kernels
        self._run(kernels.relax_upright, self.my, self.a, self.K, M.upright, M.upright_across, self.upright, x.triple)
        for first in (1, 2):
            lines = (self.my - first + 1) // 2
            self._run(kernels.relax_level, lines, self.a, self.K, M.level, self.level, x.triple, first)

    def _relax_corners(self, x: KernelValues) -> None:
        """Minimise the energy over the bilinear hat of every inner corner in turn, in four colours, in place."""
        residual, step = self._residual(x), np.zeros_like(x.C)
        for first in (1, 2):
            self._step_at_corners(residual, step, first)
        self._run(self.kernels.add_bilinear, self.my + 1, step, x.triple)

    def _step_at_corners(self, residual: np.ndarray, step: np.ndarray, first: int) -> None:
        """Go over every second line of corners, from line ``first`` on."""
        arguments = (self.a, self.K, self.matrices.entries, residual, step, first)
        self._run(self.kernels.relax_corners, (self.my - first + 1) // 2, *arguments)

    def _residual(self, x: KernelValues) -> np.ndarray:
        out = np.empty_like(x.C)
        arguments = (self.a, self.K, self.matrices.hats, self.hats, x.triple, out)
        self._run(self.cell_kernels.residual, self.my + 1, *arguments)
        return out

    def residual(self, v: KernelValues) -> Tensor:
        """Compute the residual (B, K, my+1, mx+1) against the bilinear hats of the corners."""
        return torch.from_numpy(self._residual(v)).unflatten(0, self.batch)

    def line_search(
        self, v: KernelValues, w: KernelValues, *, extrapolate: bool = False, where: Tensor | None = None
    ) -> KernelValues:
        """Minimise the energy on the line through v and w; see ``Skeleton.line_search``.

        Parameters
        ----------
        v : values on the skeleton.
        w : values with the same Dirichlet data; overwritten with the result.
        extrapolate : take the minimum on the whole line instead of the segment between v and w.
        where : (B, K) boolean; v stays where it is false.

        Returns
        -------
        KernelValues
        """
        sums = np.empty((self.problems, self.my + 1, 2))
        self._sum_along(v, w, sums.reshape(-1, 2))
        with np.errstate(all="ignore"):  # what is not finite is found in the result
            work, energy = sums.sum(1).T
            possible = energy > 0 if where is None else (energy > 0) & where.flatten().numpy()
            share = np.where(possible, work, 0.0) / np.where(possible, energy, 1.0)
        share = share if extrapolate else share.clip(0, 1)
        self._run(self.kernels.towards, self.my + 1, share, v.triple, w.triple)
        return w

    def _sum_along(self, v: KernelValues, w: KernelValues, sums: np.ndarray) -> None:
        """Write what the minimum on the line through v and w needs into ``sums``."""
        arguments = (self.a, self.K, self.matrices.stiffness, self.g, v.triple, w.triple, sums)
        self._run(self.cell_kernels.line_search, self.my + 1, *arguments)

    def field(self, v: KernelValues) -> Tensor:
        """Extend values on the skeleton into the cells: the fine field (B, K, ny+1, nx+1)."""
        out = np.empty((self.problems, self.r[0] * self.my + 1, self.r[1] * self.mx + 1))
        arguments = (self.a, self.K, self.matrices.inside, self.f, self.parts, v.triple, out)
        self._run(self.cell_kernels.extend, self.my + 1, *arguments)
        return torch.from_numpy(out).unflatten(0, self.batch)
