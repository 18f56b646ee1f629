"""Inputs that do not fit together are refused or flagged: none of them is ACCEPTED with another problem's solution."""

import warnings

import numpy as np
import pytest
from conftest import quads, solve_on, voxel
from helpers import read_problem
from ngsolve import (
    H1,
    BilinearForm,
    CoefficientFunction,
    GridFunction,
    IfPos,
    LinearForm,
    VoxelCoefficient,
    ds,
    dx,
    exp,
    grad,
    sin,
    x,
    y,
)

from ngs_nhcsr import Corrector, InvalidProblem, NhcsrWarning, Scheme, Status, correct
from ngs_nhcsr.budget import coefficient_error
from ngs_nhcsr.demo import coarse_problem
from ngs_nhcsr.ngsolve_io.meshes import structured_mesh
from ngs_nhcsr.reading import follows_solution
from ngs_nhcsr.refine import Refiner
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.norms import relative_errors
from ngs_nhcsr.solvers.q1 import mass_apply
from ngs_nhcsr.solvers.space import Space

N, SCALE = 16, 8


@pytest.fixture(scope="module")
def kappa(random_medium):
    return random_medium((4 * N, 4 * N), seed=77)


def assembled(kappa, *, reaction=0.0, flow=0.0, robin=0.0, f=1.0, g=0.0, dirichlet=".*", storage=False, mesh=None):
    """Coarse solution and form of −div(a∇u) + flow ∂u/∂x + reaction u = f, u = g."""
    mesh = mesh or quads(N)
    space = H1(mesh, order=1, dirichlet=dirichlet)
    u, v = space.TnT()
    form = BilinearForm(space, symmetric_storage=storage)
    form += voxel(kappa) * grad(u) * grad(v) * dx
    form += CoefficientFunction(reaction) * u * v * dx
    if flow:
        form += flow * grad(u)[0] * v * dx
    if robin:
        form += robin * u * v * ds("left")
    load = LinearForm(space)
    load += CoefficientFunction(f) * v * dx(bonus_intorder=6)
    form.Assemble()
    load.Assemble()
    solution = GridFunction(space)
    solution.Set(CoefficientFunction(g), definedon=mesh.Boundaries(dirichlet))
    load.vec.data -= form.mat * solution.vec
    inverse = {} if flow else {"inverse": "sparsecholesky"}  # which reads one triangle only
    solution.vec.data += form.mat.Inverse(space.FreeDofs(), **inverse) * load.vec
    return solution, form


def quietly(*arguments, **options):
    return correct(*arguments, full=True, on_untrusted="return", **options)


@pytest.mark.parametrize("storage", [False, True])
def test_reaction_in_the_form_is_refused(kappa, storage):
    u, form = assembled(kappa, reaction=100.0, storage=storage)
    with pytest.raises(InvalidProblem, match="reaction term"):
        correct(u, voxel(kappa), SCALE, form=form)


def test_convection_in_the_form_is_refused(kappa):
    u, form = assembled(kappa, flow=10.0)
    with pytest.raises(InvalidProblem, match="not symmetric"):
        correct(u, voxel(kappa), SCALE, form=form)


def test_robin_terms_in_the_form_are_refused(kappa):
    u, form = assembled(kappa, robin=10.0, dirichlet="right|top|bottom")
    with pytest.raises(InvalidProblem, match="boundary"):
        correct(u, voxel(kappa), SCALE, form=form)


@pytest.mark.parametrize("storage", [False, True])
def test_a_form_of_diffusion_alone_passes(kappa, storage):
    u, form = assembled(kappa, storage=storage)
    assert quietly(u, voxel(kappa), SCALE, form=form).status is Status.ACCEPTED


MIXED_UP = {
    "reaction": lambda k: ({"reaction": 100.0}, k, {"f": 1.0}),
    "convection": lambda k: ({"flow": 10.0}, k, {"f": 1.0}),
    "upside down": lambda k: ({}, k[::-1].copy(), {"f": 1.0}),
    "factor two": lambda k: ({}, 2 * k, {"f": 1.0}),
    "another load": lambda k: ({}, k, {"f": 2.0}),
    "another load as array": lambda k: ({}, k, {"f": np.full((N + 1, N + 1), 2.0)}),
}


