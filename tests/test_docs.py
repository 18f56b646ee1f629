"""The documents name what exists: links, modules, tests."""

import re
from pathlib import Path

import pytest
import typer

from ngs_nhcsr.cli.app import app

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
#: Where a path in a document may begin.
BASES = (ROOT, ROOT / "ngs_nhcsr", ROOT / "docs", ROOT / "tests")


def anchor(heading):
    """The fragment that a heading gets on the usual hosts."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_resolve(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        name, _, fragment = link.partition("#")
        target = page if not name else page.parent / name
        assert target.exists(), link
        if fragment:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            assert fragment in map(anchor, headings), link


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_named_modules_exist(page):
    """Paths in backticks that end in .py or /; of ``file.py::test_name…`` the test too, which may be cut short."""
    text = page.read_text()
    for path, test in re.findall(r"`([\w./]+(?:\.py|/))(?:::(\w+)…?)?`", text):
        found = [base / path for base in BASES if (base / path).exists()]
        assert found, path
        assert not test or re.search(rf"def {test}", found[0].read_text()), (path, test)


def test_failure_cases_are_tested():
    text = (ROOT / "docs" / "failures.md").read_text()
    tests = "\n".join(p.read_text() for p in (ROOT / "tests").glob("test_*.py"))
    names = re.findall(r"`(?:test_\w+\.py::)?(test_\w+?)_?…`", text)
    assert len(names) > 40
    missing = [name for name in names if f"def {name}" not in tests]
    assert not missing


def test_named_commands_and_options_exist():
    commands = typer.main.get_command(app).commands
    for page in PAGES:
        for name, arguments in re.findall(r"\bngs-nhcsr ([a-z]+)([^`\n]*)", page.read_text()):
            assert name in commands, (page.name, name)
            known = {option for p in commands[name].params for option in (*p.opts, *p.secondary_opts)}
            unknown = set(re.findall(r"(?<![\w-])--[\w-]+", arguments)) - known
            assert not unknown, (page.name, name, unknown)
