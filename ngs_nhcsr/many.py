"""Many problems side by side, one thread each: Monte Carlo, parameter studies."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .errors import InvalidProblem
from .options import Request, TargetName
from .pipeline import Outcome, solve_target, without_cuts
from .solvers.target import FineQ1, Target

if TYPE_CHECKING:
    from .corrector import Corrector
    from .problem import Problem
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
    progress : show a bar.

    Returns
    -------
    One result per problem, in their order.

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
    if threads is not None and threads < 1:
        raise InvalidProblem(f"threads must be 1 or more, not {threads}.")
    solve = _solver(Request(target=target), scale, method, corrector)

    def task(problem: Problem) -> Any:
        outcome = solve(problem)
        return outcome if quantity is None else quantity(outcome, problem)

    count = threads or _cores()
    with _one_torch_thread():
        return list(_with_bar(_in_order(task, problems, count), progress))


def _solver(
    request: Request, scale: float, method: Method, corrector: Corrector | None
) -> Callable[[Problem], Outcome]:
    """How one problem is solved."""
    aim = request.target
    if isinstance(aim, FineQ1):
        scale = aim.scale
    if request.fine and method == "network":
        from .corrector import Corrector

        made = corrector or Corrector()
        return lambda problem: made.correct_problem(problem, scale)

    if request.fine:
        u_h = aim if isinstance(aim, FineQ1) else FineQ1(scale, TOLERANCE)

        def on(problem: Problem, mesh: Space) -> Outcome:
            return solve_target(u_h, problem, mesh, lambda name: None)

        return lambda problem: without_cuts(problem, problem.space.refined(scale), partial(on, problem))

    other = request.other_target(None)
    return lambda problem: solve_target(other, problem, problem.space.refined(scale), lambda name: None)


def _in_order(task: Callable[[Any], R], items: Iterable[Any], threads: int) -> Iterator[R]:
    """Results of a task in the order of the items, of which no more than a few are taken ahead."""
    if threads == 1:
        yield from map(task, items)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="ngs_nhcsr") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(task, item))
                if len(waiting) > 2 * threads:
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

    return iter(tqdm(results, unit="problem"))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Hold torch to one thread: the problems themselves run side by side."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