@pytest.mark.parametrize("name", list(MIXED_UP))
def test_a_solution_of_another_problem_is_inconsistent(kappa, name):
    problem, a, options = MIXED_UP[name](kappa)
    u, _ = assembled(kappa, **problem)
    with pytest.warns(NhcsrWarning, match="INCONSISTENT.*differs by"):
        result = correct(u, a, SCALE, full=True, **options)
    assert result.status is Status.INCONSISTENT
    assert result.problem.mismatch > 0.1


def test_a_form_of_another_coefficient_is_inconsistent(kappa):
    u, form = assembled(kappa)
    assert quietly(u, kappa[::-1].copy(), SCALE, form=form).status is Status.INCONSISTENT


@pytest.mark.parametrize("bonus", [0, 2, 5, 8, 12, 20])
@pytest.mark.parametrize("order", [1, 2])
def test_every_quadrature_is_consistent_with_its_load(kappa, bonus, order):
    """The channel medium is where rules differ most."""
    channels = np.where(np.arange(4 * N)[:, None] % 4 == 1, 100.0, 1.0) * np.ones((1, 4 * N))
    for a in (kappa, channels):
        f = 1 + sin(20 * x) * y
        u, form = solve_on(quads(N), voxel(a), f, bonus=bonus, order=order)
        for options in ({"f": f}, {"form": form}):
            assert read_problem(u, voxel(a), **options).consistent


@pytest.mark.parametrize("reaction", [1.0, 10.0, 100.0])
def test_a_reaction_that_is_not_named_is_flagged(kappa, reaction):
    u, _ = assembled(kappa, reaction=reaction)
    result = quietly(u, voxel(kappa), SCALE)
    assert result.status is Status.UNVERIFIED
    assert "reaction" in " ".join(result.notes)


@pytest.mark.parametrize("flow", [1.0, 10.0])
def test_a_convection_that_is_not_named_is_flagged(kappa, flow):
    u, _ = assembled(kappa, flow=flow)
    assert quietly(u, voxel(kappa), SCALE).status is Status.UNVERIFIED


def test_steps_of_an_implicit_scheme_with_a_source_are_flagged(kappa):
    """Load and solution of a time step follow each other; without a source later steps are not always found."""
    u, tau = None, 0.01
    for _ in range(3):
        f = 1.0 if u is None else u / tau + 1
        u, _ = assembled(kappa, reaction=1 / tau, f=f)
        assert quietly(u, voxel(kappa), SCALE).status is Status.UNVERIFIED


@pytest.mark.parametrize("f", [1.0, exp(3 * x), x * x, sin(3.14159 * x) * sin(3.14159 * y), exp(-50 * (x * x + y * y))])
def test_loads_of_the_place_alone_are_no_reaction(kappa, f):
    u, _ = assembled(kappa, f=f)
    p = read_problem(u, voxel(kappa))
    assert p.decided
    assert follows_solution(p.load.moments, p.given, p.space.free, (1.0, 1.0))[0] < 0.7


@pytest.mark.parametrize("dirichlet", [".*", "left|right"])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_no_load_but_boundary_data_is_the_pressure_drop(kappa, dirichlet, offset):
    """The recovered load is round-off and is taken as zero; the field has the accuracy of the one with f = 0 given."""
    u, _ = assembled(kappa, f=0.0, g=x + offset, dirichlet=dirichlet)
    result = quietly(u, voxel(kappa), SCALE)
    assert result.status in (Status.ACCEPTED, Status.OUT_OF_CONTRACT)
    assert result.error_estimate < 0.01
    given = quietly(u, voxel(kappa), SCALE, f=0.0)
    np.testing.assert_allclose(result.values, given.values, atol=1e-9 * (1 + offset))


def test_solutions_of_one_coordinate_are_no_trouble():
    """Layers across x, sealed above and below, f a function of x: ∂u/∂y = 0."""
    layers = np.where(np.random.default_rng(0).random(4 * N) < 0.5, 1.0, 10.0)[None, :] * np.ones((4 * N, 1))
    u, _ = assembled(layers, f=sin(7 * x), dirichlet="left|right")
    p = read_problem(u, voxel(layers))
    assert np.isfinite(follows_solution(p.load.moments, p.given, p.space.free, (1.0, 1.0))).all()


def test_a_load_that_was_not_assembled_gets_one_sentence(kappa):
    u, _ = assembled(kappa)
    with pytest.raises(InvalidProblem, match="not assembled") as caught:
        correct(u, voxel(kappa), SCALE, f=LinearForm(u.space.TestFunction() * dx))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("a", [voxel(np.ones((2, 2))), np.ones((4 * N, 4 * N)), 1.0], ids=["cf", "array", "number"])
