import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngs_nhcsr import GridMismatch
from ngs_nhcsr.ngsolve_io.coarse_field import tensor_index
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.transfer import prolongate, restrict

cells = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(cells, st.integers(0, 2**31), st.floats(-5, 5), st.floats(0.1, 9))
def test_any_vertex_numbering_is_recognised(n, seed, origin, length):
    grid = Space(n, (origin, -origin), (length, 2 * length))
    y, x = grid.nodes()
    X, Y = np.meshgrid(x, y)
    order = np.random.default_rng(seed).permutation(X.size)
    found = tensor_index(np.stack([X.ravel(), Y.ravel()], 1)[order])
    assert found is not None
    assert found[0].cells == n
    np.testing.assert_allclose(found[0].size, grid.size)
    np.testing.assert_array_equal(order[found[1]].ravel(), np.arange(X.size))


def test_graded_and_incomplete_grids_are_not_uniform():
    x = np.array([0, 0.1, 1.0])
    X, Y = np.meshgrid(x, x)
    assert tensor_index(np.stack([X.ravel(), Y.ravel()], 1)) is None
    X, Y = np.meshgrid(np.linspace(0, 1, 3), np.linspace(0, 1, 3))
    assert tensor_index(np.stack([X.ravel(), Y.ravel()], 1)[:-1]) is None


@given(cells, cells, st.integers(0, 99))
def test_prolongation_reproduces_bilinears_and_restriction_is_its_transpose(coarse, fine, seed):
    rng = np.random.default_rng(seed)
    c = rng.standard_normal(4)

    def bilinear(n):
        y, x = np.linspace(0, 1, n[0] + 1)[:, None], np.linspace(0, 1, n[1] + 1)[None, :]
        return c[0] + c[1] * x + c[2] * y + c[3] * x * y

    np.testing.assert_allclose(prolongate(bilinear(coarse), fine), bilinear(fine), atol=1e-12)
    U, b = rng.standard_normal((coarse[0] + 1, coarse[1] + 1)), rng.standard_normal((fine[0] + 1, fine[1] + 1))
    assert np.sum(prolongate(U, fine) * b) == pytest.approx(np.sum(U * restrict(b, coarse)), abs=1e-10)


def test_scale_without_whole_cells_names_the_nearest_that_has():
    assert Space((32, 32)).refined(2.5).cells == (80, 80)
    with pytest.raises(GridMismatch, match="nearest scale that does is 2"):
        Space((3, 3)).refined(2.1)
