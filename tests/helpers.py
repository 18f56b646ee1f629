"""What several test files need."""

from ngs_nhcsr.ngsolve_io.read import Reader
from ngs_nhcsr.proposer import NetworkProposer
from ngs_nhcsr.solvers.bvp import BoundaryValueProblem
from ngs_nhcsr.solvers.load import Load
from ngs_nhcsr.solvers.medium import Medium
from ngs_nhcsr.solvers.positions import Nodes
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.solvers.substructuring.solve import solve
from ngs_nhcsr.solvers.target import FineQ1


def batch_problem(U, A, *, natural=(), free=None, size=(1.0, 1.0), load=None, f=None):
    """Problem in torch from coarse solutions (B, [K,] N+1, M+1), media (B, my, mx) and load vectors or nodal values."""
    medium = Medium(A.double())
    U = U.double().reshape(len(A), -1, *U.shape[-2:])
    cells = (U.shape[-2] - 1, U.shape[-1] - 1)
    space = Space.with_sides(cells, size, natural)
    if free is not None:
        space = Space.with_free(cells, (0.0, 0.0), size, free.numpy())

    def several(v):
        return v.double().reshape(*U.shape[:2], *v.shape[-2:])

    if f is not None:
        given = Load(several(f), size)
    elif load is not None:
        given = Load.from_vector(several(load), size)
    else:
        given = Load.from_solution(U, medium, space)
    return BoundaryValueProblem(space, medium, given, U)


def network_field(network, U, A, at, *, scale=None, scheme=None, **options):
    """Field of a network at fine cells (ny, nx), or at a query for a scale; leading dimensions are those of U."""
    problem = batch_problem(U, A, **options)
    query = Nodes(at) if isinstance(at, tuple) else at
    scale = query.cells[0] / problem.space.cells[0] if scale is None else scale
    field = solve(problem, FineQ1(scale), NetworkProposer(network), scheme, query)
    return field.reshape(*U.shape[:-2], *field.shape[2:])


def read_problem(u_coarse, a, *, f=None, form=None, **options):
    """One coarse problem as it is read with a :class:`Reader` of its own."""
    return Reader(a, **options).read(u_coarse, f=f, form=form)
