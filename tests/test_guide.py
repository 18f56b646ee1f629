"""The README and the guide run as they stand, and the reference has every public name."""

import re
import shlex
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ngs_nhcsr
from ngs_nhcsr import NhcsrWarning, solvers
from ngs_nhcsr.cli.app import app
from ngs_nhcsr.media.families import families

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/guide/*.md"))]
#: Commands that take a second; the options of the others are checked in test_docs.py.
CHEAP = ("correct", "effective")


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


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_page_runs(page, tmp_path, monkeypatch, capsys):
    """Blocks run in order, in one namespace and one folder; none warns, and each prints what is shown behind it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr(families, "_entries", dict(families._entries))  # what a page registers is forgotten
    namespace = {"__name__": page.stem}
    with warnings.catch_warnings():
        warnings.simplefilter("error", NhcsrWarning)
        for language, lines, code, shown in blocks(page):
            printed = ""
            if language == "python":
                exec(compile("\n" * lines + code, str(page), "exec"), namespace)
                printed = capsys.readouterr().out
            elif language == "sh":
                cheap = [line for line in code.splitlines() if line.startswith(tuple(f"ngs-nhcsr {c} " for c in CHEAP))]
                printed = "".join(map(run_command, cheap))
            if shown is not None:
                assert masked(printed) == masked(shown)


def test_blocks_are_known():
    """A block is run, or says by its language that it is not."""
    for page in PAGES:
        found = set(re.findall(r"^```(\S+)$", page.read_text(), re.M))
        assert found <= {"python", "sh", "text", "{toctree}", "{include}"}, page


def test_public_names_are_in_the_reference():
    text = "\n".join(page.read_text() for page in ROOT.glob("docs/reference/*.md"))
    named = set(re.findall(r"^\.\. auto\w+:: (\S+)$", text, re.M))
    public = {f"ngs_nhcsr.{name}" for name in ngs_nhcsr.__all__}
    public |= {f"ngs_nhcsr.solvers.{name}" for name in solvers.__all__}
    public -= {"ngs_nhcsr.solvers.Scheme"}  # it is ngs_nhcsr.Scheme
    assert public <= named
