"""Coefficient families, deterministic maps and loads: seeded, within their bounds, all different."""

import numpy as np
import pytest

from ngs_nhcsr.media import maps
from ngs_nhcsr.media.families import families
from ngs_nhcsr.media.families import test_only as only_for_tests
from ngs_nhcsr.media.loads import LOADS, load


@pytest.mark.parametrize("name", families.names())
@pytest.mark.parametrize("contrast", [2.0, 10.0, 1000.0])
def test_families_are_seeded_positive_and_within_contrast(name, contrast):
    a, b = (families[name]((24, 40), np.random.default_rng(5), contrast) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.shape == (24, 40)
    assert a.min() > 0
    assert a.max() / a.min() <= contrast * (1 + 1e-9)
    assert not np.array_equal(a, families[name]((24, 40), np.random.default_rng(6), contrast)) or only_for_tests(name)


def test_the_papers_maps_are_thirteen_different_ones():
    fields = [maps.paper_map(name, (128, 128), 10.0) for name in maps.MAPS]
    assert len(fields) == 13
    assert all(not np.array_equal(a, b) for i, a in enumerate(fields) for b in fields[:i])
    quarter = maps.paper_map("mixture a", (32, 32), 10.0)[:16, :16]
    np.testing.assert_array_equal(quarter, maps.paper_map("checkerboard 1", (32, 32), 10.0)[:16, :16])


@pytest.mark.parametrize("kind", LOADS)
def test_loads_are_seeded_and_of_order_one(kind):
    f, g = (load(kind, (17, 33), np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(f, g)
    assert f.shape == (17, 33)
    assert 0.1 < np.abs(f).max() < 3
    if kind == "sign-changing":
        assert f.min() < 0 < f.max()
