"""A model on a device: corrections of coarse solutions towards u_h, the Q1 solution of a fine mesh."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import check_kind
from .errors import DeviceError, GridMismatch, InvalidProblem
from .number_checks import check_scale
from .options import OF_THE_PROBLEM, Options, Request
from .pipeline import Lap, Outcome, make_reader, run, run_with_target, without_cuts
from .refine import Refiner
from .solvers.substructuring.scheme import Scheme
from .solvers.target import FineQ1
from .solvers.transfer import prolongate
from .verify import takes_network, verify, without_network

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .models import Model
    from .ngsolve_io.read import Reader
    from .ngsolve_io.types import FESpace, GridFunction, Mesh
    from .prepared import PreparedCorrector
    from .problem import Problem
    from .proposer import NetworkSolver
    from .result import Correction
    from .solvers.positions import Query
    from .solvers.space import Space


class Corrector:
    """A model on a device, ready for many corrections.

    Parameters
    ----------
    model : name of a shipped model, ``pathlib.Path`` of a model card, or a loaded ``Model``; default:
        ``basis-hybrid``, the most accurate one.
    device : "auto", "cpu", "cuda", …, or a ``torch.device``.
    symmetrize : average the network over the symmetries of the square (eight times the work, a little more accurate).
    scheme : how often the effective problem is solved again for the residual, and until when; default
        ``Scheme(corrections=4, tolerance=3e-4)``.

    Raises
    ------
    ModelFileError, DeviceError
    """

    def __init__(
        self,
        model: str | Path | Model | None = None,
        device: Any = "auto",
        *,
        symmetrize: bool = False,
        scheme: Scheme | None = None,
    ):
        from .models import DEFAULT_MODEL, Model, load_model

        if isinstance(model, Model):
            self.model = model
        else:
            self.model = load_model(DEFAULT_MODEL if model is None else model, device)
        check_kind(scheme, Scheme, "scheme")
        self.symmetrize, self.scheme = symmetrize, scheme or Scheme()

    def __call__(self, u_coarse: GridFunction, a: Any, scale: float = 16, **options: Unpack[Options]) -> Correction:
        """Correct a coarse solution.

        Parameters
        ----------
        u_coarse : coarse solution, as for :func:`correct`.
        a : coefficient, as for :func:`correct`.
        scale : fine cells per coarse cell and axis.
        **options : ``f``, ``points``, ``flux``, ``reaction``, ``robin``, ``form``, ``mesh``, ``cells_per_coarse``,
            ``fes``, ``refine``, ``refine_to``, ``target``, ``accuracy``, ``g``, ``on_untrusted`` as for
            :func:`correct`.

        Returns
        -------
        Correction

        Raises
        ------
        InvalidProblem, NotCoercive, GridMismatch, DeviceError, UntrustedResult
        """
        request = Request.of(options)
        reader = self._reader(a, request)
        if not request.fine:
            return run_with_target(u_coarse, reader, scale, request)
        if isinstance(request.target, FineQ1):
            scale = request.target.scale
        return run(u_coarse, reader, scale, request, partial(self.solve, request=request), self.model.card.name)

    def prepare(
        self,
        a: Any,
        coarse_space: FESpace,
        scale: float = 16,
        *,
        reaction: Any = None,
        robin: Any = None,
        mesh: Mesh | None = None,
        cells_per_coarse: int | None = None,
    ) -> PreparedCorrector:
        """Encode a coefficient once, for any number of loads and boundary values.

        Parameters
        ----------
        a : coefficient, as for :func:`correct`.
        coarse_space : the H1 space of the coarse solutions.
        scale : fine cells per coarse cell and axis.
        reaction : c ≥ 0, as for :func:`correct`; with implicit Euler steps ρ / τ.
        robin : α ≥ 0 of natural sides, as for :func:`correct`.
        mesh : mesh of a region-wise coefficient, if another than that of the space.
        cells_per_coarse : raster cells per coarse cell for CoefficientFunctions; default 4.

        Returns
        -------
        PreparedCorrector, to be called with coarse solutions of that space.

        Raises
        ------
        InvalidProblem, NotCoercive, GridMismatch, DeviceError
        """
        from .prepared import PreparedCorrector

        request = Request(reaction=reaction, robin=robin, mesh=mesh, cells_per_coarse=cells_per_coarse)
        reader = self._reader(a, request)
        return PreparedCorrector(self, reader, coarse_space, check_scale(scale))

    def correct_problem(
        self,
        problem: Problem,
        scale: float,
        *,
        refine: int | None = None,
        refine_to: float | None = None,
        lap: Lap = lambda name: None,
    ) -> Outcome:
        """Do everything between reading and writing: network, guard, refinement, status. No NGSolve.

        Parameters
        ----------
        problem : read from NGSolve, or ``Problem.from_arrays(...)``.
        scale : fine cells per coarse cell and axis.
        refine : number of multigrid-CG steps after the network; default: until the estimated error is below 3e-4.
        refine_to : relative energy error against u_h to reach by them instead.
        lap : called with "network", "guard", and "refine" or "estimate" when these are done.

        Returns
        -------
        Outcome

        Raises
        ------
        InvalidProblem, GridMismatch, DeviceError
        """
        request = Request(refine=refine, refine_to=refine_to)
        return self.solve(problem, problem.space.refined(check_scale(scale)), lap, request=request)

    def evaluate(
        self, points: np.ndarray, /, u_coarse: GridFunction, a: Any, scale: float = 16, **options: Unpack[Options]
    ) -> np.ndarray:
        """Evaluate the network's continuous field at any points of the domain.

        At the nodes of the fine mesh it equals the network's nodal values, before guard, multigrid steps and the mean
        over symmetries (``symmetrize`` is for nodes). Where fine cells cut those of the coefficient, it is the Q1
        function of the nearest mesh that cuts none; where coarse cells do, it is that of multigrid.

        Parameters
        ----------
        points : (P, 2) as (x, y).
        u_coarse : coarse solution, as for :func:`correct`.
        a : coefficient, as for :func:`correct`.
        scale : fine cells per coarse cell and axis.
        **options : ``f``, ``points``, ``flux``, ``reaction``, ``robin``, ``form``, ``mesh``, ``cells_per_coarse``,
            ``g`` as for :func:`correct`; ``target`` may be a :class:`FineQ1`, whose scale counts then.

        Returns
        -------
        Values (P,), float64.

        Raises
        ------
        GridMismatch
            If a point lies outside the domain.
        InvalidProblem
            If the target is another than u_h, or an option is for what follows the network.
        """
        import torch

        from .solvers.positions import Points

        request = Request.of(options)
        unused = [f"{name}=" for name in options if name not in (*OF_THE_PROBLEM, "target")]
        if unused:
            raise InvalidProblem(f"evaluate() has the network's own field, for which there is no {', '.join(unused)}.")
        if not request.fine:
            raise InvalidProblem(
                'evaluate() has values of u_h only; those of the PDE\'s solution are in correct(..., target="pde", '
                "full=True).field.at(points)."
            )
        if isinstance(request.target, FineQ1):
            scale = request.target.scale
        problem = self._reader(a, request).read(u_coarse, **request.reading)
        space = problem.space
        yx = (np.asarray(points, dtype=float)[:, ::-1] - np.array(space.lower)[::-1]) / np.array(space.size)
        if (yx < -1e-12).any() or (yx > 1 + 1e-12).any():
            k = int(np.argmax(((yx < -1e-12) | (yx > 1 + 1e-12)).any(1)))
            raise GridMismatch(f"point {tuple(np.asarray(points)[k].tolist())} lies outside the domain.")
        yx, mesh = np.clip(yx, 0, 1), FineQ1(check_scale(scale)).mesh(problem.medium, space)
        if not takes_network(problem.medium, space, mesh):
            return prolongate(without_network(problem, mesh, request).values, yx)
        if mesh.cells != space.refined(scale).cells:
            return prolongate(self._predict(problem, mesh.cells[0] / space.cells[0]), yx)
        return self._predict(problem, scale, Points(torch.from_numpy(yx)))

    def _reader(self, a: Any, request: Request) -> Reader:
        return make_reader(a, request, self.model.card.contract.mean)

    def solve(
        self,
        problem: Problem,
        fine: Space,
        lap: Lap,
        *,
        request: Request,
        solver: NetworkSolver | None = None,
        refiner: Refiner | None = None,
    ) -> Outcome:
        """Solve one problem as a request asks: field, guard, refinement or estimate, status.

        Where fine cells cut cells of the raster, on the nearest mesh whose cells do not; where coarse cells do, for
        tensors and with Robin sides, without the network.

        Parameters
        ----------
        problem : in numpy.
        fine : the fine space.
        lap : called with the name of each stage when it is done.
        request : the options.
        solver : the network prepared for this medium and scale; default: made here.
        refiner : likewise, multigrid.

        Returns
        -------
        Outcome

        Raises
        ------
        DeviceError
        """

        def on(mesh: Space) -> Outcome:
            if not takes_network(problem.medium, problem.space, mesh):
                return without_network(problem, mesh, request, refiner=refiner, lap=lap)
            scale = mesh.cells[0] / problem.space.cells[0]
            raw = self._predict(problem, scale, solver=solver)
            lap("network")
            violations = self.model.card.contract.violations(
                scale=scale,
                contrast=problem.medium.contrast,
                coarse=problem.space.cells,
                per=problem.medium.per(problem.space.cells),
                dirichlet=all(problem.space.sides),
            )
            return verify(raw, problem, mesh, request, violations, refiner=refiner, lap=lap)

        return without_cuts(problem, fine, on)

    def _predict(
        self, problem: Problem, scale: float, query: Query | None = None, solver: NetworkSolver | None = None
    ) -> np.ndarray:
        import torch

        try:
            if solver is not None:
                return solver(problem, query)
            return self.model.solve(problem, scale, query, scheme=self.scheme, symmetrize=self.symmetrize)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{self.model.device} ran out of memory at scale {scale:g} of {problem.space.cells[1]} x "
                f'{problem.space.cells[0]} coarse cells; pass device="cpu" or a smaller scale.'
            ) from error
