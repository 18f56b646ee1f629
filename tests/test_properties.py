"""Properties of the array-facing functions over random shapes, types, memory orders, boxes, scales and rubbish.

Profiles "dev" (the default: few examples, always the same) and "ci" are set in conftest.py; HYPOTHESIS_PROFILE=ci.
"""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ngs_nhcsr import Corrector, GridMismatch, InvalidProblem, ModelFileError, NotCoercive, Status, load_model
from ngs_nhcsr.checks import check_coefficient_values, check_raster_shape
from ngs_nhcsr.guard import guard
from ngs_nhcsr.models import Contract, export_model, read_card
from ngs_nhcsr.networks.architecture import Architecture
from ngs_nhcsr.networks.corrector import CorrectorNetwork
from ngs_nhcsr.ngsolve_io.coarse_field import tensor_index
from ngs_nhcsr.number_checks import check_refinement, check_scale
from ngs_nhcsr.problem import Problem
from ngs_nhcsr.reading import galerkin_solve
from ngs_nhcsr.refine import Refiner
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.flux.flux import EquilibratedFlux
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.norms import energy_product, energy_squared, functional, relative_errors
from ngs_nhcsr.solvers.q1 import mass_apply
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.stencil import Stencil, aligned_stencil, galerkin_elements
from ngs_nhcsr.solvers.transfer import prolongate, restrict

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(1, 9)
lengths = st.floats(1e-3, 1e3)
REAL = [np.float64, np.float32, np.float16, np.int64, np.int8, np.uint16, ">f8", "<i4"]


def coefficient(rng, shape, decades=2.0):
    return 10 ** (decades * rng.random(shape))


def arranged(values, order):
    """The same values in C order, Fortran order, as a strided view, reversed twice, or read-only."""
    if order == "strided":
        wide = np.zeros(tuple(2 * n for n in values.shape), values.dtype)
        wide[::2, ::2] = values
        return wide[::2, ::2]
    if order == "reversed":
        return values[::-1, ::-1].copy()[::-1, ::-1]
    out = np.array(values, order="F" if order == "F" else "C")
    out.flags.writeable = order != "read-only"
    return out


@given(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    st.sampled_from(REAL),
    st.sampled_from(["C", "F", "strided", "reversed", "read-only"]),
    seeds,
)
def test_coefficients_of_any_type_and_memory_order_are_read_exactly(shape, dtype, order, seed):
    values = np.random.default_rng(seed).integers(1, 100, shape).astype(dtype)
    given_ = arranged(values, order)
    read = check_coefficient_values(given_)
    assert read.dtype == np.float64
    assert read.flags.c_contiguous
    assert not np.shares_memory(read, given_)
    np.testing.assert_array_equal(read, values.astype(float))


@given(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -1.0, -1e-300, 1e200]),
    seeds,
)
def test_a_bad_value_anywhere_is_found_and_named(shape, bad, seed):
    rng = np.random.default_rng(seed)
    values = coefficient(rng, shape)
    iy, ix = (int(rng.integers(n)) for n in shape)
    values[iy, ix] = bad
    with pytest.raises(InvalidProblem) as error:
        check_coefficient_values(values)
    assert isinstance(error.value, NotCoercive) == (np.isfinite(bad) and bad <= 0)
    assert f"iy={iy}, ix={ix}" in str(error.value) or "units" in str(error.value)


NO_NUMBERS = [1 + 2j, True, "abc", b"x", None, {}, [[1, 2], [3]], np.datetime64(3, "s"), [[1j]], [], 3.0]


@given(st.sampled_from(NO_NUMBERS))
def test_what_is_no_array_of_numbers_is_refused(value):
    with pytest.raises(InvalidProblem, match="coefficient"):
        check_coefficient_values(value)


anything = st.one_of(st.none(), st.booleans(), st.integers(-5, 400), st.floats(), st.text(max_size=4), st.just([2]))


