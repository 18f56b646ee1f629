import os
import sys
import zlib

import hypothesis
import pytest
import torch
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, VoxelCoefficient, dx, grad
from ngsolve.meshes import MakeStructured2DMesh

os.environ.setdefault("PYVISTA_OFF_SCREEN", "true")
hypothesis.settings.register_profile("dev", max_examples=15, derandomize=True, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=80, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
# Tests run in one process per core, each on one thread.
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else int(os.environ.get("NHCSR_TEST_THREADS", "2")))


def solve_on(mesh, a, f=1.0, *, order=1, bonus=0, dirichlet=".*"):
    """An ordinary NGSolve script: assemble a*grad(u)*grad(v)*dx and f*v*dx, solve."""
    fes = H1(mesh, order=order, dirichlet=dirichlet)
    u, v = fes.TnT()
    form = BilinearForm(a * grad(u) * grad(v) * dx(bonus_intorder=bonus)).Assemble()
    load = LinearForm(f * v * dx(bonus_intorder=6)).Assemble()
    gfu = GridFunction(fes)
    gfu.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load.vec
    return gfu, form


def voxel(kappa, lower=(0, 0), upper=(1, 1)):
    return VoxelCoefficient(lower, upper, kappa, linear=False)


def quads(nx, ny=None, mapping=None):
    return MakeStructured2DMesh(quads=True, nx=nx, ny=ny or nx, mapping=mapping)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command line in an empty folder; exit code, output and errors."""
    from ngs_nhcsr.cli import app as cli

    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ngs-nhcsr", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def rng(request):
    """Random numbers of a test's own, the same in every run."""
    import numpy as np

    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


@pytest.fixture(scope="session")
def random_medium():
    """iid {1, 10} cells, seeds apart from all used in training (those are small or near 1e9)."""
    import numpy as np

    def make(shape=(128, 128), seed=0, contrast=10.0):
        rng = np.random.default_rng(3_000_000_000 + seed)
        return np.where(rng.random(shape) < 0.5, 1.0, contrast)

    return make
