"""From an image of one's own to the PDE's solution with guaranteed bounds, a velocity, and what the rock conducts.

    python examples/own_image.py [image.png]      # sandstone by default, ten seconds

Images may have any size, here 298 x 203 pixels of three phases: the coarse mesh need not fit them. Every number that is
printed comes with a bound.
"""

# %% Read the file: one value per grey level, the darkest first. Rows are flipped, since y grows upwards.
import sys
from pathlib import Path

import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, Integrate, VoxelCoefficient, dx, grad, x
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import correct
from ngs_nhcsr.media.images import read_medium
from ngs_nhcsr.solvers.trace import effective_conductivity

path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images" / "sandstone.png"
medium = read_medium(path, values=(10.0, 1.0, 0.1))  # pore, cement, grain
my, mx = medium.a.shape
width, height = mx / 100, my / 100
print(f"{mx} x {my} pixels; " + "; ".join(medium.notes))
print("phases:", ", ".join(f"{value:g} on {share:.0%}" for value, share in medium.phases))

# %% A coarse solve in NGSolve: pressure 1 on the left, 0 on the right, nothing through the other sides.
mesh = MakeStructured2DMesh(quads=True, nx=24, ny=16, mapping=lambda px, py: (width * px, height * py))
fes = H1(mesh, order=1, dirichlet="left|right")
u, v = fes.TnT()
a = VoxelCoefficient((0, 0), (width, height), medium.a, linear=False)
A = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
u_coarse = GridFunction(fes)
u_coarse.Set(1 - x / width, definedon=mesh.Boundaries("left|right"))
residual = (-A.mat * u_coarse.vec).Evaluate()
u_coarse.vec.data += A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * residual

# %% The solution of the PDE, without a mesh below the pixels, and how far it may be off.
result = correct(u_coarse, a, scale=16, target="pde", f=0, g=1 - x / width, full=True)
field = result.field
low, high = field.side_flux_bounds("left")
print(f"energy error against the PDE's solution: at most {result.relative_error_bound:.2%} of it, guaranteed")
print(f"flow from left to right: between {low:.7f} and {high:.7f}, guaranteed")
print(f"by the coarse solution it would be {Integrate(a * grad(u_coarse) ** 2, mesh, order=8):.5f}")

# %% What leaves a pixel enters its neighbour: the flow through all faces of the pixels, to round-off.
through_vertical, through_horizontal = field.flux.fluxes(medium.a.shape)
made = np.diff(through_vertical, axis=1) + np.diff(through_horizontal, axis=0)
print(f"largest flow that a pixel makes or loses: {np.abs(made).max() / high:.0e} of it")

# %% What the rock conducts as a whole, where u is x or y on the boundary: enclosed between two tensors.
sigma = effective_conductivity(medium.a, boundary="linear", size=(height, width))
print("effective conductivity:", np.round(sigma.tensor, 4).tolist())
print(f"bounds apart by {np.linalg.norm(sigma.upper - sigma.lower, 2) / np.linalg.norm(sigma.tensor, 2):.1e} of it")
