"""Coefficients of every kind: a formula, regions of another mesh, a load, and points anywhere.

    python examples/own_coefficient.py        # ten seconds

Expect an inaccurate field for the formula on the default raster and a better one on a finer raster, with the errors by
cause; an accepted field for the regions; and values on a line.
"""

# %% An ordinary coarse solve.
import numpy as np
from netgen.geom2d import SplineGeometry
from ngsolve import H1, L2, BilinearForm, GridFunction, LinearForm, Mesh, dx, grad, sin, x, y
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import Corrector, correct


def solve(a, n):
    """Solution with f = 1 on n x n quads, zero on the sides."""
    fes = H1(MakeStructured2DMesh(quads=True, nx=n, ny=n), order=1, dirichlet=".*")
    u, v = fes.TnT()
    form = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
    u_coarse = GridFunction(fes)
    u_coarse.vec.data = form.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * LinearForm(v * dx).Assemble().vec
    return u_coarse


# %% A formula varies inside the cells of the raster, which get one value each; cells_per_coarse= makes them smaller.
wave = 1.1 + sin(80 * x) * sin(60 * y)
u_coarse = solve(wave, 24)
budgets = {}
for cells in (4, 16):
    result = correct(u_coarse, wave, scale=16, cells_per_coarse=cells, f=1, full=True, on_untrusted="return")
    budgets[cells] = result.budget
    print(f"formula, {cells} raster cells a coarse cell and axis: {result.status.name}")
    print(f"  energy error about {result.budget}")

# %% Regions of a triangle mesh: say which mesh they belong to. As GridFunction they can be assembled on any mesh.
geo = SplineGeometry()
geo.AddRectangle((0, 0), (1, 1), leftdomain=1, bc="outer")
for k in range(3):
    geo.AddRectangle((0.125, 0.125 + 0.25 * k), (0.875, 0.25 + 0.25 * k), leftdomain=2, rightdomain=1)
geo.SetMaterial(1, "matrix")
geo.SetMaterial(2, "fibre")
triangles = Mesh(geo.GenerateMesh(maxh=0.1))
fibres = triangles.MaterialCF({"matrix": 1.0, "fibre": 20.0})
on_triangles = GridFunction(L2(triangles, order=0))
on_triangles.Set(fibres)
u_coarse = solve(on_triangles, 32)
corrector = Corrector()
result = corrector(u_coarse, fibres, 8, mesh=triangles, f=1)
print(f"fibres: {result.status.name}, energy error about {result.estimate:.1e} against u_h")

# %% Values at points of your choice, without any fine mesh; across the middle fibre, from below upwards.
points = np.column_stack([np.full(5, 0.5), np.linspace(0.3, 0.575, 5)])
values = corrector.evaluate(points, u_coarse, fibres, 8, mesh=triangles, f=1)
for (px, py), value in zip(points, values, strict=True):
    print(f"u({px:.2f}, {py:.5f}) = {value:.5f}")
