"""``correct(target="pde")``: nodal values, bounds, velocities and what is refused, through NGSolve."""

import re
import warnings

import numpy as np
import pytest
from conftest import quads, solve_on, voxel
from netgen.geom2d import unit_square
from ngsolve import (
    H1,
    BilinearForm,
    CoefficientFunction,
    GridFunction,
    IfPos,
    Integrate,
    LinearForm,
    Mesh,
    VoxelCoefficient,
    cosh,
    div,
    dx,
    grad,
    sin,
    specialcf,
    x,
    y,
)

from ngs_nhcsr import PDE, Corrector, InvalidProblem, Problem, Scheme, Status, correct
from ngs_nhcsr.ngsolve_io.meshes import structured_mesh
from ngs_nhcsr.pipeline import solve_target
from ngs_nhcsr.solvers import relative_errors
from ngs_nhcsr.solvers.norms import energy_norm, l2_norm
from ngs_nhcsr.solvers.pde import natural_sides
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.trace import effective_conductivity, solve_pde
from ngs_nhcsr.solvers.transfer import prolongate

N, SCALE = 16, 16


def corrected(A, *, f=1.0, dirichlet=".*", n=N, scale=SCALE, **options):
    u, _ = solve_on(quads(n), voxel(A), f, dirichlet=dirichlet)
    return correct(u, voxel(A), scale, target="pde", full=True, **options)


def pressure_drop(A, n=N):
    """u = x on the left and on the right, sealed above and below, no load."""
    space = H1(quads(n), order=1, dirichlet="left|right")
    u, v = space.TnT()
    form = BilinearForm(voxel(A) * grad(u) * grad(v) * dx).Assemble()
    load, solution = LinearForm(space).Assemble(), GridFunction(space)
    solution.Set(x, definedon=space.mesh.Boundaries("left|right"))
    load.vec.data -= form.mat * solution.vec
    solution.vec.data += form.mat.Inverse(space.FreeDofs()) * load.vec
    return solution


def test_points_and_regions_of_a_field_are_those_of_the_mesh(tmp_path):
    lower, size = (-1.0, 2.0), (1.0, 3.0)
    A = np.where(np.random.default_rng(3).random((16, 24)) < 0.5, 1.0, 10.0)
    upper = (lower[0] + size[1], lower[1] + size[0])
    a = VoxelCoefficient(lower, upper, A, linear=False)
    u, _ = solve_on(structured_mesh(Space((8, 12), lower, size)), a, 1 + x)
    r = correct(u, a, 8, f=1 + x, target="pde", full=True)
    points = np.array([[-0.375, 2.25], [1.25, 2.75]])  # nodes of the fine mesh
    there = [r.u_fine(r.u_fine.space.mesh(*point)) for point in points]
    np.testing.assert_allclose(r.field.at(points), there, rtol=1e-10)
    region = (-0.5, 2.25, 1.0, 2.75)
    low, high = r.field.mean_bounds(region)
    inside = r.field.integrals()[8:24, 8:32].sum() / 0.75
    assert low <= inside <= high
    assert r.field.mean(region) == pytest.approx(inside)
    again = r.field.solve(lambda X, Y: 1 + X)
    assert np.abs(again.nodes((32, 48)) - r.field.nodes((32, 48))).max() < 1e-3 * np.abs(r.values).max()
    r.field.save(tmp_path / "field.npz")
    np.testing.assert_array_equal(type(r.field).load(tmp_path / "field.npz").at(points), r.field.at(points))
    with pytest.raises(InvalidProblem, match=r"\(-1, 2\) x \(2, 3\)"):
        r.field.flux.at(points - lower)


@pytest.mark.parametrize(
    "options", [{"model": "lte"}, {"device": "cpu"}, {"symmetrize": True}, {"scheme": Scheme(corrections=1)}]
)
def test_options_of_networks_are_refused(random_medium, options):
    with pytest.raises(InvalidProblem, match='are for target="fine"'):
        corrected(random_medium((64, 64)), f=1.0, **options)


