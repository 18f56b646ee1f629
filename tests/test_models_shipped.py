"""Every shipped model through the public interface: guarded, its error told, the same at points as on grids."""

import json
import warnings
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ngs_nhcsr import Corrector, ModelFileError, Status, correct, list_models, load_model
from ngs_nhcsr.cli.app import app
from ngs_nhcsr.demo import coarse_problem
from ngs_nhcsr.media.families import families
from ngs_nhcsr.media.maps import MAPS
from ngs_nhcsr.models import DEFAULT_MODEL, Contract, shipped_cards
from ngs_nhcsr.models.table import models_page
from ngs_nhcsr.refine import Refiner
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.transfer import prolongate
from ngs_nhcsr.training import export
from ngs_nhcsr.training.validation import Case

ROOT = Path(__file__).parent.parent
N, SCALE = 16, 8
MEDIA = ("iid", "soil", f"map {MAPS[-1]}")


@lru_cache
def case(family):
    """Coarse solution, coefficient, and the energy error of nodal values against u_h, of multigrid to 1e-9."""
    kappa = families[family]((4 * N, 4 * N), np.random.default_rng(3), 10.0)
    u_coarse, a = coarse_problem(kappa, N)
    problem = correct(u_coarse, a, SCALE, f=1, full=True).problem
    fine = problem.space.refined(SCALE)
    start, b = prolongate(problem.U, fine.cells), problem.load_vector(fine.cells)
    u_h = Refiner(problem.medium, fine).refine(start, b, tolerance=1e-9).field

    def error(values):
        return energy_norm(values - u_h, problem.medium, fine.size) / energy_norm(u_h, problem.medium, fine.size)

    return u_coarse, a, error, error(start)