def test_two_materials(a):
    owner = np.tile(np.arange(N) >= N // 2, N).astype(int)
    mesh = structured_mesh(Space((N, N)), ("rock", "rock"), owner)  # names may repeat
    u, _ = solve_on(mesh, a if not isinstance(a, np.ndarray) else voxel(a))
    fine = correct(u, a, 4).space.mesh
    assert fine.GetMaterials() == ("rock", "rock")
    assert sum(e.index == 0 for e in fine.Elements()) * 2 == fine.ne


@pytest.mark.parametrize(
    ("pixels", "linear"),
    [((150, 226), False), ((96, 96), False), ((4 * N, 4 * N), True)],
    ids=["image", "cut", "linear"],
)
def test_a_coefficient_that_varies_inside_raster_cells_is_inaccurate(random_medium, pixels, linear):
    image = random_medium(pixels, seed=5)
    a = VoxelCoefficient((0, 0), (1, 1), image, linear=linear)
    u, _ = solve_on(quads(N), a, bonus=4)
    result = quietly(u, a, SCALE, cells_per_coarse=4)  # else the pixels of images are found
    assert result.status is Status.INACCURATE
    assert "one value per raster cell" in " ".join(result.notes)


def test_the_estimate_of_the_raster_is_that_of_layered_cells():
    """Cells of two layers: flux across them sees the harmonic mean, the estimate is √(1 − harmonic/arithmetic)."""
    across = np.linspace(0, 1, 17)[None, :] * np.ones((17, 1))
    layers = np.full((4, 4), 1 - (2 / (1 + 1 / 10)) / 5.5)
    one = Medium(np.ones((4, 4)))
    assert coefficient_error(across, one, layers, (1.0, 1.0)) == pytest.approx(np.sqrt(layers[0, 0]))
    assert coefficient_error(across, one, None, (1.0, 1.0)) == 0


@pytest.mark.parametrize("scale", [16, 32])
def test_estimates_have_no_floor_of_single_precision(random_medium, scale):
    """A field 3e-7 beside u_h at every node: its energy error grows with the mesh and is told as it is."""
    A = random_medium((64, 64), seed=9)
    n = 16 * scale
    u, noise = fine_solve(A, n), np.random.default_rng(0).standard_normal((n - 1, n - 1))
    v = u.copy()
    v[1:-1, 1:-1] += 1e-8 * np.abs(u).max() * noise
    estimate = Refiner(Medium(A), Space((n, n))).error(v, mass_apply(np.ones(u.shape)))
    assert estimate == pytest.approx(relative_errors(v, u, A)["energy"], rel=0.1)


def test_a_corrector_warns_like_correct_at_the_users_line(kappa):
    u, _ = assembled(kappa)
    corrector = Corrector()
    for call in (lambda: corrector(u, 2 * kappa, SCALE, f=1.0), lambda: correct(u, 2 * kappa, SCALE, f=1.0)):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call()
        assert [w.category for w in told] == [NhcsrWarning]
        assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corrector(u, 2 * kappa, SCALE, f=1.0, on_untrusted="return")


@pytest.mark.parametrize(("contrast", "most"), [(100.0, 1e-4), (1000.0, 2e-4)])
def test_corrections_go_on_until_the_tolerance(random_medium, contrast, most):
    """The scheme of the call decides, not the model card; by default the error is below these figures (issue's)."""
    A = random_medium((64, 64), seed=3, contrast=contrast)
    u, _ = solve_on(quads(16), voxel(A))
    reference = fine_solve(A, 256)
    errors = {
        k: relative_errors(quietly(u, voxel(A), 16, scheme=Scheme(corrections=k), refine=0).values, reference, A)[
            "energy"
        ]
        for k in (0, 1, 4)
    }
    assert errors[4] <= errors[1] <= errors[0]
    assert errors[4] <= most
    default = relative_errors(quietly(u, voxel(A), 16, refine=0).values, reference, A)["energy"]
    assert default == pytest.approx(errors[4], rel=1e-3)


@pytest.mark.parametrize("options", [{"corrections": -1}, {"tolerance": 2.0}, {"sweeps": 1.5}, {"corrections": True}])
def test_schemes_that_make_no_sense(options):
    with pytest.raises(InvalidProblem, match="of a Scheme must"):
        Scheme(**options)


def test_representations_are_short():
    """An error or a console that shows one of these objects shows shapes, not numbers."""
    pixels = np.where(np.random.default_rng(0).random((32, 32)) < 0.5, 1.0, 10.0)
    u, a = coarse_problem(pixels, 8)
    fine, pde = correct(u, a, scale=8, full=True, refine=1), correct(u, a, scale=8, full=True, target="pde")
    problem = fine.problem
    objects = (problem, problem.reading, problem.medium, problem.load, fine.refinement, fine, pde.field, pde.field.flux)
    for thing in objects:
        assert len(repr(thing)) < 1000, type(thing)
    assert "array (32, 32)" in repr(problem)


@pytest.mark.parametrize("f", [1.0, IfPos(x - 0.3, 1.0, 0.0) * IfPos(0.6 - x, 1.0, 0.0)])
def test_a_small_term_that_was_not_told_counts(kappa, f):
    """A reaction that moves u_coarse by 1 to 3 %: below INCONSISTENT, but no silence."""
    u, _ = assembled(kappa, reaction=2.0, f=f)
    result = correct(u, voxel(kappa), SCALE, f=f, full=True, on_untrusted="return")
    told = correct(u, voxel(kappa), SCALE, f=f, reaction=2.0, full=True)
    error = relative_errors(result.values, told.values, kappa)["energy"]
    assert result.status is Status.ACCEPTED
    assert error / 3 < result.budget.mismatch < 2 * error
    assert "a term that was not told" in " ".join(result.notes)


@pytest.mark.parametrize("bonus", [1, 3, 7])
def test_quadrature_of_a_jump_is_no_term(kappa, bonus):
    """The coarse load may be wrong by per cents; the field is that of f, and nobody needs to be warned."""
    f = IfPos(x - 0.3, 1.0, 0.0) * IfPos(0.6 - x, 1.0, 0.0)
    space = H1(quads(N), order=1, dirichlet=".*")
    u, v = space.TnT()
    form, load = BilinearForm(voxel(kappa) * grad(u) * grad(v) * dx), LinearForm(f * v * dx(bonus_intorder=bonus))
    solution = GridFunction(space)
    solution.vec.data = form.Assemble().mat.Inverse(space.FreeDofs()) * load.Assemble().vec
    for given in (f, lambda x, y: 1.0 * ((x > 0.3) & (x < 0.6))):
        assert not correct(solution, voxel(kappa), SCALE, f=given, full=True).notes


def test_a_load_that_jumps_elsewhere_in_the_same_cells_is_told(random_medium):
    """Any quadrature of the one lies between two of the other; no rule is near the solution of either."""
    kappa = random_medium((32, 32))
    mine, given = (IfPos(x - 0.5 + w, 1.0, 0.0) * IfPos(0.5 + w - x, 1.0, 0.0) for w in (0.1, 0.08))
    space = H1(quads(8), order=1, dirichlet=".*")
    u, v = space.TnT()
    form, load = BilinearForm(voxel(kappa) * grad(u) * grad(v) * dx), LinearForm(mine * v * dx(bonus_intorder=40))
    solution = GridFunction(space)
    solution.vec.data = form.Assemble().mat.Inverse(space.FreeDofs()) * load.Assemble().vec
    result = correct(solution, voxel(kappa), SCALE, f=given, full=True, on_untrusted="return")
    assert result.budget.mismatch >= 0.025
    assert "quadrature of f in the coarse solve" in " ".join(result.notes)


def test_a_form_is_examined_beside_a_load(kappa):
    """Its reaction term is refused by name, whether the load is given or not."""
    u, form = assembled(kappa, reaction=100.0)
    with pytest.raises(InvalidProblem, match="reaction"):
        correct(u, voxel(kappa), SCALE, form=form, f=1)


def test_a_load_that_was_taken_as_zero_is_named(kappa):
    u, _ = assembled(kappa, dirichlet="left|bottom|top")
    result = quietly(u, voxel(kappa), SCALE, flux={"right": 1.0})
    assert result.status is Status.INCONSISTENT
    assert "f= was not given and is 0" in " ".join(result.notes)


def test_interpolated_voxels_are_told_how_not_to_be(kappa):
    u, _ = assembled(kappa)
    smooth = VoxelCoefficient((0, 0), (1, 1), kappa, linear=True)
    assert "linear=False" in " ".join(quietly(u, smooth, SCALE, f=1).notes)
