"""Many problems side by side give what each gives alone, in order, and lazily; what was kept is not solved again."""

import math
import os
from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch

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


def test_after_an_interruption_only_the_rest_is_solved(tmp_path, monkeypatch):
    """A quantity may fill a list that it captures: what counts is what was in it at the beginning."""

    def study(most):
        solved = []

        def mean(outcome, problem):
            solved.append(problem)
            if len(solved) == int(os.environ["MOST"]):
                raise KeyboardInterrupt
            return outcome.values.mean()

        monkeypatch.setenv("MOST", str(most))
        return solved, {"quantity": mean, "method": "multigrid", "threads": 1}

    solved, options = study(3)
    with pytest.raises(KeyboardInterrupt):
        correct_many(problems(5), 8, keep=tmp_path / "study", **options)
    assert len(solved) == 3
    solved, options = study(-1)
    values = correct_many(problems(5), 8, keep=tmp_path / "study", **options)
    assert len(solved) == 3  # that which had been interrupted, and two more
    assert values == correct_many(problems(5), 8, **options)
    assert not list(tmp_path.rglob("*.tmp"))


def test_nothing_is_taken_for_another_problem_or_another_scale(tmp_path):
    def corner(outcome, problem):
        return outcome.values[1, 1], outcome.values.shape[0]

    study = {"quantity": corner, "method": "multigrid", "threads": 2, "keep": tmp_path}
    one = Problem.from_arrays(medium(0), coarse=8)
    others = (
        Problem.from_arrays(medium(1), coarse=8),
        Problem.from_arrays(medium(0), coarse=8, f=2.0),
        Problem.from_arrays(medium(0), coarse=8, g=lambda x, y: x),
        Problem.from_arrays(medium(0), coarse=8, natural=("top",)),
    )
    found = correct_many((one, *others), 4, **study)
    assert len({float(v) for v, _ in found}) == 5
    ((_, nodes),) = correct_many([one], 8, **study)
    assert nodes == 65
    assert len(list(tmp_path.iterdir())) == 6
    same = replace(one, U=np.where(one.space.free, one.U * (1 + 1e-15), one.U))  # round-off of another machine
    np.testing.assert_array_equal(correct_many([same], 4, **study), found[:1])
    assert len(list(tmp_path.iterdir())) == 6


def test_all_that_decides_a_problem_is_seen(tmp_path):
    """Tensors, reactions, Robin sides, Dirichlet data between coarse nodes."""
    A = medium(0)
    tensor = A[..., None, None] * np.array([[1.0, 0.0], [0.0, 3.0]])
    natural = Problem.from_arrays(A, coarse=8, natural=("top",))
    all_different = (
        natural,
        Problem.from_arrays(tensor, coarse=8),
        Problem.from_arrays(2 * tensor, coarse=8),
        Problem.from_arrays(A, coarse=8, reaction=10.0),
        Problem.from_arrays(A, coarse=8, natural=("top",), robin={"top": 1.0}),
        Problem.from_arrays(A, coarse=8, natural=("top",), robin={"top": 9.0}),
        replace(natural, dirichlet={"bottom": np.array([0.0, 1.0, 0.0])}),
    )
    study = {"quantity": lambda outcome, problem: float(outcome.values.mean()), "method": "multigrid"}
    found = correct_many(all_different, 4, keep=tmp_path, **study)
    assert len(set(found)) == len(found) == len(list(tmp_path.iterdir()))


class Power:
    """A quantity with a setting."""

    def __init__(self, power):
        self.power = power

    def mean(self, outcome, problem):
        return (outcome.values**self.power).mean()

    def largest(self, outcome, problem):
        return (outcome.values**self.power).max()


def test_quantities_are_known_by_their_code_and_what_they_capture(tmp_path):
    def entry(k):
        return lambda outcome, problem: outcome.values.ravel()[k]

    def entry_of(places):
        return lambda outcome, problem: outcome.values.ravel()[places[0]]

    def by_keyword(k):
        def quantity(outcome, problem, *, power=k):
            return (outcome.values**power).mean()

        return quantity

    def moment(outcome, problem, power):
        return (outcome.values**power).mean()

    quantities = [
        lambda outcome, problem: outcome.values.max(),
        lambda outcome, problem: outcome.values.min(),
        lambda outcome, problem: 2 * outcome.values.max(),
        *(entry(k) for k in (40, 41)),
        *(partial(moment, power=k) for k in (1, 2)),
        *(by_keyword(k) for k in (1, 2)),
        *(entry_of(np.array([k])) for k in (40, 41)),
        *(entry_of((k,)) for k in (40, 41)),
        Power(1).mean,
        Power(2).mean,
        Power(2).largest,
    ]
    for number, quantity in enumerate(quantities, 1):
        study = {"quantity": quantity, "method": "multigrid"}
        assert correct_many(problems(1), 4, keep=tmp_path, **study) == correct_many(problems(1), 4, **study)
        assert len(list(tmp_path.iterdir())) == number


