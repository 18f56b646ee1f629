"""What multigrid steps after the network are for: natural sides, and scales that the model was not trained for.

    python examples/verified_fields.py --n 32

Random cells, four a coarse cell and axis. Relative energy errors against u_h (multigrid, 1e-10), of the network's own
field (``refine=0``) and of the default; estimates; and for scales that cut pixels how far u_h of that mesh is from the
aligned one. Twenty seconds.
"""

# %% One problem: the network's own field, the default one, and u_h.
import argparse

import numpy as np

from ngs_nhcsr import Corrector, Problem
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.target import FineQ1
from ngs_nhcsr.solvers.transfer import prolongate


def row(corrector, problem, scale):
    """Print one line of the table; returns the error of the default field, and its estimate."""
    target = FineQ1(scale)
    mesh, fine = target.mesh(problem.medium, problem.space), problem.space.refined(scale)
    u = target.solve(problem, mesh)

    def error(v, w, space):
        return energy_norm(v - w, problem.medium, space.size) / energy_norm(w, problem.medium, space.size)

    own, verified = (corrector.correct_problem(problem, scale, refine=k) for k in (0, None))
    computed = [out.values if out.aligned is None else out.aligned for out in (own, verified)]
    steps = 0 if verified.refinement is None else verified.refinement.steps
    cut = "–"
    if mesh.cells != fine.cells:
        cut = f"{error(prolongate(u, fine.cells), target.solve(problem, fine), fine):.2g}"
    errors = [error(v, u, mesh) for v in computed]
    print(f"{errors[0]:.2g} | {errors[1]:.2g} | {verified.estimate:.2g} | {steps} | {verified.status.name} | {cut} |")
    return errors[1], verified.estimate


# %% Natural sides, then scales.
def main(n: int = 8, seed: int = 1) -> list[tuple[float, float]]:
    """Print the table for n x n coarse cells; returns errors of the default fields and their estimates."""
    corrector, rng, found = Corrector(device="cpu"), np.random.default_rng(seed), []
    pattern = rng.random((4 * n, 4 * n)) < 0.5
    print("| contrast | natural sides | scale | refine=0 | default | estimate | steps | status | cutting mesh |")
    print("|---:|---|---:|---:|---:|---:|---:|---|---:|")
    for contrast in (10.0, 100.0, 1000.0):
        A = np.where(pattern, 1.0, contrast)
        for natural in ((), ("top",), ("bottom", "top"), ("right", "top", "bottom")):
            problem = Problem.from_arrays(A, coarse=n, natural=natural)
            print(f"| {contrast:g} | {', '.join(natural) or 'none'} | 16 | ", end="")
            found.append(row(corrector, problem, 16))
    problem = Problem.from_arrays(np.where(pattern, 1.0, 10.0), coarse=n)
    for scale in (5, 6, 7.5, 10, 12, 33):
        if (scale * n) % 1 == 0:
            print(f"| 10 | none | {scale:g} | ", end="")
            found.append(row(corrector, problem, scale))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=8, help="coarse cells a side")
    parser.add_argument("--seed", type=int, default=1)
    main(**vars(parser.parse_args()))
