"""Many problems side by side give what each gives alone, in order, and lazily."""

import numpy as np
import pytest

from ngs_nhcsr import Corrector, InvalidProblem, Problem, correct_many
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.pde import PDE


def medium(seed, shape=(32, 32)):
    return np.where(np.random.default_rng(9_000_000_000 + seed).random(shape) < 0.5, 1.0, 10.0)


def problems(count):
    return (Problem.from_arrays(medium(s), coarse=8, f=1.0 + s) for s in range(count))


@pytest.mark.parametrize("threads", [1, 3])
def test_multigrid_gives_fine_solutions_in_order(threads):
    results = correct_many(problems(5), 8, method="multigrid", threads=threads)
    for s, result in enumerate(results):
        expected = fine_solve(medium(s), 64, 1.0 + s, method="direct")
        np.testing.assert_allclose(result.values, expected, atol=1e-8 * expected.max())


def test_the_network_gives_what_it_gives_alone():
    corrector = Corrector(device="cpu")
    together = correct_many(problems(3), 8, corrector=corrector, threads=2)
    for problem, result in zip(problems(3), together, strict=True):
        alone = corrector.correct_problem(problem, 8)
        assert result.status is alone.status
        np.testing.assert_allclose(result.values, alone.values, atol=1e-7 * abs(alone.values).max())


def test_both_methods_take_the_same_mesh_where_cells_would_cut_pixels():
    for method in ("network", "multigrid"):
        (out,) = correct_many(problems(1), 10, method=method)
        aligned = fine_solve(medium(0), 64, 1.0, method="direct")
        assert out.values.shape == (81, 81)
        assert "at scale 8" in out.notes[0]
        assert np.abs(out.aligned - aligned).max() < 1e-3 * aligned.max()
        np.testing.assert_array_equal(out.values[::10, ::10], out.aligned[::8, ::8])


def test_a_quantity_is_kept_instead_of_the_field_for_any_target():
    def mean(outcome, problem):
        return outcome.values.mean(), problem.medium.contrast

    rows = correct_many(problems(3), 8, quantity=mean, target=PDE(accuracy=0.05))
    fine = correct_many(problems(3), 8, quantity=mean, method="multigrid")
    for (pde, contrast), (u_h, _) in zip(rows, fine, strict=True):
        assert contrast == 10.0
        assert pde == pytest.approx(u_h, rel=0.1)  # u_h at eight cells a pixel is a few per cent too stiff


def test_media_are_drawn_as_they_are_needed():
    drawn, done = [], []

    def draw():
        for s in range(12):
            drawn.append(s)
            assert len(drawn) - len(done) <= 7
            yield Problem.from_arrays(medium(s), coarse=8)

    correct_many(draw(), 4, quantity=lambda *_: done.append(1), method="multigrid", threads=2)
    assert len(drawn) == len(done) == 12


def test_an_error_of_one_problem_is_raised():
    def fail(outcome, problem):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        correct_many(problems(4), 4, quantity=fail, method="multigrid", threads=2)


@pytest.mark.parametrize(("options", "message"), [({"method": "magic"}, "magic"), ({"threads": 0}, "threads")])
def test_wrong_options(options, message):
    with pytest.raises(InvalidProblem, match=message):
        correct_many(problems(1), 4, **options)
