"""Single encoders and decoders of the zoo: what each one's formula says, for any weights."""

import pytest
import torch
import torch.nn.functional as F
from test_zoo import CHANNELS, NAMES, SMALL, decoder, features, grid_points, randomised, same
from torch.utils.flop_counter import FlopCounterMode

from ngs_nhcsr.networks import local
from ngs_nhcsr.networks.decoders import decoders, srno
from ngs_nhcsr.networks.decoders.metasr import MetaSR
from ngs_nhcsr.networks.encoders import encoders
from ngs_nhcsr.networks.encodings import integrated, positional
from ngs_nhcsr.networks.symmetry import transform
from ngs_nhcsr.networks.zoo import list_decoders
from ngs_nhcsr.solvers.positions import Nodes, Points


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
def test_modulated_render_equals_its_formula():
    """Code, offset and cell size through layers that are scaled and shifted, as published: nothing folded."""
    net, z = decoder("lmf"), features()
    cell = torch.tensor([0, 7, 20, 47])
    offset = torch.rand(4, 2, dtype=torch.float64) - 0.5
    size = torch.ones(2, 4, 2, dtype=torch.float64)  # of a fine cell in half cells, at ratio 2
    inputs = torch.cat([F.unfold(z, 3, padding=1).transpose(1, 2)[:, cell], size], -1)
    code, scales, shifts = net.latent.last(F.relu(net.latent.first(inputs))).split([4, 12, 12], -1)
    h = torch.cat([code, offset.expand(2, -1, -1), size], -1)
    for k, layer in enumerate((net.first, *net.hidden)):
        h = F.relu((1 + scales[..., 4 * k : 4 * k + 4]) * layer(h) + shifts[..., 4 * k : 4 * k + 4])
    same(net.value(net.modulations(net.maps(z), 2.0)[:, cell], offset, 2.0), net.last(h))


@torch.inference_mode()
def test_the_latent_perceptron_is_evaluated_once_per_cell():
    """At every ratio, and for several queries together; the multiply-adds hardly grow with the ratio, LIIF's do."""
    rows, counts = [], {}
    for name in ("lmf", "liif"):
        net, z = decoders[name](64, 1), torch.rand(1, 64, 8, 8)
        if name == "lmf":
            net.latent.register_forward_hook(lambda *args: rows.append(args[2].shape[1]))
        for n in (4, 32):
            with FlopCounterMode(display=False) as counter:
                net(z, Nodes((n, n)), n / 8)
            counts[name, n] = counter.get_total_flops()
    assert rows == [64, 64]
    net.evaluate_many(net.prepare(z), [Nodes((4, 4)), Points(torch.rand(9, 2))], 2.0)
    assert counts["lmf", 32] < 1.6 * counts["lmf", 4]
    assert counts["liif", 32] > 25 * counts["liif", 4]


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
    for ry, rx in ((3, 3), (4, 4), (1, 4), (2, 1)):  # with 1: the lines of a skeleton
        n, r = (3 * ry, 4 * rx), max(ry, rx)
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
