"""Encoders and decoders of the zoo: counts, equal paths, identities and symmetries that hold for any weights."""

import inspect
import subprocess
import sys

import pytest
import torch
from helpers import network_field
from torch.utils._python_dispatch import TorchDispatchMode

from ngs_nhcsr.networks import local
from ngs_nhcsr.networks.corrector import CorrectorNetwork
from ngs_nhcsr.networks.decoders import Decoder, GenerativeDecoder, decoders, srno
from ngs_nhcsr.networks.encoders import Encoder, encoders
from ngs_nhcsr.networks.encodings import positional
from ngs_nhcsr.networks.zoo import build_model, list_decoders, list_encoders
from ngs_nhcsr.solvers.positions import Nodes, Points
from ngs_nhcsr.solvers.transfer import prolongate

WINDOW = {"dim": 8, "heads": 2, "window": 3, "widths": (10, 10)}
SMALL = {
    "basis": {"rank": 5, "width": 8},
    "bicubic": {},
    "clit": WINDOW,
    "clit-3": WINDOW,
    "frl": {"decoder_options": {"widths": (8,)}, "hidden": 4, "width": 8},
    "idm": {"width": 8, "multipliers": (1, 2), "blocks": 1, "attention_level": 1, "steps": 2},
    "ipe-liif": {"widths": (10, 10)},
    "ipe-metasr": {"width": 8},
    "liif": {"widths": (10, 10)},
    "lit": WINDOW,
    "lmf": {"latent": (10,), "width": 4, "depth": 3},
    "lte": {"waves": 6, "widths": (10,)},
    "metasr": {"width": 8},
    "nhcsr": {"dim": 8, "heads": 2, "gabor": 6, "mlp": (12,)},
    "srno": {"width": 16, "heads": 4},
}
NAMES = list_decoders()
CHANNELS = 6


def randomised(module, std=0.3):
    """Random weights everywhere, also where training starts at zero; float64."""
    torch.manual_seed(0)
    module = module.double().eval()
    for p in module.parameters():
        torch.nn.init.normal_(p, std=std)
    return module


def decoder(name, outputs=2, **options):
    return randomised(decoders[name](CHANNELS, outputs, **SMALL[name], **options))


def features(my=6, mx=8, batch=2):
    return torch.randn(batch, CHANNELS, my, mx, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def grid_points(n):
    y, x = (torch.arange(k + 1, dtype=torch.float64) / k for k in n)
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)


def same(a, b, atol=1e-11):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=atol)


def count(build):
    with torch.device("meta"):
        return sum(p.numel() for p in build().parameters())


# The contracts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_decoders_keep_the_contract(name):
    net = decoder(name)
    assert isinstance(net, Decoder)
    assert isinstance(net, GenerativeDecoder) == net.stochastic == (name == "idm")
    assert list(inspect.signature(decoders[name]).parameters)[:2] == ["channels", "outputs"]
    prepared = net.prepare(features())
    for query in (Nodes((12, 16)), Points(torch.rand(5, 2).double())):  # one preparation serves all queries and ratios
        for ratio in (2.0, 3.0):
            same(net.evaluate(prepared, query, ratio), net(features(), query, ratio), atol=0)


@pytest.mark.parametrize("name", list_encoders())
@torch.inference_mode()
def test_encoders_keep_the_contract(name):
    small = {"width": 12, "groups": 1, "depth": 2, "heads": 2} if name == "swinir" else {}
    net = encoders[name](3, **small).double().eval()
    assert isinstance(net, Encoder)
    assert next(iter(inspect.signature(encoders[name]).parameters)) == "inputs"
    for shape in ((1, 1), (5, 9)):
        x = torch.randn(2, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        out = net(x)
        assert out.shape == (2, net.channels, *shape)
        same(net(x[1:]), out[1:])


def test_incomplete_classes_cannot_be_made():
    class NoForward(Encoder):
        channels = 3

    class NoEvaluate(Decoder):
        pass

    for incomplete in (NoForward, NoEvaluate):
        with pytest.raises(TypeError, match="abstract"):
            incomplete()


# Parameter counts as published -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("edsr", (1_219_264, 1_219_840, 1_220_416)),
        ("rdn-b", (21_972_800, 21_973_376, 21_973_952)),
        ("swinir", (11_599_804, 11_601_424, 11_603_044)),
    ],
)
def test_parameters_of_encoders(name, counts):
    assert tuple(count(lambda c=c: encoders[name](c)) for c in (1, 2, 3)) == counts


