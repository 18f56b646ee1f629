"""Images of any size on any coarse mesh: pixels that coarse cells cut, and pixels found by the jumps of a."""

import warnings

import numpy as np
import pytest
from conftest import quads, solve_on, voxel
from hypothesis import given
from hypothesis import strategies as st
from netgen.geom2d import unit_square
from ngsolve import IfPos, Mesh, VoxelCoefficient, sin, x, y
from test_raster import rectangle

from ngs_nhcsr import Corrector, GridMismatch, Problem, Status, compare, correct
from ngs_nhcsr.ngsolve_io.coarse_field import matching_cells, read_coarse
from ngs_nhcsr.ngsolve_io.coefficient import rasterise
from ngs_nhcsr.ngsolve_io.pixels import find_pixels
from ngs_nhcsr.reading import galerkin_solve
from ngs_nhcsr.solvers.hierarchy import hierarchy
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.target import FineQ1

IMAGE = np.random.default_rng(0).random((23, 31)) + 1.0
counts = st.integers(1, 40)


def triangles(n):
    return Mesh(unit_square.GenerateMesh(maxh=1 / n))


def computed(result):
    return result.values if result.aligned is None else result.aligned


def error(result, A, f=1.0):
    """Relative energy error against a direct solve on the mesh the result names; f must be a number."""
    v = computed(result)
    space = result.problem.space.with_cells((v.shape[0] - 1, v.shape[1] - 1))
    assert all(n % m == 0 for n, m in zip(space.cells, A.shape, strict=True))  # it cuts no pixels
    u = galerkin_solve(A, space, Load.of(f, (1, 1), space.size).vector(space.cells), np.zeros(space.shape))
    return energy_norm(v - u, A, space.size) / energy_norm(u, A, space.size)


@pytest.mark.parametrize("mesh", [quads(8), triangles(8)], ids=["quads", "triangles"])
@pytest.mark.parametrize("dirichlet", [".*", "left|bottom"])
@pytest.mark.parametrize("shape", [(30, 45), (100, 100), (29, 19), (5, 3)])
def test_images_on_meshes_that_cut_their_pixels(random_medium, mesh, dirichlet, shape):
    A = random_medium(shape)
    u, _ = solve_on(mesh, voxel(A), dirichlet=dirichlet)
    for a in (A, voxel(A)):
        for given_load in ({}, {"f": 1.0}):
            result = correct(u, a, 16, full=True, on_untrusted="return", **given_load)
            np.testing.assert_array_equal(result.problem.A, A)
            assert result.status is Status.ACCEPTED
            truth = error(result, A)
            assert truth < 1e-3
            assert 0.5 < result.estimate / truth < 1.5
            if not result.problem.medium.refines(result.problem.space.cells):
                assert "multigrid made the field, not the network" in " ".join(result.notes)
                assert "coarse solution and" in str(result)


@pytest.mark.parametrize("shape", [(300, 450), (97, 61), (1000, 1000)])
def test_large_images_against_multigrid(random_medium, shape):
    A = random_medium(shape)
    u, _ = solve_on(quads(32), voxel(A))
    result = correct(u, voxel(A), 16, full=True, on_untrusted="return")
    assert result.status is Status.ACCEPTED
    assert result.values.shape == (513, 513)
    cells = {(300, 450): (600, 450), (97, 61): (485, 488), (1000, 1000): (1000, 1000)}[shape]
    assert result.aligned.shape == (cells[0] + 1, cells[1] + 1)
    assert f"{cells[1]} x {cells[0]} cells, which cut no pixel" in result.notes[0]
    uh, info = hierarchy(A, Space(cells)).solve(Load.of(1.0, (1, 1)).vector(cells), tolerance=1e-9)
    assert info.converged
    assert energy_norm(result.aligned - uh, A) < 1e-3 * energy_norm(uh, A)


def test_triangles_get_a_grid_that_the_pixels_fit_where_there_is_one(random_medium):
    A = random_medium((96, 96))
    u, _ = solve_on(triangles(24), voxel(A))
    for a in (A, voxel(A)):
        result = correct(u, a, 16, full=True, on_untrusted="return")
        assert result.problem.medium.refines(result.problem.space.cells)
        assert result.aligned is None
        assert error(result, A) < 1e-3
    assert matching_cells((33.1, 33.1), (97, 61)) == matching_cells((33.1, 33.1)) == (32, 32)


def test_pixels_of_whole_coarse_cells_are_repeated_for_the_network(random_medium):
    A = random_medium((2, 4))
    u, _ = solve_on(quads(8), voxel(A))
    result = correct(u, A, 8, full=True, on_untrusted="return")
    np.testing.assert_array_equal(result.problem.A, A.repeat(16, 0).repeat(8, 1))
    assert result.status is Status.ACCEPTED
    assert error(result, result.problem.A) < 1e-3
    assert not any("multigrid made" in note for note in result.notes)


