"""Local solves on the edges of the coefficient's cells, checked against assembled fine matrices."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import batch_problem, network_field
from test_networks import SMALL, network, problem

from ngs_nhcsr.networks.architecture import Architecture
from ngs_nhcsr.networks.corrector import CorrectorNetwork
from ngs_nhcsr.proposer import NetworkProposer
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.positions import Nodes
from ngs_nhcsr.solvers.q1 import mass_apply, stiffness
from ngs_nhcsr.solvers.substructuring.scheme import Scheme
from ngs_nhcsr.solvers.substructuring.skeleton import Skeleton
from ngs_nhcsr.solvers.substructuring.values import Values
from ngs_nhcsr.solvers.target import FineQ1
from ngs_nhcsr.solvers.transfer import prolongate

CELLS = (5, 6)


def case(r, size=(1.0, 1.0), contrast=50.0, seed=0, q=1):
    """Skeleton, fine solution and load vector for a load that is bilinear on parts of coefficient cells."""
    r, q = (v if isinstance(v, tuple) else (v, v) for v in (r, q))
    rng = np.random.default_rng(seed)
    A = contrast ** rng.random(CELLS)
    f = rng.random((q[0] * CELLS[0] + 1, q[1] * CELLS[1] + 1))
    n = (r[0] * CELLS[0], r[1] * CELLS[1])
    fine = prolongate(torch.from_numpy(f), Nodes(n)).numpy()
    skeleton = Skeleton(Medium(torch.from_numpy(A)[None]), torch.from_numpy(f)[None, None], r, size)
    return skeleton, A, fine_solve(A, n, fine, size=size), mass_apply(fine, size)


def lines(skeleton, u):
    """Values of a fine field (ny+1, nx+1) on the skeleton."""
    v = torch.from_numpy(np.ascontiguousarray(u))[None, None]
    return Values.of_lines(v[..., :: skeleton.r[0], :], v[..., :: skeleton.r[1]], skeleton.r)


def perturbed(u, seed=1):
    """u with noise on all inner nodes."""
    noise = np.zeros_like(u)
    noise[1:-1, 1:-1] = np.random.default_rng(seed).standard_normal((u.shape[0] - 2, u.shape[1] - 2))
    return u + 0.1 * abs(u).max() * noise


@pytest.mark.parametrize("size", [(1.0, 1.0), (2.0, 0.7)])
@pytest.mark.parametrize(("r", "q"), [(2, 1), (2, 2), (3, 1), (4, 2), (4, 4), (9, 3), ((2, 5), 1), ((6, 3), (2, 3))])
def test_the_fine_solution_is_at_rest(r, q, size):
    skeleton, _, u, _ = case(r, size, q=q)
    v = lines(skeleton, u)
    np.testing.assert_allclose(skeleton.field(v)[0, 0], u, atol=1e-12 * abs(u).max())
    np.testing.assert_allclose(skeleton.field(skeleton.relaxed(v))[0, 0], u, atol=1e-11 * abs(u).max())
    assert float(skeleton.residual(v)[..., 1:-1, 1:-1].abs().max()) < 1e-12


@pytest.mark.parametrize("r", [2, 5])
def test_inside_cells_and_on_the_last_edges_no_force_is_left(r):
    skeleton, A, u, load = case(r)
    v = skeleton.relax_edges(lines(skeleton, perturbed(u)))
    field = skeleton.field(v)[0, 0].numpy()
    n = field.shape
    force = (load.ravel() - stiffness(A, (n[0] - 1, n[1] - 1)) @ field.ravel()).reshape(n)
    assert abs(force[1:r, 1:r]).max() < 1e-12
    for k in range(1, r):
        assert abs(force[k::r]).max() > 1e-3 or r == 2
        assert abs(np.delete(force[k::r], np.s_[::r], axis=1)).max() < 1e-12
    last = force[2 * r : -1 : 2 * r]  # the second colour of level edges came last
    assert abs(np.delete(last, np.s_[::r], axis=1)).max() < 1e-12


@pytest.mark.parametrize("r", [2, 4])
@pytest.mark.parametrize("contrast", [1.0, 1e4])
def test_every_step_lowers_the_energy_error_of_any_field(r, contrast):
    skeleton, A, u, _ = case(r, contrast=contrast)
    v = lines(skeleton, perturbed(u))

    def error(v):
        return energy_norm(skeleton.field(v)[0, 0].numpy() - u, A)

    errors = [energy_norm(perturbed(u) - u, A), error(v)]
    for step in 3 * (skeleton.relax_edges, skeleton.relax_corners):
        v = step(v)
        errors.append(error(v))
    assert all(later < earlier for earlier, later in itertools.pairwise(errors))
    assert errors[-1] < 0.3 * errors[1]


def test_the_residual_is_that_of_the_fine_matrix_tested_with_coarse_hats():
    r = 3
    skeleton, A, u, load = case(r)
    v = lines(skeleton, perturbed(u))
    field = skeleton.field(v)[0, 0].numpy()
    force = load.ravel() - stiffness(A, (r * CELLS[0], r * CELLS[1])) @ field.ravel()
    unit = torch.eye((CELLS[0] + 1) * (CELLS[1] + 1), dtype=torch.float64).view(-1, CELLS[0] + 1, CELLS[1] + 1)
    hats = prolongate(unit, Nodes((r * CELLS[0], r * CELLS[1]))).flatten(1).numpy()
    np.testing.assert_allclose(skeleton.residual(v)[0, 0].flatten(), hats @ force, atol=1e-12)


def test_the_best_values_on_a_line_are_the_best():
    skeleton, A, u, _ = case(4)
    v, w = (lines(skeleton, perturbed(u, seed)) for seed in (1, 2))

    def error(share):
        mixed = (1 - share) * skeleton.field(v) + share * skeleton.field(w)
        return energy_norm(mixed[0, 0].numpy() - u, A)

    least = energy_norm(skeleton.field(skeleton.line_search(v, w, extrapolate=True))[0, 0].numpy() - u, A)
    assert least <= min(error(s) for s in np.linspace(-1, 2, 61))
    np.testing.assert_allclose(least, min(error(s) for s in np.linspace(0, 1, 2001)), rtol=1e-5)
    x = skeleton.relaxed(w)  # far better than w, so the best between them and the best before x differ
    for a, b, best in ((w, x, "second"), (x, w, "first")):
        between = energy_norm(skeleton.field(skeleton.line_search(a, b))[0, 0].numpy() - u, A)
        assert between <= energy_norm(skeleton.field(x)[0, 0].numpy() - u, A) * (1 + 1e-12), best


@torch.inference_mode()
def test_no_correction_raises_the_energy_error_whatever_the_weights():
    A = np.where(np.random.default_rng(4).random((16, 16)) < 0.5, 1.0, 100.0)
    u, U = fine_solve(A, 64, 1.0), fine_solve(A, 4, 1.0)
    f, given = torch.ones(1, 17, 17), (torch.from_numpy(U)[None], torch.from_numpy(A)[None])
    for seed in range(8):
        net, errors = network(SMALL["basis"], seed), []
        for p in net.upscaling.head.parameters():
            p.mul_(10)  # κ is far off
        for corrections in range(3):
            scheme = Scheme(corrections)
            field = network_field(net, *given, (64, 64), f=f, scheme=scheme)[0].numpy()
            errors.append(energy_norm(field - u, A))
        assert errors[2] <= errors[1] <= errors[0]


@pytest.mark.parametrize(("per", "raster"), [(1, (32, 32)), (4, (32, 32)), (4, (32, 16))])
@torch.inference_mode()
def test_corrections_converge_to_the_fine_solution_for_any_weights(per, raster):
    """Without training κ is the geometric mean; each correction takes a factor off the error all the same."""
    A = np.where(np.random.default_rng(3).random(raster) < 0.5, 1.0, 10.0)
    u, U = fine_solve(A, 64, 1.0), fine_solve(A, 8, 1.0)
    f, given = torch.ones(1, 33, 33), (torch.from_numpy(U)[None], torch.from_numpy(A)[None])
    errors = []
    for corrections in (0, 1, 2, 4):
        net, scheme = CorrectorNetwork(replace(SMALL["basis"], upscaling=per)).eval(), Scheme(corrections)
        field = network_field(net, *given, (64, 64), f=f, scheme=scheme)[0].numpy()
        errors.append(energy_norm(field - u, A) / energy_norm(u, A))
    assert errors[1] < 0.75 * errors[0]
    assert errors[2] < 0.75 * errors[1]
    assert errors[3] < 0.5 * errors[2]


@torch.inference_mode()
def test_where_fine_mesh_and_raster_are_not_nested_a_coarser_field_is_interpolated():
    net, (U, A) = network(SMALL["basis"]), problem()
    coarser = network_field(net, U, A, (48, 64))  # two fine cells per coefficient cell, instead of 2.5
    torch.testing.assert_close(network_field(net, U, A, (60, 80)), prolongate(coarser, Nodes((60, 80))))


@pytest.mark.parametrize("per", [1, 2])
def test_gradients_through_local_solves_and_corrections(per):
    net, (U, A) = network(replace(SMALL["basis"], upscaling=per)), problem(2, 3)
    weight = net.upscaling.head[-1].weight
    head = weight.detach().clone()
    del net.upscaling.head[-1].weight

    def field(change):
        net.upscaling.head[-1].weight = head * change
        return network_field(net, U, A, (16, 24))

    change = torch.ones(3, 1, 1, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(field, (change,), atol=1e-6, fast_mode=True)


def test_without_local_solves_the_decoded_field_is_kept():
    architecture = Architecture(
        encoder_options={"widths": (8, 12), "depth": 1}, decoder_options={"rank": 5, "width": 8}, local_solves=False
    )
    net, (U, A) = network(architecture), problem(batch=1)
    given = batch_problem(U, A)
    prepared = NetworkProposer(net).prepare(given.medium, given.space, FineQ1(16.0))
    features, base = prepared.encoded(given)
    expected = net.fine_scales(features, base, Nodes((96, 128)))[:, 0]
    torch.testing.assert_close(network_field(net, U, A, (96, 128)), expected)