def test_parameters_of_the_smaller_encoders():
    assert round(count(lambda: encoders["rdn-a"](2)) / 1e6, 3) == 5.466
    assert count(lambda: encoders["swinir-light"](2)) < 1_000_000


@pytest.mark.parametrize(
    ("name", "options", "one", "three"),
    [
        ("bicubic", {}, 0, 0),
        ("metasr", {}, 149_056, 445_120),
        ("ipe-metasr", {}, 158_528, 454_592),
        ("liif", {}, 346_369, 346_883),
        ("ipe-liif", {}, 828_673, 829_187),
        ("ipe-liif", {"skips": False}, 355_585, 356_099),
        ("lte", {}, 493_313, 493_827),
        ("lmf", {}, 165_617, 165_651),
        ("lit", {}, 5_328_137, 5_328_651),
        ("lit", {"concatenate": False}, 2_182_409, 2_182_923),
        ("clit", {}, None, 10_509_070),
        ("clit-3", {}, None, 15_689_489),
        ("srno", {}, 794_369, 794_883),
    ],
)
def test_parameters_of_decoders(name, options, one, three):
    for outputs, expected in ((1, one), (3, three)):
        if expected is not None:
            assert count(lambda n=outputs: decoders[name](64, n, **options)) == expected


# One field, however it is asked for --------------------------------------------------------------------------------


def test_every_decoder_is_tested():
    assert set(SMALL) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("cells", "n"), [((6, 8), (24, 32)), ((5, 3), (15, 9)), ((6, 8), (15, 20)), ((4, 6), (2, 3))])
@torch.inference_mode()
def test_points_equal_nodes(name, cells, n):
    """On rectangles, at whole, broken and small ratios; also for nodes that no binary fraction hits."""
    net, ratio = decoder(name), n[0] / cells[0]
    on_grid = net(features(*cells), Nodes(n), ratio)
    assert on_grid.shape == (2, 2, n[0] + 1, n[1] + 1)
    assert torch.isfinite(on_grid).all()
    assert float(on_grid.std()) > 1e-6
    same(net(features(*cells), Points(grid_points(n)), ratio), on_grid.flatten(2))


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_pieces_do_not_change_the_answer(name, monkeypatch):
    net, z, n = decoder(name), features(), (12, 16)
    scattered = Points(torch.rand(60, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    whole = [net(z, q, 2.0) for q in (Nodes(n), scattered)]
    monkeypatch.setattr(local, "CHUNK", 22)  # 11 points of 2 problems: less than a row of the grid
    monkeypatch.setattr(srno, "STORED", 0)
    for query, expected in zip((Nodes(n), scattered), whole, strict=True):
        same(net(z, query, 2.0), expected)
    same(net(z[:1], Points(scattered.yx[7:8]), 2.0), whole[1][:1, :, 7:8])


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in ("metasr", "ipe-metasr", "lit", "clit", "clit-3", "srno")]
)
@torch.inference_mode()
def test_continuous_where_promised(name):
    """Steps across cell faces and centres are as small as the others; LIT, SRNO and Meta-SR jump, as published."""
    options = {"octaves": 2} if name == "ipe-liif" else {}
    net, line = decoder(name, **options), torch.linspace(0.05, 0.95, 2401, dtype=torch.float64)
    v = net(features(batch=1), Points(torch.stack([line, 0.37 + 0 * line], 1)), 2.0)[0, 0]
    steps = v.diff().abs()
    assert float(steps.max()) < 0.05 * float(v.max() - v.min())


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter(name):
    """Also: nothing here ends the process after ngsolve was imported (conftest does), forward and backward."""
    net = randomised(decoders[name](CHANNELS, 2, **SMALL[name])).float().train()
    z = features().float().requires_grad_()
    net(z, Nodes((12, 16)), 2.0).square().sum().backward()
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()
    for key, p in net.named_parameters():
        assert p.grad is not None, key
        assert torch.isfinite(p.grad).all(), key


