"""Solutions as files: what is written comes back, in NumPy, PyVista and NGSolve."""

import numpy as np
import pytest
from conftest import quads, solve_on, voxel
from ngsolve import H1, BilinearForm, CoefficientFunction, GridFunction, LinearForm, dx, grad

from ngs_nhcsr import InvalidProblem, correct, load_solution
from ngs_nhcsr.files import Solution, solution_of, write


@pytest.fixture(scope="module")
def kappa():
    return np.where(np.random.default_rng(5).random((16, 32)) < 0.5, 1.0, 10.0)


@pytest.fixture(scope="module")
def results(kappa):
    """Both targets on (1, 3) x (0, 1)."""
    mesh = quads(8, 4, mapping=lambda x, y: (1 + 2 * x, y))
    a = voxel(kappa, (1, 0), (3, 1))
    u, _ = solve_on(mesh, a)
    return {target: correct(u, a, scale=8, f=1.0, target=target, full=True) for target in ("fine", "pde")}


def test_everything_is_readable_by_pyvista(results, kappa, tmp_path):
    pv = pytest.importorskip("pyvista")
    result = results["pde"]
    result.save(tmp_path / "u.vtu")
    grid = pv.read(tmp_path / "u.vtu")
    assert grid.bounds[:4] == (1.0, 3.0, 0.0, 1.0)
    np.testing.assert_array_equal(grid.point_data["u"].reshape(33, 65), result.values)
    np.testing.assert_array_equal(grid.cell_data["a"].reshape(32, 64), np.kron(kappa, np.ones((2, 2))))
    coarse = grid.point_data["u_coarse"].reshape(33, 65)
    np.testing.assert_allclose(coarse[::8, ::8], result.problem.given)
    np.testing.assert_allclose(coarse[4, 4], result.problem.given[:2, :2].mean())
    assert grid.cell_data["velocity"].shape == (32 * 64, 3)
    assert grid.field_data["target"][0] == "pde"
    assert grid.field_data["status"][0] == "ACCEPTED"
    assert grid.field_data["relative_error_bound"][0] == result.error_estimate


def test_arrays_come_back(results, kappa, tmp_path):
    result = results["fine"]
    assert solution_of(result).indicator is None
    indicator = result.indicator
    result.save(tmp_path / "u.npz")
    read = load_solution(tmp_path / "u.npz")
    np.testing.assert_array_equal(read.u, result.values)
    np.testing.assert_array_equal(read.a, kappa)
    np.testing.assert_array_equal(read.indicator.ravel(), indicator.vec.FV().NumPy())
    assert (read.size, read.lower, read.velocity) == ((1.0, 2.0), (1.0, 0.0), None)
    assert read.numbers["error_estimate"] == result.error_estimate
    assert read.provenance["model"] == result.model
    u = read.gridfunction()
    at = (1.3, 0.77)
    assert u(u.space.mesh(*at)) == pytest.approx(result.u_fine(result.u_fine.space.mesh(*at)), rel=1e-12)


def test_nothing_is_replaced_unasked(results, tmp_path):
    path = tmp_path / "u.npz"
    path.write_text("mine")
    with pytest.raises(InvalidProblem, match="exists already"):
        results["fine"].save(path)
    assert path.read_text() == "mine"
    results["fine"].save(path, force=True)
    assert load_solution(path).cells == (32, 64)


@pytest.mark.parametrize(("name", "message"), [("u.txt", "no suffix"), ("none/u.npz", "no folder"), ("u", "no suffix")])
def test_bad_paths(results, tmp_path, name, message):
    with pytest.raises(InvalidProblem, match=message):
        results["fine"].save(tmp_path / name)


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.ones(3))
    with pytest.raises(InvalidProblem, match="holds x, not a solution"):
        load_solution(tmp_path / "x.npz")
    (tmp_path / "y.npz").write_text("y")
    write(tmp_path / "u.npz", Solution(np.zeros((2, 2)), np.ones((1, 1)), (1.0, 1.0)))
    (tmp_path / "half.npz").write_bytes((tmp_path / "u.npz").read_bytes()[:-200])
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    with pytest.raises(InvalidProblem, match="holds no named arrays"):
        load_solution(tmp_path / "a.npy")
    good = {"u": np.ones((3, 3)), "a": np.ones((2, 2)), "size": (1.0, 1.0)}
    for change in (
        {"size": 3.0}, {"size": ("a", "b")}, {"note": "hello"}, {"provenance": "{x"}, {"u": np.ones(3)},
        {"u": np.array([["x", "y"], ["z", "z"]])}, {"a": np.ones(3)}, {"u": np.ones((1, 4))},
    ):  # fmt: skip
        np.savez(tmp_path / "wrong.npz", **(good | change))
        with pytest.raises(InvalidProblem, match="holds no solution"):
            load_solution(tmp_path / "wrong.npz")
    with pytest.raises(InvalidProblem, match="cannot be read"):
        load_solution(3)
    for name in ("y.npz", "none.npz", "half.npz"):
        with pytest.raises(InvalidProblem, match="cannot be read"):
            load_solution(tmp_path / name)


def test_cells_that_cut_pixels_carry_the_coefficient_of_their_centres(tmp_path):
    solution = Solution(np.zeros((2, 4)), np.array([[1.0, 2.0]]), (1.0, 1.0))
    assert solution.coefficient.tolist() == [[1.0, 2.0, 2.0]]
    write(tmp_path / "u.npz", solution)
    assert load_solution(tmp_path / "u.npz").coarse is None


def test_tensors(tmp_path):
    pv = pytest.importorskip("pyvista")
    a = np.array([[[[2.0, 1.0], [1.0, 3.0]]]])
    solution = Solution(np.zeros((3, 3)), a, (1.0, 1.0))
    write(tmp_path / "u.vtu", solution)
    assert pv.read(tmp_path / "u.vtu").cell_data["a"].tolist() == 4 * [[2.0, 1.0, 1.0, 3.0]]


def test_a_correction_of_a_tensor_is_kept_with_its_matrices(tmp_path):
    a = CoefficientFunction((2, 1, 1, 3), dims=(2, 2))
    u = GridFunction(H1(quads(8), order=1, dirichlet=".*"))
    v, w = u.space.TnT()
    form = BilinearForm((a * grad(v)) * grad(w) * dx).Assemble()
    u.vec.data = form.mat.Inverse(u.space.FreeDofs()) * LinearForm(w * dx).Assemble().vec
    result = correct(u, a, 8, f=1, full=True)
    result.save(tmp_path / "u.npz")
    loaded = load_solution(tmp_path / "u.npz")
    np.testing.assert_array_equal(loaded.a[0, 0], [[2, 1], [1, 3]])
    np.testing.assert_array_equal(loaded.u, result.values)
