"""Networks on torch's meta device: tensors without numbers, so that every tensor made on the CPU inside raises."""

import pytest
import torch
from test_zoo import CHANNELS, NAMES, SMALL

from ngs_nhcsr.models import load_model
from ngs_nhcsr.networks.corrector import CorrectorNetwork
from ngs_nhcsr.networks.decoders import decoders
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.positions import Nodes, Points
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.substructuring.skeleton import lines

META = torch.device("meta")


@pytest.fixture
def constants(monkeypatch):
    """Let meta tensors have a value where Python asks for one: true, and 1."""

    def constant(method, value):
        plain = getattr(torch.Tensor, method)
        monkeypatch.setattr(
            torch.Tensor, method, lambda t, *args: value if t.device.type == "meta" else plain(t, *args)
        )

    constant("__bool__", True)
    constant("__float__", 1.0)
    constant("__int__", 1)
    constant("item", 1.0)


def network(architecture):
    with META:
        net = CorrectorNetwork(architecture)
    return net.eval().requires_grad_(False)


def inference(on):
    return torch.inference_mode() if on else torch.enable_grad()


@pytest.mark.parametrize("without_gradients", [True, False])
@pytest.mark.parametrize("N", [16, 32])
@pytest.mark.usefixtures("constants")
def test_the_shipped_network_has_all_its_tensors_on_its_device(N, without_gradients):
    net = network(load_model("basis-hybrid", "cpu").network.architecture)
    m, r = 4 * N, 4
    with inference(without_gradients):
        medium = Medium(torch.empty(2, m, m, dtype=torch.float64, device=META))
        features = net.encode(medium, Space.with_sides((N, N), natural=("top",)), float(r))
        elements = net.kappa(features)
        assert elements.shape == (2, 10, m, m)
        base = torch.empty(2, 3, m + 1, m + 1, dtype=torch.float64, device=META)
        queries = (*lines((m, m), (r, r)), Nodes((m * r, m * r)), Points(torch.rand(5, 2, dtype=torch.float64)))
        net.expect(features, queries)
        for query in queries:
            shape = query.locate((1, 1), centred=False).shape
            fields, factor = net.decoded(features, query)
            values = net.fine_scales(features, base, query)
            assert (fields.shape, factor.shape, values.shape) == ((2, 5, *shape), shape, (2, 3, *shape))
            assert {t.device.type for t in (features.maps, elements, fields, factor, values)} == {"meta"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("constants")
def test_decoders_have_all_their_tensors_on_their_device(name):
    with META:
        net = decoders[name](CHANNELS, 2, **SMALL[name]).eval()
    with torch.inference_mode():
        features = torch.empty(2, CHANNELS, 6, 8, device=META)
        for query in (Nodes((24, 32)), Nodes((9, 11)), Points(torch.rand(5, 2, dtype=torch.float64))):
            out = net(features, query, 4.0)
            assert out.device.type == "meta"
            assert out.shape == (2, 2, *query.locate((1, 1), centred=False).shape)


@pytest.mark.usefixtures("constants")
def test_a_tensor_on_another_device_is_found():
    with META:
        layer = torch.nn.Conv2d(2, 2, 1)
    with pytest.raises(RuntimeError):
        layer(torch.empty(1, 2, 3, 3, device=META)) + torch.zeros(1, 2, 3, 3)
