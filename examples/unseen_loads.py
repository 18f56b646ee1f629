"""Loads that the network was never trained on: errors of the network and of classical correctors, and how they compare.

    python examples/unseen_loads.py --full

Medians over fresh random media 1:10 of the relative errors against u_h (energy / L2), and the ratio to the same
method's error for f = 1. Narrow sources are harder for every method, in L2 above all. Without --full: one small medium,
some seconds.
"""

# %% The methods, as functions of nodal loads.
import argparse

import numpy as np

from ngs_nhcsr import Corrector, Problem
from ngs_nhcsr.media.loads import TEST_LOADS
from ngs_nhcsr.solvers import LOD, MsFEM, fine_solve, relative_errors

FIRST_SEED = 5_200_000_000


def methods(A, N, n, corrector):
    """Name -> solver for nodal loads on n x n cells."""
    lods = {f"LOD, k = {k}": LOD(A, N, n, k).solve for k in (1, 2)}
    msfem = MsFEM(A, N, n, 1, "petrov-galerkin").solve
    network = lambda f: corrector.correct_problem(Problem.from_arrays(A, coarse=N, f=f), n // N, refine=0).values  # noqa: E731
    return {"network": network, **lods, "MsFEM, oversampled": msfem}


# %% Every method on every load.
def main(full: bool = False) -> dict[tuple[str, str], np.ndarray]:
    """Print the table; returns (load, method) -> median errors in energy and in L2."""
    N, n, count = (32, 512, 6) if full else (8, 64, 1)
    y, x = np.meshgrid(np.linspace(0, 1, n + 1), np.linspace(0, 1, n + 1), indexing="ij")
    loads = {"1": np.ones_like(x), **{name: function(x, y) for name, function in TEST_LOADS.items()}}
    corrector, found = Corrector(device="cpu"), {}
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        A = np.where(np.random.default_rng(seed).random((4 * N, 4 * N)) < 0.5, 1.0, 10.0)
        for name, solve in methods(A, N, n, corrector).items():
            for load, f in loads.items():
                errors = relative_errors(solve(f), fine_solve(A, n, f, tolerance=1e-10), A)
                found.setdefault((load, name), []).append((errors["energy"], errors["L2"]))
    median = {key: np.median(pairs, axis=0) for key, pairs in found.items()}
    names = list(dict.fromkeys(name for _, name in median))
    print(f"H = 1/{N}, h = 1/{n}, {count} media\n")
    print("| f | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for load in loads:
        cells = []
        for name in names:
            (energy, l2), (first_energy, first_l2) = median[load, name], median["1", name]
            cells.append(f"{energy:.2g} / {l2:.2g} ({energy / first_energy:.2f} / {l2 / first_l2:.2f})")
        print(f"| {load} | " + " | ".join(cells) + " |")
    return median


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="six media, H = 1/32, h = 1/512")
    main(**vars(parser.parse_args()))
