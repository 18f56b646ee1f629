"""Training: data are right, resume is exact, a killed run continues, files are atomic."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ngs_nhcsr.errors import InvalidProblem
from ngs_nhcsr.media.families import test_only as only_for_tests
from ngs_nhcsr.networks.architecture import Architecture
from ngs_nhcsr.networks.corrector import CorrectorNetwork
from ngs_nhcsr.training.config import DataSet, TrainConfig, configs, from_json
from ngs_nhcsr.training.loop import train
from ngs_nhcsr.training.losses import losses
from ngs_nhcsr.training.problems import Recipe, draw
from ngs_nhcsr.training.shards import generate, read_shard, shard_path
from ngs_nhcsr.training.state import read_config
from ngs_nhcsr.training.validation import TEST_SEEDS, VALIDATION_SEEDS, Case, network_errors

TINY = TrainConfig(
    name="tiny",
    architecture=Architecture(
        encoder_options={"widths": (4, 6), "depth": 1}, decoder_options={"rank": 2, "width": 4}, upscaling=1
    ),
    data=(DataSet(Recipe(coarse=4, scales=(2, 4, 8)), 8),),
    batch=1,
    seed=3,
)
CASE = (Case("tiny", coarse=4, scale=4, count=2),)


def test_deterministic_maps_are_for_testing_only():
    for make in configs.names():
        for data in configs[make]().data:
            assert not any(only_for_tests(n) for n, _ in data.recipe.families)
            assert data.first_seed + data.count < VALIDATION_SEEDS < TEST_SEEDS


def test_shards_are_written_once_and_checked(tmp_path):
    recipe = Recipe(coarse=4, scales=(2, 4))
    paths = generate(tmp_path, recipe, 6, per_shard=4)
    stamps = [p.stat().st_mtime_ns for p in paths]
    assert generate(tmp_path, recipe, 6, per_shard=4) == paths
    assert [p.stat().st_mtime_ns for p in paths] == stamps
    np.testing.assert_allclose(read_shard(paths[1], recipe).A[0], draw(recipe, 4)[0], rtol=1e-6)
    with pytest.raises(ValueError, match="another recipe"):
        read_shard(paths[0], replace(recipe, tolerance=0.1))
    paths[0].write_bytes(paths[0].read_bytes()[:-50])
    with pytest.raises(ValueError, match="delete it"):
        read_shard(paths[0], recipe)


def test_63_two_generators_in_one_folder(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from ngs_nhcsr.training.problems import Recipe\nfrom ngs_nhcsr.training.shards import generate\n"
        "generate(Path(sys.argv[1]), Recipe(coarse=4, scales=(2, 4)), 12, per_shard=2)\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [r.wait() for r in runs] == [0, 0]
    recipe = Recipe(coarse=4, scales=(2, 4))
    assert {p.name for p in tmp_path.iterdir()} == {
        shard_path(tmp_path, recipe, range(s, s + 2)).name for s in range(0, 12, 2)
    }
    for path in tmp_path.iterdir():
        read_shard(path, recipe)


def run(folder, data, steps, config=TINY, **options):
    return train(config, folder, data, steps=steps, cases=CASE, **options)


def test_scales_at_which_the_network_is_exact_are_not_trained(tmp_path):
    architecture = replace(TINY.architecture, upscaling=4)
    data = (DataSet(Recipe(coarse=4, scales=(2, 4)), 2),)
    with pytest.raises(ValueError, match="no scale that is drawn"):
        run(tmp_path / "run", tmp_path / "data", 1, replace(TINY, architecture=architecture, data=data))


def test_training_lowers_the_error(tmp_path):
    problems = CASE[0].problems(VALIDATION_SEEDS)
    torch.manual_seed(3)
    before = network_errors(CorrectorNetwork(TINY.architecture).eval(), problems, 4)["energy"].median()
    best = run(tmp_path / "run", tmp_path / "data", 60, replace(TINY, rate=3e-3, warmup=5, ema=0.9))
    network = CorrectorNetwork(TINY.architecture).eval()
    network.load_state_dict(load_file(best))
    assert network_errors(network, problems, 4)["energy"].median() < 0.9 * before


def test_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    """20 steps = 10, a new process state, and 10 more (with the schedule of the whole run)."""
    monkeypatch.setattr("ngs_nhcsr.training.step.rate_factor", lambda *_: 1.0)
    run(tmp_path / "whole", tmp_path / "data", 20)
    run(tmp_path / "parts", tmp_path / "data", 10)
    torch.manual_seed(99)  # what happens between does not matter
    run(tmp_path / "parts", tmp_path / "data", 10)
    one, two = (load_file(tmp_path / k / "last.safetensors") for k in ("whole", "parts"))
    assert one.keys() == two.keys()
    for k in one:
        torch.testing.assert_close(two[k], one[k], rtol=0, atol=0)


def test_resumed_live_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr("ngs_nhcsr.training.step.rate_factor", lambda *_: 1.0)
    data = (DataSet(Recipe(coarse=4, scales=(2, 4)), 4, refresh=2, chunk=2),)
    run(tmp_path / "whole", tmp_path, 6, replace(TINY, data=data))
    run(tmp_path / "parts", tmp_path, 3, replace(TINY, data=data))
    run(tmp_path / "parts", tmp_path, 3, replace(TINY, data=data))
    one, two = (load_file(tmp_path / k / "last.safetensors") for k in ("whole", "parts"))
    for k in one:
        torch.testing.assert_close(two[k], one[k], rtol=0, atol=0)


def test_58_59_killed_and_terminated_runs_go_on(tmp_path):
    code = (
        "import sys, logging; from pathlib import Path\nimport torch; torch.set_num_threads(1)\n"
        "sys.path.insert(0, sys.argv[2])\nfrom test_training import TINY, CASE\n"
        "from ngs_nhcsr.training.loop import train\n"
        "folder = Path(sys.argv[1])\n"
        "train(TINY, folder / 'run', folder / 'data', minutes=5, cases=CASE, validate_every=0.005)\n"
    )
    last = tmp_path / "run" / "last.safetensors"
    steps = 0
    for how in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)])
        deadline = time.monotonic() + 90
        seen = last.stat().st_mtime_ns if last.exists() else 0
        while not (last.exists() and last.stat().st_mtime_ns != seen) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(how)
        assert process.wait(30) == (0 if how == signal.SIGTERM else -signal.SIGKILL)
        from safetensors import safe_open

        with safe_open(last, "pt") as f:
            now = __import__("json").loads(f.metadata()["progress"])["step"]
        assert now > steps
        steps = now
    assert not list((tmp_path / "run").glob("*.tmp"))
    assert from_json(read_config(last)) == TINY


def test_60_full_disk_keeps_the_old_checkpoint(tmp_path):
    resource = pytest.importorskip("resource")
    run(tmp_path / "run", tmp_path / "data", 2)
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    code = (
        "import resource, signal, sys; from pathlib import Path\nsys.path.insert(0, sys.argv[2])\n"
        "from test_training import TINY, CASE, run\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "run(Path(sys.argv[1]) / 'run', Path(sys.argv[1]) / 'data', 2)\n"
    )
    assert resource is not None
    process = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)], capture_output=True, text=True
    )
    assert process.returncode != 0
    assert "File too large" in process.stderr
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
    assert not list((tmp_path / "run").glob("*.tmp"))


def test_61_loss_that_is_not_finite_stops_the_run(tmp_path, monkeypatch):
    run(tmp_path / "run", tmp_path / "data", 2)
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    monkeypatch.setattr(losses._entries[TINY.loss], "__call__", lambda self, batch: batch.field.sum() * float("nan"))
    with pytest.raises(ArithmeticError, match="not finite at step 2"):
        run(tmp_path / "run", tmp_path / "data", 2)
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_budget_must_be_given_once(tmp_path):
    with pytest.raises(ValueError, match="budget"):
        train(TINY, tmp_path, tmp_path)


def test_training_needs_no_ngsolve():
    code = (
        "import sys\nsys.modules['ngsolve'] = None\nsys.modules['netgen'] = None\n"
        "import ngs_nhcsr.training.loop, ngs_nhcsr.training.export, ngs_nhcsr.training.shards\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_shards_on_a_dask_cluster_are_those_made_here(tmp_path):
    distributed = pytest.importorskip("distributed")
    recipe = Recipe(coarse=4, scales=(2, 4))
    here = generate(tmp_path / "here", recipe, 6, per_shard=2)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = generate(tmp_path / "there", recipe, 6, per_shard=2, executor=client.get_executor())
    for a, b in zip(here, there, strict=True):
        one, two = load_file(a), load_file(b)
        assert a.name == b.name
        assert one.keys() == two.keys()
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-9)


def test_62_resuming_with_another_configuration_names_the_difference(tmp_path):
    run(tmp_path / "run", tmp_path / "data", 1)
    with pytest.raises(ValueError, match="other values of loss, rate"):
        run(tmp_path / "run", tmp_path / "data", 1, replace(TINY, rate=1e-5, loss="l1"))
    train(replace(TINY, rate=1e-5), tmp_path / "run", tmp_path / "data", steps=1, cases=CASE, force=True)
    assert from_json(read_config(tmp_path / "run" / "last.safetensors")).rate == 1e-5


def test_a_run_begins_with_the_weights_of_another_or_of_a_model(tmp_path):
    run(tmp_path / "one", tmp_path / "data", 2)
    average = {k: v for k, v in load_file(tmp_path / "one" / "last.safetensors").items() if k.startswith("average/")}
    for source in ("last.safetensors", "best.safetensors"):
        two = tmp_path / source
        train(
            replace(TINY, rate=0.0, weight_decay=0.0),
            two,
            tmp_path / "data",
            steps=1,
            cases=CASE,
            start_from=tmp_path / "one" / source,
        )
        now = load_file(two / "last.safetensors")
        for k in average:
            torch.testing.assert_close(now[k], average[k], rtol=0, atol=1e-7)
    other = replace(TINY, architecture=Architecture())
    with pytest.raises(ValueError, match="no weights for this architecture"):
        train(
            other,
            tmp_path / "x",
            tmp_path / "data",
            steps=1,
            cases=CASE,
            start_from=tmp_path / "one" / "best.safetensors",
        )


def test_two_processes_take_the_step_of_one(tmp_path):
    """``torchrun`` with two gloo processes, half a batch each, against one process with the whole batch."""
    code = (
        "import sys; from pathlib import Path\nfrom dataclasses import replace\n"
        "import torch; torch.set_num_threads(1)\nsys.path.insert(0, sys.argv[2])\n"
        "from test_training import TINY, CASE\n"
        "from ngs_nhcsr.training.loop import train\n"
        "folder = Path(sys.argv[1])\n"
        "train(replace(TINY, batch=0.25), folder, folder.parent / 'data', steps=3, cases=CASE)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    generate(tmp_path / "data", TINY.data[0].recipe, TINY.data[0].count)
    here = str(Path(__file__).parent)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    one = [sys.executable, str(script), str(tmp_path / "one"), here]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    two = [*launcher, str(script), str(tmp_path / "two"), here]
    for command in (one, two):
        result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
        assert result.returncode == 0, result.stderr
    a, b = (load_file(tmp_path / k / "last.safetensors") for k in ("one", "two"))
    moved = max(float(v.abs().max()) for k, v in a.items() if k.startswith("optimiser/") and k.endswith("exp_avg"))
    assert moved > 0
    for k in a:
        torch.testing.assert_close(b[k], a[k], rtol=1e-4, atol=1e-6)


def test_the_last_weights_are_exported_if_asked_for(tmp_path, monkeypatch):
    from ngs_nhcsr.training import export

    monkeypatch.setattr(export, "CARD_CASES", CASE)
    run = tmp_path / "run"
    train(TINY, run, tmp_path / "data", steps=3, cases=CASE)
    card = export.export_run(run, tmp_path / "last.json", hardware="test", count=2, last=True)
    assert card.training["weights"] == "running mean at the last step"
    with_names = load_file(run / "last.safetensors")
    for name, value in load_file(tmp_path / "last.safetensors").items():
        torch.testing.assert_close(value, with_names[f"average/{name}"], rtol=0, atol=0)


def test_regular_patterns_are_refused_for_training():
    with pytest.raises(InvalidProblem, match="checkerboard"):
        Recipe(families=(("iid", 0.5), ("checkerboard", 0.5)))
