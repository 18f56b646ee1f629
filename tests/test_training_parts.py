"""Parts of training by themselves: problems, pools, budgets, configurations, evaluation, files in pieces."""

import os

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import spsolve

from ngs_nhcsr.networks.architecture import Architecture
from ngs_nhcsr.networks.corrector import CorrectorNetwork
from ngs_nhcsr.solvers import q1
from ngs_nhcsr.solvers.transfer import restrict
from ngs_nhcsr.training.config import DataSet, TrainConfig, configs, from_json, override, to_json
from ngs_nhcsr.training.problems import LOAD_CELLS, Recipe, draw, make_problems
from ngs_nhcsr.training.schedule import Allowance, rate_factor
from ngs_nhcsr.training.validation import TEST_SEEDS, Case

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


def test_targets_solve_the_assembled_systems():
    """Every rung of the ladder against a sparse direct solve of its Galerkin problem."""
    recipe = Recipe(coarse=4, scales=(2, 4, 8), tolerance=1e-9)
    p = make_problems(recipe, range(2))
    for i, n in ((i, n) for i in range(2) for n in (32, 16, 8, 4)):
        A, f = draw(recipe, i)
        ours = p.U[i] if n == 4 else p.targets[n // 4][i]
        inner = np.pad(np.ones((n - 1, n - 1), bool), 1).ravel()
        K = q1.stiffness(A, (n, n))[inner][:, inner].tocsc()
        for k in range(len(f)):
            F, u = restrict(q1.mass_apply(f[k]), (n, n)), np.zeros((n + 1) ** 2)
            u[inner] = spsolve(K, F.ravel()[inner])
            np.testing.assert_allclose(ours[k].numpy().ravel(), u, atol=1e-7 * np.abs(u).max())
            if n == LOAD_CELLS * 4:
                np.testing.assert_allclose(p.F[i, k].numpy(), F, atol=1e-14)


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


def test_configurations_survive_json_and_overrides():
    for name in configs.names():
        config = configs[name]()
        assert from_json(to_json(config)) == config
    changed = override(TINY, {"rate": "3e-4", "architecture.decoder": "nhcsr"})
    assert (changed.rate, changed.architecture.decoder) == (3e-4, "nhcsr")
    with pytest.raises(ValueError, match="no field 'speed'"):
        override(TINY, {"speed": "1"})


def test_learning_rate_rises_and_falls_to_zero():
    assert rate_factor(0.0, 0, 10) == pytest.approx(0.1)
    assert rate_factor(0.5, 999, 10) == pytest.approx(0.5)
    assert rate_factor(1.0, 999, 10) == pytest.approx(0.0)


def test_evaluation_ranks_the_free_competitors():
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


def test_cumulative_training_begins_with_the_smallest_scale(tmp_path):
    from ngs_nhcsr.training.pools import make_pool
    from ngs_nhcsr.training.step import choose

    pools = [make_pool(d, tmp_path, "cpu", 0) for d in TINY.data]
    rng = torch.Generator().manual_seed(0)

    def scales_at(used):
        return {choose(pools, TINY.scale_weights, used, rng, cumulative=True)[1] for _ in range(200)}

    assert [scales_at(used) for used in (0.0, 0.3, 0.6)] == [{2}, {2, 4}, {2, 4, 8}]


def test_an_allowance_is_one_budget_and_tells_when_to_validate():
    for given in ({}, {"minutes": 1, "steps": 2}, {"steps": 2, "until": 3}):
        with pytest.raises(ValueError, match="give"):
            Allowance(**given)
    call = Allowance(steps=6, validate_steps=2)
    call.begin(10)
    assert [call.used(s) for s in (10, 13, 16)] == [0, 0.5, 1]
    assert [s for s in range(11, 17) if call.due(s)] == [12, 14]  # at the end there is a validation anyway
    run = Allowance(until=20, minutes=0.0)
    run.begin(10)
    assert (run.taken(10), run.used(10), run.over(10)) == (10, 0.5, True)
    timed = Allowance(minutes=1, validate_every=0)
    timed.begin(0)
    assert timed.due(1)
    assert not timed.over(1)
