import ast
import dataclasses
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import quads, solve_on, voxel
from helpers import read_problem

import ngs_nhcsr
from ngs_nhcsr import InvalidProblem, SolverFailure, compare, comparison, memory
from ngs_nhcsr.comparison import Context, Method, draw_panels, methods, side_by_side
from ngs_nhcsr.comparison.measure import break_even
from ngs_nhcsr.comparison.picture import _overlap
from ngs_nhcsr.problem import Problem


@pytest.fixture(scope="module")
def problem(random_medium):
    kappa = random_medium((32, 32))
    a = voxel(kappa)
    u, form = solve_on(quads(8), a)
    return u, a, kappa, form


@pytest.fixture(scope="module")
def result(problem):
    u, a, _, _ = problem
    return compare(u, a, 8)


@pytest.fixture
def method():
    """Register a method for one test."""
    added = []

    def add(name, online, offline=lambda context: None):
        body = {
            "name": name,
            "label": f"test {name}",
            "offline": lambda self, context: offline(context),
            "online": lambda self, context, state: online(context, state),
        }
        added.append(name)
        return methods.add(type("Mine", (Method,), body)())

    yield add
    for name in added:
        methods.remove(name)


def test_every_method_gives_a_row_and_a_field(result):
    assert tuple(r.name for r in result.rows) == methods.in_order()
    assert set(result.fields) == {"reference", *methods.in_order()}
    for row in result.rows:
        assert not row.message, row
        assert row.offline >= 0
        assert row.online > 0
        assert row.seconds == row.offline + row.online
        assert math.isfinite(row.l2_error)
        assert row.break_even is None if row.name == "multigrid" else row.break_even >= 1
        field = result.fields[row.name]
        assert field.shape == (65, 65)
        for side in (field[0], field[-1], field[:, 0], field[:, -1]):
            assert np.abs(side).max() <= 1e-14 * np.abs(field).max(), row.name


def test_a_method_of_ones_own(problem):
    """What the contract promises: a subclass, one line to register it, and it is a row; and it can be taken out."""
    from ngs_nhcsr.solvers.transfer import prolongate

    class Harmonic(Method):
        name, label = "mine", "coarse solve with harmonic means, prolonged"

        def offline(self, context):
            return context.dirichlet_system(context.coarse, context.medium.mean("harmonic", context.coarse))

        def online(self, context, state):
            return prolongate(state.solve(context.F), context.cells)

    u, a, _, _ = problem
    methods.add(Harmonic())
    try:
        found = compare(u, a, 4, methods=("mine", "multigrid"))
        assert [row.name for row in found.rows] == ["mine", "multigrid"]
        assert found["mine"].label in found.to_markdown()
        assert found["multigrid"].energy_error < 1e-6 < found["mine"].energy_error
        with pytest.raises(ValueError, match="twice"):
            methods.add(Harmonic())
    finally:
        methods.remove("mine")
    assert "mine" not in methods.in_order()
    with pytest.raises(ValueError, match="no method called 'mine'"):
        methods.remove("mine")
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (Harmonic.__base__,), {"name": "half", "label": "half"})()


@pytest.mark.parametrize("name", methods.in_order(("fine", "pde")))
def test_a_state_serves_any_load(name, random_medium):
    """Another load between two solves changes nothing, and a state of another load's problem is as good."""
    A = random_medium((16, 32))
    one, other = (
        Context.of(Problem.from_arrays(A, coarse=(4, 8), f=f, size=(1.0, 2.0)), 8)
        for f in (1.0, lambda x, y: np.sin(3 * x) * (y > 0.5))
    )
    one = dataclasses.replace(one, reference=methods["multigrid"](one))
    other = dataclasses.replace(other, reference=methods["multigrid"](other))
    method = methods[name]
    state = method.offline(one)
    first, second, again = (method.online(context, state) for context in (one, other, one))
    np.testing.assert_allclose(again, first, rtol=0, atol=1e-12 * np.abs(first).max())
    np.testing.assert_allclose(second, method(other), rtol=0, atol=1e-8 * np.abs(second).max())
    assert first.dtype == np.float64
    assert np.abs(first - second).max() > 0.1 * np.abs(first).max()


