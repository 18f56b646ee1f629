"""Write golden_nhcsr_light.npz; run it once whenever new weights are shipped."""

from pathlib import Path

import numpy as np

from ngs_nhcsr import load_model
from ngs_nhcsr.reading import galerkin_solve
from ngs_nhcsr.solvers.positions import Nodes
from ngs_nhcsr.solvers.q1 import mass_apply
from ngs_nhcsr.solvers.space import Space

grid, cells, ratio = Space((8, 8)), (32, 32), 1.0
A = np.where(np.random.default_rng(4_000_000_000).random((32, 32)) < 0.5, 1.0, 10.0)
free = np.pad(np.ones((7, 7), bool), 1)
U = galerkin_solve(A, grid, mass_apply(np.ones(grid.shape)) * free, free, np.zeros(grid.shape))
out = load_model("nhcsr-light", "cpu").predict(U, A, Nodes(cells), ratio)
np.savez_compressed(Path(__file__).parent / "golden_nhcsr_light.npz", U=U, A=A, cells=cells, ratio=ratio, out=out)
