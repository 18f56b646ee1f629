"""What CONTRIBUTING.md says about additions: every example runs as it stands."""

import re
from pathlib import Path

import pytest

from ngs_nhcsr.registry import Registry

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"^### … (.*?)\n.*?```python\n(.*?)```", TEXT, re.M | re.S))
#: Additions that the document promises an example for.
PROMISED = ("a decoder", "a coefficient family", "a comparison method", "a loss", "a target")


@pytest.fixture
def forgotten(monkeypatch):
    """What an example registers is forgotten after its test; what it imports stays registered."""
    register, added = Registry.register, []

    def recorded(self, name):
        def add(entry):
            if entry.__module__ == "example":
                added.append((self, name))
            return register(self, name)(entry)

        return add

    monkeypatch.setattr(Registry, "register", recorded)
    yield
    for registry, name in added:
        del registry._entries[name]


def test_every_promised_addition_has_an_example():
    assert tuple(EXAMPLES) == PROMISED


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs(name, forgotten):
    code = EXAMPLES[name]
    assert len(code.splitlines()) <= 30
    assert "assert" in code
    exec(compile(code, f"CONTRIBUTING.md, {name}", "exec"), {"__name__": "example"})
