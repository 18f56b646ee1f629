"""The tables of hard inputs: their truth is right, their verdicts are, and cheap rows and random problems hold."""

# pyright: reportMissingImports=false
# (examples are no package; they are put on the path below)

import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module", autouse=True)
def importable():
    sys.path.insert(0, str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))


@pytest.mark.parametrize(("cells", "size"), [((24, 32), (1.0, 1.0)), ((16, 12), (0.5, 2.0))])
def test_stiffness_by_overlaps_is_ngsolves(cells, size):
    """Where no cell cuts a pixel NGSolve's quadrature is exact, and both are the same matrix up to round-off."""
    from hostile.pde import Pde, quads
    from hostile.pixels import pixel_stiffness, row_order

    pixels = 10 ** np.random.default_rng(1).uniform(-1, 1, (8, 4))
    pde = Pde(pixels=pixels, size=size[::-1])
    space = pde.space(quads(cells[1], cells[0], size[::-1]))
    rows, cols, values = pde.form(space).mat.COO()
    there = np.zeros((space.ndof, space.ndof))
    there[np.asarray(rows), np.asarray(cols)] = np.asarray(values)
    order, found = row_order(space.mesh)
    assert found == cells
    np.testing.assert_allclose(
        pixel_stiffness(pixels, cells, size).toarray(), there[np.ix_(order, order)], atol=1e-12 * np.abs(there).max()
    )


def test_stiffness_that_cuts_pixels_is_the_galerkin_one_of_a_finer_grid():
    """P'KP with K on a grid that pixels and coarse cells share: an identity of nested spaces."""
    from hostile.pixels import onto, pixel_stiffness

    pixels = 10 ** np.random.default_rng(2).uniform(-1, 1, (6, 4))
    cells, common, size = (4, 6), (12, 12), (1.0, 0.7)
    hats = np.eye(5 * 7).reshape(-1, 5, 7)
    P = np.stack([onto(hat, common).ravel() for hat in hats], axis=1)
    K = P.T @ (pixel_stiffness(pixels, common, size) @ P)
    np.testing.assert_allclose(pixel_stiffness(pixels, cells, size).toarray(), K, atol=1e-12 * np.abs(K).max())


@pytest.mark.parametrize(
    ("said", "estimate", "truth", "verdict"),
    [
        ("ACCEPTED", 1e-4, 9e-4, "right"),
        ("ACCEPTED", 1e-4, 2e-3, "SILENT"),
        ("ACCEPTED", 4e-3, 5e-3, "vague"),
        ("ACCEPTED", None, 2e-3, "SILENT"),
        ("INACCURATE", 0.3, 0.5, "flagged"),
        ("INACCURATE", 0.1, 0.5, "vague"),
        ("UNVERIFIED", None, 0.5, "flagged"),
        ("UNVERIFIED", 0.0, 0.5, "vague"),
        ("ACCEPTED", 1e-4, float("nan"), "SILENT"),
    ],
)
def test_verdicts(said, estimate, truth, verdict):
    from hostile.registry import Row, judge

    assert judge(Row("1", "", "", said, estimate=estimate, truth=truth), "said so") == verdict


@pytest.mark.parametrize(
    "name", ["plain, f = 1", "f = 0, u = x on left and right", "space: complex H1", "tensor pixels, ratio 10"]
)
def test_cheap_rows_are_right_or_refused(name):
    from hostile import Setting, cases, run

    rows = list(run(cases[name], Setting(8, 8)))
    assert rows
    for row in rows:
        assert row.verdict in ("right", "refused"), row


def test_every_case_has_a_docstring_or_a_maker():
    from hostile import cases

    assert len(cases) > 60
    assert {one.section for one in cases.values()} == {"1", "2", "more"}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_random_problems_hold(number):
    from random_problems import run

    trial = run(0, number, 128, check=True)
    assert not trial.violations, trial
