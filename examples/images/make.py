"""Makes the two images of this folder: a slice of sandstone (298 x 203 pixels) and one of layered soil (256 x 256).

    python examples/images/make.py [--into examples/images]

Neither is measured: both are drawn by rule from a seed, in the manner of a segmented micro-CT slice, one grey level per
phase and no noise. They may be used freely. About two seconds.
"""

# %% Grey levels of the phases, the darkest first, and smooth noise that bends what would be straight.
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation, gaussian_filter, median_filter

#: Sandstone: pores conduct best, grains hardly. Soil: from the tightest to the most permeable.
SANDSTONE = {"pore": 40, "cement": 130, "grain": 215}
SOIL = {"clay": 50, "loam": 110, "sand": 170, "root channel or crack": 240}


def smooth_noise(shape: tuple[int, int], width: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian random field of standard deviation 1 and the given correlation length in pixels."""
    field = gaussian_filter(rng.standard_normal(shape), width, mode="reflect")
    return field / field.std()


# %% Sandstone: rounded grains that touch, cement in the throats between two of them, pores elsewhere.
def sandstone(shape: tuple[int, int] = (203, 298), seed: int = 1) -> np.ndarray:
    """Grey levels (rows, columns), row 0 at the top."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape, dtype=float)
    bend_x, bend_y = (2.0 * smooth_noise(shape, 7, rng) for _ in range(2))
    centres, radii = packed(shape, rng)
    distances = np.stack(
        [np.hypot(x + bend_x - cx, y + bend_y - cy) - r for (cy, cx), r in zip(centres, radii, strict=True)]
    )
    nearest, second = np.partition(distances, 1, axis=0)[:2]
    grey = np.full(shape, SANDSTONE["pore"], np.uint8)
    grey[second < 5.0] = SANDSTONE["cement"]
    grey = median_filter(grey, 5)  # no film of a single pixel
    grey[nearest < 0] = SANDSTONE["grain"]
    return grey


def packed(shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) and radii of discs thrown one after the other, kept where they overlap no earlier one by much."""
    centres, radii = np.empty((0, 2)), np.empty(0)
    for radius in (22.0, 17.0, 13.0, 9.0):
        for _ in range(1500):
            centre, r = rng.uniform(-0.8 * radius, np.add(shape, 0.8 * radius)), radius * rng.uniform(0.85, 1.1)
            if (np.hypot(*(centres - centre).T) > radii + r - 1.5).all():
                centres, radii = np.vstack([centres, centre]), np.append(radii, r)
    return centres, radii


# %% Soil: horizons of loam, sand and clay with wavy borders, lenses in them, roots from above, cracks in the clay.
def soil(shape: tuple[int, int] = (256, 256), seed: int = 4) -> np.ndarray:
    """Grey levels (rows, columns), row 0 at the top, the surface of the soil."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    depth = np.arange(ny)[:, None] / ny + 0.025 * smooth_noise((ny, nx), 24, rng)
    grey = np.full(shape, SOIL["loam"], np.uint8)
    for top, name in ((0.34, "sand"), (0.55, "clay"), (0.74, "loam"), (0.88, "sand")):
        grey[depth > top] = SOIL[name]
    lenses = smooth_noise(shape, 6, rng)
    grey[(lenses > 1.5) & (grey != SOIL["clay"])] = SOIL["clay"]
    grey[(lenses < -1.6) & (grey == SOIL["loam"])] = SOIL["sand"]
    open_ = np.zeros(shape, bool)
    for x in rng.uniform(0.05, 0.95, 7) * nx:
        grow(open_, 0.0, x, np.pi / 2, rng.uniform(0.3, 0.62) * ny, 1.5, rng)
    cracks = np.zeros(shape, bool)
    for x in rng.uniform(0.0, 1.0, 9) * nx:
        grow(cracks, rng.uniform(0.5, 0.7) * ny, x, rng.uniform(-0.5, 0.5), rng.uniform(0.1, 0.25) * nx, 0.5, rng)
    grey[open_ | cracks & (grey == SOIL["clay"])] = SOIL["root channel or crack"]
    return grey


def grow(
    canvas: np.ndarray, y: float, x: float, angle: float, length: float, thickness: float, rng: np.random.Generator
) -> None:
    """Draw a path that wanders and branches: a root, or a crack where it is thin."""
    path = np.zeros_like(canvas)
    heading = angle
    for step in range(int(2 * length)):
        heading += 0.12 * rng.standard_normal() + 0.05 * (angle - heading)
        y, x = y + 0.5 * np.sin(heading), x + 0.5 * np.cos(heading)
        if not (0 <= y < canvas.shape[0] and 0 <= x < canvas.shape[1]):
            break
        path[int(y), int(x)] = True
        if thickness > 1 and step > 20 and rng.random() < 0.018:
            grow(canvas, y, x, heading + rng.choice([-0.8, 0.8]), 0.4 * (length - step / 2), thickness - 0.6, rng)
    canvas |= binary_dilation(path, np.ones((3, 3)), 1) if thickness > 1 else binary_dilation(path, np.ones((2, 2)))


# %% Both as png, eight bits a pixel.
def main(into: Path = Path(__file__).parent) -> dict[str, np.ndarray]:
    """Write sandstone.png and soil.png into a folder; returns the grey levels by name."""
    images = {"sandstone": sandstone(), "soil": soil()}
    for name, grey in images.items():
        path = into / f"{name}.png"
        Image.fromarray(grey).save(path, optimize=True)
        shares = ", ".join(f"{level}: {np.mean(grey == level):.0%}" for level in np.unique(grey))
        print(f"{path}: {grey.shape[1]} x {grey.shape[0]} pixels, {path.stat().st_size / 1000:.0f} kB; grey {shares}")
    return images


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=Path(__file__).parent, help="folder")
    main(parser.parse_args().into)
