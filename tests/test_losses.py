"""Losses: right values, what they need, how they are added up, and losses that are not part of the package."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.fft import dstn

from ngs_nhcsr.networks.architecture import Architecture
from ngs_nhcsr.networks.corrector import CorrectorNetwork
from ngs_nhcsr.networks.decoders import decoders
from ngs_nhcsr.solvers.multigrid import Multigrid
from ngs_nhcsr.solvers.norms import energy_squared, relative_errors
from ngs_nhcsr.training.config import DataSet, TrainConfig
from ngs_nhcsr.training.loop import train
from ngs_nhcsr.training.losses import Batch, Loss, combine, losses
from ngs_nhcsr.training.losses.cycle import AfterCycle
from ngs_nhcsr.training.losses.spectral import sine_transform
from ngs_nhcsr.training.prediction import fields_for_target, predict
from ngs_nhcsr.training.problems import Recipe
from ngs_nhcsr.training.state import State
from ngs_nhcsr.training.step import Stepper
from ngs_nhcsr.training.validation import Case

TINY = TrainConfig(
    architecture=Architecture(
        encoder_options={"widths": (4, 6), "depth": 1}, decoder_options={"rank": 2, "width": 4}, upscaling=1
    ),
    data=(DataSet(Recipe(coarse=4, scales=(2, 4, 8)), 4),),
    batch=0.25,
    seed=3,
)
PREDICTING = [name for name in losses.names() if losses[name].predicts]
AT_POINTS = [name for name in losses.names() if not losses[name].needs_grid]


def fields(seed, *shape):
    v = np.zeros((3, *shape))
    v[:, 1:-1, 1:-1] = np.random.default_rng(seed).standard_normal((3, shape[0] - 2, shape[1] - 2))
    return torch.from_numpy(v)


def batch(prediction, target, network=None, seed=0):
    nothing = torch.zeros(len(target), 5, 5, dtype=torch.float64)
    A = torch.ones(len(target), 8, 8, dtype=torch.float64)
    return Batch(A, nothing, nothing, target, prediction, network, 4, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", PREDICTING)
def test_losses_vanish_at_the_target_and_only_there(name):
    target, error, loss = fields(1, 17, 17), fields(2, 17, 17), losses[name]()

    def value(v):
        return float(loss(batch(v, target)))

    if name == "log":
        assert value(target) < -13
    else:
        assert value(target) == pytest.approx(0, abs=1e-6)
    assert value(target + 0.1 * error) > value(target) + 1e-4
    assert value(target + error) > value(target + 0.1 * error)


@pytest.mark.parametrize("name", AT_POINTS)
def test_losses_that_need_no_grid_work_at_scattered_nodes(name):
    target, error = fields(1, 17, 17), fields(2, 17, 17)
    at = torch.randint(1, 16, (2, 50), generator=torch.Generator().manual_seed(0))
    some = [v[:, at[0], at[1]].unsqueeze(1) for v in (target, target + 0.1 * error)]
    assert float(losses[name]()(batch(some[0], some[0]))) == pytest.approx(0, abs=1e-6)
    assert float(losses[name]()(batch(some[1], some[0]))) > 1e-4


def test_the_mean_of_the_energy_loss_is_that_of_the_norms():
    target, error = fields(1, 17, 17), fields(2, 17, 17)
    e = relative_errors(target + error, target, torch.ones(3, 8, 8, dtype=torch.float64))
    expected = (e["energy"] + 2 * e["L2"]).mean()
    torch.testing.assert_close(losses["energy"]()(batch(target + error, target)), expected)


def test_sine_transform_is_scipys():
    v = np.pad(np.random.default_rng(3).standard_normal((2, 6, 9)), ((0, 0), (1, 1), (1, 1)))
    ours = sine_transform(torch.from_numpy(v)).numpy()
    np.testing.assert_allclose(ours, dstn(v[:, 1:-1, 1:-1], type=1, axes=(1, 2)), atol=1e-10)


def test_losses_are_combined_by_weight_and_by_need():
    b = batch(fields(1, 9, 9), fields(2, 9, 9))
    both = combine("l1 + 0.5 spectral")
    torch.testing.assert_close(both(b), losses["l1"]()(b) + 0.5 * losses["spectral"]()(b))
    needs = {s: (combine(s).needs_grid, combine(s).predicts) for s in ("l1 + scs", "l1 + energy", "denoising")}
    assert needs == {"l1 + scs": (False, True), "l1 + energy": (True, True), "denoising": (True, False)}
    assert combine("denoising + 0.1 l1").predicts
    with pytest.raises(ValueError, match="no loss called"):
        combine("l7")
    with pytest.raises(ValueError, match="write it like"):
        combine("2 3 l1")


def test_loss_after_a_cycle_is_that_of_the_cycled_field_with_its_gradient():
    A = torch.ones(1, 4, 4, dtype=torch.float64)
    mg = Multigrid(A, (16, 16), cycle_dtype=torch.float64)
    e = fields(0, 17, 17)[:1].requires_grad_()
    after = AfterCycle.apply(e, mg)
    _, info = mg.solve(torch.zeros_like(e), e.detach(), tolerance=0.0, max_iterations=1)
    left, all_of_it = (float(energy_squared(v.detach(), A)) for v in (after, e))
    assert all_of_it - 1.001 * float(info.energy_drop) <= left < 0.05 * all_of_it
    assert torch.autograd.gradcheck(lambda v: AfterCycle.apply(v, mg)[..., 7:9, 7:9], (e,), atol=1e-8)


# --- in a training run


def test_a_loss_that_needs_the_grid_refuses_scattered_nodes_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match=r"'l1 \+ 0.1 energy' needs all nodes of the fine grid; set points=0"):
        train(replace(TINY, loss="l1 + 0.1 energy", points=20), tmp_path / "run", tmp_path / "data", steps=1, cases=())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("points", [0, 30])
def test_a_loss_of_ones_own_is_trained_by_its_name(tmp_path, points, monkeypatch):
    """Nothing of the package is changed; the batch it gets is what the contract says."""
    seen = []

    class Worst(Loss):
        """Largest error of each problem, relative to the largest value."""

        def __call__(self, batch):
            seen.append(batch)
            error = (batch.field - batch.target).abs()
            return (error.amax((-2, -1)) / batch.target.abs().amax((-2, -1))).mean()

    monkeypatch.setitem(losses._entries, "worst", Worst)
    config = replace(TINY, loss="worst + 0.1 l1", points=points)
    best = train(config, tmp_path / "run", tmp_path / "data", steps=2, cases=())
    assert any(float(v.abs().max()) > 0 for k, v in load_file(best).items() if k.startswith("decoder.coefficients"))
    for b in seen:
        n, (M, K) = 4 * b.scale, (2, 4)
        shape = (M * K, 1, points) if points else (M * K, n + 1, n + 1)
        assert b.target.shape == b.field.shape == shape
        assert (b.A.shape, b.U.shape) == ((M * K, 16, 16), (M * K, 5, 5))
        assert torch.equal(b.A[0], b.A[K - 1])
        assert b.ratio == b.scale / 4
        again = predict(b.network, b.U.unsqueeze(1), b.A, b.F.unsqueeze(1), b.scale)
        assert again.shape == (M * K, 1, n + 1, n + 1)
    with pytest.raises(ValueError, match="predicts = True"):
        _ = replace(seen[0], prediction=None).field


def test_scattered_predictions_are_those_of_the_grid(tmp_path):
    config = replace(TINY, loss="l1", points=40)
    network = CorrectorNetwork(config.architecture)
    torch.nn.init.normal_(network.decoder.coefficients.weight, std=0.1)
    state = State(network, {}, torch.optim.SGD(network.parameters()))
    step = Stepper(config, state, tmp_path)
    U, A, F, target = step.pools[0].batch(2, 8, torch.Generator().manual_seed(0))
    with torch.no_grad():
        some = step.batch(U, A, F, target, 8, torch.Generator().manual_seed(1))
        whole = predict(network, U, A, F, 8, scheme=step.scheme).flatten(0, 1).float()
    at = torch.randint(1, 32, (2, 40), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(some.field[:, 0], whole[:, at[0], at[1]])
    torch.testing.assert_close(some.target[:, 0], target.flatten(0, 1)[:, at[0], at[1]])


# --- denoising

IDM = Architecture(
    encoder="edsr",
    encoder_options={"channels": 8, "blocks": 1},
    decoder="idm",
    decoder_options={"width": 8, "multipliers": (1, 2), "blocks": 1, "attention_level": 1},
    inputs="coefficient+solution",
    output="residual",
    upscaling=0,
    local_solves=False,
)


def test_the_denoised_fields_are_those_that_give_the_target(monkeypatch):
    """What the decoder is to produce, put through the network's output, is u_h."""
    p = Case("tiny", coarse=4, scale=4, count=2).problems(5)
    for architecture in (IDM, replace(IDM, upscaling=2)):
        network, target = CorrectorNetwork(architecture), p.targets[4]
        _, fields = fields_for_target(network, p.U[:, 0], p.A, p.F[:, 0], target[:, 0])
        monkeypatch.setattr(decoders["idm"], "evaluate", lambda self, prepared, query, ratio, known=fields: known)
        field = predict(network, p.U, p.A, p.F, 4)
        torch.testing.assert_close(field, target.double(), rtol=0, atol=1e-6 * float(target.abs().max()))


def test_denoising_needs_a_generative_decoder_and_an_output_that_can_be_inverted(tmp_path):
    data = (DataSet(Recipe(coarse=4, scales=(2, 4)), 2),)
    config = replace(TINY, loss="denoising", data=data, architecture=replace(IDM, decoder="liif", decoder_options={}))
    with pytest.raises(ValueError, match="needs a generative decoder such as idm, not liif"):
        train(config, tmp_path / "a", tmp_path / "data", steps=1, cases=())
    config = replace(config, architecture=replace(IDM, output="first-order"))
    with pytest.raises(ValueError, match="output='residual' only, not 'first-order'"):
        train(config, tmp_path / "b", tmp_path / "data", steps=1, cases=())
