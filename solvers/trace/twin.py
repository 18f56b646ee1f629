"""The Schwarz solver's operations in torch: any device, batches of coefficients, periodic problems, no compiler.

Owns the preconditioner and the state of the iteration as tensors; ``compiled`` does the same in numba.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..blackbox import CoarseProblem
from ..linalg import apply_x, batched_vectors
from ..q1 import ENTRIES
from ..smoothing import smoothing_bound
from .crosspoints import CrossPoints
from .layout import Boundary, TraceVector, gather, scatter
from .periodic import PeriodicCoarse
from .vertices import cells_at_vertices, vertex_inverses, vertex_kinds, vertex_parts, with_ring


class _JoinedCrossPoints:
    """Coarse functions at the cross points of several media, as tensors."""

    def __init__(self, values: np.ndarray, S: np.ndarray, modes: int, boundary: Boundary, like: Tensor):
        self.element = S[-4:, -4:]
        media = enumerate(CrossPoints.of(v, S, modes, boundary) for v in values)
        found = self.found = [(k, cross) for k, cross in media if cross is not None]
        self.factors = max((c.factors for _, c in found if c.factors), key=lambda f: len(f[1]), default=None)
        if not found:
            return
        cells = values.shape[-2:]
        count, vertices = TraceVector.zeros(cells, modes).flat().size, (cells[0] + 1) * (cells[1] + 1)
        edges = np.concatenate([c.edges + k * count for k, c in found])
        places = (edges[:, :, None] + np.arange(modes)).reshape(len(edges), -1)

        def tensor(v: np.ndarray) -> Tensor:
            return torch.as_tensor(v, dtype=like.dtype if v.dtype == float else torch.int64, device=like.device)

        self.places = tensor(places)
        self.traces = tensor(np.concatenate([c.traces[c.kind] for _, c in found]))
        self.vertices = tensor(np.concatenate([c.vertices + k * vertices for k, c in found]))
        self.weights = tensor(np.concatenate([c.weights for _, c in found]))

    def elements(self, a: Tensor) -> Tensor:
        """Return the matrices (B, my, mx, 4, 4) of all cells."""
        K = a[..., None, None] * torch.as_tensor(self.element, dtype=a.dtype, device=a.device)
        for k, cross in self.found:
            full = cross.elements[ENTRIES].transpose(2, 3, 0, 1)
            K[k] = torch.as_tensor(full, dtype=a.dtype, device=a.device)
        return K

    def restrict(self, r: TraceVector) -> Tensor:
        """Return the moments (B, my+1, mx+1) of a residual with the coarse functions."""
        if not self.found:
            return r.corners
        total = (r.flat().reshape(-1)[self.places] * self.traces).sum(-1, keepdim=True)
        parts = (self.weights * total).reshape(-1)
        return r.corners.reshape(-1).index_add(0, self.vertices.reshape(-1), parts).reshape(r.corners.shape)

    def add(self, u: Tensor, z: TraceVector) -> TraceVector:
        """Return z plus what coarse functions with values u (B, my+1, mx+1) have on edges at cross points."""
        if not self.found:
            return z
        value = (self.weights * u.reshape(-1)[self.vertices]).sum(-1, keepdim=True)
        flat = z.flat()
        parts = (value * self.traces).reshape(-1)
        flat = flat.reshape(-1).index_add(0, self.places.reshape(-1), parts).reshape(flat.shape)
        return TraceVector.from_flat(flat, z.cells, z.modes)


class TorchOperations:
    """One state of the conjugate gradient method and its operations; see ``cg.Operations``.

    Parameters
    ----------
    a : (B, my, mx) coefficients, tensor.
    stiffness : (n, n) cell matrix, symmetric.
    modes : functions per edge.
    boundary : which unknowns are free.
    """

    def __init__(self, a: Tensor, stiffness: np.ndarray, modes: int, boundary: Boundary):
        self.a, self.modes, self.boundary = a, modes, boundary
        self.cells = (a.shape[-2], a.shape[-1])
        self.S = torch.as_tensor(stiffness, dtype=a.dtype, device=a.device)
        self.free = TraceVector(
            *(torch.as_tensor(v, dtype=a.dtype, device=a.device) for v in boundary.free(self.cells, modes).parts())
        )
        values = a.cpu().numpy()
        parts = vertex_parts(stiffness, modes)
        kinds = vertex_kinds(values, boundary)
        self.order: list[Tensor] | None = None
        if kinds is None:
            inverses = vertex_inverses(cells_at_vertices(with_ring(values, boundary)).reshape(-1, 4), parts, boundary)
        else:
            inverses = vertex_inverses(kinds.values, parts, boundary)
            order = np.argsort(kinds.kind.ravel(), kind="stable")
            ends = np.cumsum(np.bincount(kinds.kind.ravel(), minlength=len(kinds.values)))[:-1]
            self.order = [torch.as_tensor(v, device=a.device) for v in np.split(order, ends)]
        self.inverses = torch.as_tensor(inverses, dtype=a.dtype, device=a.device)
        self.cross = _JoinedCrossPoints(values, stiffness, modes, boundary, a)
        if boundary.periodic:
            self.coarse: PeriodicCoarse | CoarseProblem = PeriodicCoarse(self.cross.elements(a), boundary)
        else:
            bound = None if self.cross.found else smoothing_bound(stiffness[-4:, -4:])
            self.coarse = CoarseProblem(self.cross.elements(a), boundary, bound, self.cross.factors)

    def apply(self, x: TraceVector) -> TraceVector:
        """Return A x with zeros at fixed unknowns."""
        y = self.a.unsqueeze(-1) * apply_x(self.S, gather(x))
        return self.boundary.fold(scatter(y)).masked(self.free)

    def vertex_solves(self, r: TraceVector) -> TraceVector:
        """Return half the sum of the local solutions at all vertices for a residual ``r`` (B, ...), a trace vector."""
        p = self.modes
        around_vertex = self._to_vertices(r)
        flat = around_vertex.reshape(-1, 4 * p + 1)
        if self.order is None:
            y = batched_vectors(self.inverses, flat)
        else:
            y = torch.empty_like(flat)
            for B, rows in zip(self.inverses, self.order, strict=True):
                y[rows] = flat[rows] @ B
        return self._from_vertices(0.5 * y.reshape(around_vertex.shape))

    def _to_vertices(self, r: TraceVector) -> Tensor:
        """Gather the residual around every vertex: (B, my+1, mx+1, m); zeros where there is no edge."""
        mode = torch.nn.functional.pad
        L, U = r.level, r.upright
        left, right = mode(L, (0, 0, 1, 0)), mode(L, (0, 0, 0, 1))
        below, above = mode(U, (0, 0, 0, 0, 1, 0)), mode(U, (0, 0, 0, 0, 0, 1))
        if self.boundary.periodic:
            left[..., 0, :], below[..., 0, :, :] = L[..., -1, :], U[..., -1, :, :]
        return torch.cat([left, right, below, above, r.corners.unsqueeze(-1)], -1)

    def _from_vertices(self, y: Tensor) -> TraceVector:
        """Sum local solutions at the edges: the transpose of :meth:`_to_vertices`."""
        p = self.modes
        left, right, below, above = (y[..., k * p : (k + 1) * p] for k in range(4))
        level = left[..., 1:, :] + right[..., :-1, :]
        upright = below[..., 1:, :, :] + above[..., :-1, :, :]
        if self.boundary.periodic:
            # Row and column 0 of the vertices see the last edges; row my and column mx are repetitions.
            level[..., -1, :] = left[..., 0, :] + right[..., -2, :]
            upright[..., -1, :, :] = below[..., 0, :, :] + above[..., -2, :, :]
        return TraceVector(level, upright, y[..., 4 * p].clone()).masked(self.free)

    def precondition(self, r: TraceVector) -> TraceVector:
        """Return the sum of half the local solutions and of the coarse problem's solution for a residual ``r``."""
        z = self.vertex_solves(r)
        u = self.coarse.solve(self.cross.restrict(r))
        z.corners.add_(u)
        return self.boundary.repeat(self.cross.add(u, z))

    def begin(self, b: TraceVector, start: TraceVector | None) -> None:
        """Set x to the start (None: zero) and r to b - A x."""
        b = self.boundary.fold(b.copy()).masked(self.free)
        if start is None:
            self.x, self.r = TraceVector(*map(torch.zeros_like, b.parts())), b
        else:
            self.x = self.boundary.repeat(start.masked(self.free))
            self.r = b.combine(-1.0, self.apply(self.x))
        self.b = b

    def residual_product(self) -> np.ndarray:
        """Set z = B r and return r·z, (B,)."""
        self.z = self.precondition(self.r)
        return self.z.dot(self.r).cpu().numpy()

    def direction(self, beta: np.ndarray) -> np.ndarray:
        """Set q = z + beta q (q = z for beta = 0) and return q·Aq, (B,)."""
        self.q = self.z.combine(self._scalars(beta), self.q) if beta.any() else self.z
        self.Aq = self.apply(self.q)
        return self.q.dot(self.Aq).cpu().numpy()

    def advance(self, alpha: np.ndarray) -> None:
        """Set x = x + alpha q and r = r - alpha A q, alpha (B,)."""
        step = self._scalars(alpha)
        self.x, self.r = self.x.combine(step, self.q), self.r.combine(-step, self.Aq)

    def work(self) -> np.ndarray:
        """Return b·x, (B,)."""
        return self.b.dot(self.x).cpu().numpy()

    def _scalars(self, values: np.ndarray) -> Tensor:
        """Return one number per problem as a tensor."""
        return torch.as_tensor(values, dtype=self.a.dtype, device=self.a.device)
