"""Methods and meshes against the PDE's own solution."""

import dataclasses
import json
import math

import numpy as np
import pytest
from conftest import quads, solve_on, voxel

from ngs_nhcsr import DependencyMissing, InvalidProblem, compare, correct
from ngs_nhcsr.comparison import beyond, beyond_media, beyond_report, methods
from ngs_nhcsr.comparison.beyond import BeyondResult, BeyondRow, fine_method, unit_context
from ngs_nhcsr.comparison.reference import energy_error, pde_solution
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.trace import solve_pde
from ngs_nhcsr.solvers.trace.candidates import crossing_exponent

NAMES = ("prolongation", "lod2", "network", "coarse+2", "multigrid", "trace6", "trace8")


@pytest.fixture(scope="module")
def problem(random_medium):
    kappa = random_medium((32, 32), contrast=100.0)
    a = voxel(kappa)
    u, _ = solve_on(quads(8), a)
    return u, a, kappa


@pytest.fixture(scope="module")
def result(problem):
    u, a, _ = problem
    return compare(u, a, 16, f=1.0, methods=NAMES, reference="pde")


# ---- compare


def test_the_row_of_the_fine_solve_is_the_discretisation_error(problem, result):
    u, a, _ = problem
    found = correct(u, a, 16, f=1.0, refine_to=1e-5, full=True).discretisation_error
    assert result["multigrid"].energy_error == pytest.approx(found, rel=1e-3)
    assert found > 0.3


def test_no_field_of_the_mesh_is_nearer_than_the_fine_solve_and_the_traces_beat_them_all(result):
    fine = result["multigrid"].energy_error
    for row in result.rows:
        assert not row.message, row
        if not row.name.startswith("trace"):
            assert row.energy_error >= fine * (1 - 1e-9), row.name
            assert row.l2_error > 100 * result["trace8"].l2_error
    assert 0 < result["trace8"].energy_error < result["trace6"].energy_error < 0.005 < 0.01 * fine + 0.005
    # the nodal values of the traces on this mesh are a function of the mesh like all others
    context = unit_context(np.ones((32, 32)))
    assert result.fields["trace8"].shape == context.f.shape


def test_errors_of_traces_are_below_their_guaranteed_bounds(problem, result):
    _, _, kappa = problem
    for modes in (6, 8):
        u = solve_pde(kappa, 1.0, modes=modes, tolerance=1e-3)
        assert result[f"trace{modes}"].energy_error <= u.relative_error_bound


def test_the_reference_is_named_with_its_own_bound(result):
    assert "the PDE's solution u" in result.reference
    assert "guaranteed" in result.reference
    assert result.solution is not None
    assert f"{result.solution.relative_error_bound:.0e}" in result.reference
    assert result.solution.relative_error_bound < 1e-4
    np.testing.assert_array_equal(result.fields["reference"], result.solution.nodes(128))


def test_energy_errors_are_norms_of_differences_where_both_are_known():
    """Galerkin orthogonality on a constant medium: |||u − u_h|||² = f(u) − f(u_h); f(u) is a classical series."""
    context = unit_context(np.ones((16, 16)))
    context = dataclasses.replace(context, solution=pde_solution(context))
    v = fine_solve(np.ones((16, 16)), 64)
    work = 0.03514425373878842  # of u: torsional rigidity of the unit square over four
    expected = math.sqrt((work - np.sum(context.b * v)) / work)
    assert energy_error(v, context) == pytest.approx(expected, rel=1e-4)


def test_methods_that_aim_at_the_pde_are_left_out_by_default(problem):
    u, a, _ = problem
    assert not {"trace6", "trace8"} & set(methods.in_order())
    assert {"trace6", "trace8", "network"} <= set(methods.in_order(("fine", "pde")))
    found = compare(u, a, 4, f=1.0, methods=("trace6", "multigrid"))
    assert 0.1 < found["trace6"].energy_error  # against u_h its nodal values are no better than u_h is against u
    assert found.solution is None


def test_rectangles_and_loads_that_are_not_constant(random_medium):
    kappa = random_medium((16, 32), contrast=10.0)
    a = voxel(kappa, (0, 0), (2, 1))
    u, _ = solve_on(quads(8, 4, mapping=lambda x, y: (2 * x, y)), a)
    found = compare(u, a, 8, f=lambda x, y: 1 + x - y, methods=("prolongation", "multigrid", "trace6"), reference="pde")
    errors = [found[name].energy_error for name in ("trace6", "multigrid", "prolongation")]
    assert errors == sorted(errors)
    assert errors[0] < 0.01


