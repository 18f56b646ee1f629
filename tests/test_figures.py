"""Figures of the paper: the mathematics of the spectra, and pictures that are written and not blank."""

import json
import logging
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from typer.testing import CliRunner

from ngs_nhcsr.cli import app as cli
from ngs_nhcsr.networks.architecture import Architecture
from ngs_nhcsr.networks.corrector import CorrectorNetwork
from ngs_nhcsr.solvers.norms import energy_squared
from ngs_nhcsr.solvers.positions import Nodes
from ngs_nhcsr.solvers.transfer import prolongate
from ngs_nhcsr.training import protocols
from ngs_nhcsr.training.evidence import branch_fields, gather, trained_rows
from ngs_nhcsr.training.figures import DRAWINGS, draw_figures, style
from ngs_nhcsr.training.prediction import encode
from ngs_nhcsr.training.problems import solve_ladder
from ngs_nhcsr.training.protocols import PROTOCOLS, TABLES
from ngs_nhcsr.training.reproduce import Places, cell_folder, run_cells, table_cells
from ngs_nhcsr.training.spectra import fourier_power, fourier_spectrum, mod255, resolution_errors, sine_spectrum

TINY = replace(
    PROTOCOLS["mini"], coarse=4, trained=(2, 4), beyond=(8,), problems=4, steps=1, points=30, seeds=(0,), tests=1
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with two trained rows of table 1."""
    folder = tmp_path_factory.mktemp("runs")
    places = Places(folder / "mini", folder / "mini", folder / "data")
    run_cells(table_cells("table1", TINY, ("IPE-LIIF", "NH-CSR")), TINY, places)
    return folder


def noise(ny, nx):
    v = torch.zeros(ny + 1, nx + 1, dtype=torch.float64)
    v[1:-1, 1:-1] = torch.from_numpy(np.random.default_rng(0).standard_normal((ny - 1, nx - 1)))
    return v


@pytest.mark.parametrize("shape", [(16, 16), (12, 20)])
def test_bins_times_counts_are_the_norm(shape):
    v = noise(*shape)
    spectrum = sine_spectrum(v)
    norm = float(v.square().sum()) / (shape[0] * shape[1])
    assert spectrum.power @ spectrum.count == pytest.approx(norm)
    assert spectrum.count.sum() == (shape[0] - 1) * (shape[1] - 1)
    joined = spectrum.grouped(3)
    assert joined.power @ joined.count == pytest.approx(norm)
    assert joined.count.sum() == spectrum.count.sum()
    assert len(joined.k) < len(spectrum.k)


@pytest.mark.parametrize(("ky", "kx"), [(1, 1), (3, 4), (9, 2), (11, 19)])
def test_a_sine_lands_in_its_bin(ky, kx):
    y, x = (torch.linspace(0, 1, n + 1, dtype=torch.float64) for n in (12, 20))
    spectrum = sine_spectrum(torch.outer(torch.sin(ky * math.pi * y), torch.sin(kx * math.pi * x)))
    inside = spectrum.k == round(math.hypot(ky, kx))
    assert (spectrum.power * spectrum.count)[inside] == pytest.approx([0.25])
    assert spectrum.power[~inside].max() < 1e-25


def test_fourier_modes():
    n = 32
    v = torch.cos(2 * math.pi * 5 * torch.linspace(0, 1, n + 1, dtype=torch.float64)).expand(3, n + 1, n + 1)
    power = fourier_power(v + 7)
    spectrum = fourier_spectrum(power)
    assert spectrum.k[spectrum.power.argmax()] == 10
    assert spectrum.power @ spectrum.count == pytest.approx(power.sum())
    hann = np.sin(np.pi * np.arange(n) / n) ** 2
    assert power.sum() == pytest.approx(np.mean((v[0, :n, :n].numpy() * hann[:, None] * hann) ** 2))
    assert np.unravel_index(power.argmax(), power.shape) in ((n // 2, n // 2 + 5), (n // 2, n // 2 - 5))


def test_the_mod_255_view_has_as_many_cycles_as_its_factor():
    t = torch.linspace(-1, 3, 10_001, dtype=torch.float64)
    view = mod255(t, t, 8)
    assert view.min() >= 0
    assert view.max() < 255
    assert (np.diff(view) < -200).sum() == 8
    np.testing.assert_allclose(mod255(3 * t + 2, 3 * t + 2, 8)[1:-1], view[1:-1], atol=1e-6)


def test_errors_between_resolutions_are_those_of_galerkin_solutions():
    A = torch.from_numpy(np.where(np.random.default_rng(1).random((1, 16, 16)) < 0.5, 1.0, 10.0))
    p = solve_ladder(A, torch.ones(1, 1, 65, 65, dtype=torch.float64), 4, (2, 4, 8, 16), 1e-10)
    truths = {s: t[0, 0] for s, t in p.targets.items()}
    u = truths.pop(16)
    found = resolution_errors(truths, u, A)["energy"]
    whole = float(energy_squared(u[None], A))
    for scale, v in truths.items():
        lost = 1 - float(energy_squared(prolongate(v, Nodes((64, 64)))[None], A)) / whole  # Galerkin orthogonality
        assert found["errors"][str(scale)] == pytest.approx(math.sqrt(lost), rel=1e-4)
    assert found["errors"]["8"] < found["errors"]["4"] < found["errors"]["2"]
    assert found["ratios"]["8/2"] == found["errors"]["8"] / found["errors"]["2"]
    anchored = {s: prolongate(truths[2], Nodes((4 * s, 4 * s))) for s in (2, 4, 8)}
    assert resolution_errors(anchored, u, A)["L2"]["ratios"] == pytest.approx({"8/2": 1, "8/4": 1})


def test_pictures_of_the_trained_rows(runs, tmp_path, caplog):
    caplog.set_level(logging.INFO, "ngs_nhcsr")
    written = draw_figures(TINY, runs / "mini", tmp_path / "figures")
    assert "SRNO is not trained yet: left out" in caplog.messages
    assert {p.stem for p in written if p.suffix == ".png"} == set(DRAWINGS)
    for path in written:
        if path.suffix == ".png":
            picture = imread(path)[..., :3]
            assert min(picture.shape[:2]) > 400
            assert picture.std() > 0.05, path
    errors = json.loads((tmp_path / "figures" / "resolution.json").read_text())
    assert errors["reference cells"] == 64
    rows = ["u_h of the same mesh", "bicubic interpolation of U", "IPE-LIIF", "NH-CSR"]
    assert list(errors["rows"]) == rows
    assert set(errors["rows"]["NH-CSR"]["L2"]["errors"]) == {"2", "4", "8"}
    text = (tmp_path / "figures" / "resolution.md").read_text()
    assert all(text.count(f"| {row} |") == 2 for row in rows)


def test_unfinished_runs_say_so_and_rows_can_be_chosen(runs, tmp_path):
    more = replace(TINY, steps=5)
    finished, unfinished = (cell_folder(runs / "mini", TABLES["table1"]["NH-CSR"], p, 0) for p in (TINY, more))
    shutil.copytree(finished, tmp_path / unfinished.name)
    rows = trained_rows(more, tmp_path, ("NH-CSR", "bicubic"))
    assert list(rows) == ["bicubic interpolation of U", "NH-CSR after 1 steps"]
    assert style("NH-CSR after 1 steps") == style("NH-CSR")
    assert len({tuple(style(row).values()) for row in TABLES["table1"]}) == len(TABLES["table1"])
    with pytest.raises(ValueError, match="reproduce table1"):
        draw_figures(TINY, runs / "mini", tmp_path, only=("SRNO",))


def test_branches_sum_to_what_the_decoder_reads(runs):
    rows = trained_rows(TINY, runs / "mini", ("NH-CSR",))
    e = gather(TINY, rows)
    with torch.inference_mode():
        coarse, fine = branch_fields(rows["NH-CSR"], e, 4)
        decoder = rows["NH-CSR"].decoder
        features = encode(rows["NH-CSR"], e.U, e.A, e.F, 4)[0].maps
        expected = decoder(features, Nodes((16, 16)), 1.0)
        torch.testing.assert_close(decoder._head([coarse[None], fine[None]], 1.0), expected, atol=1e-5, rtol=1e-4)
        assert branch_fields(CorrectorNetwork(Architecture()), e, 4) == []


def test_figures_command(runs, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "ngs_nhcsr")  # and back afterwards: the command changes it
    monkeypatch.setitem(protocols.PROTOCOLS, "mini", TINY)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    arguments = ["reproduce", "figures", "--runs", str(runs), "--save", str(tmp_path / "f"), "--only", "bicubic"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "f" / "spectra.png").exists()
    assert not (tmp_path / "f" / "branches.png").exists()
    assert CliRunner().invoke(cli.app, ["reproduce", "table9"]).exit_code == 2
