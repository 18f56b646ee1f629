"""Coefficients of every kind: a formula, regions of another mesh, a load, and points anywhere.

    python examples/own_coefficient.py        # ten seconds

Expect a warning about what varies inside raster cells, an accepted field for the regions, and five values on a line.
"""

# %% A coefficient given by a formula varies inside raster cells; cells_per_coarse= sets the raster.
import logging
import warnings

import numpy as np
from netgen.geom2d import SplineGeometry
from ngsolve import H1, BilinearForm, CoefficientFunction, GridFunction, LinearForm, Mesh, dx, grad, sin, x, y
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import Corrector, NhcsrWarning, correct

logging.basicConfig(level=logging.INFO, format="  %(name)s: %(message)s")


def solve(a, f, n=24, bonus=0):
    """An ordinary coarse solve; returns solution and form."""
    mesh = MakeStructured2DMesh(quads=True, nx=n, ny=n)
    fes = H1(mesh, order=1, dirichlet=".*")
    u, v = fes.TnT()
    form = BilinearForm(a * grad(u) * grad(v) * dx(bonus_intorder=bonus)).Assemble()
    load = LinearForm(f * v * dx).Assemble()
    gfu = GridFunction(fes)
    gfu.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * load.vec
    return gfu, form


wave = 1.1 + sin(80 * x) * sin(60 * y)
u_coarse, form = solve(wave, 1.0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", NhcsrWarning)
    u_fine = correct(u_coarse, wave, scale=8)
for w in caught:
    print("warned:", w.message)

# %% Regions of a triangle mesh: say which mesh they belong to.
geo = SplineGeometry()
geo.AddRectangle((0, 0), (1, 1), leftdomain=1, bc="outer")
for k in range(3):
    geo.AddRectangle((0.125, 0.125 + 0.25 * k), (0.875, 0.25 + 0.25 * k), leftdomain=2, rightdomain=1)
geo.SetMaterial(1, "matrix")
geo.SetMaterial(2, "fibre")
triangles = Mesh(geo.GenerateMesh(maxh=0.1))
fibres = triangles.MaterialCF({"matrix": 1.0, "fibre": 20.0})
# The same coefficient as a GridFunction can be assembled on any mesh.
from ngsolve import L2  # noqa: E402

on_triangles = GridFunction(L2(triangles, order=0))
on_triangles.Set(fibres)
u_coarse, form = solve(on_triangles, CoefficientFunction(1.0), n=32)
result = Corrector()(u_coarse, fibres, 8, mesh=triangles, f=1)
print("fibres:", result.status.name, "-", result.status.value)
for note in result.notes:
    print("  ", note)

# %% Values at points of your choice, without any fine mesh.
points = np.column_stack([np.linspace(0, 1, 5), np.full(5, 0.5)])
print("along y = 1/2:", Corrector().evaluate(points, u_coarse, fibres, 8, mesh=triangles, f=1).round(5))
