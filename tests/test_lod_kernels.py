"""Compiled kernels of the LOD against LAPACK and numpy, and the LOD without numba."""

import subprocess
import sys

import numpy as np
import pytest

from ngs_nhcsr.errors import SolverFailure
from ngs_nhcsr.solvers.lod import all_patches, basis
from ngs_nhcsr.solvers.lod.lod import LOD
from ngs_nhcsr.solvers.lod.quasi_interpolation import cell_projections
from ngs_nhcsr.solvers.substructuring import condensation
from ngs_nhcsr.solvers.substructuring.condensation import Condensed, bubbles, condense, condense_by_lapack
from ngs_nhcsr.solvers.windows import DirichletWindow

pytest.importorskip("numba")
ROUND_OFF = 1e-12
RATIOS = [(2, 2), (2, 3), (5, 2), (8, 4), (16, 16)]
H = (0.1, 0.2)
#: Fewer rows and columns than patches have, the smallest ratio, patches as large as the domain, one layer.
GRIDS = [((9, 7), (36, 42), 2, (1.0, 1.0)), ((3, 5), (6, 20), 2, (1.0, 2.5)), ((2, 9), (4, 18), 3, (1.0, 1.0)),
         ((4, 5), (16, 20), 99, (1.0, 1.3)), ((4, 6), (32, 24), 1, (2.0, 1.0))]  # fmt: skip


def values(count, r, seed=0):
    return 100 ** np.random.default_rng(seed).random((count, *r))


def close(found, expected, tolerance=ROUND_OFF):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def without_kernels(patch):
    for module in (condensation, all_patches, basis):
        patch.setattr(module, "compiled", lambda: False)


@pytest.mark.parametrize("r", RATIOS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_condensed_cells(r, weighted, threads):
    a = values(20, r)
    rows, _ = cell_projections(a, weighted)
    for constraints in (rows, np.array(rows), None):
        none = np.zeros((1, 0, (r[0] + 1) * (r[1] + 1)))
        expected = condense_by_lapack(a, H, none if constraints is None else constraints)
        for found, there in zip(condense(a, H, constraints, threads), expected, strict=True):
            close(found, there)


@pytest.mark.parametrize("r", RATIOS)
def test_bubbles(r):
    a, inner = values(17, r), (r[0] - 1) * (r[1] - 1)
    loads = np.random.default_rng(1).standard_normal((17, 3, inner))
    close(bubbles(a, H, loads, threads=2), [DirichletWindow(c, H).solve(b) for c, b in zip(a, loads, strict=True)])
    close(bubbles(a, H, loads[:1]), [DirichletWindow(c, H).solve(loads[0]) for c in a])


def test_few_cells_are_left_to_lapack(monkeypatch):
    monkeypatch.setattr(condensation, "_run", None)
    condense(values(2, (4, 4)), H)
    bubbles(values(2, (4, 4)), H, np.ones((1, 1, 9)))
    with pytest.raises(TypeError):
        condense(values(condensation.FEW, (4, 4)), H)


@pytest.mark.parametrize(("N", "n", "layers", "size"), GRIDS)
@pytest.mark.parametrize("variant", ["galerkin", "petrov-galerkin"])
@pytest.mark.parametrize("interpolation", ["plain", "weighted"])
def test_lod_with_and_without_kernels(N, n, layers, size, variant, interpolation, monkeypatch):
    A = values(1, n)[0]
    new = values(1, n)[0]
    new[: n[0] // N[0], : n[1] // N[1]] *= 2

    def run(workers):
        lod = LOD(A, N, n, layers, variant, True, workers, size, interpolation).assemble()
        first = lod.K.copy(), lod.basis.copy(), lod._correctors.copy(), lod._bubbles.copy()
        solutions = [lod.solve(lambda x, y: np.sin(9 * x * y), lambda x, y: np.cos(7 * x + y)), lod.solve(1.0)]
        return [*first, *solutions, lod.update(new), lod.solve(1.0)]

    found, threaded = run(1), run(2)
    without_kernels(monkeypatch)
    for one, two, expected in zip(found, threaded, run(None), strict=True):
        if hasattr(expected, "indptr"):
            np.testing.assert_array_equal(one.indptr, expected.indptr)
            np.testing.assert_array_equal(one.indices, expected.indices)
            one, two, expected = one.data, two.data, expected.data
        close(one, expected, 1e-11)
        np.testing.assert_array_equal(one, two)


def test_one_after_the_other_without_kernels(monkeypatch):
    A = values(1, (16, 16))[0]
    expected = LOD(A, 4, 16, 1).assemble()
    without_kernels(monkeypatch)
    close(LOD(A, 4, 16, 1, workers=2).assemble().basis.toarray(), expected.basis.toarray())


def test_a_cell_that_is_not_positive_definite():
    a = values(40, (4, 4))
    a[23] *= -1
    for work in (lambda: condense(a, H, threads=2), lambda: bubbles(a, H, np.ones((1, 1, 9)), threads=2)):
        with pytest.raises(SolverFailure, match=r"window of \(4, 4\) cells is not positive definite \(pivot 1\)"):
            work()


@pytest.mark.parametrize("place", ["edges", "sides", "multipliers"])
def test_a_patch_that_is_not_positive_definite(place):
    """The same error as without kernels, whichever matrix it is."""
    lod = LOD(np.ones((4, 4)), 4, 16, 1).assemble()
    matrix = lod._cells.matrix.copy()
    entries = {"edges": slice(0, 6), "sides": slice(6, 12), "multipliers": slice(16, 20)}[place]
    matrix[2, 2, entries, entries] -= (-1e6 if place == "multipliers" else 1e6) * np.eye(entries.stop - entries.start)
    cells = Condensed(matrix, lod._cells.extension, lod._cells.weights)
    sizes = []
    patches = all_patches.Patches(lod._correctors, cells, np.ones((4, 4, 20, 4)), np.ones((4, 4), bool), (4, 4))
    for solve in (patches.compiled, patches.by_lapack):
        with pytest.raises(SolverFailure, match="not positive definite") as error:
            solve(2)
        sizes.append(str(error.value).split("(")[0])
    assert sizes[0] == sizes[1]


def test_works_without_numba():
    expected = LOD(np.ones((4, 4)), 4, 16, 1, rhs_correctors=True).solve(1.0).max()
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np\n"
        "from ngs_nhcsr.solvers.lod.lod import LOD\n"
        "lod = LOD(np.ones((4, 4)), 4, 16, 1, rhs_correctors=True)\n"
        f"assert abs(lod.solve(1.0).max() - {expected}) < 1e-13\n"
        "assert 'ngs_nhcsr.solvers.kernels.lod' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
