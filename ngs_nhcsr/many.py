"""Many problems side by side, a thread or a worker of a cluster each: Monte Carlo, parameter studies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .checks import described
from .errors import InvalidProblem
from .kept import Kept
from .number_checks import check_scale, is_whole
from .options import Request, TargetName
from .pipeline import Outcome, solve_target, without_cuts
from .problem import Problem
from .solvers.kernels.workers import alone, cores
from .solvers.target import FineQ1, Target
from .solvers.threads import one_torch_thread

if TYPE_CHECKING:
    from distributed import Client

    from .corrector import Corrector
    from .solvers.space import Space

R = TypeVar("R")
Method = Literal["network", "multigrid"]
#: Relative energy error of u_h by multigrid: far below that of u_h against u.
TOLERANCE = 1e-8


@overload
def correct_many(
    problems: Iterable[Problem],
    scale: float = ...,
    *,
    quantity: None = ...,
    target: TargetName | Target = ...,
    method: Method = ...,
    corrector: Corrector | None = ...,
    threads: int | None = ...,
    client: Client | None = ...,
    keep: str | Path | None = ...,
    progress: bool = ...,
) -> list[Outcome]: ...


@overload
def correct_many(
    problems: Iterable[Problem],
    scale: float = ...,
    *,
    quantity: Callable[[Outcome, Problem], R],
    target: TargetName | Target = ...,
    method: Method = ...,
    corrector: Corrector | None = ...,
    threads: int | None = ...,
    client: Client | None = ...,
    keep: str | Path | None = ...,
    progress: bool = ...,
) -> list[R]: ...


def correct_many(
    problems: Iterable[Problem],
    scale: float = 16,
    *,
    quantity: Callable[[Outcome, Problem], Any] | None = None,
    target: TargetName | Target = "fine",
    method: Method = "network",
    corrector: Corrector | None = None,
    threads: int | None = None,
    client: Client | None = None,
    keep: str | Path | None = None,
    progress: bool = False,
) -> list[Any]:
    """Correct many problems given as arrays.

    Problems are taken from the iterable as they are needed, so a generator may draw a million media; keep a
    ``quantity`` of each instead of the fields.

    Parameters
    ----------
    problems : such as ``Problem.from_arrays(A, coarse=16)`` for every medium A.
    scale : fine cells per coarse cell and axis.
    quantity : outcome and problem -> what is kept; called by the threads that solve. Default: the outcome.
    target : "fine" for u_h, "pde" for the solution of the differential equation, or a ``Target``.
    method : how u_h is found: by the "network", verified, or by "multigrid" to a relative energy error of 1e-8 (with
        ``target=FineQ1(scale, 1e-10)``: of 1e-10). On two cores multigrid takes a third of the time for one load per
        medium (docs/performance.md); the network is what a study of it needs.
    corrector : model and scheme of the network; default: ``Corrector()``.
    threads : problems at a time; default: the number of cores this process may use.
    client : of a dask cluster (``distributed.Client``), whose workers solve the problems in place of threads of this
        process. A problem whose worker dies is solved by another one. The module of ``quantity`` must be importable
        there, or be the script that is run.
    keep : folder for what ``quantity`` returns, a number or an array of numbers: whoever calls again, with the same
        problems and options, gets what is there and solves the rest. A quantity is known by its code, its defaults
        and what it captures, as that is when this is called, a method also by its object; not by global names that it
        uses. Workers of a cluster must see the folder.
    progress : show a bar.

    Returns
    -------
    One result per problem, in their order; with ``keep``, arrays where ``quantity`` returned sequences.

    Raises
    ------
    InvalidProblem
        If an option makes no sense, or a load is not known.
    SolverFailure

    Examples
    --------
    >>> import numpy as np
    >>> from ngs_nhcsr import Problem
    >>> def media(count):
    ...     for seed in range(count):
    ...         yield np.where(np.random.default_rng(seed).random((16, 16)) < 0.5, 1.0, 10.0)
    >>> def mean(outcome, problem):
    ...     return outcome.values.mean()
    >>> problems = (Problem.from_arrays(A, coarse=4) for A in media(3))
    >>> len(correct_many(problems, 8, quantity=mean, method="multigrid"))
    3
    """
    if method not in ("network", "multigrid"):
        raise InvalidProblem(f'method must be "network" or "multigrid", not {method!r}.')
    if threads is not None and not (is_whole(threads) and threads >= 1):
        raise InvalidProblem(f"threads must be a whole number from 1 on, not {threads!r}.")
    scale = check_scale(scale)
    if threads is not None and client is not None:
        raise InvalidProblem("give threads= or client=, not both: a cluster has threads of its own.")
    if not isinstance(problems, Iterable):
        raise InvalidProblem(f"problems must be an iterable of Problem, such as a list, not {described(problems)}.")
    if quantity is not None and not callable(quantity):
        raise InvalidProblem(f"quantity must be a function of outcome and problem, not {described(quantity)}.")
    if keep is not None and quantity is None:
        raise InvalidProblem("keep= needs a quantity=: numbers are kept, not fields.")
    request = Request(target=target)
    if not request.fine and (method != "network" or corrector is not None):
        raise InvalidProblem('method= and corrector= are for target="fine": no other target has a choice of them.')
    if method == "multigrid" and corrector is not None:
        raise InvalidProblem('corrector= is for method="network".')
    solve, kept = _solver(request, scale, method, corrector), None
    if keep is not None:
        learned = () if corrector is None else (corrector.model.card.sha256, corrector.symmetrize, corrector.scheme)
        kept = Kept.of(keep, request.target, scale, method, learned, quantity)

    def task(problem: Problem) -> Any:
        if not isinstance(problem, Problem):
            raise InvalidProblem(f"problems must be made by Problem.from_arrays or the like, not {described(problem)}.")

        def found() -> Any:
            outcome = solve(problem)
            return outcome if quantity is None else quantity(outcome, problem)

        return found() if kept is None else kept.get(problem, found)

    if client is not None:
        threads_there: Any = client.nthreads()
        pool, ahead = client.get_executor(pure=False), 2 * max(1, sum(threads_there.values()))
        return list(_with_bar(_in_order(partial(_on_worker, task), problems, pool, ahead), progress))
    count = threads or cores()
    with one_torch_thread():  # the problems themselves run side by side
        if count == 1:
            return list(_with_bar(map(task, problems), progress))
        pool = ThreadPoolExecutor(count, thread_name_prefix="ngs_nhcsr")
        return list(_with_bar(_in_order(partial(_beside_others, task), problems, pool, 2 * count), progress))


def _solver(
    request: Request, scale: float, method: Method, corrector: Corrector | None
) -> Callable[[Problem], Outcome]:
    """How one problem is solved."""
    aim = request.target
    if isinstance(aim, FineQ1):
        scale = aim.scale
    if request.fine and method == "network":
        from .corrector import Corrector

        if corrector is not None:
            return lambda problem: corrector.correct_problem(problem, scale)
        # made where it is needed, which may be another process; the model is read once in each
        return lambda problem: Corrector().correct_problem(problem, scale)

    if request.fine:
        u_h = aim if isinstance(aim, FineQ1) else FineQ1(scale, TOLERANCE)

        def on(problem: Problem, mesh: Space) -> Outcome:
            return solve_target(u_h, problem, mesh, lambda name: None)

        return lambda problem: without_cuts(problem, problem.space.refined(scale), partial(on, problem))

    other = request.other_target
    return lambda problem: solve_target(other, problem, problem.space.refined(scale), lambda name: None)


def _beside_others(task: Callable[[Any], R], item: Any) -> R:
    """Do a task in a thread whose neighbours have problems of their own."""
    with alone():
        return task(item)


def _on_worker(task: Callable[[Any], R], item: Any) -> R:
    """Do a task in a worker's process, whose threads have problems of their own."""
    import torch

    torch.set_num_threads(1)
    return _beside_others(task, item)


def _in_order(task: Callable[[Any], R], items: Iterable[Any], pool: Executor, ahead: int) -> Iterator[R]:
    """Results of a task in the order of the items, of which few more than ``ahead`` are taken before they are due."""
    waiting: deque[Future[R]] = deque()
    with pool:
        try:
            for item in items:
                waiting.append(pool.submit(task, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # after an error nothing that has not begun is begun
            for future in waiting:
                future.cancel()


def _with_bar(results: Iterator[R], progress: bool) -> Iterator[R]:
    if not progress:
        return results
    from tqdm import tqdm

    return iter(tqdm(results, unit=" problem"))
