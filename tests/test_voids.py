"""Voids: masks, grains without a way to a side, and what the tiny coefficient does that stands for them."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from ngs_nhcsr import InvalidProblem, NotCoercive
from ngs_nhcsr.cli.image_problem import image_problem, parse_sides
from ngs_nhcsr.cli.image_solve import solve_exact
from ngs_nhcsr.media.images import read_medium
from ngs_nhcsr.media.voids import corner_contacts, fill_voids, grounded
from ngs_nhcsr.solvers.trace import effective_conductivity


def conductivity(voids, fill):
    return effective_conductivity(np.where(voids, fill, 1.0), (1.0, 1.0), "sealed").tensor[0, 0]


def smooth_voids(n=32, seed=5):
    """Voids of a random field without corner contacts."""
    voids = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((n, n)), 3) < -0.03
    while corner_contacts(voids):
        voids = ndimage.binary_opening(voids, np.ones((2, 2))) & ~ndimage.binary_closing(~voids, np.ones((2, 2)))
    return voids


def test_a_tiny_coefficient_is_a_void():
    """The change is proportional to the value: what 1e-7 leaves is below 1e-5."""
    voids = smooth_voids()
    assert 0.2 < voids.mean() < 0.6
    much, little = conductivity(voids, 1e-4), conductivity(voids, 1e-5)
    least = conductivity(voids, 1e-7)
    assert (much - least) / (little - least) == pytest.approx(10, rel=0.1)
    assert (little - least) / least < 1e-3


def test_at_a_corner_contact_its_root_acts():
    """J. B. Keller's checkerboard: the effective coefficient is the geometric mean."""
    squares = np.kron([[0, 1], [1, 0]], np.ones((4, 4))).astype(bool)
    assert corner_contacts(squares) == 1
    for fill in (1e-4, 1e-6):
        tensor = effective_conductivity(np.where(squares, fill, 1.0), (1.0, 1.0), "periodic").tensor
        assert tensor[0, 0] == pytest.approx(np.sqrt(fill), rel=0.05)


def test_a_load_is_only_where_it_can_flow_off():
    """With a grain that floats in a void the solution would be of the size of 1 / fill."""
    voids = np.zeros((12, 12), bool)
    voids[3:9, 3:9] = True
    voids[5:7, 5:7] = False
    a, mask = fill_voids(np.where(voids, 0.0, 2.0))
    np.testing.assert_array_equal(mask, voids)
    problem = image_problem(a, parse_sides(None), load=1.0, voids=voids)
    assert problem.total_load == pytest.approx((144 - 36) / 144)
    solved = solve_exact(problem)
    assert solved.trusted
    assert np.max(solved.fields.u) < 1
    assert not grounded(voids, ["left"])[3:9, 3:9].any()


def test_zero_marks_voids_in_images_and_arrays(tmp_path):
    a = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 1.0, 1.0]])
    np.save(tmp_path / "a.npy", a)
    Image.fromarray(np.uint8(255 * a)[::-1]).save(tmp_path / "a.png")
    for medium in (read_medium(tmp_path / "a.npy"), read_medium(tmp_path / "a.png", (0.0, 1.0))):
        np.testing.assert_array_equal(medium.voids, a == 0)
        np.testing.assert_array_equal(medium.a, np.where(a == 0, 1e-7, 1.0))
        assert any("voids (0) on 37.5%" in note for note in medium.notes)
        assert any("corners between voids (1)" in note for note in medium.notes)
    assert medium.cropped(2).voids.shape == (2, 4)


def test_no_filled_medium_is_refused_for_its_contrast():
    """The quotient of a number and its 1e-7 is 1e7 but for rounding."""
    for value in 10 ** np.random.default_rng(1).uniform(-6, 6, 20):
        a, _ = fill_voids(value * (np.add.outer(np.arange(3), np.arange(3)) % 3 > 0))
        assert solve_exact(image_problem(a, parse_sides(None), load=value)).trusted


@pytest.mark.parametrize(
    ("a", "error", "message"),
    [
        ([[0.0, 0.0]], NotCoercive, "0 everywhere"),
        ([[-1.0, 1.0]], NotCoercive, "must be positive"),
        ([[0.0, 1.0, 1.1e3]], InvalidProblem, "has the contrast"),
    ],
)
def test_what_is_no_medium_is_refused(a, error, message):
    with pytest.raises(error, match=message):
        fill_voids(np.array(a))