@given(anything)
def test_scales_and_refinements_are_checked_whatever_they_are(value):
    try:
        assert check_scale(value) >= 1
    except InvalidProblem:
        assert isinstance(value, (bool, str, list, type(None))) or not math.isfinite(value) or value < 1
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    fraction = value is None or (isinstance(value, float) and 0 < value < 1)
    for steps, tolerance, valid in ((value, None, whole), (0, value, fraction)):
        if valid:
            check_refinement(steps, tolerance)
        else:
            with pytest.raises(InvalidProblem, match="refine"):
                check_refinement(steps, tolerance)


@given(counts, counts, st.floats(1, 12), lengths, lengths)
def test_refined_grids_have_whole_cells_or_name_a_scale_that_has(ny, nx, scale, Ly, Lx):
    grid = Space((ny, nx), (-3.0, 5.0), (Ly, Lx))
    try:
        fine = grid.refined(scale)
    except GridMismatch as error:
        nearest = float(str(error).rsplit(" ", 1)[1].rstrip("."))
        fine = grid.refined(round(nearest * math.gcd(ny, nx)) / math.gcd(ny, nx))
    assert fine.size == grid.size
    assert fine.cells[0] * nx == fine.cells[1] * ny


@given(counts, counts, st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_transposed_rasters_are_refused_and_no_others(ny, nx, ry, rx, squarer):
    shape = (ny * ry, nx * rx)
    check_raster_shape(shape, (ny, nx), None)
    other = shape[::-1]
    square = (float(other[0]), float(other[1])) if squarer else (1.0, 1.0)  # the domain on which ``other`` has squares
    if other[0] % ny == other[1] % nx == 0 or (squarer and shape[0] != shape[1]):
        check_raster_shape(other, (ny, nx), None, square)
    else:
        with pytest.raises(GridMismatch, match="transposed"):
            check_raster_shape(other, (ny, nx), None, square)


@given(counts, counts, counts, counts, seeds)
def test_prolongation_is_the_transpose_of_restriction_and_exact_for_bilinear_fields(Ny, Nx, ny, nx, seed):
    rng = np.random.default_rng(seed)
    U, b = rng.standard_normal((Ny + 1, Nx + 1)), rng.standard_normal((ny + 1, nx + 1))
    assert np.sum(prolongate(U, (ny, nx)) * b) == pytest.approx(np.sum(U * restrict(b, (Ny, Nx))), abs=1e-11)

    def plane(cells):
        y, x = np.linspace(0, 1, cells[0] + 1)[:, None], np.linspace(0, 1, cells[1] + 1)[None, :]
        return 1 + 2 * y - 3 * x + 5 * x * y

    np.testing.assert_allclose(prolongate(plane((Ny, Nx)), (ny, nx)), plane((ny, nx)), atol=1e-13)
    points = rng.random((7, 2))
    expected = 1 + 2 * points[:, 0] - 3 * points[:, 1] + 5 * points[:, 0] * points[:, 1]
    np.testing.assert_allclose(prolongate(plane((Ny, Nx)), points), expected, atol=1e-13)


@given(counts, counts, lengths, lengths, st.floats(-100, 100), st.floats(-100, 100), seeds)
def test_vertices_of_a_grid_are_recognised_in_any_order_and_box(ny, nx, Ly, Lx, y0, x0, seed):
    assume(1e-3 < (Ly / ny) / (Lx / nx) < 1e3)
    y, x = np.meshgrid(y0 + Ly * np.arange(ny + 1) / ny, x0 + Lx * np.arange(nx + 1) / nx, indexing="ij")
    order = np.random.default_rng(seed).permutation(y.size)
    vertices = np.stack([x.ravel(), y.ravel()], 1)[order]
    found = tensor_index(vertices)
    assert found is not None
    grid, index = found
    assert grid.cells == (ny, nx)
    np.testing.assert_array_equal(order[index].ravel(), np.arange(y.size))
    if ny > 1 and nx > 1:
        moved = vertices.copy()
        moved[seed % len(moved)] += 0.1 * np.array([Lx / nx, Ly / ny])
        assert tensor_index(moved) is None


@given(st.integers(2, 9), st.integers(2, 9), st.floats(-1e6, 1e6), lengths, lengths)
def test_the_load_of_a_constant_is_that_constant(ny, nx, value, Ly, Lx):
    grid = Space((ny, nx), (0.0, 0.0), (Ly, Lx))
    F = mass_apply(np.full(grid.shape, value), grid.size) * grid.free
    np.testing.assert_allclose(Load.from_moments(F, grid).values, value, rtol=1e-9, atol=1e-300)


sizes = st.tuples(lengths, lengths).filter(lambda s: 0.05 < s[0] / s[1] < 20)


@given(counts, counts, counts, counts, sizes, seeds)
def test_energy_in_strips_and_aligned_stencils_are_the_plain_ones(my, mx, ry, rx, size, seed):
    rng = np.random.default_rng(seed)
    cells, A = (my * ry, mx * rx), coefficient(rng, (my, mx))
    v = rng.standard_normal((cells[0] + 1, cells[1] + 1))
    assert energy_squared(v, A, size) == pytest.approx(energy_product(v, v, A, size), rel=1e-12)
    long = rng.standard_normal((cells[0] + 1, 1600 * mx + 1))
    assert energy_squared(long, A, size) == pytest.approx(energy_product(long, long, A, size), rel=1e-12)
    T = torch.from_numpy(A)[None]
    stencil, monotone = aligned_stencil(T, cells, size)
    plain = Stencil.from_elements(galerkin_elements(T, cells, size))
    for name in ("C", "E", "N", "NE", "NW"):
        ours, theirs = getattr(stencil, name), getattr(plain, name)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12 * float(plain.C.max()))
    assert monotone == (max(float(t.max()) for t in (plain.E, plain.N, plain.NE)) <= 0)
    if monotone:
        assert float(plain.row_sum_bound()) == pytest.approx(2.0)


