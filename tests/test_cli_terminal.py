"""What commands print: on narrow terminals, with ``-v``, and of what was read."""

import json
import logging
import re
import subprocess
import sys

import numpy as np
import pytest
import rich

from ngs_nhcsr.bench.report import Report
from ngs_nhcsr.bench.timing import Timing
from ngs_nhcsr.cli.correct import STEPS


@pytest.fixture(autouse=True)
def console(monkeypatch):
    """Let every test have a console of its own, since one keeps the columns that it began with."""
    monkeypatch.setattr(rich, "_console", None)


@pytest.fixture
def narrow(monkeypatch):
    """Return the columns of a small terminal."""
    monkeypatch.setenv("COLUMNS", "40")
    return 40


def unwrapped(text):
    """Undo line breaks."""
    return " ".join(text.split())


def test_a_narrow_terminal_shows_models_whole(run, narrow):
    names = [card["name"] for card in json.loads(run("models", "--json")[1])]
    code, said, _ = run("models")
    assert code == 0
    assert max(map(len, said.splitlines())) <= narrow
    assert [line.split(":")[0] for line in said.splitlines() if line.split(":")[0] in names] == names


@pytest.mark.parametrize("command", ["correct", "effective", "compare", "bench", "train"])
def test_a_narrow_terminal_shows_names_of_options_whole(run, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "100")
    names = set(re.findall(r"--[a-z][a-z-]+", run(command, "--help")[1]))
    monkeypatch.setenv("COLUMNS", "40")
    said = run(command, "--help")[1]
    assert len(names) > 5
    assert names <= set(re.findall(r"--[a-z][a-z-]+", said))
    assert max(map(len, said.splitlines()[1:])) <= 40  # the first is the name of the program that pytest runs


@pytest.mark.parametrize("boundary", STEPS)
def test_effective_tells_how_far_it_is(run, caplog, boundary):
    np.save("m.npy", np.where(np.random.default_rng(1).random((4, 5)) < 0.5, 3.0, 1.0))
    with caplog.at_level(logging.INFO, "ngs_nhcsr"):
        assert run("effective", "m.npy", "--boundary", boundary)[0] == 0
    numbers = re.findall(r"^(\d) of (\d): ", "\n".join(caplog.messages), re.M)
    assert numbers == [(str(k + 1), str(STEPS[boundary])) for k in range(STEPS[boundary])]


@pytest.mark.parametrize("words", [("--values", "1", "10"), ("--values", "1,10", "--bc", "left=0,", "right=1")])
def test_a_list_with_spaces_is_told(run, words):
    np.save("m.npy", np.ones((2, 2)))
    code, _, err = run("correct", "m.npy", *words)
    assert code == 2
    assert "Lists have commas" in err


def test_rounding_is_no_anisotropy(run):
    board = np.kron(np.indices((2, 4)).sum(0) % 2, np.ones((4, 4)))
    np.save("m.npy", 1 + board)
    code, said, _ = run("effective", "m.npy")
    assert code == 0
    assert re.search(r"^tensor +1\.414\d+ +0 +1\.414\d+$", said, re.M), said


def test_the_array_that_was_taken_is_named(run):
    np.savez("m.npz", mask=np.eye(3), a=np.ones((3, 4)), porosity=0.3)
    code, said, _ = run("effective", "m.npz")
    assert code == 0
    assert 'array "a" taken, not mask, porosity' in unwrapped(said)


def test_sides_may_be_given_one_by_one(run):
    np.save("m.npy", np.ones((4, 4)))
    one_by_one = [word for side in ("left=0", "right=1", "top=sealed", "bottom=sealed") for word in ("--bc", side)]
    code, said, _ = run("correct", "m.npy", *one_by_one)
    assert code == 0
    assert "flow from right to left: 1" in said


def test_voids_that_cut_a_pressure_drop_off_are_told(run):
    wall = np.ones((6, 8))
    wall[:, 4] = 0
    np.save("wall.npy", wall)
    sealed = "left=0,right=1,top=sealed,bottom=sealed"
    for command in (("correct", "wall.npy", "--bc", sealed, "--load", "0"), ("effective", "wall.npy")):
        code, said, _ = run(*command, *(("--boundary", "sealed") if command[0] == "effective" else ()))
        assert code == 0
        assert re.search("no way through grains that share edges leads from (left|right) to", unwrapped(said))
        assert "from bottom to top" not in unwrapped(said)


def test_every_bar_of_the_picture_of_a_bench_has_a_length(monkeypatch, tmp_path):
    from matplotlib.figure import Figure

    axes = []
    savefig = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (axes.extend(self.axes), savefig(self, *a, **k)))
    rows = [Timing("correct", "n", "16 x 16", seconds, seconds, 3, {}) for seconds in (0.1, 0.4)]
    Report({}, rows).plot(tmp_path / "b.png")
    low, high = axes[0].get_xlim()
    assert low < 0.1
    assert high >= 0.4


@pytest.mark.parametrize(
    ("package", "command", "message"),
    [
        ("matplotlib", ("correct", "m.npy", "--out", "u.png"), "pictures need Matplotlib: pip install"),
        ("PIL", ("demo", "--n", "4", "--picture", "d.png"), "pictures need Pillow: pip install"),
        ("matplotlib", ("compare", "--n", "4", "--picture", "c.png"), "matplotlib is not installed"),
        ("matplotlib", ("bench", "--effort", "tiny", "--picture", "b.png"), "matplotlib is not installed"),
    ],
)
def test_what_a_picture_lacks_is_told_before_the_work(run, monkeypatch, package, command, message):
    np.save("m.npy", np.ones((4, 4)))
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    code, said, err = run(*command)
    assert (code, said) == (1, "") or command[0] == "correct"
    assert "solved" not in said
    assert message in err


def test_doctor_goes_on_where_a_package_is_missing(run, monkeypatch):
    from ngs_nhcsr import models

    def load(name, device):
        raise ModuleNotFoundError("No module named 'safetensors'", name="safetensors")

    monkeypatch.setattr(models, "load_model", load)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 0))  # draws nothing
    code, said, err = run("doctor")
    assert (code, err) == (1, "")
    assert "off-screen rendering" in said
    assert "No module named 'safetensors'" in unwrapped(said)


def test_a_narrow_terminal_cuts_no_number_of_compare(run, narrow):
    code, said, _ = run("compare", "--n", "4", "--scale", "4", "--methods", "lod2,multigrid")
    assert code == 0
    assert "…" not in said
    assert max(map(len, said.splitlines())) <= narrow
    assert re.search(r"lod2: L2 error [\d.e-]+, energy error [\d.e-]+, offline s [\d.e-]+", unwrapped(said))
