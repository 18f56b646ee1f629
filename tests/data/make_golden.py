"""Write golden_basis_hybrid.npz; run it once whenever new weights are shipped."""

from pathlib import Path

import numpy as np

from ngs_nhcsr import load_model
from ngs_nhcsr.problem import Problem
from ngs_nhcsr.solvers.bvp import BoundaryValueProblem

A = np.where(np.random.default_rng(4_000_000_000).random((32, 32)) < 0.5, 1.0, 10.0)
read = Problem.from_arrays(A, coarse=8, f=1.0)
out = load_model("basis-hybrid", "cpu").solve(BoundaryValueProblem(read.space, read.medium, None, read.U), 4)
np.savez_compressed(Path(__file__).parent / "golden_basis_hybrid.npz", U=read.U, A=A, cells=(32, 32), out=out)
