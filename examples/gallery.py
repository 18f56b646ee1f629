"""Every kind of picture, once.

    python examples/gallery.py docs/gallery

makes those of docs/gallery.md, in the folder that is named, by default "gallery"; 20 s.
"""

import sys
from pathlib import Path

import numpy as np
from ngsolve import H1, BilinearForm, GridFunction, LinearForm, VoxelCoefficient, dx, grad
from ngsolve.meshes import MakeStructured2DMesh
from PIL import Image

from ngs_nhcsr import (
    correct,
    orbit,
    plot_compare,
    plot_field,
    plot_slices,
    plot_spectrum,
    plot_warp,
    plot_zoom,
    solve_fine,
)

N, SCALE = 8, 16
folder = Path(sys.argv[1] if len(sys.argv) > 1 else "gallery")
folder.mkdir(parents=True, exist_ok=True)


def smaller(path: Path) -> None:
    """Save a picture again, better compressed; a large one with two thirds of the points a side."""
    picture = Image.open(path).convert("RGB")
    if path.stat().st_size > 150_000:
        picture = picture.resize((picture.width * 2 // 3, picture.height * 2 // 3), Image.Resampling.LANCZOS)
    picture.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


# %% A problem with its coarse, corrected and fine solution.
kappa = np.where(np.random.default_rng(3).random((4 * N, 4 * N)) < 0.5, 1.0, 200.0)
a = VoxelCoefficient((0, 0), (1, 1), kappa, linear=False)
mesh = MakeStructured2DMesh(quads=True, nx=N, ny=N)
fes = H1(mesh, order=1, dirichlet=".*")
u, v = fes.TnT()
u_coarse = GridFunction(fes)
A = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
F = LinearForm(v * dx).Assemble()
u_coarse.vec.data = A.mat.Inverse(fes.FreeDofs()) * F.vec
r = correct(u_coarse, a, scale=SCALE, f=1.0, full=True, refine=0, on_untrusted="return")
u_fine = r.u_fine
u_h = solve_fine(a, u_fine.space)

# %% Maps, surfaces, comparisons.
plot_field(
    a, mesh=mesh, name="a", title="coefficient, contrast 200", path=folder / "coefficient.png", show=False
).close()
plot_field(u_coarse, title="coarse solution, 8 x 8 cells", path=folder / "coarse.png", show=False).close()
plot_field(
    r.velocity(), name="size", title="velocity −a∇u, conservative", path=folder / "velocity.png", show=False
).close()
plot_field(
    r.indicator, name="η", title="what cells add to the error bound", path=folder / "indicator.png", show=False
).close()
plot_warp(u_fine, title="corrected, 128 x 128 cells", path=folder / "surface.png", show=False).close()
plot_compare(u_coarse, u_fine, u_h, coefficient=kappa, path=folder / "compare.png", show=False).close()
plot_compare(u_coarse, u_fine, warp=True, path=folder / "compare_surfaces.png", show=False).close()
# %% Lines.
lines = {"coarse": u_coarse, "corrected": u_fine, "fine solve": u_h}
plot_slices(lines, y=0.4, coefficient=kappa, path=folder / "slices.png")
plot_zoom({"corrected": u_fine, "coarse": u_coarse}, kappa, coarse=(N, N), cell=(2, 3), path=folder / "zoom.png")
plot_spectrum(lines, marks={"1/(2H)": N / 2, "1/(2ε)": 2 * N}, path=folder / "spectrum.png")

# %% An array instead of NGSolve's fields, on a wide rectangle; an animation.
wide = np.exp(np.cumsum(np.random.default_rng(1).normal(size=(12, 60)), axis=1) / 2)
plot_field(wide, name="a", title="an array, 60 x 12 cells", path=folder / "wide.png", show=False).close()
orbit(u_fine, folder / "orbit.gif", frames=12, size=(440, 320))
for made in sorted(folder.glob("*.png")):
    smaller(made)
