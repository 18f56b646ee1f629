"""Ablation and paper tables: every row can be built, cells are resumable, figures are those of the fields."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ngs_nhcsr import training
from ngs_nhcsr.networks.corrector import CorrectorNetwork
from ngs_nhcsr.solvers.bvp import BoundaryValueProblem
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.norms import energy_distance, functional, relative_errors
from ngs_nhcsr.solvers.pde import PDE
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.training import ablation, curves
from ngs_nhcsr.training.cell_tables import to_markdown
from ngs_nhcsr.training.config import configs, override
from ngs_nhcsr.training.interpolation import Interpolation
from ngs_nhcsr.training.loop import train
from ngs_nhcsr.training.metrics import Cost, cost, field_metrics
from ngs_nhcsr.training.pde_errors import Exact
from ngs_nhcsr.training.prediction import predict
from ngs_nhcsr.training.protocols import PROTOCOLS, TABLES, plan
from ngs_nhcsr.training.reproduce import (
    Cell,
    Places,
    Stopped,
    cell_folder,
    measure,
    run_cells,
    table_cells,
    train_row,
)
from ngs_nhcsr.training.runs import steps_done, trained_network
from ngs_nhcsr.training.validation import TEST_SEEDS, Case

TINY = replace(
    PROTOCOLS["mini"], coarse=4, trained=(2, 4), beyond=(8,), problems=4, steps=1, points=30, seeds=(0, 1), tests=1
)


def run_table(table, protocol, folder, data, *, only=(), **options):
    """A table whose cells are kept beside their runs."""
    return run_cells(table_cells(table, protocol, only), protocol, Places(folder, folder, data), **options)


def test_parts_of_names_mean_all_rows_that_have_them():
    rows = [row for row, _, _ in table_cells("table1", replace(TINY, seeds=(0,)), ("CLIT", "LIIF"))]
    assert rows == ["LIIF", "CLIT, 2 branches", "CLIT, 3 branches"]


def test_finished_cells_are_listed_and_measured_anew_without_training(tmp_path):
    protocol, places = replace(TINY, seeds=(0,)), (tmp_path / "t", tmp_path / "data")
    (cell,) = run_table("table1", protocol, *places, only=("MetaSR",))
    (file,) = (tmp_path / "t").glob("*.json")
    stored = json.loads(file.read_text())
    stored["metrics"]["2x"]["energy"] = 7.0
    file.write_text(json.dumps(stored))
    both = ("MetaSR", "LIIF")
    (read,) = run_table("table1", protocol, *places, only=both, finished=True)
    assert read.row == "MetaSR"
    assert read.metrics["2x"]["energy"] == 7.0
    (measured,) = run_table("table1", protocol, *places, only=both, finished=True, again=True)
    assert measured.metrics["2x"]["energy"] == pytest.approx(cell.metrics["2x"]["energy"], rel=1e-6)
    assert json.loads(file.read_text())["config"] == stored["config"]


@pytest.mark.parametrize("row", list(ablation.ROWS))
def test_every_row_of_the_ablation_is_a_network(row):
    config = override(configs["mini"](), ablation.ROWS[row])
    with torch.device("meta"):
        assert sum(p.numel() for p in CorrectorNetwork(config.architecture).parameters()) > 0
    assert "--config mini" in ablation.command(ablation.ROWS[row], 3)


@pytest.mark.parametrize("table", list(TABLES))
@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_every_row_of_the_papers_tables_is_a_network(table, protocol):
    for variant in TABLES[table].values():
        if variant.decoder != "none":
            with torch.device("meta"):
                CorrectorNetwork(PROTOCOLS[protocol].config(variant, 0).architecture)


def test_a_table_goes_on_where_it_was_stopped(tmp_path):
    only = ("bicubic", "LIIF", "NH-CSR")
    told = []
    first = run_table("table1", TINY, tmp_path / "t", tmp_path / "data", only=only[:2], report=told.append)
    assert [c.row for c in first] == ["bicubic interpolation of U", "LIIF", "LIIF"]  # not IPE-LIIF
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "t").glob("*.json")}
    assert len(stamps) == 3
    cells = run_table("table1", TINY, tmp_path / "t", tmp_path / "data", only=only)
    assert len(cells) == 5
    assert all(p.stat().st_mtime_ns == t for p, t in stamps.items())
    text = to_markdown(cells)
    assert text.count("| NH-CSR |") == 8
    assert text.count("| u_h of the same mesh |") == 1
    assert "±" in text
    assert set(json.loads(next(iter(stamps)).read_text())["metrics"]) == {"2x", "4x", "8x", "maps", "soil"}


def test_cascades_are_trained_branch_by_branch(tmp_path):
    protocol = replace(TINY, steps=3, seeds=(0,))
    run = cell_folder(tmp_path / "t", TABLES["table1"]["CLIT, 3 branches"], protocol, 0)
    run_table("table1", protocol, tmp_path / "t", tmp_path / "data", only=("CLIT, 3",))
    stages = [run.with_name(f"{run.name}-stage{k}") for k in (1, 2)] + [run]
    assert [steps_done(r) for r in stages] == [1, 1, 1]
    assert [trained_network(r).architecture.decoder_options["active"] for r in stages[:2]] == [1, 2]
    unused = [load_file(r / "best.safetensors")["decoder.branches.2.query.weight"] for r in stages[:2]]
    assert torch.equal(*unused)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    """Weights after 6 steps in one go equal those after a stop: schedule, warm-up, draws and optimiser go on."""
    protocol, variant = replace(TINY, steps=6), TABLES["table1"]["LIIF"]
    whole = train_row(variant, protocol, 0, tmp_path / "whole", tmp_path / "data")
    config = protocol.config(variant, 0)
    stopped = tmp_path / "stopped"
    train(config, stopped, tmp_path / "data", until=6, minutes=1e-9, clock="cpu", cases=())
    assert steps_done(stopped) == 0
    halves = iter([False, False, False, False, True])
    with patch("ngs_nhcsr.training.loop.stop_requested", lambda: nullcontext(lambda: next(halves))):
        train(config, stopped, tmp_path / "data", until=6, cases=())
    assert steps_done(stopped) == 4
    assert train_row(variant, protocol, 0, stopped, tmp_path / "data") == stopped
    one, two = (load_file(run / "best.safetensors") for run in (whole, stopped))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-5, atol=1e-7)


def test_a_budget_ends_a_run_between_and_inside_cells(tmp_path):
    variant = TABLES["table1"]["LIIF"]
    with pytest.raises(Stopped, match="of 1 steps"):
        train_row(variant, TINY, 0, tmp_path / "run", tmp_path / "data", minutes=1e-9)
    places = Places(tmp_path / "runs", tmp_path / "cells", tmp_path / "data")
    assert run_cells(table_cells("table1", TINY, ("LIIF",)), TINY, places, minutes=0.0) == []


def test_finished_cells_are_small_and_measured_as_they_are_kept(tmp_path):
    places = Places(tmp_path / "runs", tmp_path / "cells", tmp_path / "data")
    (cell,) = run_cells([("LTE", TABLES["table1"]["LTE"], 0)], TINY, places)
    (figures,), (weights,) = (list((tmp_path / "cells").glob(f"*.{s}")) for s in ("json", "safetensors"))
    assert figures.stat().st_size < 50_000
    assert weights.stat().st_size < 1_000_000
    kept = CorrectorNetwork(TINY.config(TABLES["table1"]["LTE"], 0).architecture)
    kept.load_state_dict(load_file(weights))
    for case, metrics in measure(kept.eval(), TINY)[0].items():
        assert metrics == pytest.approx(cell.metrics[case])
    # a checkout without the runs has them all the same
    again = run_cells([("LTE", TABLES["table1"]["LTE"], 0)], TINY, replace(places, runs=tmp_path / "gone"))
    assert again == [cell]


def test_the_long_run_takes_every_cell_once_main_rows_first():
    protocol = PROTOCOLS["midi"]
    cells = [cell_folder(Path(), v, protocol, seed).name for _, v, seed in plan(protocol)]
    tables = {cell_folder(Path(), v, protocol, 0).name for t in TABLES.values() for v in t.values()}
    assert tables <= set(cells)
    assert len(set(cells[:18])) == 18


def test_the_stored_cells_are_found():
    """Names of finished cells are hashes of everything that decides them: no change of a default may orphan them."""
    protocol, folder = PROTOCOLS["midi"], Path(training.__file__).parent / "cells" / "midi"
    cells = [cell for table in TABLES for cell in table_cells(table, protocol)]
    names = {(row, seed): cell_folder(folder, v, protocol, seed).name for row, v, seed in cells}
    stored = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    assert stored
    for cell in stored:
        assert (folder / f"{names[cell['row'], cell['seed']]}.json").exists(), cell["row"]


def test_the_diffusion_model_is_trained_by_its_own_loss(tmp_path):
    assert TABLES["table1"]["IDM"].loss == "denoising"
    (cell,) = run_table("table1", replace(TINY, seeds=(0,)), tmp_path / "t", tmp_path / "data", only=("IDM",))
    assert np.isfinite(cell.metrics["2x"]["L2"])


def test_tables_share_cells_that_are_the_same():
    """NH-CSR of Table I is the Gabor row of Table II and the last row of Table III, and nothing else is."""
    protocol = PROTOCOLS["mini"]
    folders = {row: cell_folder(Path(), v, protocol, 0) for t in TABLES.values() for row, v in t.items()}
    same = [row for row, f in folders.items() if f == folders["NH-CSR"]]
    assert set(same) == {
        "NH-CSR", "NH-CSR, gabor coordinates", "multi-scale, with SCS", "NH-CSR, edsr, coefficient+solution"
    }  # fmt: skip
    assert len(set(folders.values())) == len(folders) - 3
    other_seed = cell_folder(Path(), TABLES["table1"]["NH-CSR"], protocol, 1)
    assert other_seed.name[:-2] != folders["NH-CSR"].name[:-2]


def test_metrics_of_a_field():
    rng = np.random.default_rng(0)
    target = torch.zeros(1, 17, 17, dtype=torch.float64)
    target[:, 1:-1, 1:-1] = torch.from_numpy(rng.random((15, 15)))
    A = torch.ones(1, 4, 4, dtype=torch.float64)
    same = field_metrics(target, target, A)
    assert (same["MSE"], same["MAE"], same["SSIM"]) == (0, 0, 1)
    twice = field_metrics(2 * target, target, A)
    assert twice["energy"] == pytest.approx(1)
    assert twice["L2"] == pytest.approx(1)
    assert twice["MAE"] == pytest.approx(float((target / target.max()).mean()))


def test_errors_against_the_pde_are_those_of_their_own_energies():
    """By Galerkin orthogonality from those against u_h, or from the energy of the field: two ways, one number."""
    problems = Case("random", coarse=4, scale=4, count=1).problems(TEST_SEEDS)
    A, F, u_h = problems.A[0], problems.F[0, 0], problems.targets[4][0, 0]
    exact = Exact.of(A, F, u_h)
    bump = torch.zeros_like(u_h)
    bump[1:-1, 1:-1] = 0.1 * u_h.max() * torch.from_numpy(np.random.default_rng(0).random((15, 15)))
    a, load, space = A.numpy(), Load.from_vector(F.numpy()), Space((16, 16))
    field = PDE().solve(BoundaryValueProblem(space, Medium(a), load, np.zeros(space.shape)))
    for v in (u_h, u_h + bump):
        energy = float(relative_errors(v, u_h, A)["energy"])
        E_v = functional(v.numpy(), a, load.vector((16, 16)))
        own = energy_distance(E_v, 0.5 * field.energy - field.work, field.energy)
        assert exact.errors(v, energy)["energy, PDE"] == pytest.approx(own, rel=1e-3)
    assert exact.errors(torch.from_numpy(field.nodes((16, 16))), 0.0)["L2, PDE"] < 1e-9
    assert exact.errors(u_h, 0.0)["L2, PDE"] > 1e-3


def test_cells_of_before_have_dashes_where_nothing_was_measured():
    new = Cell("new", 0, {"2x": {"energy, PDE": 0.5, "energy of u_h, PDE": 0.4, "energy": 0.3}}, Cost(0, 0.0, 0.0))
    old = Cell("old", 0, {"2x": {"energy": 0.6}}, Cost(0, 0.0, 0.0))
    text = to_markdown([new, old], ("energy, PDE", "energy"))
    assert "| old | – |" in text
    assert "| u_h of the same mesh | 0.4 |" in text
    assert "PDE" not in to_markdown([old], ("energy, PDE", "energy"))


def test_cost_counts_the_multiply_adds_of_convolutions():
    class One(Interpolation):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 5, 3, padding=1)

        def propose(self, problem):
            self.conv(torch.zeros(1, 3, 20, 20))
            return super().propose(problem)

    nothing = torch.zeros(1, 1, 5, 5)
    price, free = (cost(row, nothing, torch.ones(1, 4, 4), nothing, 5) for row in (One(), Interpolation()))
    assert (price.parameters, free.parameters) == (5 * 28, 0)
    assert price.gmac - free.gmac == pytest.approx(400 * 5 * 27 / 1e9)


def test_interpolation_is_exact_for_cubics():
    t, s = np.linspace(0, 1, 9), np.linspace(0, 1, 33)
    U = torch.from_numpy(np.add.outer(t**3, -2 * t**2))[None, None]
    field = predict(Interpolation(), U, torch.ones(1, 8, 8), torch.zeros(1, 1, 9, 9), 4)
    np.testing.assert_allclose(field[0, 0].numpy(), np.add.outer(s**3, -2 * s**2), atol=1e-12)


def test_validation_curves_have_a_point_for_every_validation(tmp_path):
    found = curves.run_curves(replace(TINY, steps=6), tmp_path / "t", tmp_path / "data")
    assert [c.name for c in found] == ["with SCS", "without SCS"]
    for curve in found:
        assert curve.steps == [1, 2, 3, 4, 5, 6]
        assert set(curve.l2) == {f"{s}x" for s in (TINY.trained[-1], 2 * TINY.trained[-1])}
        assert all(np.isfinite(v).all() and len(v) == 6 for v in (*curve.l2.values(), *curve.energy.values()))
    again = curves.run_curves(replace(TINY, steps=6), tmp_path / "t", tmp_path / "data")
    assert again == found  # read, not trained
    assert curves.to_markdown(found).count("\n") == 8
    assert len(curves.draw(found).axes) == 2
