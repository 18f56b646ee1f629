"""The compiled multigrid against torch's operators, sparse direct solves, and what theory says of it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ngs_nhcsr.solvers.compiled_multigrid import CompiledMultigrid
from ngs_nhcsr.solvers.direct import DirichletSystem
from ngs_nhcsr.solvers.hierarchy import TorchHierarchy
from ngs_nhcsr.solvers.kernels import passes, rows
from ngs_nhcsr.solvers.kernels.buffers import _Pool
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.norms import relative_errors
from ngs_nhcsr.solvers.q1 import stiffness
from ngs_nhcsr.solvers.row_operator import RowOperator, raster_elements
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.stencil import Stencil, galerkin_elements


@pytest.fixture(autouse=True, scope="module")
def used_memory():
    """Work space comes full of NaN, as what others have left may be."""
    take = _Pool.take

    def spoilt(self, nbytes):
        out = take(self, nbytes)
        out.fill(255)
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Pool, "take", spoilt)
        yield


SIDES = st.sets(st.sampled_from(["bottom", "right", "top", "left"]), max_size=3)


def two_values(shape, contrast, seed):
    return np.where(np.random.default_rng(seed).random(shape) < 0.5, 1.0, contrast)


def ringed(v, dtype=np.float64):
    return np.pad(v, 1).astype(dtype)


def partly_fixed(cells, seed):
    """A space with Dirichlet conditions on a part of its boundary that changes from row to row."""
    rng = np.random.default_rng(seed)
    free = np.ones((cells[0] + 1, cells[1] + 1), bool)
    free[0] = rng.random(cells[1] + 1) < 0.5
    free[:, -1] = rng.random(cells[0] + 1) < 0.5
    free[0, 0] = False
    return Space.with_free(cells, (0.0, 0.0), (1.0, 1.0), free)


def storages(a, cells, size):
    """Element matrices as the solver stores them, and, where these are multiples of one, written out."""
    elements, refinement, _ = raster_elements(Medium(a), cells, size)
    if isinstance(elements, np.ndarray):
        return [(elements, refinement)]
    return [(elements, refinement), (elements.written_out(), refinement)]


def torch_operator(a, cells, size):
    return Stencil.from_elements(galerkin_elements(torch.from_numpy(a)[None], cells, size))


def direct(a, space, b, lift=None):
    return DirichletSystem(stiffness(a, space.cells, space.size), space.free).solve(b, lift)


@pytest.mark.parametrize(
    ("raster", "cells"), [((3, 5), (12, 10)), ((4, 4), (4, 4)), ((5, 3), (7, 9)), ((1, 1), (2, 6))]
)
def test_kinds_of_rows_hold_the_operator(raster, cells):
    a, size = np.random.default_rng(1).random(raster) + 0.1, (1.0, 0.7)
    free = np.ones((cells[0] + 1, cells[1] + 1), bool)
    x, b = np.random.default_rng(2).standard_normal((2, cells[0] + 1, cells[1] + 1))
    Ax = torch_operator(a, cells, size).apply(torch.from_numpy(x)[None])[0].numpy()
    for storage in storages(a, cells, size):
        operator = RowOperator.of_raster(*storage, free)
        r, rows_ = np.zeros((cells[0] + 3, cells[1] + 3)), [(0, 3), (3, cells[0] + 1)]
        sums = [rows.residual(operator.S, operator.F, operator.kind, ringed(b), ringed(x), r, *part) for part in rows_]
        np.testing.assert_allclose(r[1:-1, 1:-1], b - Ax, atol=1e-13 * abs(Ax).max())
        np.testing.assert_allclose(np.sum(sums, 0), [(x * Ax).sum(), (x * b).sum()], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("bilinear", [True, False])
@pytest.mark.parametrize("written_out", [True, False])
def test_fused_passes_are_the_steps_they_fuse(bilinear, parts, written_out):
    """Two Chebyshev steps, residual and restriction; interpolation and two more: against torch on whole arrays."""
    a, cells, space = two_values((4, 6), 50.0, 3), (16, 24), partly_fixed((16, 24), 4)
    operator = RowOperator.of_raster(*storages(a, cells, space.size)[written_out], space.free)
    A = torch_operator(a, cells, space.size)
    free, (first, again, second) = torch.from_numpy(space.free)[None], (0.9, 0.2, 0.7)
    D, steps = free / A.C, np.array([first, again, second])
    rng = np.random.default_rng(5)
    b = rng.standard_normal(space.free.shape) * space.free
    tb = torch.from_numpy(b)[None]

    def smooth(x):
        r = (tb - A.apply(x)) * free
        d = first * D * r
        return x + (1 + again) * d + second * D * (r - A.apply(d))

    diagonal = operator.F
    if written_out:
        diagonal = operator.F / np.where(operator.S[0] > 0, operator.S[0], 1.0)
        np.testing.assert_allclose(operator.diagonal, diagonal, rtol=1e-6)
    arguments = (operator.S, diagonal, operator.F, operator.kind, steps, ringed(b))
    shape = (11, 15) if bilinear else (19, 27)
    x, out, z = np.zeros((19, 27)), np.zeros(shape), np.zeros((19, 27))
    for k in range(parts):
        n = shape[0] - 2
        passes.smooth_and_restrict(*arguments, x, out, bilinear, n * k // parts, n * (k + 1) // parts)
    expected = smooth(torch.zeros_like(tb))
    r = (tb - A.apply(expected)) * free
    if bilinear:
        from ngs_nhcsr.solvers.transfer import prolongate_by_two, restrict_by_two

        r = restrict_by_two(r)
    np.testing.assert_allclose(x[1:-1, 1:-1], expected[0], atol=1e-12)
    np.testing.assert_allclose(out[1:-1, 1:-1], r[0], atol=1e-12)
    coarse = rng.standard_normal((9, 13))
    total = sum(
        passes.correct_and_smooth(*arguments, x, ringed(coarse), z, bilinear, 17 * k // parts, 17 * (k + 1) // parts)
        for k in range(parts)
    )
    if bilinear:
        expected = (expected + prolongate_by_two(torch.from_numpy(coarse)[None])) * free
    expected = smooth(expected)
    np.testing.assert_allclose(z[1:-1, 1:-1], expected[0], atol=1e-11)
    assert total == pytest.approx(float((expected * tb).sum()), rel=1e-10)


@settings(max_examples=25)
@given(
    raster=st.tuples(st.integers(1, 13), st.integers(1, 13)),
    refinement=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    natural=SIDES,
    contrast=st.sampled_from([1.0, 10.0, 1e3, 1e6]),
    aspect=st.floats(0.5, 2.0),
    seed=st.integers(0, 10**6),
)
def test_solutions_are_those_of_a_direct_solver(raster, refinement, natural, contrast, aspect, seed):
    a, cells = two_values(raster, contrast, seed), (raster[0] * refinement[0], raster[1] * refinement[1])
    size = (aspect * raster[0] * refinement[1] / raster[1] / refinement[0], 1.0)
    space = Space.with_sides(cells, size, natural=tuple(sorted(natural)))
    b, g = np.random.default_rng(seed).standard_normal((2, *space.free.shape)) / b_size(cells)
    start = np.where(space.free, 0.0, g)
    u, info = CompiledMultigrid.of_medium(Medium(a), space).solve(b, start, tolerance=1e-10, max_iterations=200)
    assert info.converged
    assert relative_errors(u, direct(a, space, b, start), a, size=size)["energy"] < 1e-7


def b_size(cells):
    return cells[0] * cells[1]


@pytest.mark.parametrize("cells", [(20, 28), (17, 23), (6, 6)])
def test_any_mesh_and_any_part_of_the_boundary(cells):
    """Meshes that do not divide the raster, and Dirichlet conditions on parts of sides."""
    a, space = two_values((5, 7), 30.0, 6), partly_fixed(cells, 7)
    b = np.random.default_rng(8).standard_normal(space.free.shape)
    u, info = CompiledMultigrid.of_medium(Medium(a), space).solve(b, tolerance=1e-11)
    assert info.converged
    np.testing.assert_allclose(u, direct(a, space, b), atol=1e-8 * abs(u).max())


@pytest.mark.parametrize(("contrast", "most"), [(10.0, 9), (1e3, 14), (1e5, 19)])
def test_steps_hardly_depend_on_the_contrast_nor_on_the_mesh(contrast, most):
    """Bilinear coarsening below the raster takes 11, 90 and more than 300 steps."""
    for n in (64, 256):
        mg = CompiledMultigrid.of_medium(Medium(two_values((32, 32), contrast, 9)), Space((n, n)))
        assert mg.solve(np.full((n + 1, n + 1), 1.0 / n**2))[1].iterations <= most


def test_the_cycle_is_symmetric_and_takes_most_of_the_error():
    a, space = two_values((12, 12), 100.0, 10), Space((48, 48))
    mg = CompiledMultigrid.of_medium(Medium(a), space)
    v, w = np.random.default_rng(11).standard_normal((2, *space.free.shape)) * space.free
    results = []
    for r in (v, w):
        mg._vcycle.right_side[1:-1, 1:-1] = r
        mg._vcycle.cycle()
        results.append(mg._vcycle.result[1:-1, 1:-1].astype(float))
    assert (results[0] * w).sum() == pytest.approx((results[1] * v).sum(), rel=1e-4)
    exact = direct(a, space, v)
    left = exact - results[0] * np.sqrt(a.min() * a.max()) ** -1
    assert relative_errors(exact - left, exact, a)["energy"] < 0.6


def test_the_neumann_problem_is_solved_up_to_a_constant():
    a, space = two_values((8, 8), 20.0, 12), Space.with_sides((32, 32), natural=("bottom", "right", "top", "left"))
    b = np.random.default_rng(13).standard_normal((33, 33))
    b -= b.mean()
    u, info = CompiledMultigrid.of_medium(Medium(a), space).solve(b, tolerance=1e-10)
    assert info.converged
    np.testing.assert_allclose((stiffness(a, (32, 32)) @ u.ravel()).reshape(b.shape), b, atol=1e-6)


def test_torch_and_kernels_agree_on_solutions_and_estimates():
    a, space = two_values((16, 16), 10.0, 14), Space((64, 64))
    b = np.full((65, 65), 64.0**-2)
    compiled, twin = CompiledMultigrid.of_medium(Medium(a), space), TorchHierarchy(Medium(a), space)
    u, v = (mg.solve(b, tolerance=1e-11)[0] for mg in (compiled, twin))
    np.testing.assert_allclose(u, v, atol=1e-9 * abs(v).max())
    wrong = u * (1 + 0.05 * np.sin(np.arange(65) / 3)[:, None])
    error = relative_errors(wrong, u, a)["energy"]
    for mg in (compiled, twin):
        assert mg.relative_error(b, wrong) == pytest.approx(error, rel=0.1)


def test_two_threads_give_what_one_gives():
    a, space = two_values((64, 64), 10.0, 15), Space((256, 256))
    b = np.full((257, 257), 256.0**-2)
    one, two = (CompiledMultigrid.of_medium(Medium(a), space, threads=k).solve(b, tolerance=1e-10)[0] for k in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-9 * abs(one).max())


def test_what_is_not_finite_is_seen():
    a, space = two_values((8, 8), 10.0, 16), Space((32, 32))
    b = np.ones((33, 33))
    b[5, 7] = np.nan
    _, info = CompiledMultigrid.of_medium(Medium(a), space).solve(b)
    assert not info.converged
    assert np.isnan(CompiledMultigrid.of_medium(Medium(a), space).relative_error(np.ones((33, 33)), b))


@pytest.mark.parametrize(("unit", "load"), [(1.0, 1e200), (1.0, 1e-200), (1e-150, 1.0), (1e150, 1e-120)])
def test_sizes_of_loads_and_coefficients_do_not_matter(unit, load):
    a, space, b = two_values((8, 8), 10.0, 17), Space((32, 32)), np.full((33, 33), 1e-3)
    expected = direct(a, space, b)
    mg = CompiledMultigrid.of_medium(Medium(unit * a), space)
    u, info = mg.solve(load * b, tolerance=1e-11)
    assert info.converged
    assert info.iterations > 3
    np.testing.assert_allclose(u * (unit / load), expected, atol=1e-9 * expected.max())
    assert mg.relative_error(load * b, 0.9 * u) == pytest.approx(0.1, rel=0.1)


def test_contrast_costs_few_steps_where_half_the_raster_is_no_block_for_the_direct_solver():
    b, steps = np.full((301, 301), 1 / 300**2), []
    for contrast in (10.0, 100.0, 1000.0):
        mg = CompiledMultigrid.of_medium(Medium(two_values((300, 300), contrast, 1)), Space((300, 300)))
        u, info = mg.solve(b, tolerance=1e-8)
        assert info.converged
        assert mg.relative_error(b, u) < 2e-8
        steps.append(info.iterations)
    assert steps[1] <= 1.6 * steps[0]
    assert steps[2] <= 2.3 * steps[0]


@pytest.mark.parametrize("natural", [(), ("left", "top", "right")])
@pytest.mark.parametrize("contrast", [1e4, 1e8, 1e10])
def test_stiff_inclusions_of_many_pixels(contrast, natural):
    """In float32 the rounding of their couplings is larger than what holds them: the cycle was not definite."""
    y, x = np.mgrid[:320, :320] % 40 - 20
    a, b = np.where(y**2 + x**2 < 15**2, contrast, 1.0), np.full((321, 321), 1 / 320**2)
    mg = CompiledMultigrid.of_medium(Medium(a), Space.with_sides((320, 320), natural=natural))
    u, info = mg.solve(b)
    assert info.converged
    assert info.iterations <= 8
    assert mg.relative_error(b, u) < 3e-13 * max(contrast, 1e5)  # rounding of the matrix
