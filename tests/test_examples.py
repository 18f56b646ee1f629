"""Every example runs, and comes out as it says it does; as scripts and from the command line where that is slow."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
#: Those that do not print Markdown for the documents, nor a whole Correction: they fit a terminal.
NARROW = (
    "benchmark_correct", "compare_methods", "heat_equation", "heat_equation_lod", "many_loads", "monte_carlo",
    "own_coefficient", "own_image", "preconditioner", "quickstart", "transport", "triangle_mesh",
)  # fmt: skip


@pytest.fixture
def example(monkeypatch, tmp_path):
    """Run an example's cells, but for those of the command line, in a folder of its own; what it has defined."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["example"])

    def load(name):
        spec = importlib.util.spec_from_file_location(f"example_{Path(name).name}", EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


# ---- the tour


def test_quickstart(example):
    assert example("quickstart").errors["energy"] < 1e-4


def test_own_coefficient(example):
    cells = example("own_coefficient")
    assert cells.budgets[16].coefficient < 0.05 < cells.budgets[4].coefficient
    assert cells.result.status.name == "ACCEPTED"
    assert len(cells.values) == 5


def test_triangle_mesh(example):
    cells = example("triangle_mesh")
    assert cells.result.status.trusted
    assert cells.mean == pytest.approx(cells.mean_fine, rel=2e-3)


def test_soil_image(example, tmp_path):
    cells = example("soil_image")
    assert len(cells.medium.phases) == 4
    assert cells.errors["energy"] < 3e-4
    assert (tmp_path / "soil_compare.png").stat().st_size > 20_000


def test_own_image(example):
    """298 x 203 pixels of three phases: the flow is enclosed, and nothing is lost on its way."""
    cells = example("own_image")
    assert cells.medium.a.shape == (203, 298)
    assert 0 < cells.high - cells.low < 1e-4 * cells.high
    assert np.abs(cells.made).max() < 1e-12 * cells.high
    assert np.linalg.eigvalsh(cells.sigma.upper - cells.sigma.lower).min() >= 0


@pytest.mark.parametrize(("name", "shape", "levels"), [("sandstone", (203, 298), 3), ("soil", (256, 256), 4)])
def test_the_images_are_what_their_script_makes(example, name, shape, levels):
    from PIL import Image

    there = np.asarray(Image.open(EXAMPLES / "images" / f"{name}.png"))
    assert there.shape == shape
    assert len(np.unique(there)) == levels
    made = getattr(example("images/make"), name)()
    assert np.mean(made != there) < 1e-3  # all pixels, but for another libm


# ---- applications


def test_transport(example, tmp_path):
    """A corner of the soil: the PDE's velocity loses nothing, the coarse one does, and its fluxes are velocity()'s."""
    found = example("transport").main(crop=64, until=1.0, save=tmp_path)
    _, pde, pde_conservative = found["PDE"]
    np.testing.assert_allclose(pde.curve, pde_conservative.curve, atol=1e-12)
    for _, run, conservative in found.values():
        assert abs(conservative.lost) < 1e-12
        assert run.largest <= 1 + 1e-12
    assert pde_conservative.largest <= 1 + 1e-12
    assert abs(pde.lost) < 1e-12
    lost, largest = ([getattr(found[name][k], what) for name in ("coarse", "corrected")] for k, what in
                     ((1, "lost"), (2, "largest")))  # fmt: skip
    assert abs(lost[0]) > 0.02 > 0.01 > abs(lost[1])
    assert largest[0] > 2 * largest[1]
    assert found["corrected"][1].arrival(0.5) == pytest.approx(pde.arrival(0.5), rel=0.01)
    assert (tmp_path / "transport.gif").stat().st_size > 10_000


def test_transport_by_a_uniform_flow(example):
    """Plug flow: the mean residence time is one pore volume, whatever the scheme smears."""
    module = example("transport")
    run = module.carry((np.full((4, 41), 0.25), np.zeros((5, 40))), 1.0, until=2.0, conservative=True)
    assert float(run.times[0] * (1 + np.sum(1 - run.curve))) == pytest.approx(1.0, abs=1e-6)
    assert run.arrival(0.5) == pytest.approx(1.0, abs=0.02)
    assert run.stored == pytest.approx(1.0, abs=1e-6)


def test_many_loads(example):
    rows = example("many_loads").main(n=8, loads=3)
    assert rows["correction"].errors.max() < 3e-4
    assert rows["LOD, 2 layers"].errors.max() < 0.3
    assert rows["multigrid to 1e-8"].errors.max() < 1e-6


def test_heat_equation(example):
    assert example("heat_equation").main(n=8, steps=3).max() < 1e-4


def test_heat_equation_lod(example):
    errors = example("heat_equation_lod").main(n=8, steps=20)
    assert set(errors) == {1, 2, 10, 20}
    assert max(e["L2"] for e in errors.values()) < 0.1


def test_monte_carlo_goes_on_where_it_was(example, tmp_path):
    main = example("monte_carlo").main
    first = main(media=3, pixels=16, keep=tmp_path / "study")
    assert len(list((tmp_path / "study").iterdir())) == 3
    newest = max(p.stat().st_mtime_ns for p in (tmp_path / "study").iterdir())
    more = main(media=6, pixels=16, keep=tmp_path / "study")
    np.testing.assert_array_equal(more[:3], first)
    assert sum(p.stat().st_mtime_ns > newest for p in (tmp_path / "study").iterdir()) == 3
    assert more.mean() == pytest.approx(0.019, rel=0.1)


@pytest.mark.slow
def test_monte_carlo_on_a_cluster(example, tmp_path):
    """As a script: workers must be able to import what they are to do."""
    study = ["--media", "4", "--pixels", "16", "--workers", "1", "--keep", "study"]
    subprocess.run([sys.executable, str(EXAMPLES / "monte_carlo.py"), *study], cwd=tmp_path, check=True, timeout=300)
    values = sorted(float(np.load(path)) for path in (tmp_path / "study").iterdir())
    np.testing.assert_allclose(values, sorted(example("monte_carlo").main(media=4, pixels=16)), rtol=1e-6)


# ---- comparisons, and the evidence behind the documents, in small


def test_compare_methods(example, tmp_path):
    (result,) = example("compare_methods").main(n=4, contrasts=[10.0], picture=tmp_path / "all.png")
    assert result["multigrid"].energy_error < result["lod1"].energy_error
    assert (tmp_path / "all.png").exists()


def test_preconditioner(example):
    found = example("preconditioner").main(n=32, pixels=16, repeats=1)
    assert max(difference for _, _, difference in found.values()) < 1e-5
    assert found["PixelMultigrid(a) + CGSolver"][1] < 15


def test_unseen_loads(example):
    median = example("unseen_loads").main()
    assert max(energy for (_, method), (energy, _) in median.items() if method == "network") < 0.02


def test_verified_fields(example):
    for error, estimate in example("verified_fields").main(n=4):
        assert error < 3 * estimate + 1e-4


def test_refine_table(example):
    for by_start in example("refine_table").main().values():
        for row in by_start.values():
            assert row[-1] < row[0] / 10


def test_error_bounds(example):
    assert 1 <= example("error_bounds").main() < 2


def test_guard_stress(example):
    trials = example("guard_stress").main(count=6)
    assert len(trials) >= 5
    assert not any(trial.violated for trial in trials)


def test_pde_crossing(example, tmp_path):
    low, high = example("pde_crossing").main(tmp_path / "crossing.png")
    assert low - 1e-9 <= 10.0 <= high + 1e-9
    assert high - low < 1e-5


@pytest.mark.slow
def test_pde_start(example):
    steps = example("pde_start").main(coarse=4)
    for contrast in (10.0, 100.0, 1000.0):
        assert steps[contrast, "basis-hybrid, scale 16"] <= steps[contrast, "zero"]


def test_pde_times(example):
    bounds = example("pde_times").main(pixels=(16,), repeats=1)
    assert len(bounds) == 4
    assert max(bounds.values()) < 0.02


@pytest.mark.slow
def test_pde_evidence(example):
    findings = example("pde_evidence").main()
    assert len(findings) > 10
    assert all(f.holds for f in findings), [f for f in findings if not f.holds]


def test_times_and_memory_are_numbers(example):
    ((first, *further),) = example("benchmark_correct").main(sizes=((8, 8),), tries=2)
    assert 0 < min(further) <= max(first, *further) < 60
    rows = example("large_image").main(n=4, scale=8, calls=1)
    assert {target for target, *_ in rows} == {"fine", "pde"}
    assert min(megabytes for *_, megabytes in rows) > 50


# ---- as a new user meets them


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_the_first_lines_say_what_and_how_and_cells_begin(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert text.count("\n# %%") >= 2
    assert f"examples/{path.name}" in text.split('"""')[1]


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_they_run_from_the_command_line(path, tmp_path):
    result = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout
    if path.stem in NARROW:
        assert max(map(len, result.stdout.splitlines())) <= 80
