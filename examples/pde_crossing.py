"""One crossing: two conducting pixels that meet in a point, by the PDE itself and by fine Q1 meshes.

Prints the conductance between the left and the right side, and saves crossing.png, the picture of docs/pde.md:

    python examples/pde_crossing.py docs/pde/crossing.png        # five seconds
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.sparse.linalg import splu

from ngs_nhcsr.solvers.norms import energy_squared
from ngs_nhcsr.solvers.q1 import stiffness
from ngs_nhcsr.solvers.trace import TraceField, solve_pde
from ngs_nhcsr.solvers.trace.candidates import crossing_exponent
from ngs_nhcsr.solvers.transfer import prolongate

CONTRAST = 100.0
#: Rows from below: the conducting pixels are the upper left and the lower right one.
MEDIUM = np.array([[1.0, CONTRAST], [CONTRAST, 1.0]])
CELLS_PER_PIXEL = (1, 4, 16, 64)
#: Half the side of the magnified square, in pixels, and points per axis of its pictures.
WINDOW, POINTS = 0.5, 401


# %% The conductance by both.
def main(path: Path = Path("crossing.png")) -> tuple[float, float]:
    """Solve, print a table, draw; returns the bounds of the conductance."""
    u = solve_pde(
        MEDIUM, 0.0, g={"left": 0.0, "right": 1.0}, natural=("bottom", "top"), size=(2.0, 2.0), modes=8, tolerance=1e-10
    )
    fields = {n: fine_solve(n) for n in CELLS_PER_PIXEL}
    low, high = u.side_flux_bounds("right")
    print(f"contrast 1:{CONTRAST:g}, exponent of the singularity {crossing_exponent(CONTRAST):.3f}")
    print("| conductance from left to right | |\n|---|---:|")
    print(f"| exact, √(ab) | {math.sqrt(CONTRAST):g} |")
    print(f"| trace space, eight functions per edge, guaranteed bounds | {low:.7f} … {high:.7f} |")
    for n, v in fields.items():
        print(f"| fine Q1, {n} cell{'s' * (n > 1)} per pixel and axis | {energy_squared(v, MEDIUM, (2.0, 2.0)):.2f} |")
    draw(u, fields).savefig(path, dpi=200)
    print(f"Picture: {path}")
    return low, high


def fine_solve(per_pixel: int) -> np.ndarray:
    """Nodal values (n+1, n+1) of the Q1 solution with u = 0 left, u = 1 right, no flux below and above."""
    n = 2 * per_pixel
    K = stiffness(MEDIUM, (n, n), (2.0, 2.0))
    v = np.zeros((n + 1, n + 1))
    v[:, -1] = 1.0
    free = np.zeros(v.shape, bool)
    free[:, 1:-1] = True
    inside = free.ravel()
    v[free] = splu(K[inside][:, inside].tocsc()).solve(-(K @ v.ravel())[inside])
    return v


# %% The picture.
def draw(u: TraceField, fields: dict[int, np.ndarray]) -> Figure:
    """The field and a fine solution around the vertex, and all of them along the conducting diagonal."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
    t = np.linspace(1 - WINDOW, 1 + WINDOW, POINTS)
    points = np.stack([v.ravel() for v in np.meshgrid(t, t)], 1)
    views = (
        (left, u.at(points), "PDE (trace space)"),
        (middle, prolongate(fields[4], points[:, ::-1] / 2), "fine Q1, 4 cells per pixel"),
    )
    for axes, values, title in views:
        x = t - 1
        shown = axes.contourf(x, x, values.reshape(POINTS, POINTS), np.linspace(0, 1, 21), cmap="viridis")
        axes.axhline(0, color="white", lw=0.8)
        axes.axvline(0, color="white", lw=0.8)
        for px, py, colour in ((-0.3, 0.35, "white"), (0.3, -0.4, "black")):
            axes.text(px, py, f"a = {CONTRAST:g}", color=colour, fontsize=9, ha="center")
        axes.set(aspect="equal", title=title, xlabel="pixels")
    figure.colorbar(shown, ax=[left, middle], location="bottom", shrink=0.6, label="u", ticks=[0, 0.25, 0.5, 0.75, 1])
    s = np.linspace(-WINDOW, WINDOW, 2001)
    line = np.stack([1 + s, 1 - s], 1)
    right.plot(s, u.at(line), color="black", lw=2, label="PDE")
    for (n, v), colour in zip(list(fields.items())[1:], ("#d62728", "#ff7f0e", "#1f77b4"), strict=True):
        right.plot(s, prolongate(v, line[:, ::-1] / 2), color=colour, lw=1.2, label=f"Q1, {n}")
    right.set(title="along the conducting diagonal", xlabel="x in pixels from the vertex", ylabel="u")
    right.legend(fontsize=8.5, frameon=False, loc="lower right", handlelength=1.2, title="cells per pixel")
    right.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
