"""Conjugate gradients with the compiled V-cycle: the fine solver on CPUs, one medium at a time.

Owns the iteration. Solution, residual and its operator are float64; cycle and directions are float32 unless the
contrast is high, which costs no steps: solution and residual move along the same rounded direction, so they stay
consistent. ``multigrid`` does the same in torch, for batches and other devices.

References: Y. Notay, *Flexible conjugate gradients*, SIAM J. Sci. Comput. 22 (2000); the error identity of Hestenes and
Stiefel as in Z. Strakoš and P. Tichý, ETNA 13 (2002).
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np

from .hierarchy import Solved
from .medium import Medium
from .robin import edge_weights
from .space import Space
from .threads import one_at_a_time

if TYPE_CHECKING:
    from .cycle import VCycle
    from .kernels.workers import Workers

log = logging.getLogger(__name__)

#: Meshes with fewer cells are solved on one thread.
SMALL = 200 * 200
MAX_THREADS = 4
#: Residuals below this, in the coefficient's unit, are zero to the cycle: squares of their reciprocals overflow.
TINY = 1e-150


class CompiledMultigrid:
    r"""Multigrid for :math:`-\nabla\cdot(a\nabla u) + c u=f` on a rectangle, one medium, any number of loads.

    Threads that share it wait for each other.

    Parameters
    ----------
    cycle : the V-cycle.
    space : its mesh with the boundary conditions. If all nodes are free and the medium only diffuses (the Neumann
        problem), loads must sum to zero; solutions are determined up to a constant.
    unit : the operator is ``unit`` times that of the cycle.

    Examples
    --------
    >>> mg = CompiledMultigrid.of_medium(Medium(np.ones((4, 4))), Space((16, 16)))
    >>> u, info = mg.solve(np.full((17, 17), 1 / 256))
    >>> info.converged, round(float(u.max()), 4)
    (True, 0.0739)
    """

    def __init__(self, cycle: VCycle, space: Space, unit: float = 1.0):
        self.space, self._vcycle, self._unit = space, cycle, unit
        self._operator, self._workers = cycle.finest, cycle.workers
        shape = (space.cells[0] + 3, space.cells[1] + 3)
        self._b, self._x, self._r = (cycle.buffers.ringed(shape) for _ in range(3))
        self._p, self._q = (cycle.buffers.ringed(shape, cycle.dtype) for _ in range(2))
        rows = space.cells[0] + 1
        self._rows = [(0, rows)] if space.cells[0] * space.cells[1] < SMALL else self._workers.ranges(rows)

    @classmethod
    def of_medium(cls, medium: Medium, space: Space, threads: int | None = None) -> CompiledMultigrid:
        """Set up for a coefficient.

        Parameters
        ----------
        medium : the coefficient, numpy, with a reaction and Robin sides or without.
        space : the mesh with its boundary conditions.
        threads : at most; default: by the size and the cores of the machine.

        Returns
        -------
        CompiledMultigrid
        """
        from .cycle import VCycle
        from .row_operator import raster_elements

        lowest, highest = medium.range
        # Scaled to a geometric mean of 1: float32 inverses of large and small coefficients stay in range.
        unit = float(np.sqrt(lowest) * np.sqrt(highest))
        elements, refinement, reaction = raster_elements(medium.map(lambda v: v / unit), space.cells, space.size)
        robin = medium.scaled(1 / unit).robin
        sides = None if robin is None else edge_weights(robin, space.cells, space.size)
        workers = _workers(space, threads)
        return cls(VCycle(elements, refinement, space.free, highest / lowest, workers, reaction, sides), space, unit)

    @classmethod
    def of_elements(
        cls, elements: np.ndarray, space: Space, threads: int | None = None, reaction: np.ndarray | None = None
    ) -> CompiledMultigrid:
        """Set up for an operator given by its element matrices.

        Parameters
        ----------
        elements : (10, ny, nx) in the order ``q1.SYMMETRIC_PAIRS``, float64.
        space : the mesh with its boundary conditions.
        threads : at most.
        reaction : (10, ny, nx) the reaction's part of ``elements``; ``None``: there is none.

        Returns
        -------
        CompiledMultigrid
        """
        from .cycle import VCycle

        diagonal = elements[0]
        unit = float(np.sqrt(diagonal.min()) * np.sqrt(diagonal.max()))
        contrast = float(diagonal.max() / diagonal.min())
        part = None if reaction is None else reaction / unit
        cycle = VCycle(elements / unit, (1, 1), space.free, contrast, _workers(space, threads), part)
        return cls(cycle, space, unit)

    def _residual(self, b: np.ndarray, x: np.ndarray | None) -> tuple[float, float]:
        """Set load, solution and residual; return x·Ax and, over free nodes, b·x.

        All are in the coefficient's unit, and divided by ``self._size``, so that no square over- or underflows.
        """
        from .kernels import rows

        size = max(_largest(b) / self._unit, 0.0 if x is None else _largest(x))
        # A power of two, so that boundary values come back as they were.
        self._size = math.ldexp(1.0, math.frexp(size)[1] - 1) if 0 < size < np.inf else 1.0
        op = self._operator
        if x is None:
            self._x.fill(0)
            scale = 1 / self._unit / self._size
            load = np.require(b, float, "C")
            self._workers.map(rows.begin, self._rows, op.F, op.kind, load, scale, self._b, self._r)
            self._set_scale()
            return 0.0, 0.0
        np.multiply(b, 1 / self._unit / self._size, out=self._b[1:-1, 1:-1])
        np.divide(x, self._size, out=self._x[1:-1, 1:-1])
        parts = self._workers.map(rows.residual, self._rows, op.S, op.F, op.kind, self._b, self._x, self._r)
        self._set_scale()
        return sum(p[0] for p in parts), sum(p[1] for p in parts)

    def _set_scale(self) -> None:
        """Set the factor that takes the residual to numbers near one, for a cycle in float32."""
        largest = max(float(self._r.max()), -float(self._r.min()))
        self._scale = 1 / largest if TINY < largest < np.inf else 1.0

    def _precondition(self, field: np.ndarray | None = None) -> float:
        """Run a cycle for the residual (default) or another float64 field with ring; return r·z in the unit."""
        return self._run(self._r if field is None else field) / self._scale**2

    def _run(self, field: np.ndarray) -> float:
        """Run a cycle for a float64 field with ring times the scale; return right-hand side times result."""
        from .kernels import rows

        self._workers.map(rows.scaled, self._rows, field, self._scale, self._vcycle.right_side)
        return self._vcycle.cycle()

    def _direction(self, beta: float) -> float:
        """Set p = z + beta p; return p·Ap in the unit."""
        from .kernels import rows

        level = self._vcycle.levels[0]
        parts = self._workers.map(
            rows.direction, self._rows, level.S, level.kind, self._vcycle.result, self._p, self._q, beta
        )
        self._p, self._q = self._q, self._p
        return float(sum(parts)) / self._scale**2

    @one_at_a_time
    def precondition(self, r: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Apply one V-cycle, a symmetric positive definite approximation of A⁻¹, to a residual.

        Parameters
        ----------
        r : (ny+1, nx+1) float64, of any magnitude; entries of Dirichlet nodes are ignored. If all nodes are free, its
            mean is taken off.
        out : (ny+1, nx+1) float64 that the result is written to; may be ``r``.

        Returns
        -------
        (ny+1, nx+1) float64 with some seven digits, zero at Dirichlet nodes; of mean zero if all nodes are free.
        """
        inner = self._r[1:-1, 1:-1]
        inner[:] = r
        inner[~self.space.free] = 0
        if self._vcycle.singular:
            inner -= inner.mean()
        self._set_scale()
        self._run(self._r)
        z = self._vcycle.result[1:-1, 1:-1]
        return np.multiply(z, 1 / (self._scale * self._unit), out=out, dtype=float)

    @one_at_a_time
    def relative_error(self, b: np.ndarray, x: np.ndarray) -> float:
        """Estimate the relative energy error of a field against the solution, by what one step would take off it.

        The step is a V-cycle with an exact line search: what it takes off is a lower bound of the error. It is taken
        relative to the improved field. In nine of ten cases the estimate is 0.97 to 1.01 of the error.

        Parameters
        ----------
        b : (ny+1, nx+1) load vector.
        x : (ny+1, nx+1) field, with the boundary values at Dirichlet nodes.

        Returns
        -------
        Estimate of the energy norm of A⁻¹b − x over that of A⁻¹b; nan where the cycle is not positive definite.
        """
        energy, _ = self._residual(b, x)
        rz = self._precondition()
        if rz == 0:
            return 0.0
        self._p[:] = 0
        zAz = self._direction(0.0)
        if not (rz > 0 and zAz > 0):
            return float("nan")
        step = rz / zAz
        drop = step * rz
        z = self._vcycle.result
        zAx = float(np.einsum("ji,ji", z, self._b)) / self._scale - rz  # A x = b − r at free nodes
        improved = energy + 2 * step * zAx + drop
        return float(np.sqrt(drop / improved)) if improved > 0 else float("nan")

    @one_at_a_time
    def solve(
        self, b: np.ndarray, x: np.ndarray | None = None, *, tolerance: float = 1e-8, max_iterations: int = 100
    ) -> tuple[np.ndarray, Solved]:
        """Solve by conjugate gradients, preconditioned by one V-cycle.

        Parameters
        ----------
        b : (ny+1, nx+1) load vector; entries of Dirichlet nodes are ignored.
        x : (ny+1, nx+1) start; its entries at Dirichlet nodes are the boundary values. Default zero.
        tolerance : stop when ``sqrt(r·Br)`` (about the energy error) fell by this factor, relative to the load.
            With 0 just ``max_iterations`` steps are taken, and the residual before the last one is reported, relative
            to the start's.
        max_iterations : give up after so many steps; ``converged`` then says so.

        Returns
        -------
        (ny+1, nx+1) solution, and what was done.
        """
        energy, _ = self._residual(b, x)
        counted = tolerance == 0
        of_load = None if x is None or counted else self._reference(energy)
        rz = self._precondition()
        reference = max(rz if of_load is None else of_load, 1e-300)
        drop, steps, beta = 0.0, 0, 0.0
        self._p[:] = 0
        # Where the cycle is not positive definite (extreme contrast), r·Br < 0 says nothing about the error: such a
        # problem is given up, and its |r·Br| tells that it has not converged.
        while steps < max_iterations and rz > tolerance**2 * reference:
            pAp = self._direction(beta)
            if not pAp > 0:
                break
            alpha = rz / pAp
            self._advance(alpha)
            drop += alpha * rz
            steps += 1
            if counted and steps == max_iterations:
                break
            new = self._vcycle.cycle() / self._scale**2  # the step has set its right-hand side
            beta, rz = new / rz, new
        relative = float(np.sqrt(abs(rz) / reference))
        converged = relative <= tolerance
        log.debug("multigrid: %d iterations, relative residual %.1e", steps, relative)
        return self._x[1:-1, 1:-1] * self._size, Solved(
            steps, relative, drop * self._unit * self._size * self._size, converged
        )

    def _advance(self, alpha: float) -> None:
        """Move solution and residual along the direction."""
        from .kernels import rows

        op = self._operator
        self._workers.map(
            rows.advance, self._rows, op.S, op.F, op.kind, self._p, alpha, self._scale,
            self._x, self._r, self._vcycle.right_side,
        )  # fmt: skip

    def _reference(self, energy: float) -> float:
        """Squared energy norm of the solution for zero boundary values, about; not below x·Ax where they are not."""
        load = self._b * self._operator.F[self._operator.kind]
        reference = self._precondition(load)
        fixed = self._x[1:-1, 1:-1][~self.space.free]
        return max(reference, energy) if fixed.any() else reference


def _workers(space: Space, threads: int | None) -> Workers:
    """Threads for a mesh: one on small meshes."""
    from .kernels.workers import Workers, cores

    small = space.cells[0] * space.cells[1] < SMALL
    return Workers(1 if small else min(threads or MAX_THREADS, cores()))


def _largest(v: np.ndarray) -> float:
    return max(float(v.max()), -float(v.min()))
