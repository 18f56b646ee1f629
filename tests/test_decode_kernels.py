"""Inference of networks on CPUs: compiled kernels against their twins, and what is done otherwise than in training."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_zoo import CHANNELS, decoder, features, randomised, same

from ngs_nhcsr.networks import compiled, strips
from ngs_nhcsr.networks.decoders import _node_blocks as node_blocks
from ngs_nhcsr.networks.encoders import encoders
from ngs_nhcsr.networks.kappa import KappaHead
from ngs_nhcsr.solvers.positions import Nodes, Points

CHANNELS_LAST = torch.channels_last


@pytest.fixture
def without_numba(monkeypatch):
    monkeypatch.setattr(compiled, "_kernels", lambda: None)


@pytest.fixture
def kernels():
    return pytest.importorskip("ngs_nhcsr.solvers.kernels.decode")


def seeded(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Kernels --------------------------------------------------------------------------------------------------------------


def test_gelu_is_that_of_torch_to_round_off(kernels):
    x = torch.cat([torch.linspace(-12, 12, 20_001), seeded(1000) * 1e-3, torch.tensor([0.0, -0.0, 50.0, -50.0, 1e30])])
    mine = x.clone()[None]
    kernels.gelu(mine.numpy(), 0, len(x))
    exact = F.gelu(x.double(), approximate="tanh")
    assert float(((mine[0] - exact).abs() / (1e-6 + exact.abs())).max()) < 1e-5
    assert float((mine[0] - exact).abs()[x.abs() <= 12].max()) < 2e-6


def test_gelu_hides_nothing(kernels):
    x = np.array([[np.nan, np.inf, -np.inf, -1e38, 1e38]], np.float32)
    kernels.gelu(x, 0, 5)
    assert np.isnan(x[0, 0])
    assert x[0, 1] == np.inf
    assert not np.isfinite(x[0, 2])
    assert abs(x[0, 3]) < 1e-37 * 1e38
    assert x[0, 4] == np.float32(1e38)


@pytest.mark.parametrize("channels", [slice(None), slice(3, 7)])
@pytest.mark.parametrize("memory", [torch.contiguous_format, CHANNELS_LAST, None])
@torch.inference_mode()
def test_gelu_of_maps_in_every_memory_format(channels, memory):
    x = seeded(2, 9, 5, 6)
    expected = x.clone()
    expected[:, channels] = F.gelu(x[:, channels], approximate="tanh")
    given = x.repeat_interleave(2, -1)[..., ::2] if memory is None else x.contiguous(memory_format=memory)
    out = compiled.gelu(given, channels)
    assert out is given
    torch.testing.assert_close(out, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("query", [Nodes((6, 24)), Nodes((24, 6)), Nodes((7, 5)), Points(torch.rand(9, 2).double())])
@torch.inference_mode()
def test_sums_of_products_equal_their_twin(query, monkeypatch):
    base, terms = seeded(2, 3, 7, 9, dtype=torch.float64), seeded(2, 3, 5, 7, 9, seed=1, dtype=torch.float64)
    shape = query.locate((1, 1), centred=False).shape
    fields, factor = seeded(2, 5, *shape, seed=2), seeded(*shape, seed=3)
    mine = compiled.sum_of_products(base, terms, fields, factor, query)
    with monkeypatch.context() as m:
        m.setattr(compiled, "_kernels", lambda: None)
        twin = compiled.sum_of_products(base, terms, fields, factor, query)
    torch.testing.assert_close(mine, twin, rtol=0, atol=2e-6 * float(twin.abs().max()))
    exact = compiled.sum_of_products(base, terms, fields.double(), factor.double(), query)
    torch.testing.assert_close(mine, exact, rtol=0, atol=1e-12 if isinstance(query, Nodes) else 1e-5)


@torch.inference_mode()
def test_sums_of_products_pass_nan_through():
    base, terms = torch.zeros(1, 1, 3, 3).double(), torch.ones(1, 1, 2, 3, 3).double()
    fields = torch.ones(1, 2, 5, 5)
    fields[0, 1, 2, 3] = torch.nan
    out = compiled.sum_of_products(base, terms, fields, torch.ones(5, 5), Nodes((4, 4)))
    assert out.isnan().nonzero().tolist() == [[0, 0, 2, 3]]


# Encoders in strips ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (97, 6), (229, 3)])
@pytest.mark.parametrize("widths", [(6,), (6, 8), (4, 6, 8)])
def test_unet_without_gradients_equals_that_with(shape, widths, monkeypatch):
    monkeypatch.setattr(strips, "NUMBERS", 1000)
    net = randomised(encoders["unet"](3, widths=widths, depth=1))
    x = seeded(2, 3, *shape, dtype=torch.float64)
    expected = net(x)
    with torch.inference_mode():
        assert len(list(strips.strips(x, net.reach, net.channels))) > 1 or shape[0] < 8 * net.reach
        same(net(x), expected.detach())
    assert torch.autograd.grad(expected.sum(), net.stem.weight)[0].abs().max() > 0


@pytest.mark.parametrize(("rows", "reach"), [(1, 1), (7, 2), (100, 3), (257, 20)])
def test_strips_cover_all_rows_once(rows, reach, monkeypatch):
    monkeypatch.setattr(strips, "NUMBERS", 64)
    parts = list(strips.strips(torch.empty(1, 1, rows, 4), reach, 2))
    assert [k for p in parts for k in range(rows)[p.rows]] == list(range(rows))
    assert [k for p in parts for k in range(rows + 1)[p.blocks]] == list(range(rows + 1))
    assert all(p.rows.start % reach == 0 for p in parts)
    assert [p.last for p in parts] == [False] * (len(parts) - 1) + [True]


@torch.inference_mode()
def test_kappa_does_not_depend_on_the_memory_format():
    head = randomised(KappaHead(CHANNELS, 2, hidden=5))
    z, a = features(8, 12), torch.rand(2, 8, 12, generator=torch.Generator().manual_seed(0)).double() + 0.1
    for one, other in zip(
        head(z, a, (4, 6), 3.0), head(z.to(memory_format=CHANNELS_LAST), a, (4, 6), 3.0), strict=True
    ):
        same(one, other)


# Decoding grids in blocks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3)])
@pytest.mark.parametrize("r", [(1, 1), (1, 4), (4, 1), (3, 2), (5, 5)])
@pytest.mark.parametrize("numbers", [2**22, 100])
def test_blocks_of_nodes_equal_overlap_add(size, r, numbers, monkeypatch):
    monkeypatch.setattr(strips, "NUMBERS", numbers)
    net, z = decoder("basis", 3), features(*size)
    query = Nodes((r[0] * size[0], r[1] * size[1]))
    expected = net(z, query, 2.5).detach()  # with gradients: coefficients, and columns added up
    with torch.inference_mode():
        same(net(z, query, 2.5), expected)
        several = [Nodes((3, 7)), query, Points(torch.rand(4, 2).double()), query]
        for q, field in zip(several, net.evaluate_many(net.prepare(z), several, 2.5), strict=True):
            assert field.is_contiguous() or not isinstance(q, Nodes)
            same(field, net.evaluate(net._coefficients(z), q, 2.5))


@pytest.mark.parametrize("nodes", [1, 4, 300])
@torch.inference_mode()
def test_composed_kernels_equal_kernels_one_after_the_other(nodes):
    net, z = decoder("basis", 3), features(4, 5)
    linear = node_blocks.CoefficientMap.of(net.coefficients, net.bent[0], net.bent[2], 3)
    arguments, table = linear.arguments(z), seeded(nodes, net.rank, 2, 2, dtype=torch.float64)
    coefficients = net._coefficients(z)
    same(F.conv2d(arguments, linear.matrix.flatten(0, 1)[..., None, None]), coefficients.flatten(1, 2))
    expected = F.conv2d(coefficients.flatten(0, 1), table, padding=1).unflatten(0, (2, 3))
    same(linear.blocks(arguments, table), expected)


def test_training_reaches_all_parameters():
    net = decoder("basis")
    net(features().requires_grad_(), Nodes((12, 16)), 2.0).square().sum().backward()
    assert all(p.grad is not None and float(p.grad.abs().max()) > 0 for p in net.parameters())


# The shipped network --------------------------------------------------------------------------------------------------


def shipped_fields(net, N=8, r=4):
    from ngs_nhcsr.solvers.medium import Medium
    from ngs_nhcsr.solvers.space import Space
    from ngs_nhcsr.solvers.substructuring.skeleton import lines

    m = 4 * N
    a = torch.where(torch.rand(1, m, m, generator=torch.Generator().manual_seed(0)) < 0.5, 1.0, 100.0).double()
    f = net.encode(Medium(a), Space.with_sides((N, N)), float(r))
    base = seeded(1, 1, m + 1, m + 1, dtype=torch.float64)
    return [f.maps, net.kappa(f), *(net.fine_scales(f, base, q) for q in lines((m, m), (r, r)))]


def test_the_shipped_network_in_inference_is_that_with_gradients():
    from ngs_nhcsr.models import load_model

    net = load_model("basis-hybrid", "cpu").network
    slow = shipped_fields(net)
    with torch.inference_mode():
        fast = shipped_fields(net)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(other.abs().max()))


@pytest.mark.usefixtures("without_numba")
def test_the_twins_serve_where_numba_is_not_installed():
    test_the_shipped_network_in_inference_is_that_with_gradients()


def test_networks_run_without_numba():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import torch\n"
        "from ngs_nhcsr.networks.compiled import _kernels, gelu\n"
        "assert _kernels() is None\n"
        "with torch.inference_mode(): gelu(torch.ones(1, 2, 3, 4))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
