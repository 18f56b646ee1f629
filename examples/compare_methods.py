"""Time against accuracy of every method on random media: what the network is worth next to LOD, MsFEM and multigrid.

    python examples/compare_methods.py [--n 8] [--scale 8] [--contrasts 10 100] [--picture FILE] [--into FILE]

prints one table of all contrasts and saves a picture with a panel per contrast, in half a minute. The figures of
docs/comparison.md were made, picture and table, by

    python examples/compare_methods.py --n 32 --scale 16 --contrasts 10 100 1000 \
        --picture docs/time_accuracy.png --into docs/comparison.md
"""

# %% One line per method and contrast comes out; the table of docs/comparison.md lies between two comments.
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ngs_nhcsr import compare
from ngs_nhcsr.comparison import Comparison, draw_panels, side_by_side
from ngs_nhcsr.demo import coarse_problem

BEGIN, END = "<!-- table by examples/compare_methods.py -->\n", "<!-- end of the table -->\n"


def shown(value: float | None, width: int) -> str:
    """Write a number with two digits; a dash where there is none."""
    return f"{'–' if value is None else f'{value:.2g}':>{width}}"


# %% The same random cells with every contrast; an ordinary coarse solve in NGSolve, then all methods on it.
def main(
    n: int = 8,
    scale: int = 8,
    contrasts: Sequence[float] = (10.0, 100.0),
    seed: int = 2026,
    picture: Path | None = Path("compare_methods.png"),
    into: Path | None = None,
) -> list[Comparison]:
    """Compare on n x n coarse cells of 4 x 4 pixels; returns one comparison per contrast."""
    heavy = np.random.default_rng(seed).random((4 * n, 4 * n)) < 0.5
    results = []
    for contrast in contrasts:
        u_coarse, a = coarse_problem(np.where(heavy, contrast, 1.0), n)
        results.append(compare(u_coarse, a, scale, f=1.0))
        print(
            f"1:{contrast:g}: {len(results[-1].rows)} methods on {n} x {n} coarse, {n * scale} x {n * scale} fine cells"
        )

    # Down and to the left is better. The fine solve by multigrid is the one to beat.
    print("\nrelative errors against u_h, seconds per load")
    print(f"{'':18}" + "".join(f"{f'1:{c:g}: energy':>14}{'L2':>8}{'s':>9}" for c in contrasts))
    for rows in zip(*(result.rows for result in results), strict=True):
        cells = (f"{shown(r.energy_error, 14)}{shown(r.l2_error, 8)}{shown(r.online, 9)}" for r in rows)
        print(f"{rows[0].name:18}" + "".join(cells))
    if picture is not None:
        draw_panels(results, picture)
        print(f"picture: {picture}")
    if into is not None:
        table = side_by_side(results)
        before, rest = into.read_text(encoding="utf-8").split(BEGIN)
        into.write_text(before + BEGIN + table + END + rest.split(END)[1], encoding="utf-8")
        print(f"table: {into}")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=8, help="coarse cells a side")
    parser.add_argument("--scale", type=int, default=8, help="fine cells per coarse cell")
    parser.add_argument("--contrasts", type=float, nargs="+", default=[10.0, 100.0])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--picture", type=Path, default=Path("compare_methods.png"))
    parser.add_argument("--into", type=Path, help=f"Markdown file with the lines {BEGIN.strip()} and {END.strip()}")
    main(**vars(parser.parse_args()))