def test_an_image_and_its_transpose_have_transposed_fields(random_medium):
    A = random_medium((17, 26))
    one, two = (
        correct(solve_on(quads(*n), voxel(a))[0], a, 8, f=1.0, full=True, on_untrusted="return")
        for a, n in ((A, (6, 5)), (A.T.copy(), (5, 6)))
    )
    np.testing.assert_allclose(computed(two), computed(one).T, atol=1e-4 * one.values.max())  # both end below 3e-4


def test_the_load_is_not_needed_to_be_smooth(random_medium):
    """A box load on pixels, coarse cells and a fine mesh none of which end where it does."""
    A, box = random_medium((23, 31)), IfPos(x - 0.31, IfPos(0.77 - y, 4.0, 0.0), 0.0)
    u, _ = solve_on(quads(9), voxel(A), box, bonus=20)
    result = correct(u, A, 12, f=box, full=True, on_untrusted="return")
    assert result.status is Status.ACCEPTED
    n = (computed(result).shape[0] - 1, computed(result).shape[1] - 1)

    def moments(cells, low, high):
        """Integrals of the hats of an axis over an interval: second differences of ((t - t_i)+)²/2."""
        t = np.arange(-1, cells + 2) / cells
        part = [np.maximum(end - t, 0) ** 2 / 2 * cells for end in (low, high)]
        second = [p[:-2] - 2 * p[1:-1] + p[2:] for p in part]
        return second[1] - second[0]

    b = 4.0 * np.outer(moments(n[0], 0.0, 0.77), moments(n[1], 0.31, 1.0))
    space = Space(n)
    b[~space.free] = 0.0
    u_h = galerkin_solve(A, space, b, np.zeros(space.shape))
    assert energy_norm(computed(result) - u_h, A) < 1e-3 * energy_norm(u_h, A)


def test_a_load_that_is_not_known_is_not_verified(random_medium):
    A = random_medium((23, 31))
    u, _ = solve_on(quads(9), voxel(A))
    u.vec.FV().NumPy()[:] *= np.random.default_rng(0).random(len(u.vec))
    result = correct(u, A, 12, full=True, on_untrusted="return")
    assert result.status is Status.UNVERIFIED
    assert "the field is the coarse solution, not the network" in result.notes[1]


def test_steps_that_are_asked_for_are_taken(random_medium):
    A = random_medium((23, 31))
    u, _ = solve_on(quads(9), voxel(A))
    assert correct(u, A, 12, refine=2, full=True, on_untrusted="return").refinement.steps == 2
    assert error(correct(u, A, 12, refine_to=1e-7, full=True, on_untrusted="return"), A) < 1e-6
    # there is no field of a network that refine=0 could keep
    assert error(correct(u, A, 12, refine=0, full=True, on_untrusted="return"), A) < 1e-3


def test_prepared_corrections_and_values_at_points_are_the_same(random_medium):
    A, corrector = random_medium((23, 31)), Corrector()
    u, _ = solve_on(quads(9), voxel(A))
    result = corrector(u, A, 12, f=1.0, on_untrusted="return")
    prepared = corrector.prepare(A, u.space, 12)(u, f=1.0, on_untrusted="return")
    np.testing.assert_array_equal(prepared.values, result.values)
    Y, X = np.meshgrid(*result.problem.space.refined(12).nodes(), indexing="ij")
    values = corrector.evaluate(np.stack([X.ravel(), Y.ravel()], 1), u, A, 12, f=1.0)
    np.testing.assert_allclose(values, result.values.ravel(), atol=1e-12)
    made = corrector.correct_problem(Problem.from_arrays(A, coarse=9), 12)
    np.testing.assert_allclose(made.values, result.values, atol=1e-9)


def test_the_equation_itself_does_not_see_the_coarse_mesh(random_medium):
    """With f given, coarse cells of three pixels and ones that cut pixels have one and the same solution."""
    A = random_medium((30, 45))
    fitting, cut = (
        correct(solve_on(quads(*n), voxel(A))[0], A, 8, f=1.0, target="pde", full=True) for n in ((15, 10), (8, 8))
    )
    assert cut.status is Status.ACCEPTED
    np.testing.assert_allclose(cut.field.energy, fitting.field.energy, rtol=1e-8)
    points = np.random.default_rng(0).random((20, 2))
    np.testing.assert_allclose(cut.field.at(points), fitting.field.at(points), rtol=1e-4)


def test_bounds_are_those_of_the_aligned_field(random_medium):
    A = random_medium((23, 31))
    result = correct(solve_on(quads(9), voxel(A))[0], A, 12, f=1.0, full=True, on_untrusted="return")
    assert result.discretisation_error < result.relative_error_bound < 3 * result.discretisation_error


def test_comparisons_need_pixels_that_fit(random_medium):
    A = random_medium((23, 31))
    with pytest.raises(GridMismatch, match="31 x 23 pixels do not fit 9 x 9 cells"):
        compare(solve_on(quads(9), voxel(A))[0], A, scale=12, f=1.0)


