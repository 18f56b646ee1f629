"""Results of the public interface stay what they were, to the accuracy of their path (tests/golden/golden_cases.py)."""

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "golden"
sys.path.insert(0, str(FOLDER))

from golden_cases import cases  # noqa: E402

GOLDEN = np.load(FOLDER / "golden.npz")
TOLERANCES = {"~": 1e-8, "≈": 1e-3}
#: Errors below are none.
ROUND_OFF = 1e-9


@pytest.mark.parametrize("name", list(cases))
def test_golden(name):
    found = cases[name]()
    stored = {key.removeprefix(f"{name}/"): GOLDEN[key] for key in GOLDEN.files if key.startswith(f"{name}/")}
    assert stored.keys() == found.keys()
    for key, expected in stored.items():
        if key.endswith("="):
            assert str(found[key]) == str(expected), key
        else:
            largest, tolerance = float(np.abs(expected).max()), TOLERANCES.get(key[-1], 1e-10)
            relative, absolute = (tolerance, ROUND_OFF) if key[-1] == "≈" else (0, tolerance * largest)
            np.testing.assert_allclose(found[key], expected, rtol=relative, atol=absolute, err_msg=key)


def test_the_golden_file_is_small_and_has_no_other_cases():
    assert (FOLDER / "golden.npz").stat().st_size <= 2 * 2**20
    assert {key.split("/")[0] for key in GOLDEN.files} == set(cases)
