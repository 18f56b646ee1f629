"""A contaminant carried through a slice of soil, by the velocities of the coarse, the corrected and the PDE's solution.

    python examples/transport.py [--save docs/guide]         # a minute or two on two cores
    python examples/transport.py --refine 2                  # on a grid twice as fine; some minutes

Water flows from left to right, top and bottom are sealed: −div(a∇u) = 0, velocity −a∇u. From time 0 on the water that
enters carries a contaminant of concentration 1. It is followed by the usual upwind finite-volume scheme on the pixels,
which asks of a velocity that what flows into a pixel flows out again. Prints arrival times and balances; with --save
also a picture and an animation. docs/guide/transport.md says what is seen.
"""

# %% One run of the scheme, and what is kept of it.
from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from ngsolve import H1, BilinearForm, CoefficientFunction, GridFunction, Integrate, VoxelCoefficient, div, dx, grad, x
from ngsolve.meshes import MakeStructured2DMesh
from PIL import Image

from ngs_nhcsr import correct
from ngs_nhcsr.media.images import read_medium
from ngs_nhcsr.solvers.transfer import prolongate

SOIL = Path(__file__).parent / "images" / "soil.png"
#: Permeability of clay, loam, sand, and root channels or cracks.
VALUES = (1.0, 4.0, 20.0, 100.0)
#: Shares of the full concentration at the outlet whose arrival is reported.
SHARES = (0.05, 0.5)
COLOURS = colormaps["viridis"].with_extremes(over="#d62728")
Fluxes = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Run:
    """What came of one velocity; times in pore volumes, the time in which the PDE's flow fills the pores once.

    Attributes
    ----------
    times, curve : concentration of what leaves at the right.
    frames : (k, ny, nx) concentrations at k times, evenly spaced, the last at the end.
    entered, left, stored : contaminant, in pore volumes.
    largest : concentration of all frames and pixels; that of the exact solution is 1.
    """

    times: np.ndarray
    curve: np.ndarray
    frames: np.ndarray
    entered: float
    left: float
    stored: float
    largest: float

    def arrival(self, share: float) -> float:
        """Time at which the outlet reaches a share of the full concentration; infinite where it does not."""
        there = self.curve >= share
        return float(self.times[there.argmax()]) if there.any() else float("inf")

    @property
    def lost(self) -> float:
        """Share of the contaminant that entered and neither left nor is there."""
        return (self.entered - self.left - self.stored) / self.entered


# %% The coarse problem in NGSolve, with eight pixels a coarse cell: pressure 1 on the left, 0 on the right.
def coarse_solve(pixels: np.ndarray, pixels_per_cell: int) -> tuple[GridFunction, CoefficientFunction]:
    """Coarse solution and coefficient; the rectangle has width 1 and square pixels."""
    my, mx = pixels.shape
    height = my / mx
    mesh = MakeStructured2DMesh(
        quads=True, nx=mx // pixels_per_cell, ny=my // pixels_per_cell, mapping=lambda px, py: (px, height * py)
    )
    fes = H1(mesh, order=1, dirichlet="left|right")
    u, v = fes.TnT()
    a = VoxelCoefficient((0, 0), (1, height), pixels, linear=False)
    A = BilinearForm(a * grad(u) * grad(v) * dx).Assemble()
    u_coarse = GridFunction(fes)
    u_coarse.Set(1 - x, definedon=mesh.Boundaries("left|right"))
    residual = (-A.mat * u_coarse.vec).Evaluate()
    u_coarse.vec.data += A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * residual
    return u_coarse, a


