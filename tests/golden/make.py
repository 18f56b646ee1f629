"""Write golden.npz: what the cases give now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from golden_cases import cases
from ngsolve import ngsglobals
from tqdm import tqdm

ngsglobals.msg_level = 0
found = {f"{name}/{key}": value for name, run in tqdm(cases.items()) for key, value in run().items()}
np.savez_compressed(Path(__file__).with_name("golden.npz"), **found)