def test_modules_of_the_comparison_have_no_circle():
    """Nor one that is hidden in functions or for type checkers."""
    root = Path(comparison.__file__).parent
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts) for path in root.rglob("*.py")}
    edges = {}
    for path, name in names.items():
        here = [*name.split(".")[:-1]]
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level and node.level <= len(here) + 1:
                base = here[: len(here) + 1 - node.level]
                stem = ".".join([*base, *(node.module or "").split(".")]).strip(".")
                found |= {stem} if node.module else {".".join([*base, a.name]) for a in node.names}
        edges[name] = {other for other in found if other in names.values()}
    while edges:
        leaves = {name for name, others in edges.items() if not others & set(edges)}
        assert leaves, f"these import each other: {edges}"
        edges = {name: others for name, others in edges.items() if name not in leaves}


def test_baselines_need_no_ngsolve():
    """So training may take its baselines from here."""
    code = (
        "import sys\nfrom ngs_nhcsr.comparison import Context, methods\n"
        "assert 'multigrid' in methods.in_order()\nassert 'ngsolve' not in sys.modules\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_errors_are_ordered_as_theory_says(result):
    energy = {row.name: row.energy_error for row in result.rows}
    for better, worse in (
        ("lod1", "prolongation"),
        ("lod2", "lod1"),
        ("lod2-pg", "lod1-pg"),
        ("lod2-rhs", "lod2"),
        ("lod3-rhs", "lod2-rhs"),
        ("lod2-weighted", "lod2"),
        ("msfem-linear", "prolongation"),
        ("network", "prolongation"),
        ("network+1", "network"),
        ("network+2", "network+1"),
        ("prolongation", "best-multiple"),  # Galerkin is best in energy, the multiple in L2
        ("prolongation", "prolongation-own"),
        *((f"{start}+{j + 1}", f"{start}+{j}") for start in ("coarse", "zero") for j in (1, 2)),
    ):
        assert energy[better] <= energy[worse] * (1 + 1e-9), (better, worse)
    assert result["best-multiple"].l2_error <= result["prolongation"].l2_error
    assert energy["multigrid"] < 1e-7
    assert energy["direct"] < 1e-8


def test_prolongation_and_reference_are_what_they_claim(problem, result):
    from ngs_nhcsr.solvers.fine import fine_solve
    from ngs_nhcsr.solvers.norms import relative_errors
    from ngs_nhcsr.solvers.transfer import prolongate

    u, a, kappa, _ = problem
    np.testing.assert_allclose(result.fields["reference"], fine_solve(kappa, 64, method="direct"), atol=1e-10)
    read = read_problem(u, a)
    np.testing.assert_allclose(result.fields["prolongation"], prolongate(read.U, (64, 64)), atol=1e-12)
    expected = relative_errors(result.fields["lod2"], result.fields["reference"], kappa)
    assert result["lod2"].energy_error == pytest.approx(expected["energy"])


def test_network_row_is_what_correct_returns(problem, result):
    u, a, _, _ = problem
    values = ngs_nhcsr.Corrector(device="cpu")(u, a, 8).values
    np.testing.assert_allclose(result.fields["network"], values, atol=1e-5 * np.abs(values).max())


def test_markdown_and_json_say_the_same_as_the_rows(result):
    text = result.to_markdown()
    assert str(result) == text
    assert len(repr(result)) < 100
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == 1 + len(result.rows)
    for row, line in zip(result.rows, lines[1:], strict=True):
        cells = [c.strip() for c in line.strip("|").split("|")]
        assert cells[0].startswith(row.label)
        assert float(cells[2]) == pytest.approx(row.energy_error, rel=0.01)
    assert "relative, against the Q1 solution u_h" in text
    content = json.loads(result.to_json())
    for row, found in zip(result.rows, content["rows"], strict=True):
        expected = dataclasses.asdict(row)
        if expected["break_even"] == math.inf:
            expected["break_even"] = None
        assert found == expected
    assert result.table().row_count == len(result.rows)


def test_break_even():
    assert 10.0 + 6 * 0.5 == 1.0 + 6 * 2.0
    assert break_even(10.0, 0.5, 1.0, 2.0) == 7
    assert break_even(0.0, 0.5, 1.0, 2.0) == 1
    assert break_even(0.0, 2.0, 1.0, 2.0) == math.inf
    assert break_even(5.0, 3.0, 1.0, 2.0) == math.inf


def test_a_failing_method_becomes_a_row(problem, method):
    u, a, _, _ = problem

    def fail(context, state):
        raise SolverFailure("it broke | here")

    method("broken", fail)
    method("not-finite", lambda context, state: np.full(context.f.shape, np.nan))
    method("wrong-shape", lambda context, state: np.zeros((3, 3)))
    method("wrong-type", lambda context, state: np.zeros(context.b.shape, np.float32))
    method("wrong-boundary", lambda context, state: np.ones(context.b.shape))
    wrong = ("not-finite", "wrong-shape", "wrong-type", "wrong-boundary")
    found = compare(u, a, 4, methods=("broken", "prolongation", *wrong))
    assert found["broken"].message == "SolverFailure: it broke | here"
    assert "finite" in found["not-finite"].message
    assert "(3, 3)" in found["wrong-shape"].message
    assert "float32" in found["wrong-type"].message
    assert "on the boundary" in found["wrong-boundary"].message
    assert found["prolongation"].energy_error > 0
    assert "failed: SolverFailure: it broke \\| here" in found.to_markdown()
    assert json.loads(found.to_json())["rows"][0]["energy_error"] is None
    with pytest.raises(InvalidProblem, match="broken failed"):
        found.gridfunction("broken")
    found.plot()  # draws what there is


def test_programming_errors_are_not_swallowed(problem, method):
    u, a, _, _ = problem
    method("typo", lambda context, state: context.no_such_thing)
    with pytest.raises(AttributeError):
        compare(u, a, 4, methods=("typo",))


def test_methods_that_need_nesting_say_so(problem):
    u, a, _, _ = problem
    found = compare(u, a, 3, methods=("lod1", "prolongation", "coarse+1"))
    assert "GridMismatch" in found["lod1"].message
    assert not found["coarse+1"].message


def test_seconds_are_those_of_the_two_parts(problem, method):
    u, a, _, _ = problem
    method("sleeper", lambda context, state: (time.sleep(0.02), context.reference)[1], lambda context: time.sleep(0.5))
    row = compare(u, a, 4, methods=("sleeper",))["sleeper"]
    assert row.offline >= 0.5
    assert 0.02 <= row.online < 0.5  # without the preparation, however busy the machine
    assert row.energy_error == 0


def test_memory_is_seen():
    if memory._resident() is None:
        pytest.skip("the system does not tell")
    with memory.PeakMemory() as peak:
        np.ones((50, 2**17))  # 50 MiB, freed at once
    assert 40 < peak.growth < 90


def test_unknown_names_and_wrong_problems(problem):
    u, a, kappa, _ = problem
    with pytest.raises(InvalidProblem, match=r"no method called 'lod9'.*lod2-rhs"):
        compare(u, a, 4, methods=("lod9",))
    with pytest.raises(InvalidProblem, match="empty"):
        compare(u, a, 4, methods=())
    with pytest.raises(InvalidProblem, match="scale > 1"):
        compare(u, a, 1)
    with pytest.raises(InvalidProblem, match="reference"):
        compare(u, a, 4, reference="exact")
    with pytest.raises(InvalidProblem, match="shape is"):
        compare(u, a, 4, reference=np.ones((3, 3)))
    with pytest.raises(InvalidProblem, match="load other than 0"):
        compare(u, a, 4, f=0.0)
    noise = np.random.default_rng(0).random(u.space.ndof) * np.array(u.space.FreeDofs())
    rough = type(u)(u.space)
    rough.vec.FV().NumPy()[:] = noise
    with pytest.raises(InvalidProblem, match=r"load .* not known.*pass f="):
        compare(rough, a, 4)
    some, _ = solve_on(quads(8), voxel(kappa), dirichlet="left|right")
    with pytest.raises(InvalidProblem, match=r"bottom \(no Dirichlet.*top"):
        compare(some, a, 4, f=1.0)
    lifted = type(u)(u.space)
    lifted.vec.FV().NumPy()[:] = u.vec.FV().NumPy() + 1
    with pytest.raises(InvalidProblem, match=r"left \(values up to 1\)"):
        compare(lifted, a, 4, f=1.0)


def test_rectangle_given_form_and_own_reference(random_medium):
    kappa = random_medium((16, 32))
    a = voxel(kappa, (1, 2), (3, 3))
    mesh = quads(8, 4, mapping=lambda x, y: (1 + 2 * x, 2 + y))
    u, form = solve_on(mesh, a)
    names = ("prolongation", "bicubic", "msfem-averaged", "lod2", "network", "coarse+2", "direct")
    found = compare(u, a, 8, form=form, methods=names)
    assert not any(row.message for row in found.rows)
    assert found.fields["lod2"].shape == (33, 65)
    assert found["lod2"].energy_error < found["prolongation"].energy_error
    assert found["direct"].energy_error < 1e-8
    again = compare(u, a, 8, form=form, methods=("lod2",), reference=found.fields["lod2"])
    assert again["lod2"].energy_error < 1e-12
    assert "given as reference=" in again.to_markdown()
    field = found.gridfunction("lod2")
    assert field(field.space.mesh(2.0, 2.5)) == pytest.approx(found.fields["lod2"][16, 32])


def test_plot(result, tmp_path):
    path = tmp_path / "picture.png"
    figure = result.plot(path)
    assert path.stat().st_size > 20_000
    (axes,) = figure.axes
    assert axes.get_title() == result.title
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert {t.get_text().split(" ")[0] for t in axes.texts} == {r.name for r in result.rows}
    again = result.plot()  # saving changed the resolution of the first
    again.canvas.draw()
    (axes,) = again.axes
    boxes = [t.get_window_extent().extents for t in axes.texts if t.arrow_patch is None]
    shared = [_overlap(tuple(p), tuple(q)) for k, p in enumerate(boxes) for q in boxes[:k]]
    assert max(shared) < 4  # square pixels


def test_side_by_side(result):
    # the times are set: measured ones depend on how busy the machine is
    fast = dataclasses.replace(result["lod2"], online=0.001, offline=0.1, break_even=12)
    rows = (fast, result["multigrid"])
    one = dataclasses.replace(result, rows=rows)
    slow = dataclasses.replace(rows[0], online=rows[0].online + 1, offline=rows[0].offline + 2, break_even=math.inf)
    failed = dataclasses.replace(rows[1], message="broke", energy_error=None, l2_error=None, online=None, offline=None)
    lines = side_by_side([one, dataclasses.replace(one, rows=(slow, failed))]).splitlines()
    assert [len(line.strip("|").split("|")) for line in lines] == [6] * 4
    assert lines[2].startswith("| `lod2` LOD, k = 2 | ")
    energy = float(lines[2].split("|")[2].split("/")[0])
    assert energy == pytest.approx(rows[0].energy_error, rel=0.01)
    assert float(lines[2].split("|")[4]) == pytest.approx(rows[0].offline + 1, rel=0.1)
    assert lines[2].endswith("| 12 / never |")
    assert "| failed |" in lines[3]
    with pytest.raises(InvalidProblem, match="same methods"):
        side_by_side([one, dataclasses.replace(one, rows=rows[:1])])
    with pytest.raises(InvalidProblem, match="same methods"):
        side_by_side([])


def test_panels_share_their_axes(result, tmp_path):
    worse = dataclasses.replace(result["lod2"], energy_error=7.0, online=1e3)
    other = dataclasses.replace(result, rows=(worse, result["multigrid"]))
    figure = draw_panels([result, other], tmp_path / "panels.png")
    assert (tmp_path / "panels.png").stat().st_size > 20_000
    first, second = figure.axes
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[1] > 7 > first.get_ylim()[0]
    assert first.get_xlim()[1] > 1e3
    broken = dataclasses.replace(worse, energy_error=83.0)
    (axes,) = draw_panels([dataclasses.replace(other, rows=(broken, result["multigrid"]))]).axes
    assert axes.get_ylim()[1] < 20  # 83 is drawn at the edge
    assert "lod2 (error 83, drawn at the edge)" in [t.get_text() for t in axes.texts]
    with pytest.raises(InvalidProblem, match="no comparison"):
        draw_panels([])


def test_command(tmp_path):
    arguments = ["compare", "--n", "8", "--scale", "4", "--methods", "prolongation, multigrid"]
    result = subprocess.run(
        [sys.executable, "-m", "ngs_nhcsr.cli", *arguments, "--json", "r.json", "--picture", "r.png"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert [r["name"] for r in json.loads((tmp_path / "r.json").read_text())["rows"]] == ["prolongation", "multigrid"]
    assert (tmp_path / "r.png").stat().st_size > 5_000