def small_problem(rng, size=(1.0, 1.0), N=(4, 5), ratio=4):
    """Coefficient, load vector and prolonged coarse solution on a fine grid of ``ratio`` cells per coarse cell."""
    A = coefficient(rng, (2 * N[0], 2 * N[1]))
    cells = (ratio * N[0], ratio * N[1])
    b = mass_apply(rng.standard_normal((cells[0] + 1, cells[1] + 1)), size)
    grid = Space(N, (0.0, 0.0), size)
    U = galerkin_solve(A, grid, restrict(b, N), np.zeros(grid.shape))
    return A, b, U, prolongate(U, cells)


@given(seeds, sizes, st.floats(-12, 12), st.sampled_from([None, np.nan, np.inf, -np.inf]))
def test_whatever_the_network_says_the_result_is_finite_and_not_worse(seed, size, exponent, bad):
    rng = np.random.default_rng(seed)
    A, b, U, coarse = small_problem(rng, size)
    field = coarse.copy()
    field[1:-1, 1:-1] += 10**exponent * np.abs(coarse).max() * rng.standard_normal(field[1:-1, 1:-1].shape)
    if bad is not None:
        field[tuple(int(rng.integers(1, n - 1)) for n in field.shape)] = bad
    verdict = guard(field, U, Medium(A), b, size)
    assert np.isfinite(verdict.field).all()
    before = functional(coarse, A, b, size)
    assert functional(verdict.field, A, b, size) <= before + 1e-12 * abs(before)
    assert bad is None or verdict.status is Status.REJECTED
    unknown = guard(field, U, Medium(A), None, size)
    assert np.isfinite(unknown.field).all()
    assert unknown.status is not Status.ACCEPTED


@given(seeds, sizes, st.floats(0.01, 1))
def test_estimates_lie_below_and_bounds_above_the_error(seed, size, amount):
    rng = np.random.default_rng(seed)
    A, *_ = small_problem(rng, size)
    cells, f = (16, 20), rng.standard_normal((17, 21))
    u = fine_solve(A, cells, f, size=size, method="direct")
    v = u.copy()
    v[1:-1, 1:-1] += amount * np.abs(u).max() * rng.standard_normal((15, 19))
    error = relative_errors(v, u, A, size)["energy"]
    norm = math.sqrt(energy_squared(u, A, size))
    flux = EquilibratedFlux(A, cells, f, size)
    assert flux.bound(v) >= error * norm  # the error against u is larger
    estimate = Refiner(Medium(A), Space(cells, size=size)).error(v, mass_apply(f, size))
    # Relative to the improved field, whose norm differs from that of u by its own error at most.
    assert 0.5 * error / (1 + error) <= estimate <= error / max(1 - error, 0.2) + 0.05


