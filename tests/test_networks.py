"""Symmetries, identities and equal paths that hold for any weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import batch_problem, network_field

from ngs_nhcsr.networks.architecture import Architecture
from ngs_nhcsr.networks.corrector import CorrectorNetwork
from ngs_nhcsr.networks.symmetry import transform
from ngs_nhcsr.proposer import NetworkProposer, transformed
from ngs_nhcsr.solvers.bvp import BoundaryValueProblem
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.positions import Nodes, Points
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.substructuring.solve import PreparedSolve
from ngs_nhcsr.solvers.target import FineQ1
from ngs_nhcsr.solvers.transfer import prolongate

SMALL = {
    "basis": Architecture(
        encoder_options={"widths": (8, 12), "depth": 1}, decoder_options={"rank": 5, "width": 8}, upscaling=1
    ),
    "basis, upscaled twice as fine": Architecture(
        encoder_options={"widths": (8, 12), "depth": 1}, decoder_options={"rank": 5, "width": 8}, upscaling=2
    ),
    "three coarse solutions": Architecture(
        encoder_options={"widths": (8, 12), "depth": 1},
        decoder_options={"rank": 5, "width": 8},
        inputs="coefficient+solutions",
        upscaling=4,
    ),
    "nhcsr": Architecture(
        encoder="rdn",
        decoder="nhcsr",
        encoder_options={"channels": 8, "blocks": 1, "layers": 2, "growth": 4},
        decoder_options={"dim": 8, "heads": 2, "gabor": 6, "mlp": (12,)},
        inputs="coefficient+solution",
        output="first-order",
        upscaling=1,
    ),
}


def network(architecture, seed=0):
    """Random weights everywhere, also where training starts at zero."""
    torch.manual_seed(seed)
    net = CorrectorNetwork(architecture).double().eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.15)
    return net


def problem(N=6, M=8, per=4, batch=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    A = torch.where(torch.rand(batch, per * N, per * M, generator=g) < 0.5, 1.0, 10.0).double()
    U = torch.rand(batch, N + 1, M + 1, generator=g, dtype=torch.float64)
    U[:, 0] = U[:, -1] = 0
    U[:, :, 0] = U[:, :, -1] = 0
    return U, A


def grid_points(n):
    y, x = (torch.arange(k + 1, dtype=torch.float64) / k for k in n)
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)


@pytest.mark.parametrize("name", list(SMALL))
@pytest.mark.parametrize("scale", [1, 2, 2.5, 3, 4, 5, 8, 16])
@torch.inference_mode()
def test_fast_path_on_nodes_equals_pointwise_evaluation(name, scale):
    net, (U, A) = network(SMALL[name]), problem()
    n = (int(6 * scale), int(8 * scale))
    nodes = network_field(net, U, A, n)
    points = network_field(net, U, A, Points(grid_points(n)), scale=scale).reshape(nodes.shape)
    torch.testing.assert_close(nodes, points, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", list(SMALL))
@torch.inference_mode()
def test_field_is_continuous(name):
    """A quarter of the step changes the field by a quarter, also across cell faces and centres; a jump would stay."""
    net, (U, A) = network(SMALL[name]), problem(batch=1)
    solve = PreparedSolve(Medium(A), Space((6, 8)), FineQ1(16.0), NetworkProposer(net))
    for along in (0, 1):
        largest = []
        for n in (4000, 16000):
            line = torch.linspace(0.2, 0.8, n + 1, dtype=torch.float64)
            fixed = torch.full_like(line, (0.37, 0.5)[along])
            v = solve.solve(batch_problem(U, A), Points(torch.stack([line, fixed][:: 1 - 2 * along], 1)))[0, 0]
            largest.append(float((v[1:] - v[:-1]).abs().max()))
        assert largest[1] < 0.3 * largest[0]


@pytest.mark.parametrize("name", list(SMALL))
@torch.inference_mode()
def test_scaling_of_solution_and_coefficient(name):
    net, (U, A) = network(SMALL[name]), problem()
    u = network_field(net, U, A, (24, 32))
    torch.testing.assert_close(network_field(net, 3e7 * U, A, (24, 32)), 3e7 * u, rtol=1e-6, atol=1.0)
    torch.testing.assert_close(network_field(net, U, 1e-5 * A, (24, 32)), u, rtol=1e-6, atol=1e-6)
    assert float(network_field(net, 0 * U, A, (24, 32)).abs().max()) == 0


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_on_meshes_no_finer_than_the_effective_grid_the_field_is_the_fine_solution(scale):
    """For any weights; and there is nothing to learn: the field does not depend on them."""
    from ngs_nhcsr.training.problems import solve_ladder

    architecture = replace(SMALL["basis"], upscaling=4)
    net, (_, A) = network(architecture), problem(8, 8, batch=2)
    f = torch.rand(2, 1, 33, 33, dtype=torch.float64)
    p = solve_ladder(A, f, 8, (2, 4), 1e-11)
    u = p.targets[scale] if scale > 1 else p.U
    n = (8 * scale, 8 * scale)
    with torch.inference_mode():
        torch.testing.assert_close(network_field(net, p.U, A, n, load=p.F), u, rtol=0, atol=1e-9 * float(u.abs().max()))
    field = network_field(net, p.U, A, n, load=p.F)
    torch.testing.assert_close(field, u, rtol=0, atol=1e-9 * float(u.abs().max()))
    assert not field.requires_grad


@torch.inference_mode()
def test_constants_are_added_to_the_field():
    """With an effective problem and derivatives of its solution alone, U + c gives u + c."""
    net, (U, A) = network(SMALL["basis, upscaled twice as fine"]), problem()
    torch.testing.assert_close(network_field(net, U + 5, A, (24, 32)), network_field(net, U, A, (24, 32)) + 5)


@torch.inference_mode()
def test_coefficient_only_network_is_linear_in_the_solution():
    net, (U, A), (V, _) = network(SMALL["basis"]), problem(), problem(seed=1)
    both = network_field(net, 2 * U - 3 * V, A, (24, 32))
    torch.testing.assert_close(both, 2 * network_field(net, U, A, (24, 32)) - 3 * network_field(net, V, A, (24, 32)))


@pytest.mark.parametrize("name", list(SMALL))
@torch.inference_mode()
def test_dirichlet_values_are_exact(name):
    net, (U, A) = network(SMALL[name]), problem(batch=1)
    U = U + torch.rand(1, 7, 9, dtype=torch.float64)
    u = network_field(net, U, A, (48, 64))[0].numpy()
    P = prolongate(U[0].numpy(), (48, 64))
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        np.testing.assert_allclose(u[edge], P[edge], atol=1e-12)


@torch.inference_mode()
@pytest.mark.parametrize("name", list(SMALL))
def test_several_loads_of_a_coefficient_at_once(name):
    net, (U, A), (V, _) = network(SMALL[name]), problem(), problem(seed=1)
    F, G = torch.rand(2, 2, 13, 17, dtype=torch.float64) / 100
    both = network_field(net, torch.stack([U, V], 1), A, (24, 32), load=torch.stack([F, G], 1))
    torch.testing.assert_close(both[:, 0], network_field(net, U, A, (24, 32), load=F))
    torch.testing.assert_close(both[:, 1], network_field(net, V, A, (24, 32), load=G))


@torch.inference_mode()
def test_untrained_network_is_the_prolongation_of_a_coarse_solution():
    arch = replace(SMALL["basis"], upscaling=0)
    net, (U, A) = CorrectorNetwork(arch), problem()
    torch.testing.assert_close(network_field(net, U, A, (24, 32)), prolongate(U, Nodes((24, 32))))


@torch.inference_mode()
def test_upscaling_with_the_exact_coefficient_changes_nothing():
    """For a constant coefficient the geometric mean is exact, so a discretely harmonic U stays, whatever its sides."""
    net, (U, A) = CorrectorNetwork(SMALL["basis"]).eval(), problem()
    y, x = torch.linspace(0, 1, 7, dtype=torch.float64)[:, None], torch.linspace(0, 1, 9, dtype=torch.float64)
    U = (0.3 + x - 2 * y + 3 * x * y).expand_as(U)
    problem_ = batch_problem(U, torch.full_like(A, 7.0), f=torch.zeros(2, 7, 9))
    _, base = NetworkProposer(net).prepare(problem_.medium, problem_.space, FineQ1(16.0)).encoded(problem_)
    torch.testing.assert_close(base[:, 0], U)


@pytest.mark.parametrize("mean", ["geometric", "harmonic"])
def test_further_coarse_solutions_are_those_of_the_solvers(mean):
    from ngs_nhcsr.proposer import solve_with_mean
    from ngs_nhcsr.solvers.coarse import coarse_solve

    _, A = problem(8, 8, batch=1)
    a, f = A[0].numpy(), np.random.default_rng(0).random((9, 9))
    U = torch.from_numpy(coarse_solve(a, 8, f))[None]
    ours = solve_with_mean(mean, batch_problem(U, A, f=torch.from_numpy(f)[None]))[0, 0]
    np.testing.assert_allclose(ours.numpy(), coarse_solve(a, 8, f, mean=mean), atol=1e-14)


def test_effective_problem_is_solved_to_fourth_order():
    """Constant coefficient, u = sin(πx) sin(2πy): values at nodes converge like h⁴, those of Q1 only like h²."""
    from ngs_nhcsr.networks.corrector import HOURGLASS
    from ngs_nhcsr.solvers.stencil import tensor_elements
    from ngs_nhcsr.solvers.substructuring.effective import EffectiveProblem

    def error(n, hourglass):
        t = torch.linspace(0, 1, n + 1, dtype=torch.float64)
        u = torch.sin(2 * torch.pi * t)[:, None] * torch.sin(torch.pi * t)
        hat = [2 * n * (1 - np.cos(k / n)) / k**2 for k in (np.pi, 2 * np.pi)]  # ∫ sin(kx) φ_i = hat · sin(kx_i)
        load = 5 * np.pi**2 * hat[0] * hat[1] * u[None]
        one = torch.ones(1, n, n, dtype=torch.float64)
        elements = tensor_elements(one, one, 0 * one, 1 / n, 1 / n, hourglass)
        W = EffectiveProblem(elements, Space((n, n))).invert(load[None])[0, 0]
        return float((W - u).abs().max())

    assert error(8, HOURGLASS) / error(16, HOURGLASS) > 14
    assert 3.8 < error(8, 1.0) / error(16, 1.0) < 4.2
    assert error(16, HOURGLASS) < 0.02 * error(16, 1.0)


def test_large_effective_problems_are_solved_by_multigrid_to_the_same_answer(monkeypatch):
    from ngs_nhcsr.networks.corrector import HOURGLASS
    from ngs_nhcsr.solvers.stencil import tensor_elements
    from ngs_nhcsr.solvers.substructuring import effective

    g = torch.Generator().manual_seed(0)
    kxx, kyy = torch.randn(2, 2, 24, 40, generator=g, dtype=torch.float64).exp()
    kxy = 0.5 * (kxx * kyy).sqrt()
    elements = tensor_elements(kxx, kyy, kxy, 1 / 24, 1 / 40, HOURGLASS)
    space = Space.with_sides((24, 40), natural=("top",))
    b = torch.rand(2, 3, 25, 41, generator=g, dtype=torch.float64)
    direct = effective.EffectiveProblem(elements, space).invert(b)
    monkeypatch.setattr(effective, "DIRECT", 8)
    iterated = effective.EffectiveProblem(elements, space).invert(b)
    torch.testing.assert_close(iterated, direct, rtol=0, atol=1e-8 * float(direct.abs().max()))


@pytest.mark.parametrize("converged", [True, False])
def test_where_multigrid_gives_up_a_direct_solver_answers(monkeypatch, converged):
    """… but where its residual is small all the same, and where it says that it got there."""
    from ngs_nhcsr.solvers.stencil import galerkin_elements
    from ngs_nhcsr.solvers.substructuring import effective

    space, b = Space((32, 32)), torch.ones(1, 1, 33, 33, dtype=torch.float64)
    elements = galerkin_elements(torch.ones(1, 32, 32, dtype=torch.float64), (32, 32), (1.0, 1.0))
    direct = effective.EffectiveProblem(elements, space).invert(b)
    monkeypatch.setattr(effective, "DIRECT", 8)
    for share in (0.5, 1 - 1e-9):
        found = (share * direct, converged)
        for name in ("_compiled_solver", "_torch_solver"):
            monkeypatch.setattr(effective, name, lambda *_, found=found: lambda b, tolerance: found)
        answer = effective.EffectiveProblem(elements, space).invert(b)
        torch.testing.assert_close(answer, found[0] if converged or share > 0.9 else direct)


@pytest.mark.parametrize("per", [1, 2])
def test_gradient_through_the_coarse_solve(per):
    from ngs_nhcsr.networks.kappa import KappaHead
    from ngs_nhcsr.solvers.stencil import tensor_elements
    from ngs_nhcsr.solvers.substructuring.effective import EffectiveProblem

    torch.manual_seed(0)
    head = KappaHead(3, per, hidden=4).double()
    for p in head.parameters():
        torch.nn.init.normal_(p, std=0.3)
    U, A = problem(2, 3, per=2, batch=2)
    given = batch_problem(torch.stack([U, U.square()], 1), A)
    grid = given.space.refined(per)
    features = torch.rand(2, 3, 4, 6, dtype=torch.float64, requires_grad=True)

    def solution(z):
        elements = tensor_elements(*head(z, A, grid.cells, 2.0), *grid.spacing)
        return EffectiveProblem(elements, grid).solve(given.load, given.U)

    assert torch.autograd.gradcheck(solution, (features,), atol=1e-6)


@pytest.mark.parametrize("g", range(8))
def test_symmetrised_prediction_commutes_with_the_symmetries(g):
    from ngs_nhcsr.models import Contract, Model, ModelCard

    net = network(SMALL["basis"])
    model = Model(ModelCard("test", {}, Contract()), net, torch.device("cpu"))
    U, A = (v[0].numpy() for v in problem(6, 6, batch=1))
    space = Space.with_sides((6, 6), natural=("right",))
    given = BoundaryValueProblem(space, Medium(A), None, U)
    one = model.solve(given, 4.0, symmetrize=True)
    two = model.solve(transformed(given, g), 4.0, symmetrize=True)
    np.testing.assert_allclose(two, transform(one, g), atol=1e-11)


def test_every_encoder_keeps_the_size_of_its_map():
    from ngs_nhcsr.networks.encoders import encoders

    for name in encoders.names():
        if name == "rdn-b":
            continue
        net = encoders[name](3)
        assert net(torch.rand(1, 3, 21, 34)).shape == (1, net.channels, 21, 34)


def test_parameter_counts_of_the_published_encoders():
    """RDN-B as published, with 2 input channels; light model within its budget."""
    from ngs_nhcsr.networks.encoders import encoders

    count = lambda net: sum(p.numel() for p in net.parameters())  # noqa: E731
    assert count(encoders["rdn-b"](2)) == 21_973_376
    assert count(CorrectorNetwork(Architecture())) < 1_500_000
