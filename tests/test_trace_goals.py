"""Bounds of means and side fluxes: they enclose the values of far more accurate fields, and are narrow."""

import numpy as np
import pytest
from conftest import quads, solve_on, voxel

from ngs_nhcsr import InvalidProblem, correct
from ngs_nhcsr.solvers.trace import solve_pde

REGION = (0.25, 0.25, 0.5, 0.75)
PROBLEMS = {
    "Dirichlet": {"f": 1.0},
    "two natural sides": {
        "f": lambda x, y: 1 + np.sin(3 * x) * y,
        "natural": ("bottom", "top"),
        "g": {"left": 0.0, "right": 1.0},
    },
    "a flux": {"f": 1.0, "natural": ("bottom", "top", "right"), "flux": {"right": 0.5}},
}


def medium(seed, contrast):
    return np.where(np.random.default_rng(seed).random((12, 12)) < 0.5, 1.0, contrast)


@pytest.mark.parametrize("contrast", [10.0, 100.0, 1000.0])
@pytest.mark.parametrize("name", PROBLEMS)
def test_bounds_of_means_enclose_a_more_accurate_field(name, contrast):
    options = dict(PROBLEMS[name])
    f = options.pop("f")
    A = medium(3, contrast)
    best = solve_pde(A, f, modes=12, tolerance=1e-10, **options)
    field = solve_pde(A, f, **options)
    for region in (REGION, None):
        low, high = field.mean_bounds(region)
        assert low <= best.mean(region) <= high
        # the product of two relative errors of at most 1 % each, and the quotient of norms and mean
        assert high - low < 1e-3 * abs(best.mean(region))
    if "natural" in options:
        low, high = field.side_flux_bounds("left")
        slack = 1e-10 * abs(low)  # where one side is Dirichlet alone, the balance of the data is the flux
        assert low - slack <= best.side_flux("left") <= high + slack
        assert high - low < 1e-3 * abs(low)


def test_a_load_that_is_not_polynomial_widens_the_bounds():
    """On 4 x 4 cells sin 9x has a remainder; its bound is part of the interval, which still encloses."""
    A = medium(4, 10.0)[:4, :4]
    fine = solve_pde(A.repeat(8, 0).repeat(8, 1), lambda x, y: 1 + np.sin(9 * x), modes=12, tolerance=1e-9)
    field = solve_pde(A, lambda x, y: 1 + np.sin(9 * x))
    low, high = field.mean_bounds(REGION)
    assert low <= fine.mean(REGION) <= high
    plain = solve_pde(A, 1.0).mean_bounds(REGION)
    assert high - low > 2 * (plain[1] - plain[0])


@pytest.mark.parametrize("target", ["fine", "pde"])
def test_both_targets_have_them(target, random_medium):
    A = random_medium((32, 32))
    u, _ = solve_on(quads(8), voxel(A), dirichlet="left|right")
    field = correct(u, voxel(A), 4, f=1.0, target=target, full=True).field
    best = solve_pde(A, 1.0, natural=("bottom", "top"), modes=12, tolerance=1e-9)
    for (low, high), value in (
        (field.mean_bounds(REGION), best.mean(REGION)),
        (field.side_flux_bounds("left"), best.side_flux("left")),
    ):
        assert low <= value <= high


def test_a_pressure_drop_is_one_whatever_its_round_off():
    A, width = medium(5, 10.0), 2.98
    noisy = {"left": 1.0, "right": lambda x, y: 1 - (x + 1e-16 * np.sin(9 * y)) / width + 1e-16 * np.sin(9 * y)}
    options = {"natural": ("bottom", "top"), "size": (1.0, width)}
    exact = solve_pde(A, 0.0, g={"left": 1.0, "right": 0.0}, **options).side_flux_bounds("left")
    assert solve_pde(A, 0.0, g=noisy, **options).side_flux_bounds("left") == pytest.approx(exact, rel=1e-12)
    wavy = solve_pde(A, 1.0, g=lambda x, y: 1 + 1e-16 * np.sin(50 * x + y))
    assert wavy.mean_bounds() == pytest.approx(solve_pde(A, 1.0, g=1.0).mean_bounds(), rel=1e-12)


def test_what_cannot_be_bounded():
    field = solve_pde(medium(5, 10.0))
    with pytest.raises(InvalidProblem, match="natural sides beside it"):
        field.side_flux_bounds("left")
    with pytest.raises(InvalidProblem, match="whole cells"):
        field.mean_bounds((0.1, 0.1, 0.2, 0.3))
    rough = solve_pde(medium(5, 10.0), g=lambda x, y: np.sin(50 * x + y))
    with pytest.raises(InvalidProblem, match="polynomials"):
        rough.mean_bounds()
