"""From a png of soil to a corrected solution and a picture of it: what is read, what is said, how good it is.

    python examples/soil_image.py [soil.png]      # ten seconds; saves soil_compare.png

The image has four grey levels, one per phase (examples/images/make.py). Its middle is taken, 128 x 128 pixels on
32 x 32 quads. Expect an accepted field with an energy error of about 1e-4 against u_h.
"""

# %% The image as coefficient. Its rows come from the top, those of the array from the bottom; so they are flipped.
import sys
from pathlib import Path

from ngsolve import H1, BilinearForm, GridFunction, LinearForm, VoxelCoefficient, dx, grad
from ngsolve.meshes import MakeStructured2DMesh

from ngs_nhcsr import correct, plot_compare
from ngs_nhcsr.media.images import read_medium
from ngs_nhcsr.solvers.fine import fine_solve
from ngs_nhcsr.solvers.norms import relative_errors

path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images" / "soil.png"
medium = read_medium(path, values=(1.0, 4.0, 20.0, 100.0))  # clay, loam, sand, open: the darkest first
image = medium.a[64:192, 64:192].copy()
print(f"{path.name}: {'; '.join(medium.notes)}")
for value, share in medium.phases:
    print(f"  a = {value:g} on {share:.0%}")

# %% An ordinary coarse solve, with a quarter of the pixels a side, and the correction.
mesh = MakeStructured2DMesh(quads=True, nx=32, ny=32)
fes = H1(mesh, order=1, dirichlet=".*")
u, v = fes.TnT()
a = VoxelCoefficient((0, 0), (1, 1), image, linear=False)
A = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
F = LinearForm(v * dx).Assemble()
u_coarse = GridFunction(fes)
u_coarse.vec.data = A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec
result = correct(u_coarse, a, scale=16, full=True)
print(result)

# %% Compare with u_h, the Q1 solution of the fine mesh, and draw all three.
reference = fine_solve(image, 512)
errors = relative_errors(result.values, reference, image)
print(f"relative errors against u_h: energy {errors['energy']:.2g}, L2 {errors['L2']:.2g}")
u_reference = GridFunction(result.u_fine.space)
u_reference.vec.FV().NumPy()[:] = reference.ravel()
plot_compare(u_coarse, result.u_fine, u_reference, warp=True, path=Path("soil_compare.png"), show=False).close()
print("picture: soil_compare.png")
