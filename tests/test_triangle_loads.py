"""Loads recovered on triangles: their estimated error is about their error, and fluxes that nobody gave are flagged."""

import numpy as np
import pytest
from conftest import voxel
from netgen.geom2d import SplineGeometry
from ngsolve import H1, BilinearForm, GridFunction, IfPos, LinearForm, Mesh, cos, ds, dx, grad, sin, x, y

from ngs_nhcsr import Status, correct
from ngs_nhcsr.solvers.norms import relative_errors

BOX = IfPos(x - 0.31, 1.0, 0.0) * IfPos(0.62 - x, 1.0, 0.0) * IfPos(y - 0.2, 1.0, 0.0) * IfPos(0.47 - y, 1.0, 0.0)
STEP = IfPos(x - 0.51, 2.0, 0.5)


def solution(kappa, load, dirichlet="bottom|right|top|left"):
    geometry = SplineGeometry()
    geometry.AddRectangle((0, 0), (1, 1), bcs=("bottom", "right", "top", "left"))
    fes = H1(Mesh(geometry.GenerateMesh(maxh=1 / 16)), order=1, dirichlet=dirichlet)
    u, v = fes.TnT()
    form = BilinearForm(voxel(kappa) * grad(u) * grad(v) * dx).Assemble()
    out = GridFunction(fes)
    out.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * LinearForm(load(v)).Assemble().vec
    return out


@pytest.mark.parametrize("f", [BOX, STEP], ids=["box", "step"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_load_part_of_the_budget_is_about_the_error(random_medium, f, seed):
    """The field with the load given is the truth; it has the error of the fine scales, below 3e-4."""
    kappa = random_medium((64, 64), seed=seed)
    u = solution(kappa, lambda v: f * v * dx(bonus_intorder=20))
    recovered = correct(u, kappa, 8, full=True, on_untrusted="return")
    given = correct(u, kappa, 8, f=f, full=True, on_untrusted="return")
    assert recovered.values.shape == given.values.shape
    error = relative_errors(recovered.values, given.values, kappa)["energy"]
    assert error > 2e-3  # so that there is something to be estimated
    assert 0.5 * error < recovered.budget.load < 4 * error


@pytest.mark.parametrize(("waves", "largest"), [(2.0, 0.05), (3.0, 0.22)])
def test_a_grid_coarser_than_the_mesh_does_not_make_waves_longer(random_medium, waves, largest):
    """55 pixels leave 11 cells a side for a mesh of 16; sampled at their nodes the load's errors were 0.11 and 0.27."""
    kappa = random_medium((55, 55), seed=5)
    f = sin(2 * np.pi * waves * x) + cos(2 * np.pi * waves * y)
    u = solution(kappa, lambda v: f * v * dx(bonus_intorder=8))
    recovered = correct(u, kappa, 10, full=True, on_untrusted="return")
    given = correct(u, kappa, 10, f=f, full=True, on_untrusted="return")
    assert recovered.problem.space.cells == (11, 11)
    error = relative_errors(recovered.values, given.values, kappa)["energy"]
    assert error < largest
    assert error < recovered.budget.load < 10 * error


@pytest.mark.parametrize("contrast", [10.0, 100.0])
def test_a_flux_that_is_not_given_is_flagged(random_medium, contrast):
    """ACCEPTED with an error of 0.5 and more when only quads were looked at; without the flux nothing is said."""
    kappa = np.where(random_medium((64, 64), seed=3) > 1, contrast, 1.0)
    for flux in (0.0, 1.0):
        u = solution(kappa, lambda v, q=flux: v * dx + q * v * ds("right"), dirichlet="left|bottom|top")
        result = correct(u, kappa, 8, full=True, on_untrusted="return")
        assert (result.status is Status.ACCEPTED) == (flux == 0.0)
        if flux:
            assert "natural flux" in " ".join(result.notes)
            assert correct(u, kappa, 8, f=1.0, flux={"right": flux}, full=True).status is Status.ACCEPTED


@pytest.mark.parametrize("reaction", [None, 2000.0])
def test_a_source_in_one_triangle_may_be_a_point(random_medium, reaction):
    """Its moments say no more; recovered as a bump it was ACCEPTED with an eighth of its error."""
    kappa = random_medium((64, 64), seed=4)
    u = solution(kappa, lambda v: v * dx)
    fes = u.space
    p, q = fes.TnT()
    form = BilinearForm((voxel(kappa) * grad(p) * grad(q) + (reaction or 0) * p * q) * dx).Assemble()
    well = LinearForm(fes)
    well += q(0.3, 0.4)
    u.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * well.Assemble().vec
    recovered = correct(u, kappa, 8, f=well.vec, reaction=reaction, full=True, on_untrusted="return")
    read = correct(u, kappa, 8, f=well, reaction=reaction, full=True)
    given = correct(u, kappa, 8, points=[(0.3, 0.4, 1.0)], reaction=reaction, full=True)
    error = relative_errors(given.values, recovered.values, kappa)["energy"]  # relative to the field, as the budget is
    assert relative_errors(read.values, given.values, kappa)["energy"] < 1e-10  # the form says where the point is
    assert error > 1
    assert recovered.status is Status.UNVERIFIED
    assert 0.8 * error < recovered.budget.load < 2 * error