@given(counts, counts, counts, counts, st.integers(1, 64))
def test_meshes_cut_no_pixels(my, mx, Ny, Nx, scale):
    medium, coarse = Medium(np.ones((my, mx))), Space((Ny, Nx))
    mesh = FineQ1(scale / 2).mesh(medium, coarse)
    for n, m in zip(mesh.cells, (my, mx), strict=True):
        assert n % m == 0 or m % n == 0
    if not medium.refines(coarse.cells):  # the nearest one, along each axis
        for n, m, N in zip(mesh.cells, (my, mx), coarse.cells, strict=True):
            assert n == N * scale / 2 or abs(n - N * scale / 2) <= m / 2 or n == m


# --- pixels of coefficients -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mesh", [quads(9, 7), rectangle(0.11)], ids=["quads", "triangles"])
@pytest.mark.parametrize("shape", [(23, 31), (97, 61), (64, 65), (1, 7), (150, 200)])
def test_voxels_become_their_array(random_medium, mesh, shape):
    A = random_medium(shape)
    u, _ = solve_on(mesh, voxel(A))
    found = read_coarse(u)
    raster = rasterise(voxel(A), mesh, found.space, quads=found.quads)
    np.testing.assert_array_equal(raster.values, A)
    assert raster.variation is None


def test_voxels_of_another_rectangle(random_medium):
    A = random_medium((23, 31)) + np.random.default_rng(0).random((23, 31))
    mesh = rectangle(0.2, (-1.0, 3.0), (1.5, 4.0))
    u, _ = solve_on(mesh, voxel(A, (-1.0, 3.0), (1.5, 4.0)))
    raster = rasterise(voxel(A, (-1.0, 3.0), (1.5, 4.0)), mesh, read_coarse(u).space)
    np.testing.assert_array_equal(raster.values, A)


def test_blocks_of_equal_pixels_are_one(random_medium):
    A = random_medium((11, 13))
    mesh, grid = quads(8), Space((8, 8))
    raster = rasterise(voxel(A.repeat(3, 0).repeat(2, 1)), mesh, grid)
    np.testing.assert_array_equal(raster.values, A)


@pytest.mark.parametrize(
    "a",
    [
        1 + 0.9 * sin(50 * x) * sin(40 * y),
        IfPos((x - 0.5) ** 2 + (y - 0.5) ** 2 - 0.1, 1.0, 10.0),
        IfPos(x + 0.3 * y - 0.5, 1.0, 10.0),
        IfPos(x - 1 / np.pi, 1.0, 2.0),
        VoxelCoefficient((0, 0), (1, 1), IMAGE, linear=True),
        voxel(IMAGE) * (1 + 1e-4 * x),
        voxel(IMAGE) + IfPos((x - 0.5) ** 2 + (y - 0.5) ** 2 - 0.01, 0.0, 1.0),
    ],
    ids=["waves", "disc", "oblique", "irrational", "linear voxels", "graded voxels", "voxels and a disc"],
)
def test_what_has_no_pixels_keeps_its_means(a):
    mesh, grid = quads(8), Space((8, 8))
    raster = rasterise(a, mesh, grid)
    assert raster.values.shape == (32, 32)
    assert raster.varying > 0


def test_raster_cells_that_are_asked_for_are_made(random_medium):
    raster = rasterise(voxel(random_medium((23, 31))), quads(8), Space((8, 8)), cells_per_coarse=3)
    assert raster.values.shape == (24, 24)
    assert raster.varying > 0


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 1000))
def test_the_grid_found_is_the_coarsest(my, mx, seed):
    """Values in general position: no two neighbours are equal, so that the array itself is found."""
    image = np.random.default_rng(seed).random((my, mx))

    def values(v, u):
        return image[np.minimum((my * v).astype(int), my - 1), np.minimum((mx * u).astype(int), mx - 1)]

    t = (np.arange(90) + 0.5) / 90
    np.testing.assert_array_equal(find_pixels(values, values(t[:, None], t[None, :])), image)


def test_a_difference_of_parts_of_a_pixel_is_not_overlooked():
    """A patch that no sample sees but that random points meet: no array is the coefficient then."""
    image = np.random.default_rng(0).random((10, 10))

    def values(v, u):
        return image[(10 * v).astype(int), (10 * u).astype(int)] + ((np.abs(v - 0.2) < 0.03) & (np.abs(u - 0.5) < 0.02))

    t = (np.arange(6) + 0.5) / 6
    samples = values(*(w.ravel() for w in np.meshgrid(t, t, indexing="ij"))).reshape(6, 6)
    assert find_pixels(values, samples) is None


@pytest.mark.parametrize(("shape", "scale"), [((30, 44), 8), ((64, 64), 6)], ids=["image", "scale"])
def test_how_right_values_were_made_is_no_warning(shape, scale):
    """It stands in the notes; warnings are for what may be wrong."""
    A = np.where(np.random.default_rng(6).random(shape) < 0.5, 1.0, 10.0)
    u, _ = solve_on(quads(16), voxel(A))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = correct(u, A, scale, f=1, full=True)
    assert result.status is Status.ACCEPTED
    assert result.remarks
    assert set(result.remarks) <= set(result.notes)
