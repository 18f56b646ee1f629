"""Every failure case that concerns the correction path; numbers as in docs/failures.md."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import quads, solve_on, voxel
from netgen.csg import unit_cube
from netgen.geom2d import SplineGeometry
from ngsolve import (
    CF,
    H1,
    L2,
    CoefficientFunction,
    Compress,
    GridFunction,
    HCurl,
    Mesh,
    Periodic,
    TaskManager,
    VectorH1,
    VoxelCoefficient,
    ngsglobals,
)
from scipy.sparse.linalg import splu
from test_raster import rectangle

from ngs_nhcsr import (
    Corrector,
    DeviceError,
    GridMismatch,
    InvalidProblem,
    NhcsrWarning,
    NotCoercive,
    Status,
    UntrustedResult,
    correct,
)
from ngs_nhcsr.refine import AUTOMATIC
from ngs_nhcsr.solvers.norms import relative_errors
from ngs_nhcsr.solvers.q1 import stiffness
from ngs_nhcsr.solvers.substructuring.scheme import Scheme
from ngs_nhcsr.solvers.transfer import prolongate

ngsglobals.msg_level = 0


@pytest.fixture(scope="module")
def case(random_medium):
    """A well-posed problem on 8 x 8 cells to spoil."""
    A = random_medium((32, 32))
    u, form = solve_on(quads(8), voxel(A))
    return u, A, form


def spoilt(A, value, at=(3, 5)):
    A = A.copy()
    A[at] = value
    return A


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_01_02_not_finite_coefficient(case, value):
    u, A, _ = case
    with pytest.raises(InvalidProblem, match=r"iy=3, ix=5"):
        correct(u, spoilt(A, value), 2)
    with pytest.raises(InvalidProblem, match=r"iy=3, ix=5"):
        correct(u, voxel(spoilt(A, value)), 2)


def test_03_negative_coefficient(case):
    with pytest.raises(NotCoercive, match="not positive"):
        correct(case[0], -case[1], 2)


def test_04_sign_changing_coefficient(case):
    with pytest.raises(NotCoercive, match=r"changes sign.*iy=3, ix=5"):
        correct(case[0], voxel(spoilt(case[1], -2.0)), 2)


def test_05_vanishing_coefficient(case):
    with pytest.raises(NotCoercive, match="fill_voids"):
        correct(case[0], spoilt(case[1], 0.0), 2)


@pytest.mark.parametrize("scale", [4, 16])
@pytest.mark.parametrize("contrast", [1e9, 1e11])
def test_06_extreme_contrast_is_right(case, contrast, scale):
    """Multigrid cycles in single precision break down there; a direct solve, of another matrix order, does not."""
    A = np.where(case[1] > 1, contrast, 1.0)
    u, _ = solve_on(quads(8), voxel(A))
    result = correct(u, voxel(A), scale, full=True, on_untrusted="return")
    fine = result.problem.space.refined(scale)
    K, b = stiffness(A, fine.cells), result.problem.load.vector(fine.cells)
    inner, truth = np.flatnonzero(fine.free), np.zeros(fine.shape)
    truth.flat[inner] = splu(K[inner][:, inner].tocsc()).solve(b.flat[inner])
    assert result.status is Status.ACCEPTED
    assert relative_errors(result.values, truth, A)["energy"] < 1e-3
    assert result.energy <= result.coarse_energy


def test_06_extreme_contrast_on_large_meshes_is_flagged_and_guarded(case, monkeypatch):
    """Where a factorisation is not affordable, multigrid gives up and says so."""
    monkeypatch.setattr("ngs_nhcsr.solvers.direct_fine.NODES", 0)
    A = np.where(case[1] > 1, 1e12, 1.0)
    u, _ = solve_on(quads(8), voxel(A))
    with pytest.warns(NhcsrWarning, match="contrast"):
        result = correct(u, voxel(A), 16, full=True)
    assert result.status in (Status.INACCURATE, Status.DAMPED, Status.REJECTED)
    assert np.isfinite(result.values).all()
    assert result.energy <= result.coarse_energy * (1 - 1e-12)


def test_07_overflowing_coefficient(case):
    with pytest.raises(InvalidProblem, match="units"):
        correct(case[0], spoilt(case[1], 1e300), 2)


def test_08_09_tensor_coefficient(case):
    """Symmetric positive definite 2 x 2 tensors are taken (test_tensor.py); all other dimensions are refused."""
    with pytest.raises(InvalidProblem, match=r"dimensions .*scalars and 2 x 2 tensors"):
        correct(case[0], CF((1, 2, 3)), 2)
    with pytest.raises(InvalidProblem, match="not symmetric"):
        correct(case[0], CF((1, 0.5, 0, 2), dims=(2, 2)), 2)
    with pytest.raises(NotCoercive, match="not positive definite"):
        correct(case[0], CF((1, 2, 2, 1), dims=(2, 2)), 2)


def test_10_complex_coefficient(case):
    with pytest.raises(InvalidProblem, match="complex"):
        correct(case[0], CoefficientFunction(1 + 1j), 2)
    with pytest.raises(InvalidProblem, match="complex"):
        correct(case[0], case[1] * (1 + 0j), 2)


def test_11_complex_solution():
    u = GridFunction(H1(quads(8), order=1, complex=True, dirichlet=".*"))
    with pytest.raises(InvalidProblem, match="real and imaginary"):
        correct(u, 1.0, 2)


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.uint8])
def test_12_other_number_types_are_exact(case, dtype):
    u, A, _ = case
    one, two = (correct(u, a, 2).vec.FV().NumPy() for a in (A.astype(dtype), A))
    np.testing.assert_allclose(one, two, atol=1e-8 * np.abs(two).max())


def test_13_wrong_and_transposed_shape(random_medium):
    A = random_medium((32, 64))
    u, _ = solve_on(quads(16, 8), voxel(A))
    with pytest.raises(GridMismatch, match="transposed"):
        correct(u, np.ones((64, 40)), 2)
    # 33 rows are no multiple of 8 coarse cells, which is no mistake; but u is not the solution for these values
    assert correct(u, np.ones((33, 64)), 2, full=True, on_untrusted="return").status is Status.UNVERIFIED
    with pytest.raises(InvalidProblem, match="two-dimensional"):
        correct(u, np.ones(64), 2)
    with pytest.raises(InvalidProblem, match="real numbers"):
        correct(u, [["a", "b"], ["c", "d"]], 2)


def test_13_cell_values_as_a_load_and_masked_values(case):
    """An array of f holds nodal values; that of a holds cell values."""
    u, A, _ = case
    with pytest.raises(InvalidProblem, match="one value per cell"):
        correct(u, A, 2, f=np.ones(A.shape))
    hidden = np.ma.masked_less(np.random.default_rng(0).random((32, 32)) + 0.1, 0.5)
    with pytest.raises(InvalidProblem, match="masked values"):
        correct(u, hidden, 2)
    with pytest.raises(InvalidProblem, match="read_medium"):
        correct(u, "image.png", 2)


def test_14_blurred_voxels_are_noticed(case):
    u, A, _ = case
    blurred = VoxelCoefficient((0, 0), (1, 1), A, linear=True)
    with pytest.warns(NhcsrWarning, match="linear=False"):
        correct(u, blurred, 2, on_untrusted="warn")


def test_15_coefficient_is_a_snapshot(case):
    u, A, _ = case
    mine = A.copy()
    result = correct(u, mine, 2, full=True)
    mine[:] = -1
    assert result.problem.A.min() > 0


def test_16_coefficient_on_another_domain(case):
    half = GridFunction(L2(quads(8, mapping=lambda x, y: (x / 2, y)), order=0))
    half.vec[:] = 1.0
    with pytest.raises(GridMismatch, match="rectangle"):
        correct(case[0], half, 2)
    with pytest.raises(GridMismatch, match="beyond"):
        correct(case[0], case[1], 2, fes=H1(quads(4, mapping=lambda x, y: (2 * x, y)), order=1))


def test_17_scales_without_whole_cells(case):
    with pytest.raises(GridMismatch, match="nearest scale"):
        correct(case[0], case[1], 2.3)
    assert correct(case[0], case[1], 2.5, on_untrusted="return").space.ndof == 21**2


def test_18_scale_one_returns_the_solution(case):
    same = correct(case[0], case[1], 1)
    assert same is not case[0]
    np.testing.assert_array_equal(same.vec.FV().NumPy(), case[0].vec.FV().NumPy())


@pytest.mark.parametrize("scale", [0, -4, 0.5, float("nan"), float("inf"), "4", True, None])
def test_19_senseless_scales(case, scale):
    with pytest.raises(InvalidProblem, match="scale must be"):
        correct(case[0], case[1], scale)


def test_20_scale_outside_the_contract_is_verified(case):
    corrector = Corrector(scheme=Scheme(corrections=0))
    outside = int(2 * corrector.model.card.contract.scales[-1])
    raw = corrector(case[0], case[1], outside, refine=0, on_untrusted="return")
    assert raw.status is Status.OUT_OF_CONTRACT
    assert f"scale {outside}" in " ".join(raw.notes)
    verified = corrector(case[0], case[1], outside, on_untrusted="raise")
    assert verified.estimate <= AUTOMATIC < raw.estimate


def test_21_memory_is_estimated_before_allocation(case):
    with pytest.raises(InvalidProblem, match="GiB"):
        correct(case[0], case[1], 2**17)


def test_24_other_dimensions():
    cube = Mesh(unit_cube.GenerateMesh(maxh=0.5))
    with pytest.raises(InvalidProblem, match="3-dimensional"):
        correct(GridFunction(H1(cube, order=1, dirichlet=".*")), 1.0, 2)


def test_25_curved_mesh():
    geo = SplineGeometry()
    geo.AddCircle((0, 0), 1, bc="c")
    mesh = Mesh(geo.GenerateMesh(maxh=0.5))
    mesh.Curve(3)
    with pytest.raises(InvalidProblem, match="curved"):
        correct(GridFunction(H1(mesh, order=1, dirichlet=".*")), 1.0, 2)


def test_26_27_rectangles_and_boxes_scale(random_medium):
    """−div(a∇u) = f on a box L times larger: u(x/L) L²."""
    A = random_medium((32, 48))
    one, _ = solve_on(quads(12, 8), voxel(A))
    upper = (5 + 3.0, 7 + 2.0)
    box = quads(12, 8, mapping=lambda x, y: (5 + 3 * x, 7 + 2 * y))
    two, _ = solve_on(box, voxel(A, (5, 7), upper))
    square = quads(12, 8, mapping=lambda x, y: (3 * x, 2 * y))
    three, _ = solve_on(square, voxel(A, (0, 0), (3, 2)))
    second = correct(two, voxel(A, (5, 7), upper), 4).vec.FV().NumPy()
    third = correct(three, voxel(A, (0, 0), (3, 2)), 4).vec.FV().NumPy()
    np.testing.assert_allclose(second, third, rtol=1e-5, atol=1e-7)
    assert np.isfinite(correct(one, voxel(A), 4).vec.FV().NumPy()).all()


def test_28_l_shape_and_hole():
    for shape in ("L", "hole"):
        geo = SplineGeometry()
        if shape == "L":
            corners = [geo.AppendPoint(*p) for p in [(0, 0), (1, 0), (1, 0.5), (0.5, 0.5), (0.5, 1), (0, 1)]]
            for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
                geo.Append(["line", a, b], bc="b")
        else:
            geo.AddRectangle((0, 0), (1, 1), bc="b")
            geo.AddRectangle((0.4, 0.4), (0.6, 0.6), bc="h", leftdomain=0, rightdomain=1)
        u = GridFunction(H1(Mesh(geo.GenerateMesh(maxh=0.2)), order=1, dirichlet="b"))
        with pytest.raises(GridMismatch, match="rectangles"):
            correct(u, 1.0, 2)


def test_30_other_spaces():
    mesh = quads(4)
    for space in (L2(mesh, order=1), HCurl(mesh), VectorH1(mesh, order=1), Periodic(H1(mesh, order=1))):
        with pytest.raises(InvalidProblem, match="scalar H1 space"):
            correct(GridFunction(space), 1.0, 2)
    with pytest.raises(InvalidProblem, match="scalar H1 space"):
        correct(GridFunction(Compress(H1(mesh, order=1))), 1.0, 2)
    with pytest.raises(InvalidProblem, match="GridFunction"):
        correct(np.zeros((5, 5)), 1.0, 2)


def test_30_messages_of_spaces_name_the_cause():
    mesh = quads(4)
    for space, words in (
        (VectorH1(mesh, order=1), "2 components"),
        (H1(mesh, order=1) * H1(mesh, order=1), "2 components"),
        (Periodic(H1(mesh, order=1)), "periodic space"),
    ):
        with pytest.raises(InvalidProblem, match=words) as caught:
            correct(GridFunction(space), 1.0, 2)
        assert "v.Set(u)" not in str(caught.value)  # which would not help


def test_30_dirichlet_conditions_inside(case):
    """They would be lost on the fine mesh: 88 % off without a word."""
    fes = H1(quads(8), order=1, dirichlet=".*")
    fes.FreeDofs().Clear(4 * 9 + 4)
    u = GridFunction(fes)
    u.vec[:] = 1.0
    with pytest.raises(InvalidProblem, match=r"1 vertices inside the rectangle.*x = 0\.5, y = 0\.5"):
        correct(u, case[1], 2)


def test_30_a_part_of_the_mesh():
    geo = SplineGeometry()
    points = [geo.AppendPoint(*p) for p in [(0, 0), (0.5, 0), (1, 0), (1, 1), (0.5, 1), (0, 1)]]
    for (i, j), (left, right) in {(0, 1): (1, 0), (1, 2): (2, 0), (2, 3): (2, 0), (3, 4): (2, 0), (4, 5): (1, 0),
                                  (5, 0): (1, 0), (1, 4): (1, 2)}.items():  # fmt: skip
        geo.Append(["line", points[i], points[j]], leftdomain=left, rightdomain=right, bc="outer")
    geo.SetMaterial(1, "rock")
    geo.SetMaterial(2, "void")
    u = GridFunction(H1(Mesh(geo.GenerateMesh(maxh=0.2)), order=1, dirichlet="outer", definedon="rock"))
    with pytest.raises(InvalidProblem, match="defined on part of the mesh"):
        correct(u, 1.0, 2)


def test_31_mesh_refined_afterwards():
    mesh = quads(4)
    u = GridFunction(H1(mesh, order=1, dirichlet=".*", autoupdate=False))
    mesh.Refine()
    with pytest.raises(InvalidProblem, match="refined"):
        correct(u, 1.0, 2)


def test_32_not_finite_and_zero_solution(case):
    bad = GridFunction(case[0].space)
    bad.vec[:] = np.nan
    with pytest.raises(InvalidProblem, match="coarse solve failed"):
        correct(bad, case[1], 2)
    zero = GridFunction(case[0].space)
    with pytest.warns(NhcsrWarning, match="was it solved"):
        correct(zero, case[1], 2, f=1)


def test_33_solution_of_another_problem(case, random_medium):
    with pytest.warns(NhcsrWarning, match="no quadrature rule explains"):
        result = correct(case[0], random_medium((32, 32), seed=77), 2, full=True)
    assert result.status is Status.UNVERIFIED
    with pytest.raises(UntrustedResult, match="UNVERIFIED"):
        correct(case[0], random_medium((32, 32), seed=77), 2, on_untrusted="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        correct(case[0], random_medium((32, 32), seed=77), 2, on_untrusted="return")


def test_34_non_zero_dirichlet_values(random_medium):
    from ngsolve import x, y
    from test_coarse import test_nonzero_dirichlet_values_stay

    assert test_nonzero_dirichlet_values_stay is not None
    A = random_medium((32, 32))
    u, _ = solve_on(quads(8), voxel(A))
    u.vec.data += GridFunctionOf(u.space, 1 + x * y).vec
    with pytest.warns(NhcsrWarning):
        fine = correct(u, voxel(A), 4, full=True)
    P = prolongate(fine.problem.U, (32, 32))
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        np.testing.assert_allclose(fine.values[edge], P[edge], atol=1e-13)


def GridFunctionOf(space, cf):
    g = GridFunction(space)
    g.Interpolate(cf)
    return g


@pytest.mark.parametrize("dirichlet", ["", "botom"])
def test_35_37_pure_neumann_and_misspelt_boundaries(dirichlet):
    u = GridFunction(H1(quads(4), order=1, dirichlet=dirichlet))
    with pytest.raises(InvalidProblem, match="'bottom', 'right', 'top', 'left'"):
        correct(u, 1.0, 2)


def test_36_mixed_boundary_is_right(random_medium):
    A = random_medium((32, 32))
    u, _ = solve_on(quads(8), voxel(A), dirichlet="left|right")
    result = correct(u, voxel(A), 8, full=True, on_untrusted="raise")
    reference, _ = solve_on(quads(64), voxel(A), dirichlet="left|right")
    assert relative_errors(result.values, reference.vec.FV().NumPy().reshape(65, 65), A)["energy"] < 1e-3


def test_38_rough_loads(random_medium):
    from ngsolve import IfPos, x

    A, f = random_medium((64, 64)), IfPos(x - 0.5, 1, -1)
    u, _ = solve_on(quads(16), voxel(A), f)
    given = correct(u, voxel(A), 4, f=f, full=True)
    assert given.status is Status.ACCEPTED
    # Where in its cells a recovered jump lies is not known, on a grid line either: it counts.
    recovered = correct(u, voxel(A), 4, full=True, on_untrusted="return")
    error = relative_errors(recovered.values, given.values, A)["energy"]
    assert error / 3 < recovered.budget.total < 3 * error


def test_39_zero_load(case):
    zero = GridFunction(case[0].space)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert correct(zero, case[1], 4).vec.Norm() == 0


@pytest.mark.parametrize("factor", [1e12, 1e-12, -1.0])
def test_40_scaled_loads(case, factor):
    u, A, _ = case
    scaled = GridFunction(u.space)
    scaled.vec.data = factor * u.vec
    one, two = correct(u, A, 4).vec.FV().NumPy(), correct(scaled, A, 4).vec.FV().NumPy()
    np.testing.assert_allclose(two, factor * one, rtol=1e-6, atol=abs(factor) * 1e-9)


class Distributed(GridFunction):
    """A GridFunction whose space has nothing but a mesh over four ranks: whatever else is asked of it raises."""

    space = SimpleNamespace(mesh=SimpleNamespace(comm=SimpleNamespace(size=4)))  # type: ignore[assignment]


@pytest.mark.parametrize("scale", [1, 2])
def test_41_distributed_mesh_is_refused_before_anything_collective(case, scale):
    corrector = Corrector()
    u = Distributed(case[0].space)
    with pytest.raises(InvalidProblem, match="4 MPI ranks"):
        corrector(u, case[1], scale)
    with pytest.raises(InvalidProblem, match="Gather"):
        correct(u, voxel(case[1]), scale)
    with pytest.raises(InvalidProblem, match="MPI"):
        corrector.evaluate(np.zeros((1, 2)), u, case[1])


def test_42_inside_task_manager_and_from_threads(case):
    from concurrent.futures import ThreadPoolExecutor

    u, A, _ = case
    expected = correct(u, A, 4).vec.FV().NumPy().copy()
    with TaskManager():
        np.testing.assert_allclose(correct(u, A, 4).vec.FV().NumPy(), expected, atol=1e-12)
    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(lambda _: correct(u, A, 4).vec.FV().NumPy().copy(), range(4)):
            np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize("device", ["cuda:99", "cuda0", "tpu"])
def test_53_missing_device(device):
    with pytest.raises(DeviceError, match="cpu"):
        Corrector(device=device)


def test_54_device_out_of_memory_names_the_remedy(case, monkeypatch):
    corrector = Corrector()

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(corrector.model.network, "encode", full)
    with pytest.raises(
        DeviceError, match=r'cpu ran out of memory at scale 16 of 8 x 8 .*device="cpu" or a smaller scale'
    ):
        corrector(case[0], case[1], 16)
    with pytest.raises(DeviceError, match="smaller scale"):
        corrector.evaluate(np.array([[0.5, 0.5]]), case[0], case[1])
    monkeypatch.undo()
    assert corrector(case[0], case[1], 4).status.trusted  # nothing is left behind


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_55_default_dtype_of_the_caller(case, dtype):
    u, A, _ = case
    expected = correct(u, A, 4).vec.FV().NumPy().copy()
    torch.set_default_dtype(dtype)
    try:
        np.testing.assert_allclose(correct(u, A, 4).vec.FV().NumPy(), expected, atol=1e-8)
    finally:
        torch.set_default_dtype(torch.float32)


def test_56_no_gradients_and_eval_mode(case):
    network = Corrector().model.network
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_67_missing_pyvista_is_said_when_used(case, monkeypatch):
    import ngs_nhcsr
    from ngs_nhcsr import DependencyMissing

    monkeypatch.setitem(sys.modules, "pyvista", None)
    with pytest.raises(DependencyMissing, match="pip install"):
        ngs_nhcsr.to_pyvista(case[0])


def test_70_optimised_python_checks_too():
    code = (
        "import numpy as np\nfrom ngsolve import *\nfrom ngsolve.meshes import MakeStructured2DMesh\n"
        "from ngs_nhcsr import correct, NotCoercive\n"
        "u = GridFunction(H1(MakeStructured2DMesh(quads=True, nx=4, ny=4), order=1, dirichlet='.*'))\n"
        "try:\n    correct(u, -np.ones((16, 16)), 2)\nexcept NotCoercive:\n    print('raised')\n"
    )
    run = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, env=os.environ)
    assert run.stdout.strip() == "raised", run.stderr


@pytest.mark.parametrize("option", [{"f": "x"}, {"fes": 3}, {"mesh": 3}, {"form": 3}, {"cells_per_coarse": 0}])
def test_options_of_the_wrong_kind_name_themselves(case, option):
    with pytest.raises(InvalidProblem, match=next(iter(option))):
        correct(case[0], voxel(case[1]), 2, **option)


def test_22_23_triangles_are_accepted_on_rectangles(random_medium):
    a = voxel(random_medium((64, 64)))
    u, _ = solve_on(rectangle(1 / 16), a)
    result = correct(u, a, 4, full=True, on_untrusted="return")
    assert result.status in (Status.ACCEPTED, Status.OUT_OF_CONTRACT)
    assert result.energy < result.coarse_energy


def killed(code, folder, trials, progress, check):
    """Start ``code`` on ``folder``, kill it at a random moment after it made ``progress``, ``check``; again."""
    rng = np.random.default_rng(58)
    for trial in range(trials):
        before = progress()
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder), str(Path(__file__).parent)], stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 120
        while progress() == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, (trial, errors)
        check(trial)


@pytest.mark.slow
def test_58_training_killed_twenty_times_always_goes_on(tmp_path):
    """A checkpoint after every step, so that kills fall into writing as well."""
    from safetensors.torch import load_file
    from test_training import CASE, TINY

    from ngs_nhcsr.training.config import from_json
    from ngs_nhcsr.training.loop import train
    from ngs_nhcsr.training.state import read_config, read_progress

    code = (
        "import sys; from pathlib import Path\nimport torch; torch.set_num_threads(1)\n"
        "sys.path.insert(0, sys.argv[2])\nfrom test_training import TINY, CASE\n"
        "from ngs_nhcsr.training.loop import train\nfolder = Path(sys.argv[1])\n"
        "train(TINY, folder / 'run', folder / 'data', minutes=5, cases=CASE, validate_every=0)\n"
    )
    last, steps = tmp_path / "run" / "last.safetensors", [0]

    def check(trial):
        assert read_progress(last)["step"] > steps[-1], trial
        steps.append(read_progress(last)["step"])
        assert from_json(read_config(last)) == TINY
        for path in (last, tmp_path / "run" / "best.safetensors"):
            assert all(bool(torch.isfinite(v).all()) for v in load_file(path).values())

    killed(code, tmp_path, 20, lambda: last.stat().st_mtime_ns if last.exists() else 0, check)
    train(TINY, tmp_path / "run", tmp_path / "data", steps=1, cases=CASE)
    assert read_progress(last)["step"] == steps[-1] + 1


@pytest.mark.slow
def test_58_generation_killed_twenty_times_leaves_whole_shards(tmp_path):
    from ngs_nhcsr.training.problems import Recipe
    from ngs_nhcsr.training.shards import generate, read_shard

    code = (
        "import sys; from pathlib import Path\n"
        "from ngs_nhcsr.training.problems import Recipe\nfrom ngs_nhcsr.training.shards import generate\n"
        "generate(Path(sys.argv[1]), Recipe(coarse=4, scales=(2, 4)), 8000, per_shard=2)\n"
    )
    recipe, known = Recipe(coarse=4, scales=(2, 4)), {}

    def shards():
        return sorted(tmp_path.glob("*.safetensors"))

    def check(trial):
        for path in shards():
            stamp = path.stat().st_mtime_ns
            assert known.setdefault(path, stamp) == stamp, "a finished shard was written again"
            assert torch.isfinite(read_shard(path, recipe).A).all(), trial

    killed(code, tmp_path, 20, lambda: len(shards()), check)
    count = len(shards())
    assert len(generate(tmp_path, recipe, 2 * count + 4, per_shard=2)) == count + 2
