"""Conjugate gradients on the trace space with a two-level additive Schwarz preconditioner.

Owns :class:`TraceSolver`, the iterative solver of the package: its checks, the choice of the backend (numba or torch)
and of the number of threads.

The preconditioner adds half of the exact solutions of all local problems (a vertex and the edges that meet there) and
the solution of the problem of the vertex functions: Q1 on the cells, but for vertices where two cells of large
coefficient touch (``crosspoints``). The number of steps depends hardly on the contrast, the number of cells or of
functions per edge.

Reference: A. Toselli and O. Widlund, *Domain Decomposition Methods*, 2005, chapters 2 and 3.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...errors import DependencyMissing, InvalidProblem, NotCoercive, SolverFailure
from ..kernels.workers import cores
from ..threads import one_at_a_time, suited_threads
from .cg import Operations, iterate
from .layout import Boundary, TraceVector
from .symmetry import ReflectionBasis

log = logging.getLogger(__name__)

#: Rasters with fewer cells are solved on one thread: handing out work takes longer than doing it.
SMALL = 64 * 64
MAX_THREADS = 4


@dataclass(frozen=True)
class TraceSolved:
    """What a solve did.

    Attributes
    ----------
    steps : conjugate gradient steps.
    relative_error : estimated energy norm of the algebraic error, relative to the solution's; the largest of a batch.
    converged : whether that is at most the tolerance.
    seconds : wall time without the set-up.
    """

    steps: int
    relative_error: float
    converged: bool
    seconds: float


def _without_rounding(S: np.ndarray, modes: int) -> np.ndarray:
    """Return the part with the symmetries of a rectangle, constants taken out of its range.

    Computed cell matrices map constants (the four vertex functions of a cell add up to 1) to 1e-11 instead of 0, and a
    problem with natural sides only would see it; they are symmetric to 1e-9 and better.
    """
    constant = np.zeros(len(S))
    constant[-4:] = 0.5
    symmetric = ReflectionBasis.of(S, modes).symmetrised((S + S.T) / 2)
    if abs(S @ constant).max() > 1e-6 * abs(S).max() or abs(S - symmetric).max() > 1e-6 * abs(S).max():
        raise InvalidProblem(
            "the cell matrix must be symmetric, map constants (1 at its four corners) to zero and not change when the "
            "cell is reflected; every function of an edge must be even or odd."
        )
    P = np.eye(len(S)) - np.outer(constant, constant)
    return np.ascontiguousarray(P @ symmetric @ P)


def _tensor(v: Any) -> torch.Tensor:
    """Convert to float64; arrays are copied, since tensors know no negative strides and no write protection."""
    return v.double() if isinstance(v, torch.Tensor) else torch.from_numpy(np.array(v, dtype=float))


class TraceSolver:
    """Solve ``A x = b`` on the trace space; the set-up serves any number of right-hand sides, one at a time.

    Parameters
    ----------
    a : (my, mx) positive coefficients of the cells, numpy; or a tensor (B, my, mx) or (my, mx) for the torch backend.
    stiffness : (4p+4, 4p+4) matrix of a cell with a = 1; every function of an edge is even or odd about its middle.
    modes : functions per edge p, 0 or more.
    natural : sides with a natural condition, among "bottom", "right", "top", "left"; the others are Dirichlet sides.
        With all four the solution is determined up to a constant: the mean over the vertices is zero then.
    periodic : opposite sides are one; solutions as with four natural sides. Torch backend only.
    backend : "numba" (compiled kernels, CPU), "torch", or "auto": numba where it applies.
    threads : of the numba backend; None: chosen by the size.

    Attributes
    ----------
    boundary : which unknowns are free.
    stiffness : (4p+4, 4p+4) the cell matrix that is used: its symmetries and constants exact.
    backend : "numba" or "torch", the one that was chosen.

    Raises
    ------
    InvalidProblem
        For wrong shapes or arguments.
    NotCoercive
        If a coefficient is not a positive finite number.
    DependencyMissing
        If the numba backend is asked for and numba is not installed.

    Examples
    --------
    The vertex functions alone are Q1. Two cells, a unit force in the middle, no flux through bottom and top:

    >>> Q1 = np.array([[4.0, -1, -1, -2], [-1, 4, -2, -1], [-1, -2, 4, -1], [-2, -1, -1, 4]]) / 6
    >>> solver = TraceSolver(np.array([[1.0, 3.0]]), Q1, 0, natural=["bottom", "top"])
    >>> b = TraceVector.zeros((1, 2), 0)
    >>> b.corners[:, 1] = 0.5
    >>> x, info = solver.solve(b, tolerance=1e-10)
    >>> x.corners[:, 1].round(6).tolist(), info.converged
    ([0.25, 0.25], True)
    """

    def __init__(
        self,
        a: Any,
        stiffness: np.ndarray,
        modes: int,
        *,
        natural: Iterable[str] = (),
        periodic: bool = False,
        backend: str = "auto",
        threads: int | None = None,
    ):
        if stiffness.shape != (4 * modes + 4, 4 * modes + 4):
            raise InvalidProblem(
                f"the cell matrix is {stiffness.shape}; with {modes} functions per edge it must be of size "
                f"{4 * modes + 4}."
            )
        self.boundary = Boundary.of(natural, periodic)
        self.modes, self.stiffness = modes, _without_rounding(np.asarray(stiffness, dtype=float), modes)
        self.torch = isinstance(a, torch.Tensor)
        if backend not in ("auto", "numba", "torch"):
            raise InvalidProblem(f"backend {backend!r} is unknown; choose 'auto', 'numba' or 'torch'.")
        if backend == "numba" and (self.torch or periodic):
            raise InvalidProblem("the numba backend takes one numpy array and no periodic problem; use 'torch'.")
        self._check(a)
        self.batched = a.ndim == 3
        self.cells = (int(a.shape[-2]), int(a.shape[-1]))
        self.free = self.boundary.free(self.cells, modes)
        self.device = a.device if isinstance(a, torch.Tensor) else torch.device("cpu")
        self.backend = "torch" if self.torch or periodic else backend
        self.operations = self._operations(a, threads)

    def _check(self, a: Any) -> None:
        """Check the coefficient's shape and values."""
        if a.ndim not in (2, 3) or (a.ndim == 3 and not self.torch) or min(a.shape) < 1:
            raise InvalidProblem(f"coefficients must be (my, mx), or a tensor (B, my, mx); got shape {tuple(a.shape)}.")
        low, high = float(a.min()), float(a.max())
        if not (low > 0 and np.isfinite(high)):
            raise NotCoercive(f"coefficients must be positive and finite; they range over {low:.3g} … {high:.3g}.")

    def _operations(self, a: Any, threads: int | None) -> Operations:
        """Set up the backend and name it in ``backend``."""
        if self.backend != "torch":
            try:
                from .compiled import CompiledOperations
            except ImportError:
                if self.backend == "numba":
                    raise DependencyMissing("the numba backend needs numba; install it or use 'torch'.") from None
            else:
                self.backend = "numba"
                small = a.size < SMALL
                threads = threads or (1 if small else min(MAX_THREADS, cores()))
                a = np.ascontiguousarray(a, dtype=float)
                return CompiledOperations(a, self.stiffness, self.modes, self.boundary, threads)
        from .twin import TorchOperations

        self.backend = "torch"
        a = _tensor(a)
        return TorchOperations(a if a.ndim == 3 else a.unsqueeze(0), self.stiffness, self.modes, self.boundary)

    @one_at_a_time
    def apply(self, x: TraceVector) -> TraceVector:
        """Return A x with zeros at fixed unknowns, of the kind of the coefficient.

        Parameters
        ----------
        x : coefficients on the solver's raster; values at fixed unknowns count.

        Returns
        -------
        The moments A x.

        Raises
        ------
        InvalidProblem
            If the vector is on another raster or not finite.
        """
        return self._outside(self.operations.apply(self._inside(x)))

    @one_at_a_time
    def solve(
        self,
        b: TraceVector,
        start: TraceVector | None = None,
        *,
        tolerance: float = 1e-3,
        max_steps: int = 1000,
        energy: float | None = None,
    ) -> tuple[TraceVector, TraceSolved]:
        """Solve until the estimated relative energy error is at most ``tolerance``.

        Parameters
        ----------
        b : moments minus A times a lift of the Dirichlet values; entries at fixed unknowns are ignored. In a periodic
            problem the moments of opposite sides are added.
        start : first iterate; taken as zero at fixed unknowns. None: zero.
        tolerance : of the energy norm of the error, relative to the energy norm of the solution.
        max_steps : largest number of conjugate gradient steps.
        energy : squared energy norm to refer to instead of the solution's, for example of the solution plus its lift.

        Returns
        -------
        The solution (zero at fixed unknowns) and :class:`TraceSolved`.

        Raises
        ------
        InvalidProblem
            If ``b`` or ``start`` is of another size or not finite, or if the problem has a solution up to a constant
            only and the moments of constants are not zero.
        SolverFailure
            If the iteration breaks down or takes more than ``max_steps`` steps.
        """
        clock = time.perf_counter()
        b = self._inside(b)
        if self.boundary.singular:
            b = self._compatible(b)
        started = start is not None and bool(any((v != 0).any() for v in b.parts()))  # b = 0: the solution is zero
        # torch's many short parallel regions wait for a core that another process has (solvers/threads.py)
        with suited_threads() if self.backend == "torch" and self.device.type == "cpu" else nullcontext():
            self.operations.begin(b, self._inside(start) if started and start is not None else None)
            steps, error = iterate(self.operations, tolerance, max_steps, started=started, energy=energy)
        x = self._outside(self.operations.x)
        if self.boundary.singular:
            x = self._without_mean(x)
        info = TraceSolved(steps, error, error <= tolerance, time.perf_counter() - clock)
        log.debug("trace solver: %d steps, relative energy error %.1e, %.1f ms", steps, error, 1e3 * info.seconds)
        if not info.converged:
            raise SolverFailure(
                f"conjugate gradients on the trace space reached a relative energy error of {error:.1e} instead of "
                f"{tolerance:.1e} in {steps} steps; raise max_steps or the tolerance, or lower the contrast."
            )
        return x, info

    def _compatible(self, b: TraceVector) -> TraceVector:
        """Check that the moments of constants vanish and remove their rounding."""
        total, size = b.corners.sum((-2, -1)), abs(b.corners).sum((-2, -1))
        if bool((abs(total) > 1e-8 * size).any()):
            raise InvalidProblem(
                "with natural or periodic sides only, the moments of constants must vanish (source and fluxes in "
                f"balance); they are {float(abs(total).max()):.2e} of {float(size.max()):.2e}."
            )
        count = b.corners.shape[-2] * b.corners.shape[-1]
        return TraceVector(b.level, b.upright, b.corners - (total / count)[..., None, None])

    def _without_mean(self, x: TraceVector) -> TraceVector:
        """Subtract the mean of the values at the vertices."""
        my, mx = self.cells
        values = x.corners[..., :my, :mx] if self.boundary.periodic else x.corners
        return TraceVector(x.level, x.upright, x.corners - values.mean((-2, -1))[..., None, None])

    def _inside(self, x: TraceVector) -> TraceVector:
        """Convert to what the operations work on."""
        if x.cells != self.cells or x.modes != self.modes:
            raise InvalidProblem(
                f"the vector is on {x.cells} cells with {x.modes} functions per edge; the solver on {self.cells} with "
                f"{self.modes}."
            )
        if not all(bool(abs(v.sum()) < np.inf) for v in x.parts()):
            raise InvalidProblem("the moments or the start are not finite.")
        if self.backend == "torch":
            parts = [_tensor(v).to(self.device) for v in x.parts()]
            return TraceVector(*(parts if x.corners.ndim == 3 else [v.unsqueeze(0) for v in parts]))
        return x

    def _outside(self, x: TraceVector) -> TraceVector:
        """Convert back to the kind of the coefficients."""
        if self.backend != "torch":
            return x
        parts = x.parts() if self.batched else [v[0] for v in x.parts()]
        return TraceVector(*(parts if self.torch else [v.cpu().numpy() for v in parts]))
