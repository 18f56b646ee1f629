"""One coefficient for many loads: everything that depends on the medium only is done once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .checks import check_memory
from .options import OnUntrusted, Request
from .pipeline import Lap, Outcome, run
from .proposer import NetworkSolver
from .refine import Refiner
from .solvers.target import FineQ1
from .solvers.threads import one_at_a_time, suited_threads
from .verify import takes_network

if TYPE_CHECKING:
    from .corrector import Corrector
    from .ngsolve_io.read import Reader
    from .ngsolve_io.types import BilinearForm, FESpace, GridFunction
    from .problem import Problem
    from .result import Correction
    from .solvers.space import Space


class PreparedCorrector:
    """One coefficient and scale with everything prepared that no load changes; see :meth:`Corrector.prepare`.

    Parameters
    ----------
    corrector : model and scheme.
    reader : of the coefficient.
    coarse_space : H1 space of the coarse solutions.
    scale : fine cells per coarse cell.

    Examples
    --------
    >>> import numpy as np
    >>> from ngs_nhcsr import Corrector
    >>> from ngs_nhcsr.demo import coarse_problem
    >>> kappa = np.where(np.random.default_rng(0).random((32, 32)) < 0.5, 1.0, 10.0)
    >>> one, a = coarse_problem(kappa, 8)
    >>> many = Corrector().prepare(a, one.space, scale=8)
    >>> many(one).status.name, many(coarse_problem(kappa, 8, f=2.0)[0], f=2).values.shape
    ('ACCEPTED', (65, 65))
    """

    def __init__(self, corrector: Corrector, reader: Reader, coarse_space: FESpace, scale: float):
        self._corrector, self._reader, self.scale = corrector, reader, scale
        self.space, self.medium = reader.prepare(coarse_space)
        fine = FineQ1(scale).mesh(self.medium, self.space)
        check_memory(fine.cells)
        with suited_threads():
            network = corrector.model.network
            self._solver: NetworkSolver | None = None
            asked = takes_network(self.medium, self.space, fine)
            if asked and not corrector.symmetrize:  # else every symmetry has an encoding of its own
                self._solver = NetworkSolver(
                    network, self.medium, self.space, fine.cells[0] / self.space.cells[0], corrector.scheme
                )
                self._solver.expect_many()
            self._refiner = Refiner(self.medium, fine)

    def __call__(
        self,
        u_coarse: GridFunction,
        *,
        f: Any = None,
        points: Sequence[tuple[float, float, float]] = (),
        flux: Any = None,
        form: BilinearForm | None = None,
        g: Any = None,
        fes: FESpace | None = None,
        on_untrusted: OnUntrusted = "warn",
    ) -> Correction:
        """Correct a coarse solution for the prepared coefficient.

        Parameters
        ----------
        u_coarse : in the prepared space; for another one everything is prepared anew in this call.
        f : the load, as for :func:`correct`; default: recovered from the coarse solution.
        points : point sources, as for :func:`correct`.
        flux : a∂u/∂n on natural sides, as for :func:`correct`.
        form : the assembled form that ``u_coarse`` was solved with.
        g : Dirichlet data, as for :func:`correct`; default: those of ``u_coarse``, linear between its nodes.
        fes : space for the result, if not H1 of order 1 on the fine mesh.
        on_untrusted : "raise", "warn" or "return", when the status is not ACCEPTED.

        Returns
        -------
        Correction

        Raises
        ------
        InvalidProblem, GridMismatch, DeviceError, UntrustedResult
        """
        request = Request(f=f, points=points, flux=flux, form=form, g=g, fes=fes, on_untrusted=on_untrusted)
        return run(u_coarse, self._reader, self.scale, request, self._solve, self._corrector.model.card.name)

    @one_at_a_time
    def _solve(self, problem: Problem, fine: Space, lap: Lap) -> Outcome:
        same = problem.medium is self.medium and (problem.space.free == self.space.free).all()
        return self._corrector.solve(
            problem,
            fine,
            lap,
            request=Request(),
            solver=self._solver if same else None,
            refiner=self._refiner if same else None,
        )
