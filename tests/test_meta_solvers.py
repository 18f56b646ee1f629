"""Solvers on torch's meta device, as on a GPU: a tensor made on the CPU inside raises."""

import pytest
import torch
from test_meta_device import META, constants, network  # noqa: F401

from ngs_nhcsr.models import load_model
from ngs_nhcsr.proposer import NetworkProposer
from ngs_nhcsr.solvers.bvp import BoundaryValueProblem
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.multigrid import Multigrid
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.substructuring.plain_start import PlainQ1
from ngs_nhcsr.solvers.substructuring.solve import solve
from ngs_nhcsr.solvers.target import FineQ1


def empty(*shape):
    return torch.empty(*shape, dtype=torch.float64, device=META)


@pytest.mark.parametrize("cells", [(64, 64), (48, 33)])
@pytest.mark.usefixtures("constants")
def test_multigrid(cells):
    free = torch.zeros(cells[0] + 1, cells[1] + 1, dtype=torch.bool, device=META)
    mg = Multigrid(empty(2, 16, 16), cells, free=free)
    b = empty(2, cells[0] + 1, cells[1] + 1)
    u, info = mg.solve(b, b, max_iterations=2)
    assert u.device.type == info.energy_drop.device.type == "meta"
    assert mg.relative_error(b, u).shape == (2,)


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("f_known", [True, False])
@pytest.mark.usefixtures("constants")
def test_the_whole_algorithm_of_a_correction(learned, f_known):
    N, scale = 16, 16
    proposer = (
        NetworkProposer(network(load_model("basis-hybrid", "cpu").network.architecture)) if learned else PlainQ1()
    )
    space, medium, U = Space((N, N)), Medium(empty(2, 4 * N, 4 * N)), empty(2, 3, N + 1, N + 1)
    load = Load(empty(2, 3, 8 * N + 1, 8 * N + 1)) if f_known else Load.from_solution(U, medium, space)
    with torch.inference_mode():
        field = solve(BoundaryValueProblem(space, medium, load, U), FineQ1(scale), proposer)
    assert field.device.type == "meta"
    assert field.shape == (2, 3, N * scale + 1, N * scale + 1)