@pytest.mark.parametrize("contrast", [10.0, 100.0, 1000.0])
def test_nodal_values_are_those_of_the_pde(random_medium, contrast):
    """L2 error of the nodal field against twelve modes; that of a fine solve is a thousand times larger."""
    A = random_medium((4 * N, 4 * N), seed=21, contrast=contrast)
    result = corrected(A)
    exact = solve_pde(A, modes=12, tolerance=1e-8).nodes((N * SCALE, N * SCALE))
    assert result.status is Status.ACCEPTED
    assert l2_norm(result.values - exact) <= 2e-5 * l2_norm(exact)
    np.testing.assert_array_equal(result.u_fine.vec.FV().NumPy(), result.values.ravel())
    assert result.relative_error_bound < 0.0035
    assert result.error_estimate == result.relative_error_bound


def test_an_accuracy_that_was_asked_for_is_guaranteed(random_medium):
    A = random_medium((4 * N, 4 * N), seed=22)
    assert corrected(A, accuracy=5e-4).relative_error_bound <= 5e-4


def test_distances_of_fine_solutions_from_the_pde_obey_pythagoras(random_medium):
    """Meshes are nested, so |||u − u_2h|||² = |||u − u_h|||² + |||u_h − u_2h|||²; the last needs no u."""
    A = random_medium((32, 32), seed=23)
    u, _ = solve_on(quads(8), voxel(A))
    coarser, finer = (correct(u, voxel(A), scale, full=True, refine_to=1e-6) for scale in (8, 16))
    between = energy_norm(finer.values - prolongate(coarser.values, (128, 128)), A) ** 2 / finer.field.energy
    assert coarser.discretisation_error**2 == pytest.approx(finer.discretisation_error**2 + between, rel=1e-4)
    assert 0.1 < finer.discretisation_error < coarser.discretisation_error < 0.4