@given(seeds, st.sampled_from([1e-9, 3.0, 1e7]), st.sampled_from([1e-6, -2.0, 1e5]), st.sampled_from([0.01, 7.0]))
def test_corrections_scale_with_coefficient_load_and_length(seed, a, f, length):
    """u(c a, f) = u / c, u(a, c f) = c u, and u(x / L) L² on a box L times larger."""
    corrector = Corrector(device="cpu")
    rng = np.random.default_rng(seed)
    A, values = coefficient(rng, (32, 32), 1.0), 1 + rng.random((33, 33))

    def corrected(a, f, length):
        problem = Problem.from_arrays(a * A, coarse=8, f=f * values, size=(length, length))
        return corrector.correct_problem(problem, 4)

    one, two = corrected(1.0, 1.0, 1.0), corrected(a, f, length)
    assert one.status is two.status
    assert two.estimate == (None if one.estimate is None else pytest.approx(one.estimate, rel=1e-3))
    expected = one.values * (f / a * length**2)
    np.testing.assert_allclose(two.values, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


TINY = Architecture(
    encoder_options={"widths": [4, 6], "depth": 1}, decoder_options={"rank": 2, "width": 4}, upscaling=1
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.json"
    export_model(
        CorrectorNetwork(TINY).state_dict(),
        path,
        name="tiny",
        architecture=TINY,
        contract=Contract(),
        training={"steps": 1},
        validation={},
    )
    assert load_model(path, "cpu").card.name == "tiny"
    return path.read_bytes(), path.with_suffix(".safetensors").read_bytes()


edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "drop"]), st.floats(0, 1, exclude_max=True), st.binary(max_size=9)
    ),
    min_size=1,
    max_size=4,
)


def edited(data, changes):
    """Bytes with bits flipped, the end cut off, bytes inserted or dropped."""
    for kind, place, extra in changes:
        k = int(place * len(data))
        if kind == "flip" and data:
            data = data[:k] + bytes([data[k] ^ (extra[0] if extra and extra[0] else 1)]) + data[k + 1 :]
        elif kind == "insert":
            data = data[:k] + extra + data[k:]
        elif kind == "drop":
            data = data[:k] + data[k + len(extra) :]
        elif kind == "cut":
            data = data[:k]
    return data


@given(st.booleans(), edits)
def test_edited_model_files_only_ever_raise_model_file_errors(exported, tmp_path_factory, weights, changes):
    card, data = exported
    changed = (card, edited(data, changes)) if weights else (edited(card, changes), data)
    assume(changed != (card, data))
    path = tmp_path_factory.mktemp("edited") / "m.json"
    path.write_bytes(changed[0])
    path.with_suffix(".safetensors").write_bytes(changed[1])
    try:
        same = json.loads(changed[0]) == json.loads(card)  # white space between the fields means nothing
    except ValueError:
        same = False
    if same and changed[1] == data:
        return
    with pytest.raises(ModelFileError):
        load_model(path, "cpu")


@given(st.binary(max_size=300), st.booleans())
def test_forged_weights_with_a_matching_hash_only_ever_raise_model_file_errors(exported, tmp_path_factory, junk, whole):
    """An attacker can compute the hash: what is behind it must not be trusted either."""
    card, data = exported
    forged = junk if whole else len(junk).to_bytes(8, "little") + junk + data[-100:]
    path = tmp_path_factory.mktemp("forged") / "m.json"
    path.write_bytes(card)
    read = replace(read_card(path), sha256="")
    path.write_text(json.dumps(asdict(replace(read, sha256=read.digest(forged)))))
    path.with_suffix(".safetensors").write_bytes(forged)
    with pytest.raises(ModelFileError):
        load_model(path, "cpu")