def test_objects_are_known_by_the_code_of_their_methods(tmp_path):
    """A study is changed in an editor: the class has the same name and the same settings as before."""

    def made(reduce):
        class Quantity:
            def __init__(self):
                self.factor = 2.0

            def reduced(self, values):
                return reduce(values)

            def __call__(self, outcome, problem):
                return self.factor * self.reduced(outcome.values)

        return Quantity()

    for quantity in (made(np.max), made(np.mean), made(lambda v: v.min()), made(np.max).reduced.__self__):
        study = {"quantity": quantity, "method": "multigrid"}
        assert correct_many(problems(1), 4, keep=tmp_path, **study) == correct_many(problems(1), 4, **study)
    assert len(list(tmp_path.iterdir())) == 3


def test_objects_without_attributes_are_known_by_their_code(tmp_path):
    """Their repr holds an address: a study would never be resumed."""

    def made(reduce):
        class Quantity:
            def __call__(self, outcome, problem):
                return reduce(outcome.values)

        return Quantity()

    for quantity in (made(np.max), made(np.max), made(np.min), made(np.max).__call__, made(np.max).__call__):
        study = {"quantity": quantity, "method": "multigrid"}
        assert correct_many(problems(1), 4, keep=tmp_path, **study) == correct_many(problems(1), 4, **study)
    assert len(list(tmp_path.iterdir())) == 3


def captures(value):
    """A quantity that does nothing but capture a value, and depend on it."""
    return lambda outcome, problem: len(repr(value)) + 0 * float(outcome.values.max())


def test_whatever_a_quantity_captures_is_told_apart(tmp_path):
    """Dicts, lists, objects, slices, fractions, functions, arrays of objects, tensors; also a function of itself."""

    def recursive(depth):
        return 0.0 if depth == 0 else recursive(depth - 1)

    different = [
        {"a": 1}, {"a": 2}, [1, 2], [1, 3], slice(1, 2), slice(1, 3), Fraction(1, 2), Fraction(1, 3), min, max,
        Power(1), Power(2), (1, [2, 3]), (1, [2, 4]), {1, 2}, {1, 3}, captures(1), captures(2), math, np,
        np.array([None, 1]), np.array([None, 2]), torch.tensor([1.0]), torch.tensor([2.0]), recursive,
    ]  # fmt: skip
    for number, value in enumerate(different, 1):
        for _ in range(2):
            correct_many(problems(1), 4, quantity=captures(value), method="multigrid", keep=tmp_path)
            assert len(list(tmp_path.iterdir())) == number, value


@pytest.mark.parametrize(
    ("wrong", "options", "message"),
    [
        ([np.ones((8, 8))], {}, "problems must be made by Problem"),
        ([None], {}, "problems must be made by Problem"),
        (Problem.from_arrays(np.ones((8, 8)), coarse=4), {}, "problems must be an iterable"),
        (3, {}, "problems must be an iterable"),
        ([], {"quantity": "values"}, "quantity must be a function"),
        ([], {"quantity": captures(1), "keep": __file__}, "cannot be a folder"),
        ("ragged", {}, "must return a number"),
    ],
)
def test_what_makes_no_sense_is_said_by_name(wrong, options, message, tmp_path):
    if isinstance(wrong, str):
        wrong, options = problems(1), {"quantity": lambda outcome, problem: [[1], [1, 2]], "keep": tmp_path}
    with pytest.raises(InvalidProblem, match=message):
        correct_many(wrong, 4, method="multigrid", **options)


def test_a_file_that_cannot_be_read_is_made_again(tmp_path):
    study = {"quantity": lambda outcome, problem: outcome.values.max(), "method": "multigrid", "keep": tmp_path}
    first = correct_many(problems(1), 4, **study)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"")
    assert correct_many(problems(1), 4, **study) == first
    assert np.load(path) == first[0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["network", "multigrid"])
def test_a_worker_of_a_cluster_that_dies_costs_nothing(tmp_path, method):
    distributed = pytest.importorskip("distributed")
    died = tmp_path / "died"

    def largest(outcome, problem):
        if problem.load.values[0, 0] == 3.0 and not died.exists():
            died.touch()
            os._exit(1)
        return outcome.values.max()

    study = {"quantity": largest, "method": method}
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = correct_many(problems(5), 8, client=client, keep=tmp_path / "kept", **study)
        with pytest.raises(InvalidProblem, match="not both"):
            correct_many(problems(1), 8, client=client, threads=2, **study)
    assert died.exists()
    assert len(list((tmp_path / "kept").iterdir())) == 5
    np.testing.assert_allclose(there, correct_many(problems(5), 8, **study), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "magic"),
        ({"threads": 0}, "threads"),
        ({"keep": "there"}, "quantity"),
        ({"keep": "there", "quantity": lambda outcome, problem: "large"}, "number"),
    ],
)
def test_wrong_options(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidProblem, match=message):
        correct_many(problems(1), 4, **options)