def test_boundary_data_and_rectangles():
    """u = 2 + x on a constant medium, stretched: every digit."""
    A = np.full((16, 32), 3.0)
    mesh = quads(8, 4, mapping=lambda s, t: (1 + 2 * s, t))
    space = H1(mesh, order=1, dirichlet=".*")
    u = GridFunction(space)
    u.Set(2 + x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = correct(u, A, 8, f=0.0, target="pde", full=True)
    nodes = np.linspace(3, 5, 65)[None, :] * np.ones((33, 1))
    np.testing.assert_allclose(result.values, nodes, atol=1e-9)


def test_velocities_are_conservative(random_medium):
    A = random_medium((4 * N, 4 * N), seed=24)
    result = corrected(A, f=1 + x, scale=8)
    v, mesh = result.velocity(), result.u_fine.space.mesh
    balance = Integrate(div(v) - (1 + x), mesh, element_wise=True).NumPy()
    assert np.abs(balance).max() <= 1e-12 * np.abs(v.vec.FV().NumPy()).max()
    out = Integrate(v * specialcf.normal(2), mesh.Boundaries(".*"))
    assert out == pytest.approx(1.5, rel=1e-10)


@pytest.mark.parametrize("contrast", [10.0, 1000.0])
def test_through_flow_lies_within_the_bounds_of_the_conductivity(random_medium, contrast):
    A = random_medium((4 * N, 4 * N), seed=25, contrast=contrast)
    result = correct(pressure_drop(A), voxel(A), 8, target="pde", full=True, on_untrusted="return")
    v, mesh = result.velocity(), result.u_fine.space.mesh
    flow = Integrate(v * specialcf.normal(2), mesh.Boundaries("left"))
    sealed = effective_conductivity(A, boundary="sealed")
    assert sealed.lower[0, 0] * (1 - 1e-4) <= flow <= sealed.upper[0, 0] * (1 + 1e-4)
    assert Integrate((v * specialcf.normal(2)) ** 2, mesh.Boundaries("bottom|top")) < 1e-20
    low, high = result.field.side_flux_bounds("right")
    assert low <= flow * (1 + 1e-9)
    assert flow <= high * (1 + 1e-9)


def test_given_dirichlet_data_replace_those_of_the_coarse_solution():
    """u = sin 3x cosh 3y on a constant medium: g= decides."""
    mesh = quads(8)
    exact = sin(3 * x) * cosh(3 * y)
    u = GridFunction(H1(mesh, order=1, dirichlet=".*"))
    u.Set(exact)
    t = np.linspace(0, 1, 65)
    values = np.sin(3 * t)[None, :] * np.cosh(3 * t)[:, None]
    errors = {}
    for name, g in {"g": exact, "callable": lambda x, y: np.sin(3 * x) * np.cosh(3 * y), "coarse": None}.items():
        r = correct(u, np.ones((32, 32)), 8, f=0.0, g=g, target="pde", full=True, on_untrusted="return")
        errors[name] = np.abs(r.values - values).max() / values.max()
        assert any("pass g=" in note for note in r.notes) == (g is None)
    assert errors["g"] < 1e-5
    assert errors["callable"] < 1e-5
    assert errors["coarse"] > 1e-3  # a coarse trace
    with pytest.raises(InvalidProblem, match="g must be"):
        correct(u, np.ones((32, 32)), 8, f=0.0, g="sin", target="pde")


def test_zero_boundary_values_on_triangles_are_not_curved():
    u, _ = solve_on(Mesh(unit_square.GenerateMesh(maxh=0.1)), CoefficientFunction(1.0))
    assert not correct(u, np.ones((32, 32)), 8, target="pde", full=True).notes


def test_edge_cases_of_the_pde_target(random_medium):
    A = random_medium((4 * N, 4 * N), seed=29)
    assert corrected(A, scale=1).values.shape == (N + 1, N + 1)
    missed = corrected(A, scale=4, accuracy=1e-9, on_untrusted="return")
    assert missed.status is Status.INACCURATE
    assert "was not reached" in " ".join(missed.notes)
    assert missed.model == ""
    assert len(repr(missed)) < 120
    with pytest.raises(InvalidProblem, match=r"field\.flux"):
        _ = missed.flux


def test_what_the_pde_target_refuses(random_medium):
    A = random_medium((4 * N, 4 * N), seed=26)
    u, _ = solve_on(quads(N), voxel(A))
    for options, words in (
        ({"target": "exact"}, "target must be"),
        ({"target": "pde", "refine": 2}, "accuracy="),
        ({"target": "fine", "accuracy": 1e-3}, "refine_to="),
    ):
        with pytest.raises(InvalidProblem, match=words):
            correct(u, voxel(A), 4, **options)
    rough = GridFunction(u.space)
    rough.vec.FV().NumPy()[:] = np.random.default_rng(0).standard_normal(u.space.ndof)
    with pytest.raises(InvalidProblem, match="needs the load"):
        correct(rough, voxel(A), 4, target="pde")
    with pytest.raises(InvalidProblem, match='target="fine"'):
        _ = corrected(A, scale=4).discretisation_error
    with pytest.raises(InvalidProblem, match="cuts the"):
        corrected(A, scale=6).velocity()
    free = np.pad(np.ones((5, 5), bool), 1)
    free[3, 0] = True
    with pytest.raises(InvalidProblem, match="left side is Dirichlet in part"):
        natural_sides(Space.with_free((6, 6), (0.0, 0.0), (1.0, 1.0), free))


def test_inconsistent_problems_are_flagged_for_the_pde_too(random_medium):
    A = random_medium((4 * N, 4 * N), seed=27)
    u, _ = solve_on(quads(N), voxel(A))
    result = correct(u, 2 * A, 4, f=1.0, target="pde", full=True, on_untrusted="return")
    assert result.status is Status.INCONSISTENT


def test_a_corrector_serves_both_targets(random_medium):
    A = random_medium((32, 32), seed=28)
    u, _ = solve_on(quads(8), voxel(A))
    corrector = Corrector()
    fine, pde = corrector(u, voxel(A), 8), corrector(u, voxel(A), 8, target="pde")
    apart = relative_errors(fine.values, pde.values, A)["L2"]
    assert 0.005 < apart < 0.2  # a fine solve of this medium is some per cent off in L2
    assert fine.field.nodes((64, 64)) == pytest.approx(pde.values)


def test_a_bound_above_five_percent_is_not_accepted():
    """A load that oscillates inside pixels is in the bound; the field for a constant one needs none to be judged."""
    A = np.where(np.random.default_rng(0).random((16, 16)) < 0.5, 1.0, 10.0)
    noise = np.random.default_rng(1).standard_normal((129, 129))
    for f, status in ((noise, Status.INACCURATE), (1.0, Status.ACCEPTED)):
        problem, laps = Problem.from_arrays(A, coarse=4, f=f), []
        out = solve_target(PDE(), problem, problem.space.refined(8), laps.append)
        assert out.status is status
        assert ("bound" in laps) == (status is Status.INACCURATE)
    assert not out.solution.relative_error_bound > 0.05


def test_slender_pixels_are_divided(random_medium):
    """Layers may be found as 1 x 96 pixels, whose trace functions would be those of a needle."""
    layers = random_medium((1, 96), seed=31)
    needles, divided = (
        PDE().solve(Problem.from_arrays(A, coarse=(1, 8) if len(A) == 1 else 8)) for A in (layers, layers.repeat(24, 0))
    )
    assert needles.energy == pytest.approx(divided.energy, rel=1e-6)


@pytest.mark.parametrize("height", [5.0, 17.0, 100.0])
@pytest.mark.parametrize("given", [False, True])
def test_slender_pixels_take_dirichlet_data_that_vary(random_medium, height, given):
    """u = y solves the problem of layers along y, whatever the shape of their pixels."""
    layers, space = random_medium((1, 32), seed=34).repeat(32, 0), Space((8, 8), (0.0, 0.0), (height, 1.0))
    a = VoxelCoefficient((0, 0), (1, height), layers, linear=False)
    u = GridFunction(H1(structured_mesh(space), order=1, dirichlet=".*"))
    u.Set(y)
    g = {"g": lambda X, Y: Y + 0 * X} if given else {}
    r = correct(u, a, 8, f=0, target="pde", full=True, **g)
    line = np.linspace(0, height, r.values.shape[0])[:, None]
    assert np.abs(r.values - line).max() < 1e-8 * height
    assert r.relative_error_bound < 1e-6


def test_the_larger_error_is_printed_first(random_medium):
    """A step load as its moments show it is known worse than what is solved for them."""
    A, step = random_medium((N, N), seed=32), IfPos(x - 0.3, 1.0, 0.0)
    u, _ = solve_on(quads(N), voxel(A), step)
    recovered = correct(u, voxel(A), 4, target="pde", full=True, on_untrusted="return")
    assert re.search(r"error about .* from reading, at most .* guaranteed from solving", str(recovered))
    given = correct(u, voxel(A), 4, f=step, target="pde", full=True, on_untrusted="return")
    assert "relative energy error at most" in str(given)


def test_a_bound_above_the_solution_is_said_in_words(random_medium):
    """A load with the mean zero on pixels moves almost nothing."""
    A, alternating = random_medium((N, N), seed=33), voxel((-1.0) ** np.add.outer(np.arange(8 * N), np.arange(8 * N)))
    u, _ = solve_on(quads(N), voxel(A), alternating)
    result = correct(u, voxel(A), 4, f=alternating, target="pde", full=True, on_untrusted="return")
    assert np.isinf(result.error_estimate)
    assert "not bounded, since" in str(result)
