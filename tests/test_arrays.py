"""Arrays and numbers as users give them to the solvers: what makes no sense is said, what does is taken."""

import numpy as np
import pytest

from ngs_nhcsr import InvalidProblem, NotCoercive, Problem
from ngs_nhcsr.solvers import coarse_solve, effective_conductivity, fine_solve, relative_errors, solve_pde
from ngs_nhcsr.solvers.flux.flux import EquilibratedFlux
from ngs_nhcsr.solvers.lod.lod import LOD
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.moments import point_moments
from ngs_nhcsr.solvers.msfem.msfem import MsFEM
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.target import FineQ1

A = np.where(np.random.default_rng(8).random((16, 16)) < 0.5, 1.0, 10.0)
ALL = ("bottom", "right", "top", "left")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coarse": 0}, "coarse must be positive"),
        ({"natural": ("lef",)}, "natural names 'lef', but the sides are"),
        ({"size": (-1.0, 1.0)}, "two positive lengths"),
        ({"size": (1e-80, 1e-80)}, "Change the units"),
        ({"f": np.nan}, "f has values that are not finite"),
        ({"f": lambda x, y: np.nan * x}, "f has values that are not finite"),
        ({"f": 1j}, "f must be a number"),
        ({"f": "1"}, "f must be a number"),
        ({"f": np.ones((16, 16))}, "one value per cell"),
        ({"f": np.ma.masked_less(np.eye(17), 0.5)}, "masked values"),
        ({"f": lambda x, y: 1.0 if x > 0.5 else 0.0}, r"np\.where"),
        ({"f": lambda x, y: 1j * x}, "f must be a number"),
        ({"f": [[1.0, 2.0], [1.0]]}, "f must be a number"),
        ({"g": np.inf}, "g has values that are not finite"),
        ({"g": np.ones((3, 3))}, "g has shape"),
        ({"g": lambda x, y: np.ones(3)}, "must return values that broadcast"),
    ],
)
def test_problems_that_make_no_sense(options, message):
    with pytest.raises(InvalidProblem, match=message):
        Problem.from_arrays(A, **({"coarse": 4} | options))


def test_one_natural_side_may_be_named_alone():
    one = Problem.from_arrays(A, coarse=np.int64(4), natural="left")
    assert (
        one.space.sides == Problem.from_arrays(A, coarse=4, natural=("left",)).space.sides == (True, True, True, False)
    )


def test_callable_loads_are_integrated_with_their_jumps():
    box = Problem.from_arrays(A, coarse=4, f=lambda x, y: (x < 0.3) & (y < 0.7))
    assert box.load.vector((64, 64)).sum() == pytest.approx(0.21, abs=1e-12)
    Problem.from_arrays(A, coarse=4, f=lambda x, y: np.exp(x) - (np.e - 1), natural=ALL)  # integrates to zero
    with pytest.raises(InvalidProblem, match="integrates to"):
        Problem.from_arrays(A, coarse=4, f=lambda x, y: np.exp(x) - 1.7, natural=ALL)


@pytest.mark.parametrize("solve", [fine_solve, coarse_solve])
def test_solvers_check_what_they_get(solve):
    for wrong in (-A, np.where(A > 1, 0.0, A), np.where(A > 1, -A, A)):
        with pytest.raises(NotCoercive):
            solve(wrong, 16)
    for options in ({"f": np.nan}, {"size": (0.0, 1.0)}, {"g": np.ones((3, 3))}):
        with pytest.raises(InvalidProblem):
            solve(A, 16, **options)


def test_trace_solvers_check_what_they_get():
    for options in ({"size": (1.0,)}, {"accuracy": "x"}, {"f": 1e-160}, {"g": 1e200}):
        with pytest.raises(InvalidProblem):
            solve_pde(A, **options)
    with pytest.raises(InvalidProblem):
        effective_conductivity(np.ones((0, 4)))
    small = solve_pde(A, 1e-99)
    assert small.relative_error_bound == pytest.approx(solve_pde(A).relative_error_bound)


@pytest.mark.parametrize("flat", [[0.5, 0.5, 1.0, 0.2, 0.2, 1.0], [(0.5, 0.5)], ["abc"]])
def test_points_are_triples(flat):
    with pytest.raises(InvalidProblem, match="three numbers each"):
        point_moments(flat, (4, 4))


def test_fractional_scales_ask_for_the_meshes_they_mean():
    for N in (7, 11, 29, 49, 98):
        for n in range(N, 4 * N):
            pixels = Medium(np.broadcast_to(1.0, (n, n)))
            assert FineQ1(n / N).mesh(pixels, Space((N, N))).cells == (n, n)


def test_errors_against_zero():
    u, zero = np.outer(np.ones(5), np.linspace(0, 1, 5)), np.zeros((5, 5))
    assert set(relative_errors(zero, zero, A[:2, :2]).values()) == {0.0}
    assert set(relative_errors(u, zero, A[:2, :2]).values()) == {np.inf}


def test_sides_of_one_cell():
    """Both nodes of a one-cell side are fixed: by itself, where the sides that meet it are natural."""

    def free(*sides):
        mask = np.ones((5, 2), bool)
        for side in sides:
            mask[{"bottom": np.s_[0], "top": np.s_[-1], "left": np.s_[:, 0], "right": np.s_[:, -1]}[side]] = False
        return mask

    for sides in (("bottom",), ("bottom", "top")):
        found = Space.with_free((4, 1), (0, 0), (1, 1), free(*sides))
        assert found.sides == tuple(side in sides for side in ALL)
        assert found.part is None
    assert Space.with_free((4, 1), (0, 0), (1, 1), free("left")).sides == (False, False, False, True)
    for sides in (ALL, ("left", "right")):
        with pytest.raises(InvalidProblem, match="one cell long"):
            Space.with_free((4, 1), (0, 0), (1, 1), free(*sides))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LOD(A, 4, 16, layers=1.5), "layers must be a whole number"),
        (lambda: LOD(A, 4, 16, layers=True), "layers must be a whole number"),
        (lambda: LOD(A, 4, 16, size=(0, 1)), "size"),
        (lambda: MsFEM(A, 4, 16, size=(1, -1)), "size"),
        (lambda: EquilibratedFlux(A, (16, 16), np.ones((17, 17)), size=(0, 1)), "size"),
        (lambda: FineQ1(4, tolerance=-1), "tolerance of FineQ1 must lie between 0 and 1"),
        (lambda: FineQ1(4, tolerance="fine"), "tolerance of FineQ1 must lie between 0 and 1"),
        (lambda: solve_pde(A, modes=True), "modes, the functions per edge, must be a whole number"),
    ],
)
def test_options_of_methods_are_checked_where_they_are_given(call, message):
    with pytest.raises(InvalidProblem, match=message):
        call()