def quietly(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statuses warn, and are looked at
        return correct(*arguments, full=True, **options)


@pytest.mark.parametrize("family", MEDIA)
@pytest.mark.parametrize("name", list_models())
def test_a_models_own_field_is_guarded_and_its_error_is_told(name, family):
    u_coarse, a, error, coarse = case(family)
    r = quietly(u_coarse, a, SCALE, f=1, model=name, device="cpu", refine=0)
    truth = error(r.values)
    assert np.isfinite(r.values).all()
    assert r.model == name
    assert truth <= coarse * (1 + 1e-12)
    # One V-cycle sees almost all of such an error (docs/trust.md: 0.7 to 1.2 of it).
    assert truth / 2 <= r.error_estimate <= 2 * truth
    assert (r.status is Status.ACCEPTED) == (truth < 0.05)


@pytest.mark.parametrize("name", list_models())
def test_what_correct_returns_is_accurate_whatever_the_model(name):
    u_coarse, a, error, _ = case("iid")
    r = quietly(u_coarse, a, SCALE, f=1, model=name, device="cpu")
    assert r.status is Status.ACCEPTED
    # refined until the estimate is below 3e-4, which is within 0.7 of the truth
    assert error(r.values) < 3e-4 / 0.7


@pytest.mark.parametrize("name", list_models())
def test_the_field_at_points_is_the_field_on_the_grid(name):
    u_coarse, a, _, _ = case("iid")
    corrector = Corrector(name, "cpu")
    problem = quietly(u_coarse, a, SCALE, f=1, model=name, device="cpu", refine=0).problem
    grid = corrector.model.solve(problem, SCALE)
    iy, ix = np.random.default_rng(0).integers(0, N * SCALE + 1, (2, 60))
    points = np.stack([ix, iy], 1) / (N * SCALE)
    found = corrector.evaluate(points, u_coarse, a, SCALE, f=1)
    # float32 networks
    np.testing.assert_allclose(found, grid[iy, ix], rtol=0, atol=2e-5 * np.abs(grid).max())


@pytest.mark.parametrize("name", list_models())
def test_many_loads_on_one_coefficient(name):
    """Prepared once, as the networks that read U must not be: a load gets its own field, not that of the first one."""
    u_coarse, a, _, _ = case("iid")
    many = Corrector(name, "cpu").prepare(a, u_coarse.space, SCALE)
    for f in (1.0, -2.0):
        one = quietly(coarse_problem_with(f), a, SCALE, f=f, model=name, device="cpu")
        again = many(coarse_problem_with(f), f=f, on_untrusted="return")
        np.testing.assert_allclose(again.values, one.values, rtol=0, atol=1e-5 * np.abs(one.values).max())


@lru_cache
def coarse_problem_with(f):
    return coarse_problem(families["iid"]((4 * N, 4 * N), np.random.default_rng(3), 10.0), N, f=f)[0]


@pytest.mark.parametrize("name", list_models())
def test_scales_beyond_training_and_images_that_do_not_fit(name):
    """Scale 3 cuts pixels, scale 12 was never trained, 30 x 44 pixels do not fit the coarse cells."""
    u_coarse, a, _, _ = case("iid")
    assert quietly(u_coarse, a, 3, f=1, model=name, device="cpu").status is Status.ACCEPTED
    r = quietly(u_coarse, a, 12, f=1, model=name, device="cpu", refine=0)
    assert np.isfinite(r.values).all()
    assert r.status is not Status.ACCEPTED or r.error_estimate < 0.05
    kappa = families["iid"]((30, 44), np.random.default_rng(4), 10.0)
    other, b = coarse_problem(kappa, N)
    assert quietly(other, b, 4, f=1, model=name, device="cpu").status is Status.ACCEPTED


def test_the_default_is_the_most_accurate_model_of_its_card():
    errors = {name: load_model(name, "cpu").card.validation["random 1:10"]["energy"] for name in list_models()}
    assert min(errors, key=errors.get) == DEFAULT_MODEL
    assert Corrector(device="cpu").model.card.name == DEFAULT_MODEL


def test_the_networks_of_the_paper_are_there_as_it_has_them():
    for name in ("nhcsr", "liif", "lte", "lit", "metasr"):
        architecture = load_model(name, "cpu").network.architecture
        assert (architecture.decoder, architecture.inputs) == (name, "coefficient+solution")
        assert not architecture.upscaling
        assert not architecture.local_solves


def test_what_ships_is_what_was_trained():
    """Weights and configuration are those of the finished cell that the card names, to the bit."""
    named = {name: load_model(name, "cpu") for name in list_models()}
    cells = {name: model.card.training["cell"] for name, model in named.items() if "cell" in model.card.training}
    assert len(cells) >= 5
    for name, cell in cells.items():
        path = ROOT / "training" / "cells" / f"{cell}.json"
        assert named[name].card.training["config"] == json.loads(path.read_text())["config"]
        trained, shipped = (load_file(p.with_suffix(".safetensors")) for p in (path, shipped_cards()[name]))
        assert trained.keys() == shipped.keys()
        assert all(torch.equal(trained[k], shipped[k]) for k in trained)


def test_a_cell_becomes_a_model(tmp_path):
    cell = next((ROOT / "training" / "cells" / "midi").glob("metasr-*-0.json"))
    with patch.object(export, "CARD_CASES", (Case("random 1:10", coarse=4, scale=2),)):
        card = export.export_cell(cell, tmp_path / "mine.json", hardware="a core", count=1)
    assert card.name == "mine"
    assert card.contract == Contract(scales=(2, 4, 8, 16), contrast=(1, 10), coarse=(16, 32))
    assert (card.training["steps"], card.training["seed"], card.training["row"]) == (4000, 0, "MetaSR")
    model = load_model(tmp_path / "mine.json", "cpu")
    assert {v.dtype for v in model.network.parameters()} == {torch.float32}
    with pytest.raises(ModelFileError, match="not a finished cell"):
        export.export_cell(tmp_path / "mine.json", tmp_path / "again.json", hardware="a core")


def test_the_page_on_models_is_what_the_command_makes():
    """``ngs-nhcsr models --save docs/models.md`` after every new model."""
    assert (ROOT / "docs" / "models.md").read_text(encoding="utf-8") == models_page(shipped_cards())


def test_the_list_of_models_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    app(["models"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for name in list_models():
        assert sum(line.startswith(f"│ {name} ") for line in lines) == 1
    assert sum(line.startswith("│") for line in lines) == len(list_models())  # none is broken
