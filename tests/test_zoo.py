"""Encoders and decoders of the zoo: counts, equal paths, identities and symmetries that hold for any weights."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ngs_nhcsr.networks import local
from ngs_nhcsr.networks.decoders import decoders, srno
from ngs_nhcsr.networks.decoders.metasr import MetaSR
from ngs_nhcsr.networks.encoders import encoders
from ngs_nhcsr.networks.encodings import integrated, positional
from ngs_nhcsr.networks.nhcsr import CorrectorNetwork
from ngs_nhcsr.networks.symmetry import transform
from ngs_nhcsr.networks.zoo import build_model, list_decoders, list_encoders
from ngs_nhcsr.solvers.positions import Nodes, Points, bilinear

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
    torch.testing.assert_close(net(U, A, (12, 16)), bilinear(U, Nodes((12, 16))), rtol=0, atol=1e-14)


@torch.inference_mode()
def test_bicubic_is_exact_for_bilinear_maps():
    my, mx = 5, 7
    y, x = (torch.arange(n, dtype=torch.float64) + 0.5 for n in (my, mx))
    z = (2 - x / mx + 3 * y[:, None] / my - x * y[:, None] / (mx * my)).expand(1, CHANNELS, my, mx)
    yx = grid_points((8, 9))
    exact = 2 - yx[:, 1] + 3 * yx[:, 0] - yx[:, 0] * yx[:, 1]
    same(decoder("bicubic", 1)(z, Points(yx), 2.0)[0, 0], exact)


@torch.inference_mode()
def test_convolution_per_cell_equals_perceptron_on_unfolded_neighbourhoods():
    for name in ("liif", "ipe-liif"):
        net, z = decoder(name), features()
        cell = torch.tensor([0, 7, 20, 47])
        offset = torch.rand(4, 2, dtype=torch.float64) - 0.5
        unfolded = F.unfold(z, 3, padding=1).transpose(1, 2)[:, cell]
        coordinates = integrated(offset, 0.5) if name == "ipe-liif" else torch.cat([offset, torch.ones(4, 2)], -1)
        inputs = torch.cat([unfolded, coordinates.expand(2, -1, -1)], -1)
        h = F.relu(net.mlp.first(inputs))
        for layer in net.mlp.hidden:
            h = F.relu(layer(torch.cat([h, inputs], -1) if name == "ipe-liif" else h))
        same(net.value(net.maps(z)[:, cell], offset, 2.0), net.mlp.last(h))


@torch.inference_mode()
def test_window_head_equals_perceptron_on_values_side_by_side():
    """At one point inside: softmax over the window, all weighted values next to each other, then the perceptron."""
    net, z, (iy, ix) = decoder("lit"), features(batch=1), (3, 4)
    branch, maps = net.branches[0], net.embed(z)
    q = branch.query(maps)[0, :, iy, ix]  # the point is the centre of its cell
    logits, values = [], []
    f = 2 ** torch.linspace(0, 9, 16, dtype=torch.float64)
    for oy in (-1, 0, 1):
        for ox in (-1, 0, 1):
            code = [g(-2.0 * o * f) for o in (oy, ox) for g in (torch.sin, torch.cos)]
            k = branch.key(maps)[0, :, iy + oy, ix + ox]
            logits.append((q * k).view(2, 4).sum(1) / 2 + net.bias(torch.cat(code)))
            values.append(branch.value(maps)[0, :, iy + oy, ix + ox].view(2, 4))
    weighted = torch.stack(logits).softmax(0).unsqueeze(-1) * torch.stack(values)
    cell = torch.ones(2, dtype=torch.float64)
    expected = branch.rest(branch.first(torch.cat([weighted.flatten(), cell])))
    point = Points(torch.tensor([[(iy + 0.5) / 6, (ix + 0.5) / 8]], dtype=torch.float64))
    same(net(z, point, 2.0)[0, :, 0], expected)


def even(name):
    """A decoder whose weights make it blind to the sign and the order of the coordinates."""
    net = decoder(name)
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3):
                m.weight[..., [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
        if name == "liif":
            taps = net.mlp.first.weight[:, : 9 * CHANNELS].unflatten(1, (CHANNELS, 9))
            taps[..., [0, 1, 2, 3, 5, 6, 7, 8]] = 0
            net.mlp.first.weight[:, 9 * CHANNELS : 9 * CHANNELS + 2] = 0
        elif name == "lte":
            net.frequency.weight.zero_()
            net.frequency.bias.zero_()
        elif name == "basis":
            net.psi[2].weight.zero_()
        else:
            net.expand[0].weight[:] = (
                net.expand[0].weight.unflatten(0, (CHANNELS, 4))[:, :1].expand(-1, 4, -1, -1, -1).flatten(0, 1)
            )
            net.expand[0].bias.zero_()
            for branch in (net.coarse, net.fine):
                branch.bias[2].weight.zero_()
    return net


@pytest.mark.parametrize("g", range(8))
@pytest.mark.parametrize("name", ["bicubic", "liif", "lte", "basis", "nhcsr"])
@torch.inference_mode()
def test_blending_commutes_with_flips_and_transposes(name, g):
    """On a rectangle, ties at faces and the boundary included, as far as the weights do."""
    net, z = decoder(name) if name == "bicubic" else even(name), features(5, 7)
    turned = transform(z, g)
    n = (4 * turned.shape[-2], 4 * turned.shape[-1])
    same(net(turned, Nodes(n), 4.0), transform(net(z, Nodes((20, 28)), 4.0), g))


# Single decoders ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", positional.names())
@pytest.mark.parametrize("multiscale", [True, False])
@torch.inference_mode()
def test_ablations_of_nhcsr(encoding, multiscale):
    net, z = decoder("nhcsr", encoding=encoding, multiscale=multiscale), features(3, 4)
    for r in (3, 4):
        n = (3 * r, 4 * r)
        same(net(z, Points(grid_points(n)), r), net(z, Nodes(n), r).flatten(2))


@torch.inference_mode()
def test_cascade():
    net, z, query = decoder("clit-3"), features(), Nodes((24, 32))
    fields = net.fields(z, query, 8.0)
    step = net.branches[1](F.interpolate(net.embed(z), scale_factor=2, mode="bilinear"), net.bias, query, 2 * 0.5)
    same(fields[1], step + 0.75 * fields[0])
    first = decoders["clit-3"](CHANNELS, 2, active=1, **SMALL["clit-3"]).double()
    first.load_state_dict(net.state_dict())
    same(first(z, query, 8.0), fields[0])
    with pytest.raises(ValueError, match="active"):
        decoders["clit"](CHANNELS, 2, active=3)


@torch.inference_mode()
def test_galerkin_integrals_are_those_of_the_node_grid():
    """Constant states: the integral is the value itself, whatever the grid and the number of pieces."""
    net = decoder("srno")
    z = torch.randn(2, 16, dtype=torch.float64)[:, None]
    one = net.layers[0].moments(z, torch.ones(1, dtype=torch.float64))
    for n in ((4, 6), (64, 48)):
        total = 0
        for block in (p for row in local.pieces(Nodes(n), 100) for p in row):
            w = srno._weights(block)
            total = total + net.layers[0].moments(z.expand(-1, len(w), -1), w)
        same(total, one)


@torch.inference_mode()
def test_diffusion_is_seeded_and_independent_of_the_batch():
    net, z, query = decoder("idm"), features(), Nodes((12, 16))
    one = net(z, query, 2.0)
    assert torch.equal(net(z, query, 2.0), one)
    same(net(z[1:], query, 2.0), one[1:])
    other = decoder("idm", seed=1)(z, query, 2.0)
    assert not torch.allclose(other, one)
    assert net.stochastic
    assert list_decoders(stochastic=False) == [n for n in NAMES if n != "idm"]


def test_published_loss_of_the_diffusion():
    net = decoder("idm")
    loss = net.denoising_loss(features(), torch.zeros(2, 2, 13, 17).double(), 2.0, torch.Generator().manual_seed(0))
    loss.backward()
    assert float(loss.detach()) > 0


@torch.inference_mode()
def test_frequency_encoding_readings():
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    index, coordinate = (decoders["frl"](CHANNELS, 2, reading=r, **SMALL["frl"]) for r in ("index", "coordinate"))
    waves = slice(0, 4)
    same(index.encode(t, 64)[:, waves], index.encode(t, 256)[:, waves])  # same physical frequency, same code
    assert not torch.allclose(coordinate.encode(t, 64)[:, waves], coordinate.encode(t, 256)[:, waves])
    assert not index.encode(t, 8)[:, 3:8].any()  # above the Nyquist frequency of 8 cells
    with pytest.raises(ValueError, match="reading"):
        decoders["frl"](CHANNELS, 2, reading="other")


@torch.inference_mode()
def test_filters_are_shared_on_node_grids(monkeypatch):
    net, z = decoder("metasr"), features()
    shared = net(z, Nodes((24, 32)), 4.0)
    places = []
    original = MetaSR.kernels
    monkeypatch.setattr(MetaSR, "kernels", lambda self, f, r: places.append(len(f)) or original(self, f, r))
    same(net(z, Nodes((24, 32)), 4.0), shared)
    assert places == [25]  # four places per axis, and the end


# Encoders ----------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_swinir_cuts_back_and_does_not_wrap_around():
    net = randomised(encoders["swinir"](2, 4, width=8, groups=1, depth=2, heads=2, window=4), std=0.1)
    for shape in ((3, 5), (16, 16), (9, 22)):
        assert net(torch.rand(1, 2, *shape).double()).shape == (1, 4, *shape)
    a = torch.rand(1, 2, 16, 16).double()
    b = a.clone()
    b[..., 0, 0] += 1
    change = (net(b) - net(a)).abs().amax((0, 1))
    assert float(change[:4, :4].min()) > 0
    assert float(change[12:].max()) == 0
    assert float(change[:, 12:].max()) == 0


@torch.inference_mode()
def test_swinir_does_not_mix_batches():
    net = randomised(encoders["swinir"](2, 4, width=8, groups=1, depth=2, heads=2, window=4), std=0.1)
    x = torch.rand(3, 2, 9, 11).double()
    same(torch.cat([net(v[None]) for v in x]), net(x))


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
from ngs_nhcsr.networks.positions import Nodes
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
