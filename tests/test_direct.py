"""Direct solves: the band and SuperLU against dense elimination, whatever the grid's shape and numbering."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from ngs_nhcsr.solvers import direct
from ngs_nhcsr.solvers.direct import DirichletSystem
from ngs_nhcsr.solvers.q1 import stiffness
from ngs_nhcsr.solvers.space import Space

#: Round-off of an elimination: condition 1e4 of these matrices times 1e-16, and two digits.
ROUND_OFF = 1e-10


def problem(cells, natural=()):
    rng = np.random.default_rng(7)
    space = Space.with_sides(cells, natural=natural)
    K = stiffness(10 ** rng.uniform(0, 2, cells), cells)
    return K, space.free, rng.standard_normal(space.shape), rng.standard_normal(space.shape)


def dense(K, free, F, boundary):
    inside, U = free.ravel(), np.where(free, 0.0, boundary).ravel()
    load = F.ravel() - K @ U
    U[inside] = np.linalg.solve(K.toarray()[np.ix_(inside, inside)], load[inside])
    return U.reshape(free.shape)


@pytest.mark.parametrize("by", ["band", "SuperLU"])
@pytest.mark.parametrize(
    ("cells", "natural"),
    [((5, 7), ()), ((23, 4), ("left",)), ((4, 23), ("top", "right")), ((1, 2), ()), ((16, 16), ("left", "right"))],
)
def test_both_eliminations_are_the_dense_one(cells, natural, by, monkeypatch):
    K, free, F, boundary = problem(cells, natural)
    if by == "SuperLU":
        monkeypatch.setattr(direct, "WORK", 0)
    system = DirichletSystem(K, free)
    for scale in (1.0, -2.0):
        expected = dense(K, free, scale * F, boundary)
        atol = ROUND_OFF * np.abs(expected).max()
        np.testing.assert_allclose(system.solve(scale * F, boundary), expected, rtol=0, atol=atol)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(system)).solve(F), system.solve(F))


def test_unknowns_without_a_grid():
    """A mask (n,) in any numbering: the band is as wide as it is."""
    K, free, F, boundary = problem((6, 9))
    order = np.random.default_rng(8).permutation(free.size)
    shuffled = DirichletSystem(sp.csr_matrix(K)[order][:, order], free.ravel()[order])
    found = np.empty(free.size)
    found[order] = shuffled.solve(F.ravel()[order], boundary.ravel()[order])
    np.testing.assert_allclose(found.reshape(free.shape), dense(K, free, F, boundary), rtol=0, atol=ROUND_OFF)


def test_a_matrix_that_is_not_definite_is_solved_all_the_same():
    """As one that round-off has made indefinite: Cholesky's method gives up, SuperLU does not."""
    K, free, F, boundary = problem((6, 6))
    K = sp.csr_matrix(K - 40.0 * sp.identity(free.size))
    inside = free.ravel()
    spectrum = np.linalg.eigvalsh(K.toarray()[np.ix_(inside, inside)])
    assert spectrum[0] < 0 < spectrum[-1]
    expected = dense(K, free, F, boundary)
    atol = ROUND_OFF * np.abs(expected).max()
    np.testing.assert_allclose(DirichletSystem(K, free).solve(F, boundary), expected, rtol=0, atol=atol)


def test_nothing_to_solve():
    K, free, F, boundary = problem((3, 3))
    np.testing.assert_array_equal(DirichletSystem(K, np.zeros_like(free)).factorise().solve(F, boundary), boundary)