def test_an_unknown_reference_is_refused(problem):
    u, a, _ = problem
    with pytest.raises(InvalidProblem, match='"fine", "pde" or nodal values'):
        compare(u, a, 4, f=1.0, reference="exact", methods=("prolongation",))


# ---- finer and finer meshes


@pytest.mark.parametrize("contrast", [3.0, 10.0])
def test_fine_solves_converge_as_slowly_as_the_singularity_says(contrast):
    A = np.where(np.indices((8, 8)).sum(0) % 2, contrast, 1.0)
    context = unit_context(A)
    context = dataclasses.replace(context, solution=pde_solution(context))
    errors = []
    for cells in (2, 4, 8, 16):
        own = context.on_mesh((8 * cells, 8 * cells))
        errors.append(energy_error(fine_method(cells)(own), own))
    assert errors == sorted(errors, reverse=True)
    rate = math.log2(errors[-2] / errors[-1])
    assert rate == pytest.approx(crossing_exponent(contrast), rel=0.2)


# ---- the suite


@pytest.fixture(scope="module")
def suite():
    small = {"make": lambda seed: np.where(np.random.default_rng(seed).random((32, 32)) < 0.5, 1.0, 10.0), "pixels": 32}
    missing = {"make": lambda seed: beyond_media.photograph("no such photograph"), "random": False}
    media = [beyond_media.MediumKind("random 1:10", **small), beyond_media.MediumKind("missing", **missing)]
    return beyond.evaluate_beyond(media, count=2, cells_per_pixel=(1, 2))


def test_the_suite_measures_every_method_and_skips_what_is_missing(suite):
    rows = {row.method: row for row in suite.rows}
    assert set(rows) == {"prolongation", "msfem-averaged", "lod2", "network", "fine1", "fine2", "trace6", "trace8"}
    for row in rows.values():
        assert not row.message, row
        assert row.problems == 2
        assert row.seconds > 0
    assert rows["trace8"].energy < rows["trace6"].energy < rows["trace6"].bound < rows["fine2"].energy
    assert rows["fine2"].energy < rows["fine1"].energy < rows["prolongation"].energy
    assert rows["fine2"].l2 < rows["fine1"].l2
    assert "scikit-image" in suite.skipped["missing"]
    assert suite.reference_bounds["random 1:10"] < 1e-4
    assert len(json.loads(suite.to_json())["rows"]) == len(suite.rows)


def test_tables_and_picture(suite, tmp_path):
    text = beyond_report.to_markdown(suite)
    lines = [line for line in text.splitlines() if line.startswith("| random 1:10")]
    assert len(lines) == 3
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
    assert f"(≤ {100 * next(r.bound for r in suite.rows if r.method == 'trace6'):.2f} %)" in lines[0]
    assert "Skipped: missing" in text
    failed = BeyondRow("random 1:100", "lod2", "LOD", message="MemoryError: too large")
    more = BeyondResult((*suite.rows, failed), suite.reference_bounds, {})
    assert "failed: MemoryError" in beyond_report.to_markdown(more)
    figure = beyond_report.draw(more, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 20_000
    assert [axes.get_title() for axes in figure.axes] == ["random 1:10", "random 1:100"]
    with pytest.raises(InvalidProblem, match="none of them"):
        beyond_report.draw(dataclasses.replace(suite, rows=()))


def test_photographs_are_halved_and_the_right_way_up(monkeypatch):
    pytest.importorskip("skimage")
    from skimage.io import imread

    A = beyond_media.thresholded("gravel", 64, 10.0)(0)
    assert set(np.unique(A)) == {1.0, 10.0}
    assert abs((A == 10).mean() - 0.5) < 0.05
    path = next(p for p in beyond_media.Path(pytest.importorskip("skimage").__file__).parent.glob("data/gravel.png"))
    np.testing.assert_array_equal(beyond_media.photograph("gravel")[0], imread(path)[-1])
    with pytest.raises(DependencyMissing, match="not downloaded"):
        beyond_media.photograph("nothing")


def test_a_suite_without_media_is_refused():
    with pytest.raises(InvalidProblem, match="at least one"):
        beyond.evaluate_beyond(count=0)