# %% Flow through the faces of the transport grid. A Q1 function has two values of a∂u/∂n on a face: the mean is taken.
def q1_fluxes(nodal: np.ndarray, pixels: np.ndarray, grid: tuple[int, int]) -> Fluxes:
    """Flow to the right through vertical and upwards through horizontal faces, of −a∇u with nodal values on squares."""
    cells = tuple(n - 1 for n in nodal.shape)
    a = np.kron(pixels, np.ones([n // m for n, m in zip(cells, pixels.shape, strict=True)]))
    right, up = np.diff(nodal, axis=1), np.diff(nodal, axis=0)
    flow_right, flow_up = -a * (right[1:] + right[:-1]) / 2, -a * (up[:, 1:] + up[:, :-1]) / 2
    through_vertical = np.pad(flow_right, ((0, 0), (1, 1)), "edge")
    through_vertical = (through_vertical[:, 1:] + through_vertical[:, :-1]) / 2
    through_horizontal = np.zeros((cells[0] + 1, cells[1]))  # sealed below and above
    through_horizontal[1:-1] = (flow_up[1:] + flow_up[:-1]) / 2
    (ny, nx), per = grid, cells[0] // grid[0]
    return (
        through_vertical[:, ::per].reshape(ny, per, nx + 1).sum(1),
        through_horizontal[::per].reshape(ny + 1, nx, per).sum(2),
    )


# %% Upwind: every face carries the concentration of the side that its flow comes from.
def upwind(fluxes: Fluxes, conservative: bool) -> tuple[sp.csr_matrix, np.ndarray]:
    """L and b of d/dt ∫_K c = (L c + b)_K.

    ``conservative`` discretises div(v c): what leaves a pixel enters its neighbour. Otherwise v·∇c, which is the same
    where div v = 0 on every pixel, and keeps 0 ≤ c ≤ 1 where it is not.
    """
    through_vertical, through_horizontal = fluxes
    ny, nx = shape = through_vertical.shape[0], through_horizontal.shape[1]
    number = np.arange(ny * nx).reshape(shape)
    below, above = number[:-1].ravel(), number[1:].ravel()
    left, right = number[:, :-1].ravel(), number[:, 1:].ravel()
    first, second = np.concatenate([left, below]), np.concatenate([right, above])
    flow = np.concatenate([through_vertical[:, 1:-1].ravel(), through_horizontal[1:-1].ravel()])
    source, sink = np.where(flow > 0, first, second), np.where(flow > 0, second, first)
    L = sp.coo_matrix((np.abs(flow), (sink, source)), shape=(ny * nx,) * 2).tocsr()
    loss, b = np.bincount(source, np.abs(flow), ny * nx), np.zeros(shape)
    b[:, 0] = np.maximum(through_vertical[:, 0], 0)
    loss[number[:, -1]] += np.maximum(through_vertical[:, -1], 0)
    loss[number[:, 0]] += np.maximum(-through_vertical[:, 0], 0)
    if not conservative:
        loss -= (np.diff(through_vertical, axis=1) + np.diff(through_horizontal, axis=0)).ravel()
    return sp.csr_matrix(L - sp.diags(loss)), b.ravel()


def carry(fluxes: Fluxes, flow: float, until: float, conservative: bool = False, frames: int = 41) -> Run:
    """Follow the contaminant by explicit Euler steps at 0.9 of the largest stable length, for ``until`` pore volumes.

    ``flow`` is the PDE's, which decides the unit of time.
    """
    L, b = upwind(fluxes, conservative)
    ny, nx = fluxes[0].shape[0], fluxes[1].shape[1]
    L, b = L * (ny * nx / flow), b * (ny * nx / flow)  # per pore volume
    steps = int(np.ceil(until * np.abs(L.diagonal()).max() / 0.9))
    step, outflow = until / steps, np.maximum(fluxes[0][:, -1], 0)
    kept = np.linspace(0, steps, frames).round().astype(int)
    c, curve, pictures, largest = np.zeros(ny * nx), np.empty(steps), [np.zeros((ny, nx), np.float32)], 0.0
    for k in range(steps):
        c += step * (L @ c + b)
        curve[k] = outflow @ c[nx - 1 :: nx]
        if k + 1 in kept:
            pictures.append(c.reshape(ny, nx).astype(np.float32))
            largest = max(largest, float(c.max()))
    left = step * curve[:-1].sum() / flow  # what left in a step is of its start, where c was 0 at first
    entered = until * b.sum() / (ny * nx)
    times = step * np.arange(1, steps + 1)
    return Run(times, curve / outflow.sum(), np.stack(pictures), entered, left, float(c.mean()), largest)


# %% Pictures: the soil, the curves, the fronts at one time; and the fronts as they move.
def draw(pixels: np.ndarray, runs: dict[str, Run], conservative: Run, path: Path, at: float = 0.5) -> None:
    """Save permeability, breakthrough curves, and fronts at ``at`` pore volumes; last, a conservative run's own."""
    figure = Figure(figsize=(10, 6.2), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    soil, curves = upper.subplots(1, 2, width_ratios=(1, 2))
    shown = soil.imshow(pixels, origin="lower", cmap="cividis", norm=LogNorm())
    soil.set(title="permeability a", xticks=[], yticks=[])
    upper.colorbar(shown, ax=soil, shrink=0.85, ticks=np.unique(pixels), format="%g").minorticks_off()
    for (name, run), colour, style in zip(runs.items(), ("#d62728", "#1f77b4", "black"), ("-", "--", "-"), strict=True):
        curves.plot(run.times, run.curve, style, color=colour, label=name, zorder=3 if style == "--" else 2)
    curves.set(xlabel="pore volumes", ylabel="concentration of what leaves", ylim=(0, 1.02))
    curves.set_xlim(0, run.times[-1])
    curves.grid(alpha=0.3)
    curves.legend(title="velocity of", frameon=False, loc="lower right")
    fronts = lower.subplots(1, 4)
    shown_runs = {**runs, "coarse, conservative": conservative}
    for axes, (name, run) in zip(fronts, shown_runs.items(), strict=True):
        number = round(at / run.times[-1] * (len(run.frames) - 1))
        shown = axes.imshow(run.frames[number], origin="lower", vmin=0, vmax=1 + 1e-3, cmap=COLOURS)
        axes.set(title=name, xticks=[], yticks=[])
    lower.colorbar(shown, ax=fronts, location="bottom", shrink=0.5, aspect=40, extend="max", ticks=(0, 0.5, 1),
                   label=f"concentration after {at:g} pore volumes; red: above 1")  # fmt: skip
    figure.savefig(path, dpi=110)


def animate(runs: dict[str, Run], path: Path, until: float = 1.25) -> None:
    """Save a gif of the fronts side by side."""
    pictures = []
    last = next(iter(runs.values()))
    every = last.times[-1] / (len(last.frames) - 1)
    for k in range(min(round(until / every) + 1, len(last.frames))):
        figure = Figure(figsize=(7.2, 2.75), layout="constrained")
        for axes, (name, run) in zip(figure.subplots(1, len(runs)), runs.items(), strict=True):
            axes.imshow(run.frames[k], origin="lower", vmin=0, vmax=1 + 1e-3, cmap=COLOURS)
            axes.set(title=name, xticks=[], yticks=[])
        figure.suptitle(f"{k * every:.2f} pore volumes", fontsize=10)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(64))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=120, loop=0, optimize=True)


# %% All of it.
def main(
    image: Path = SOIL,
    values: tuple[float, ...] = VALUES,
    *,
    crop: int | None = None,
    pixels_per_cell: int = 8,
    refine: int = 1,
    until: float = 2.0,
    save: Path | None = None,
) -> dict[str, tuple[Fluxes, Run, Run]]:
    """Follow the contaminant with each velocity, and print what comes out.

    Parameters
    ----------
    image : file of the medium; its sides are cut to whole coarse cells.
    values : permeability of its grey levels, the darkest first.
    crop : pixels a side to take of it, from the lower left; default: all.
    pixels_per_cell : pixels a coarse cell has a side.
    refine : cells of the transport grid per pixel and axis.
    until : pore volumes to follow.
    save : folder for transport.png and transport.gif.

    Returns
    -------
    By velocity: fluxes through the faces, the run that keeps 0 ≤ c ≤ 1, the conservative run.
    """
    pixels = read_medium(image, values).cropped(pixels_per_cell).a[:crop, :crop]
    grid = (refine * pixels.shape[0], refine * pixels.shape[1])
    scale = 2 * refine * pixels_per_cell  # two fine cells per cell of the transport grid
    u_coarse, a = coarse_solve(pixels, pixels_per_cell)
    corrected = correct(u_coarse, a, scale, f=0, full=True)
    pde = correct(u_coarse, a, scale, f=0, g=1 - x, target="pde", full=True)
    velocity = pde.velocity()  # what a transport code in NGSolve takes; its fluxes through the faces are these
    fluxes = {
        "coarse": q1_fluxes(prolongate(corrected.problem.given, corrected.cells), pixels, grid),
        "corrected": q1_fluxes(corrected.values, pixels, grid),
        "PDE": tuple(-q for q in pde.field.flux.fluxes(grid)),
    }
    flow = float(fluxes["PDE"][0][:, 0].sum())
    low, high = pde.field.side_flux_bounds("left")
    print(f"{pixels.shape[1]} x {pixels.shape[0]} pixels, contrast 1:{pixels.max() / pixels.min():g}, "
          f"transport on {grid[1]} x {grid[0]} cells")  # fmt: skip
    print(f"corrected: energy error {corrected.estimate:.1e} against u_h; PDE: at most {pde.relative_error_bound:.1e}")
    print(f"flow, guaranteed: {low:.5f} … {high:.5f}; its divergence, relative: "
          f"{Integrate(div(velocity) ** 2, velocity.space.mesh) ** 0.5 / flow:.0e}\n")  # fmt: skip
    print(f"{'':10}{'arrival of':>17}{'outlet':>8}{'flow':>9}{'flow':>9}{'made or lost':>14}{'largest c,':>13}")
    print(
        f"{'velocity':10}{'5 %':>8}{'50 %':>9}{'at end':>8}{'in':>9}{'out':>9}{'contaminant':>14}{'conservative':>13}"
    )
    found = {}
    for name, q in fluxes.items():
        run, other = (carry(q, flow, until, conservative) for conservative in (False, True))
        found[name] = q, run, other
        early, half = (run.arrival(share) for share in SHARES)
        inflow, outflow = q[0][:, 0].sum(), q[0][:, -1].sum()
        print(f"{name:10}{early:8.3f}{half:9.3f}{run.curve[-1]:8.3f}{inflow:9.4f}{outflow:9.4f}{run.lost:14.1e}"
              f"{other.largest:13.5g}")  # fmt: skip
    if save is not None:
        runs = {name: run for name, (_, run, _) in found.items()}
        draw(pixels, runs, found["coarse"][2], save / "transport.png")
        animate(runs, save / "transport.gif")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, nargs="?", default=SOIL)
    parser.add_argument("--values", type=float, nargs="+", default=VALUES, help="permeability of its grey levels")
    parser.add_argument("--refine", type=int, default=1, help="cells of the transport grid per pixel and axis")
    parser.add_argument("--until", type=float, default=2.0, help="pore volumes")
    parser.add_argument("--save", type=Path, help="folder for transport.png and transport.gif")
    options = parser.parse_args()
    main(options.image, tuple(options.values), refine=options.refine, until=options.until, save=options.save)
