"""What multigrid steps after the network are for: natural sides, and scales that the model was not trained for.

    python examples/verified_fields.py --n 32

Random cells, four a coarse cell and axis. Relative energy errors against u_h (multigrid, 1e-10), of the network's own
field (``refine=0``) and of the default; estimates; and for scales that cut pixels how far u_h of that mesh is from the
aligned one.
"""

import argparse

import numpy as np

from ngs_nhcsr import Corrector, Problem
from ngs_nhcsr.solvers.norms import energy_norm
from ngs_nhcsr.solvers.target import FineQ1
from ngs_nhcsr.solvers.transfer import prolongate


def row(corrector, problem, scale):
    """One line of the table."""
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
    errors = " | ".join(f"{error(v, u, mesh):.2g}" for v in computed)
    return f"{errors} | {verified.estimate:.2g} | {steps} | {verified.status.name} | {cut} |"


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=8, help="coarse cells a side")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    corrector, rng = Corrector(device="cpu"), np.random.default_rng(args.seed)
    pattern = rng.random((4 * args.n, 4 * args.n)) < 0.5
    print("| contrast | natural sides | scale | refine=0 | default | estimate | steps | status | cutting mesh |")
    print("|---:|---|---:|---:|---:|---:|---:|---|---:|")
    for contrast in (10.0, 100.0, 1000.0):
        A = np.where(pattern, 1.0, contrast)
        for natural in ((), ("top",), ("bottom", "top"), ("right", "top", "bottom")):
            problem = Problem.from_arrays(A, coarse=args.n, natural=natural)
            print(f"| {contrast:g} | {', '.join(natural) or 'none'} | 16 | " + row(corrector, problem, 16))
    problem = Problem.from_arrays(np.where(pattern, 1.0, 10.0), coarse=args.n)
    for scale in (5, 6, 7.5, 10, 12, 33):
        if (scale * args.n) % 1 == 0:
            print(f"| 10 | none | {scale:g} | " + row(corrector, problem, scale))


if __name__ == "__main__":
    main()