class NoBatchedProducts(TorchDispatchMode):
    """Raises where torch would multiply batches: after ``import ngsolve`` that may end the process."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert not any(name in str(func) for name in ("bmm", "scaled_dot")), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("name", [*NAMES, *(f"nhcsr {e}" for e in positional.names()), "swinir", "edsr", "unet", "rdn"])
def test_no_batched_products(name, gradients):
    """Forward and backward, and with frozen weights, for which torch multiplies batches in more places."""
    z = features().float().requires_grad_(gradients)
    if name in encoders.names():
        small = {"width": 8, "groups": 1, "depth": 2, "heads": 2, "window": 4} if name == "swinir" else {}
        run = encoders[name](CHANNELS, **small)
        calls = [lambda: run(z)]
    else:
        name, _, encoding = name.partition(" ")
        run = decoders[name](CHANNELS, 2, **SMALL[name], **({"encoding": encoding} if encoding else {}))
        calls = [lambda q=q: run(z, q, 2.0) for q in (Nodes((12, 16)), Points(torch.rand(9, 2)))]
    run.requires_grad_(gradients)
    with NoBatchedProducts():
        for call in calls:
            value = call().square().sum()
            if gradients:
                value.backward()


@pytest.mark.parametrize("name", NAMES)
def test_positions_follow_the_device_of_the_features(name):
    with torch.device("meta"):
        net = decoders[name](CHANNELS, 2, **SMALL[name]).eval()
        z = torch.empty(2, CHANNELS, 6, 8)
    for query, shape in ((Nodes((12, 16)), (13, 17)), (Points(torch.rand(5, 2)), (5,))):
        assert net(z, query, 2.0).shape == (2, 2, *shape)


# Identities --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in NAMES if n != "bicubic"])
@torch.inference_mode()
def test_untrained_correctors_let_the_coarse_solution_through(name):
    torch.manual_seed(0)
    net = build_model(
        "edsr",
        name,
        encoder_options={"channels": CHANNELS, "blocks": 1},
        decoder_options=SMALL[name],
        output="residual",
        upscaling=0,
        local_solves=False,
    ).eval()
    y, x = torch.arange(4.0, dtype=torch.float64)[:, None], torch.arange(5.0, dtype=torch.float64)
    U = torch.stack([torch.full((4, 5), 3.0, dtype=torch.float64), 1 + x - 2 * y, x * y])
    A = 1 + torch.rand(3, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(network_field(net, U, A, (12, 16)), prolongate(U, (12, 16)), rtol=0, atol=1e-14)


# The zoo -----------------------------------------------------------------------------------------------------------


def test_build_model():
    assert {"edsr", "rdn-a", "rdn-b", "swinir", "unet"} <= set(list_encoders())
    net = build_model("unet", "lte", encoder_options={"widths": (8, 8), "depth": 1}, decoder_options=SMALL["lte"])
    assert isinstance(net, CorrectorNetwork)
    assert net.architecture.decoder == "lte"
    with pytest.raises(ValueError, match="there are: basis, bicubic"):
        build_model("unet", "spline")
    with pytest.raises(ValueError, match="no coordinate encoding"):
        build_model("unet", "nhcsr", decoder_options={"encoding": "fourier"})


MEMORY = """
import ngsolve, resource, sys, torch
from ngs_nhcsr.networks.decoders import decoders
from ngs_nhcsr.solvers.positions import Nodes
torch.set_num_threads(1)
name, m, options = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
net = decoders[name](64, 6, **options).eval()
z = torch.rand(1, 64, m, m)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
before = peak()
with torch.inference_mode():
    assert net(z, Nodes((512, 512)), 512 / m).shape[-1] == 513
sys.stdout.write(str(peak() - before))
"""


@pytest.mark.slow
@pytest.mark.parametrize("m", [128, 32])
@pytest.mark.parametrize("name", NAMES)
def test_memory_at_513_nodes_is_bounded(name, m):
    """At most 2 GiB beyond the weights; published sizes, but for what costs time only. About ten minutes in all."""
    options = {
        "lit": {"window": 3},
        "clit": {"window": 1, "widths": (64,)},
        "clit-3": {"window": 1, "widths": (64,)},
        "idm": {"steps": 1},
    }.get(name, {})
    command = [sys.executable, "-c", MEMORY, name, str(m), repr(options)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) < 2
