"""Where compiled kernels are kept: in the user's cache folder, and never in the way of an import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

PROGRAM = """
import numba
from ngs_nhcsr.solvers.kernels.energy import energy_product as kernel
print(kernel.stats.cache_path)
assert not numba.config.CACHE_DIR or numba.config.CACHE_DIR == {given!r}
"""


def cache_path(given="", **environment):
    """Folder that a fresh process keeps a kernel in."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    program = PROGRAM.format(given=given)
    found = subprocess.run(
        [sys.executable, "-c", program], env=kept | environment, capture_output=True, text=True, check=True
    )
    return Path(found.stdout.strip())


def test_kernels_are_kept_in_the_users_cache_folder(tmp_path):
    """Beside the sources they outlived an installation, and their folders hid the next one's modules."""
    assert cache_path(XDG_CACHE_HOME=str(tmp_path)).parent == tmp_path / "ngs_nhcsr" / "kernels"


def test_numbas_own_variable_comes_first(tmp_path):
    assert cache_path(str(tmp_path), NUMBA_CACHE_DIR=str(tmp_path)).parent == tmp_path


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert cache_path(XDG_CACHE_HOME=str(tmp_path / "file")).is_dir()
