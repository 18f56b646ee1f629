"""Threads for compiled kernels: every task is done once, whoever does it, and no busy thread is waited for."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import get_ident

import numpy as np
import pytest

from ngs_nhcsr.solvers.hierarchy import hierarchy
from ngs_nhcsr.solvers.kernels.workers import Workers, alone, split
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.trace import solve_pde


def rests(*pauses):
    """Tasks that take so many seconds and return the thread that did them."""
    return [lambda s=s: (time.sleep(s), get_ident())[1] for s in pauses]


def test_tasks_are_done_once_and_in_order_whether_the_helper_is_awake_or_asleep():
    workers, ranges = Workers(2), split(1000, 4)
    for pause in [0.0] * 300 + [0.002, 0.05, 0.0] * 3:
        time.sleep(pause)
        assert workers.map(lambda i0, i1: (i0, i1), ranges) == ranges


def test_two_threads_share_tasks_and_alone_is_alone():
    assert len(set(Workers(2).together(rests(0.02, 0.02)))) == 2
    with alone():
        assert set(Workers(2).together(rests(0.0, 0.0, 0.0))) == {get_ident()}


def test_a_helper_that_is_taken_is_not_waited_for():
    inner = lambda: Workers(2).together(rests(0.0, 0.0))  # noqa: E731
    outer = Workers(2).together([inner, inner])
    assert [len(set(threads)) for threads in outer] == [1, 1]
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(lambda k: sum(Workers(2).map(lambda i0, i1: i1 - i0, split(k, 4))), range(1, 200))
    assert list(found) == list(range(1, 200))


def test_raises_what_a_task_raises():
    def fail():
        raise ValueError("task")

    with pytest.raises(ValueError, match="task"):
        Workers(2).together([fail, lambda: 1, lambda: 2])
    with pytest.raises(ValueError, match="task"):
        Workers(2).together([lambda: 1, lambda: 2, fail])
    assert Workers(2).together([lambda: 1, lambda: 2]) == [1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_process_has_helpers_of_its_own():
    code = (
        "import os, sys, time\n"
        "from threading import get_ident\n"
        "from ngs_nhcsr.solvers.kernels.workers import Workers\n"
        "tasks = [lambda: (time.sleep(0.02), get_ident())[1]] * 2\n"
        "assert len(set(Workers(2).together(tasks))) == 2\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(len(set(Workers(2).together(tasks))))\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 2


def test_works_without_numba():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from ngs_nhcsr.solvers.kernels.workers import Workers\n"
        "for _ in range(100): assert Workers(2).map(lambda a, b: b - a, [(0, 3), (3, 7), (7, 8)]) == [3, 4, 1]\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


def test_work_space_has_zeros_where_it_says_so():
    from ngs_nhcsr.solvers.kernels.buffers import Buffers

    used = Buffers()
    used.zeros((37, 41)).fill(np.nan)
    del used
    v = Buffers().ringed((37, 41))
    assert not v[[0, -1]].any()
    assert not v[:, [0, -1]].any()
    used = Buffers()
    used.zeros((37, 41)).fill(np.nan)
    del used
    assert not Buffers().zeros((37, 41)).any()


def test_threads_may_share_a_solver(random_medium):
    loads = [Load.of(lambda x, y, k=k: 1 + np.sin(k * x) * y, (64, 64)).vector((64, 64)) for k in range(4)]
    multigrid = hierarchy(random_medium((32, 32), contrast=100.0), Space((64, 64)))
    field = solve_pde(random_medium((32, 32), contrast=100.0))

    def by_multigrid(b):
        return multigrid.solve(b)[0]

    def by_traces(k):
        return field.solve(lambda x, y: 1 + np.sin(k * x) * y).nodes(64)

    for solve, data in ((by_multigrid, loads), (by_traces, range(4))):
        alone = [solve(d) for d in data]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(solve, [*data] * 4))
        for one, other in zip(alone * 4, together, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-9 * np.abs(one).max())
