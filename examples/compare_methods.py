"""Time against accuracy of every method on random media: what the network is worth next to LOD, MsFEM and multigrid.

    python compare_methods.py [--n 8] [--scale 8] [--contrasts 10 100] [--picture compare_methods.png] [--into FILE]

prints one table of all contrasts and saves a picture with a panel per contrast. The figures of docs/comparison.md were
made, picture and table, by

    python examples/compare_methods.py --n 32 --scale 16 --contrasts 10 100 1000 \
        --picture docs/time_accuracy.png --into docs/comparison.md
"""

# %% Options: n coarse cells a side, n * scale fine ones; the coefficient has 4n cells a side.
import argparse
from pathlib import Path

import numpy as np

from ngs_nhcsr import compare
from ngs_nhcsr.comparison import draw_panels, side_by_side
from ngs_nhcsr.demo import coarse_problem

BEGIN, END = "<!-- table by examples/compare_methods.py -->\n", "<!-- end of the table -->\n"

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=8)
parser.add_argument("--scale", type=int, default=8)
parser.add_argument("--contrasts", type=float, nargs="+", default=[10.0, 100.0])
parser.add_argument("--seed", type=int, default=2026)
parser.add_argument("--picture", type=Path, default=Path("compare_methods.png"))
parser.add_argument("--into", type=Path, help=f"Markdown file with the lines {BEGIN.strip()} and {END.strip()}")
options = parser.parse_args()

# %% The same random cells with every contrast; an ordinary coarse solve in NGSolve, then all methods on it.
heavy = np.random.default_rng(options.seed).random((4 * options.n, 4 * options.n)) < 0.5
results = []
for contrast in options.contrasts:
    u_coarse, a = coarse_problem(np.where(heavy, contrast, 1.0), options.n)
    results.append(compare(u_coarse, a, options.scale, f=1.0))
    print(f"{results[-1].title}: {len(results[-1].rows)} methods")

# %% Down and to the left is better. The fine solve by multigrid is the one to beat.
table = side_by_side(results)
print(f"\nenergy / L2 error against u_h\n\n{table}")
draw_panels(results, options.picture)
print(f"picture: {options.picture}")
if options.into is not None:
    before, rest = options.into.read_text(encoding="utf-8").split(BEGIN)
    options.into.write_text(before + BEGIN + table + END + rest.split(END)[1], encoding="utf-8")
    print(f"table: {options.into}")
