"""Compiled local solves on the skeleton against their twin in torch."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.substructuring import compiled, distinct
from ngs_nhcsr.solvers.substructuring.reaction import skeleton_of
from ngs_nhcsr.solvers.substructuring.scheme import Scheme
from ngs_nhcsr.solvers.substructuring.skeleton import Skeleton
from ngs_nhcsr.solvers.substructuring.values import Values

pytest.importorskip("numba")
ROUND_OFF = 1e-12


def case(cells=(5, 6), r=4, q=1, batch=(1, 1), size=(1.0, 1.0), sweeps=None, seed=0, reaction=None):
    """A skeleton with random media and loads, and random values; with ``reaction`` up to so much, zero in places."""
    (my, mx), (B, K) = cells, batch
    (ry, rx), (qy, qx) = (v if isinstance(v, tuple) else (v, v) for v in (r, q))
    rng = np.random.default_rng(seed)
    shapes = ((my + 1, mx + 1), (my + 1, mx, rx - 1), (my, mx + 1, ry - 1))
    media = Medium(torch.from_numpy(1e3 ** rng.random((B, my, mx))))
    if reaction is not None:
        c = reaction * rng.random((B, my, mx)) * (rng.random((B, my, mx)) < 2 / 3)
        media = Medium(media.values, torch.from_numpy(c))
    load = torch.from_numpy(100 * rng.standard_normal((B, K, qy * my + 1, qx * mx + 1)))
    skeleton = skeleton_of(media, load, (ry, rx), size, sweeps)
    return skeleton, Values(*(torch.from_numpy(rng.standard_normal((B, K, *s))) for s in shapes))


def in_torch(v):
    """The same values, for which gradients are recorded: local solves are done in torch."""
    return Values(v.corners.clone().requires_grad_(), v.level, v.upright)


def parts(v):
    return v.corners, v.level, v.upright


def compare(found, expected):
    for a, b in zip(parts(found), parts(expected), strict=True):
        assert not a.requires_grad
        assert b.requires_grad or b.numel() == 0
        torch.testing.assert_close(a, b.detach(), rtol=0, atol=ROUND_OFF * float(b.detach().abs().max()))


def spread(residual):
    """An approximate correction that is zero on one side only and no multiple of the residual."""
    step = 1e-3 * residual.roll(1, -1)
    step[..., 0] = 0
    return step


CASES = [
    {"r": 2},
    {"r": 3, "q": 3, "batch": (2, 3)},
    {"r": 4, "q": 2, "batch": (1, 2), "size": (2.0, 0.7)},
    {"r": 8, "q": 1},
    {"r": (2, 5), "q": (1, 2), "batch": (2, 1)},
    {"r": (6, 3), "q": (2, 3), "size": (0.3, 1.0)},
    {"r": 16, "cells": (4, 3)},
    {"r": 33, "q": 4, "cells": (3, 2)},
    {"cells": (1, 1), "r": 3, "batch": (2, 2)},
    {"cells": (1, 7), "r": (3, 2)},
    {"cells": (7, 1), "r": (2, 4)},
    {"cells": (2, 2)},
    {"cells": (3, 259), "r": 3, "batch": (1, 2)},  # more columns than the kernels take at a time
    {"cells": (2, 129)},
    {"cells": (2, 130), "sweeps": 0},
    {"cells": (64, 65), "sweeps": 3},  # on several threads
]


@pytest.mark.parametrize("reaction", [None, 1e3])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_kernels_and_torch_agree_to_round_off(options, reaction):
    skeleton, v = case(**options, reaction=reaction)
    before = [t.clone() for t in parts(v)]
    compare(skeleton.relaxed(v), skeleton.relaxed(in_torch(v)))
    scheme = Scheme(corrections=3, tolerance=0.0)
    compare(skeleton.corrected(v, spread, scheme), skeleton.corrected(in_torch(v), spread, scheme))
    field = skeleton.field(v)
    expected = skeleton.field(in_torch(v)).detach()
    torch.testing.assert_close(field, expected, rtol=0, atol=ROUND_OFF * float(expected.abs().max()))
    for a, b in zip(parts(v), before, strict=True):
        assert torch.equal(a, b), "values that were given were changed"


def test_strided_values_and_expanded_media():
    skeleton, v = case(cells=(4, 4), r=3, batch=(2, 2))
    A, load = skeleton.medium.values[:1].expand(2, -1, -1), skeleton.load[:, :1].expand(-1, 2, -1, -1)
    odd = Values(v.corners.transpose(-1, -2), *(t.clone(memory_format=torch.channels_last_3d) for t in parts(v)[1:]))
    skeleton = Skeleton(Medium(A), load, skeleton.r, skeleton.size)
    compare(skeleton.relaxed(odd), skeleton.relaxed(in_torch(odd)))


def test_a_finished_load_stays_and_the_others_go_on():
    skeleton, v = case(batch=(2, 2))
    scale = torch.tensor([[0.0, 1e-6], [1.0, 0.0]], dtype=torch.float64)[..., None, None]

    def solve(residual):
        return scale * spread(residual)

    scheme = Scheme(corrections=3, tolerance=1e-3)
    found = skeleton.corrected(v, solve, scheme)
    compare(found, skeleton.corrected(in_torch(v), solve, scheme))
    once = skeleton.corrected(v, solve, Scheme(corrections=1))
    for a, b in zip(parts(found), parts(once), strict=True):
        torch.testing.assert_close(a[0], b[0], rtol=0, atol=0)
    assert not torch.equal(found.corners[1, 0], once.corners[1, 0])


@pytest.mark.parametrize("reaction", [None, 10.0])
@pytest.mark.parametrize("cells", [(1, 3), (9, 6)])
def test_threads_change_no_bit(cells, reaction, monkeypatch):
    monkeypatch.setattr(compiled, "SMALL", 0)
    results = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        skeleton, v = case(cells, 3, batch=(2, 2), reaction=reaction)
        assert skeleton._compiled.workers.threads == threads
        w = skeleton.corrected(skeleton.relaxed(v), spread, Scheme(corrections=2))
        results.append([*parts(w), skeleton.field(w)])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_cells_with_too_many_matrices_are_left_to_torch(monkeypatch):
    skeleton, v = case(reaction=1.0)
    assert skeleton._compiles(v)
    skeleton, v = case(reaction=1.0)
    monkeypatch.setattr(distinct, "MEMORY", 0)
    assert not skeleton._compiles(v)


def test_the_residual_of_the_kernels_is_that_of_torch():
    skeleton, v = case(r=(3, 4), q=2, batch=(2, 2))
    found = skeleton._compiled.residual(compiled.KernelValues.of(v))
    expected = skeleton.residual(v)
    torch.testing.assert_close(found, expected, rtol=0, atol=ROUND_OFF * float(expected.abs().max()))


def test_conversion_shares_memory_where_it_can():
    _, v = case(batch=(2, 3))
    x = compiled.KernelValues.of(v)
    again = compiled.KernelValues.of(x.values())
    assert all(np.shares_memory(a, b) for a, b in zip(x.triple, again.triple, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(parts(v), parts(x.values()), strict=True))


@pytest.mark.parametrize("reaction", [None, 10.0])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_shows(bad, reaction):
    for place in ("a", "load", "corner"):
        skeleton, v = case(cells=(4, 5), r=3, reaction=reaction)
        target = {"a": skeleton.medium.values[0], "load": skeleton.load[0, 0], "corner": v.corners[0, 0]}[place]
        target[2, 2] = bad
        w = skeleton.corrected(skeleton.relaxed(v), spread, Scheme(corrections=1))
        assert not torch.isfinite(skeleton.field(w)).all(), place


def test_gradients_and_other_types_are_left_to_torch():
    skeleton, v = case()
    assert skeleton._compiles(v)
    assert not skeleton._compiles(in_torch(v))
    with torch.no_grad():
        assert skeleton._compiles(in_torch(v))
    assert not skeleton._compiles(Values(*(t.float() for t in parts(v))))
    assert not skeleton._compiles(Values(*(t.to("meta") for t in parts(v))))
    for name in ("medium", "load"):
        given = {"medium": skeleton.medium, "load": skeleton.load, "r": skeleton.r, "size": skeleton.size}
        with_gradient = given[name]
        given[name] = (
            Medium(with_gradient.values.clone().requires_grad_())
            if name == "medium"
            else with_gradient.clone().requires_grad_()
        )
        assert not Skeleton(**given)._compiles(v)


def test_a_gradient_that_comes_in_with_the_solver_is_not_lost():
    skeleton, v = case()
    share = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    scheme = Scheme(corrections=2, tolerance=0.0)

    def energy(values):
        return skeleton.field(skeleton.corrected(values, lambda r: share * spread(r), scheme)).square().sum()

    (found,), (expected,) = (torch.autograd.grad(energy(x), share) for x in (v, in_torch(v)))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    assert float(found) != 0


def test_works_without_numba():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import torch\n"
        "from ngs_nhcsr.solvers.medium import Medium\n"
        "from ngs_nhcsr.solvers.substructuring.skeleton import Skeleton\n"
        "from ngs_nhcsr.solvers.substructuring.values import Values\n"
        "d = dict(dtype=torch.float64)\n"
        "s = Skeleton(Medium(torch.ones(1, 2, 2, **d)), torch.ones(1, 1, 3, 3, **d), (2, 2), (1.0, 1.0))\n"
        "v = Values(*(torch.zeros(1, 1, *n, **d) for n in ((3, 3), (3, 2, 1), (2, 3, 1))))\n"
        "assert not s._compiles(v)\n"
        "assert float(s.field(s.relaxed(v))[0, 0, 2, 2]) > 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
