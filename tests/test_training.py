"""Training: data are right, resume is exact, a killed run goes on, files are atomic."""

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

from ngs_nhcsr.media import maps
from ngs_nhcsr.media.families import families
from ngs_nhcsr.media.families import test_only as only_for_tests
from ngs_nhcsr.media.loads import LOADS, load
from ngs_nhcsr.networks.nhcsr import Architecture
from ngs_nhcsr.solvers import q1
from ngs_nhcsr.training import losses
from ngs_nhcsr.training.config import DataSet, TrainConfig, configs, from_json, override, to_json
from ngs_nhcsr.training.loop import train
from ngs_nhcsr.training.problems import LOAD_CELLS, Recipe, draw, make_problems
from ngs_nhcsr.training.schedule import rate_factor
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


@pytest.mark.parametrize("name", families.names())
@pytest.mark.parametrize("contrast", [2.0, 10.0, 1000.0])
def test_families_are_seeded_positive_and_within_contrast(name, contrast):
    a, b = (families[name]((24, 40), np.random.default_rng(5), contrast) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.shape == (24, 40)
    assert a.min() > 0
    assert a.max() / a.min() <= contrast * (1 + 1e-9)
    assert not np.array_equal(a, families[name]((24, 40), np.random.default_rng(6), contrast)) or only_for_tests(name)


def test_deterministic_maps_are_for_testing_only():
    for make in configs.names():
        for data in configs[make]().data:
            assert not any(only_for_tests(n) for n, _ in data.recipe.families)
            assert data.first_seed + data.count < VALIDATION_SEEDS < TEST_SEEDS


def test_the_papers_maps_are_thirteen_different_ones():
    fields = [maps.paper_map(name, (128, 128), 10.0) for name in maps.MAPS]
    assert len(fields) == 13
    assert all(not np.array_equal(a, b) for i, a in enumerate(fields) for b in fields[:i])
    quarter = maps.paper_map("mixture a", (32, 32), 10.0)[:16, :16]
    np.testing.assert_array_equal(quarter, maps.paper_map("checkerboard 1", (32, 32), 10.0)[:16, :16])


@pytest.mark.parametrize("kind", LOADS)
def test_loads_are_seeded_and_of_order_one(kind):
    f, g = (load(kind, (17, 33), np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(f, g)
    assert f.shape == (17, 33)
    assert 0.1 < np.abs(f).max() < 3
    if kind == "sign-changing":
        assert f.min() < 0 < f.max()


def test_targets_solve_the_assembled_systems():
    """Every rung of the ladder against a sparse direct solve of its Galerkin problem."""
    recipe = Recipe(coarse=4, scales=(2, 4, 8), tolerance=1e-9)
    p = make_problems(recipe, range(2))
    for i in range(2):
        A, f = draw(recipe, i)
        n = 32
        while n >= 4:
            from ngs_nhcsr.reading import galerkin_solve
            from ngs_nhcsr.solvers.space import Space
            from ngs_nhcsr.solvers.transfer import restrict

            grid = Space((n, n))
            free = np.pad(np.ones((n - 1, n - 1), bool), 1)
            ours = p.U[i] if n == 4 else p.targets[n // 4][i]
            for k in range(len(f)):
                F = restrict(q1.mass_apply(f[k]), (n, n))
                u = galerkin_solve(A, grid, F * free, free, np.zeros(grid.shape))
                np.testing.assert_allclose(ours[k].numpy(), u, atol=1e-7 * np.abs(u).max())
                if n == LOAD_CELLS * 4:
                    np.testing.assert_allclose(p.F[i, k].numpy(), F, atol=1e-14)
            n //= 2


def test_energy_of_the_loss_is_the_energy_norm():
    rng = np.random.default_rng(0)
    for n, m in ((16, 8), (8, 8), (8, 16)):
        v, A = rng.standard_normal((n + 1, n + 1)), rng.random((m, m)) + 0.1
        ours = losses.energy_squared(torch.from_numpy(v)[None], torch.from_numpy(A)[None])
        assert float(ours[0]) == pytest.approx(q1.energy_norm(v, A) ** 2, rel=1e-12)


@pytest.mark.parametrize("name", losses.losses.names())
def test_losses_vanish_at_the_target_and_only_there(name):
    rng = np.random.default_rng(2)
    t = np.pad(rng.standard_normal((3, 15, 15)), ((0, 0), (1, 1), (1, 1)))
    e = np.pad(rng.standard_normal((3, 15, 15)), ((0, 0), (1, 1), (1, 1)))
    target, error = torch.from_numpy(t), torch.from_numpy(e)
    A = torch.ones(3, 8, 8, dtype=torch.float64)

    def value(v):
        return float(losses.losses[name](v, target, A, torch.Generator().manual_seed(0)))

    if name == "log":
        assert value(target) < -13
    else:
        assert value(target) == pytest.approx(0, abs=1e-6)
    assert value(target + 0.1 * error) > value(target) + 1e-4
    assert value(target + error) > value(target + 0.1 * error)


def test_sine_transform_is_scipys():
    from scipy.fft import dstn

    v = np.pad(np.random.default_rng(3).standard_normal((2, 6, 9)), ((0, 0), (1, 1), (1, 1)))
    ours = losses.sine_transform(torch.from_numpy(v)).numpy()
    np.testing.assert_allclose(ours, dstn(v[:, 1:-1, 1:-1], type=1, axes=(1, 2)), atol=1e-10)


def test_losses_are_combined_by_weight():
    v, t = torch.rand(1, 9, 9), torch.rand(1, 9, 9)
    A, rng = torch.ones(1, 4, 4), torch.Generator()
    both = losses.combine("l1 + 0.5 spectral")(v, t, A, rng)
    parts = losses.l1_loss(v, t, A, rng) + 0.5 * losses.spectral_loss(v, t, A, rng)
    torch.testing.assert_close(both, parts)
    with pytest.raises(ValueError, match="no loss called"):
        losses.combine("l7")


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
    from ngs_nhcsr.networks.nhcsr import CorrectorNetwork

    problems = CASE[0].problems(VALIDATION_SEEDS)
    torch.manual_seed(3)
    before = network_errors(CorrectorNetwork(TINY.architecture).eval(), problems, 4)[0].median()
    best = run(tmp_path / "run", tmp_path / "data", 60, replace(TINY, rate=3e-3, warmup=5, ema=0.9))
    network = CorrectorNetwork(TINY.architecture).eval()
    network.load_state_dict(load_file(best))
    assert network_errors(network, problems, 4)[0].median() < 0.9 * before


def test_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    """20 steps = 10, a new process state, and 10 more (with the schedule of the whole run)."""
    monkeypatch.setattr("ngs_nhcsr.training.loop.rate_factor", lambda *_: 1.0)
    run(tmp_path / "whole", tmp_path / "data", 20)
    run(tmp_path / "parts", tmp_path / "data", 10)
    torch.manual_seed(99)  # what happens between does not matter
    run(tmp_path / "parts", tmp_path / "data", 10)
    one, two = (load_file(tmp_path / k / "last.safetensors") for k in ("whole", "parts"))
    assert one.keys() == two.keys()
    for k in one:
        torch.testing.assert_close(two[k], one[k], rtol=0, atol=0)


def test_live_pool_depends_on_the_step_alone():
    from ngs_nhcsr.training.pools import LivePool

    data = DataSet(Recipe(coarse=4, scales=(2, 4)), 6, first_seed=50, refresh=3, chunk=2)
    walked = LivePool(data, "cpu")
    first = walked.problems.A.clone()
    for step in range(8):
        walked.advance(step)
    jumped = LivePool(data, "cpu", step=7)
    torch.testing.assert_close(walked.problems.A, jumped.problems.A)
    torch.testing.assert_close(walked.problems.targets[4], jumped.problems.targets[4])
    assert not torch.equal(first, walked.problems.A)
    np.testing.assert_allclose(jumped.problems.A[4], draw(data.recipe, 54)[0], rtol=1e-6)


def test_resumed_live_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr("ngs_nhcsr.training.loop.rate_factor", lambda *_: 1.0)
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
    monkeypatch.setitem(losses.losses._entries, TINY.loss, lambda p, t, a, rng: p.sum() * float("nan"))
    with pytest.raises(ArithmeticError, match="not finite at step 2"):
        run(tmp_path / "run", tmp_path / "data", 2)
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_configurations_survive_json_and_overrides():
    for name in configs.names():
        config = configs[name]()
        assert from_json(to_json(config)) == config
    changed = override(TINY, {"rate": "3e-4", "architecture.decoder": "nhcsr"})
    assert (changed.rate, changed.architecture.decoder) == (3e-4, "nhcsr")
    with pytest.raises(ValueError, match="no field 'speed'"):
        override(TINY, {"speed": "1"})


def test_budget_must_be_given_once(tmp_path):
    with pytest.raises(ValueError, match="budget"):
        train(TINY, tmp_path, tmp_path)


def test_learning_rate_rises_and_falls_to_zero():
    assert rate_factor(0.0, 0, 10) == pytest.approx(0.1)
    assert rate_factor(0.5, 999, 10) == pytest.approx(0.5)
    assert rate_factor(1.0, 999, 10) == pytest.approx(0.0)


def test_training_needs_no_ngsolve():
    code = (
        "import sys\nsys.modules['ngsolve'] = None\nsys.modules['netgen'] = None\n"
        "import ngs_nhcsr.training.loop, ngs_nhcsr.training.export, ngs_nhcsr.training.shards\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert result.returncode == 0, result.stderr


def test_evaluation_ranks_the_free_competitors():
    from ngs_nhcsr.networks.nhcsr import CorrectorNetwork
    from ngs_nhcsr.training.evaluate import SUITES, evaluate, to_json, to_markdown

    network = CorrectorNetwork(TINY.architecture).eval()
    cases = (Case("a", coarse=8, scale=4, count=2), Case("b", family="soil", load="smooth", coarse=8, scale=4, count=1))
    results = evaluate(network, cases, first_seed=TEST_SEEDS + 10)
    by = {(r.case, r.method): r for r in results}
    for case in ("a", "b"):
        assert by[case, "best multiple of it"].l2 <= by[case, "prolongation"].l2
        assert by[case, "coarse + 2 cycles"].energy < by[case, "coarse + 1 cycle"].energy
        assert by[case, "network"].energy <= by[case, "network"].worst_energy
    assert len(__import__("json").loads(to_json(results))) == len(results)
    assert to_markdown(results).count("\n") == 4
    assert set(SUITES) == {"paper", "families", "scales", "maps", "loads"}


def test_pieces_join_to_the_file_or_not_at_all(tmp_path):
    from ngs_nhcsr.training.pieces import join, split

    whole = tmp_path / "last.safetensors"
    whole.write_bytes(os.urandom(1000))
    files = split(whole, tmp_path / "out", limit=300)
    assert [f.stat().st_size for f in files[:-1]] == [300, 300, 300, 100]
    assert join(files[-1], tmp_path / "back").read_bytes() == whole.read_bytes()
    files[1].write_bytes(os.urandom(300))
    with pytest.raises(ValueError, match="carry them again"):
        join(files[-1], tmp_path / "damaged")
    files[2].unlink()
    with pytest.raises(ValueError, match="missing"):
        join(files[-1], tmp_path / "damaged")
    assert not (tmp_path / "damaged").exists()


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


def test_loss_after_a_cycle_is_that_of_the_cycled_field_with_its_gradient():
    from ngs_nhcsr.solvers.multigrid import Multigrid

    A = torch.ones(1, 4, 4, dtype=torch.float64)
    mg = Multigrid(A, (16, 16), cycle_dtype=torch.float64)
    e = torch.zeros(1, 17, 17, dtype=torch.float64)
    e[:, 1:-1, 1:-1] = torch.rand(15, 15, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    e.requires_grad_()
    after = losses._AfterCycle.apply(e, mg)
    _, info = mg.solve(torch.zeros_like(e), e.detach(), tolerance=0.0, max_iterations=1)
    assert float(losses.energy_squared(after.detach(), A)) < 0.05 * float(losses.energy_squared(e.detach(), A))
    assert float(losses.energy_squared(after.detach(), A)) >= float(
        losses.energy_squared(e.detach(), A)
    ) - 1.001 * float(info.energy_drop)
    assert torch.autograd.gradcheck(lambda v: losses._AfterCycle.apply(v, mg)[..., 7:9, 7:9], (e,), atol=1e-8)


def test_cumulative_training_begins_with_the_smallest_scale(tmp_path):
    from ngs_nhcsr.training.loop import _choose
    from ngs_nhcsr.training.pools import make_pool

    config = replace(TINY, cumulative=True)
    pools = [make_pool(d, tmp_path, "cpu", 0) for d in config.data]
    rng = torch.Generator().manual_seed(0)
    seen = {
        done: {_choose(pools, config.scale_weights, True, done, rng)[1] for _ in range(200)} for done in (0.0, 0.3, 0.6)
    }
    assert seen == {0.0: {2}, 0.3: {2, 4}, 0.6: {2, 4, 8}}
