"""Published benchmarks by formula: the generators, the label recipe, and a small suite end to end."""

import dataclasses

import numpy as np
import pytest

from ngs_nhcsr import InvalidProblem
from ngs_nhcsr.comparison import outside
from ngs_nhcsr.comparison.outside_report import outside_page
from ngs_nhcsr.comparison.outside_suites import SUITES, finite_difference_labels
from ngs_nhcsr.media.benchmarks import CORRELATIONS, condiff, darcy, gaussian_field, trigonometric
from ngs_nhcsr.solvers.fine import fine_solve

SHAPE = (64, 64)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_cosine_modes_have_the_variances_of_the_covariance():
    """cos(πx) cos(2πy) is an eigenfunction; its coefficient has the standard deviation τ (5π² + τ²)^(-1) √64²."""
    y, x = ((np.arange(n) + 0.5) / n for n in SHAPE)
    mode = 2 * np.cos(2 * np.pi * y)[:, None] * np.cos(np.pi * x)[None, :]
    found = [np.mean(gaussian_field(SHAPE, rng(k), 3.0) * mode) for k in range(400)]
    assert np.std(found) == pytest.approx(3 / (5 * np.pi**2 + 9), rel=0.15)
    assert abs(gaussian_field(SHAPE, rng(), 3.0).mean()) < 1e-12


def test_darcy_has_two_values_by_the_sign():
    field = gaussian_field(SHAPE, rng(1), 5.0)
    np.testing.assert_array_equal(darcy(SHAPE, rng(1), 12.0, 2.0, 5.0), np.where(field >= 0, 12.0, 2.0))


def test_trigonometric_factors_are_bounded():
    a = trigonometric((256, 256), rng())
    assert 0.25**6 <= a.min() < a.max() <= 2.25**6


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_logarithms_of_condiff_have_the_correlation(correlation):
    fields = np.stack([np.log(condiff((80, 80), rng(k), correlation, 2.0)) for k in range(40)])
    for shift in (0, 2, 3):
        found = np.mean(fields[..., : 80 - shift] * fields[..., shift:])
        expected = 2.0 * float(CORRELATIONS[correlation](np.array(shift / 80 / 0.05)))
        assert found == pytest.approx(expected, abs=0.12)


def test_labels_converge_for_a_constant_coefficient():
    """To the Q1 solution on a fine mesh, with order 2."""
    errors = []
    for m in (20, 40):
        u = fine_solve(np.full((1, 1), 2.0), 8 * m, 1.0)[4::8, 4::8]
        errors.append(np.abs(finite_difference_labels(np.full((m, m), 2.0)) - u).max() / u.max())
    assert errors[1] < 1e-2
    assert errors[0] / errors[1] > 3


def test_labels_are_off_where_the_coefficient_jumps():
    A = darcy(SHAPE, rng(2), 12.0, 3.0)
    u = fine_solve(A, 512, 1.0)[4::8, 4::8]
    off = np.linalg.norm(finite_difference_labels(A) - u) / np.linalg.norm(u)
    assert 1e-3 < off < 0.1


def test_a_small_suite(monkeypatch):
    small = dataclasses.replace(
        SUITES["darcy"], pixels=32, draw=lambda rng: (darcy((32, 32), rng, 12.0, 3.0), 1.0), scale=8
    )
    monkeypatch.setitem(outside.SUITES, "darcy", small)
    rows = outside.evaluate_outside(["darcy"], count=2, first_seed=5)
    found = {row.method: row for row in rows}
    assert list(found) == ["network", "fine", "pde", "labels"]
    assert found["network"].l2 < 1e-4
    assert found["network"].h1 < 1e-3
    assert found["pde"].pde_energy <= found["pde"].bound < found["fine"].pde_energy
    assert found["fine"].label_l2 == pytest.approx(found["network"].label_l2, rel=0.01)
    assert found["labels"].problems == 2
    text = outside_page(rows)
    assert max(map(len, text.splitlines())) <= 140
    assert "FNO" in text
    assert "1,000 training pairs" in text
    with pytest.raises(InvalidProblem, match="at least one"):
        outside.evaluate_outside(["darcy"], count=0)
