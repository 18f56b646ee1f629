"""The README and the guide run as they stand, and the reference has every public name."""

import importlib
import re
import shlex
import sys
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ngs_nhcsr
from ngs_nhcsr import NhcsrWarning, solvers
from ngs_nhcsr.cli.app import app
from ngs_nhcsr.media.families import families

ROOT = Path(__file__).parent.parent
README, GUIDE = ROOT / "README.md", sorted(ROOT.glob("docs/guide/*.md"))
#: Commands that take a second; the options of the others are checked in test_docs.py.
CHEAP = ("ngs-nhcsr correct ", "ngs-nhcsr effective ")


def blocks(page):
    """Blocks of a page: language, lines before it, code, and the text block right behind it, if any."""
    text = page.read_text()
    for found in re.finditer(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", text, re.M | re.S):
        yield found[1], text.count("\n", 0, found.start(2)), found[2], found[3]


def masked(text):
    """Words without numbers, which differ from machine to machine, and without the blanks that align them."""
    return re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", text).split()


def run_command(line):
    result = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
    assert result.exit_code == 0, (line, result.output, result.exception)
    return result.output


@pytest.fixture
def run_page(tmp_path, monkeypatch, capsys):
    """Runs the blocks of a page in one namespace and folder; none warns, and each prints what is shown behind it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr(families, "_entries", dict(families._entries))  # what a page registers is forgotten

    def run(page):
        namespace = {"__name__": page.stem}
        for language, lines, code, shown in blocks(page):
            printed = ""
            if language == "python":
                exec(compile("\n" * lines + code, str(page), "exec"), namespace)
                printed = capsys.readouterr().out
            elif language == "sh":
                cheap = [line for line in code.replace("\\\n", " ").splitlines() if line.startswith(CHEAP)]
                printed = "".join(map(run_command, cheap))
            if shown is not None:
                assert masked(printed) == masked(shown)
        return namespace

    with warnings.catch_warnings():
        warnings.simplefilter("error", NhcsrWarning)
        yield run
    if "pyvista" in sys.modules:
        sys.modules["pyvista"].close_all()


@pytest.mark.parametrize("page", GUIDE, ids=lambda p: p.stem)
def test_guide_runs(page, run_page):
    run_page(page)


def test_readme_runs_and_claims_what_is_true(run_page):
    found = run_page(README)
    assert found["r"].relative_error_bound < 0.002
    assert found["u_fine"].space.mesh.ne == 512**2


def test_blocks_are_known():
    """A block is run, or says by its language that it is not."""
    for page in (README, *GUIDE):
        found = set(re.findall(r"^```(\S+)$", page.read_text(), re.M))
        assert found <= {"python", "sh", "text", "{toctree}", "{include}"}, page


def test_pages_of_the_site_are_executed(monkeypatch):
    """Every block of Python is a cell, and shows what it prints instead of what the page says that it prints."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    notebooks = importlib.import_module("notebooks")
    for name in notebooks.EXECUTED:
        page = ROOT / "docs" / f"{name}.md"
        source = [page.read_text()]
        notebooks.to_cells(None, name, source)
        found = list(blocks(page))
        assert source[0].count("```{code-cell}") >= sum(language == "python" for language, *_ in found) > 3
        assert not any(shown and f"```text\n{shown}" in source[0] for *_, shown in found)
        assert f"{page.stem}.ipynb" in source[0]


def test_public_names_are_in_the_reference():
    text = "\n".join(page.read_text() for page in ROOT.glob("docs/reference/*.md"))
    named = set(re.findall(r"^\.\. auto\w+:: (\S+)$", text, re.M))
    public = {f"ngs_nhcsr.{name}" for name in ngs_nhcsr.__all__}
    public |= {f"ngs_nhcsr.solvers.{name}" for name in solvers.__all__}
    public -= {"ngs_nhcsr.solvers.Scheme"}  # it is ngs_nhcsr.Scheme
    assert public <= named
