"""What the matrix of a user's form says: its load for a solution, and whether it is that of −div(a∇u) = f alone."""

from __future__ import annotations

from collections.abc import Iterable

import ngsolve as ngs
import numpy as np
import scipy.sparse as sp

from ..errors import InvalidProblem

#: A load is none if at every node it is below the first times the sum of |A_ij| |u_j − u_i|, plus the second times
#: that of |A_ij| |u_j|: what direct solves and well converged iterations leave.
NO_LOAD = (1e-9, 1e-13)
#: Shares of the energy (reaction, Robin) or of the matrix (convection) from which a term counts.
FOREIGN = 1e-6


def sparse_matrix(u: ngs.GridFunction, form: ngs.BilinearForm) -> sp.csr_array:
    """Convert the matrix of an assembled form.

    Parameters
    ----------
    u : coarse solution.
    form : assembled form on its space, or on one with as many degrees of freedom.

    Returns
    -------
    sp.csr_array
        (n, n), both triangles.

    Raises
    ------
    InvalidProblem
        If the form is not assembled, has no sparse matrix, or lives on a space of another size.
    """
    if form.space.ndof != u.space.ndof:
        raise InvalidProblem(
            f"form= has {form.space.ndof} degrees of freedom, u_coarse {u.space.ndof}; pass the form that u_coarse "
            "was solved with."
        )
    try:
        rows, columns, entries = (np.asarray(v) for v in form.mat.COO())
    except Exception as error:
        raise InvalidProblem(f"form= has no sparse matrix ({error}); call form.Assemble() first.") from error
    matrix = sp.csr_array((entries, (rows, columns)), shape=(u.space.ndof, u.space.ndof))
    if "Symmetric" in type(form.mat).__name__:  # NGSolve stores the lower triangle only
        matrix = matrix + sp.tril(matrix, -1).T
    return sp.csr_array(matrix)


def load_of(matrix: sp.csr_array | sp.csr_matrix, values: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Compute the load vector A u of a solution; zero if all of it at free nodes is round-off.

    A problem without a load, driven by its boundary data, must not be taken for one with a rough load.

    Parameters
    ----------
    matrix : A, sparse (n, n), with A·1 = 0.
    values : u (n,).
    free : (n,) mask of the free degrees of freedom.

    Returns
    -------
    np.ndarray
        (n,) load vector.

    Examples
    --------
    >>> A = sp.csr_array([[2.0, -1, -1], [-1, 2, -1], [-1, -1, 2]])
    >>> load_of(A, np.array([0.0, 0.5 + 1e-14, 1.0]), np.array([False, True, False]))
    array([0., 0., 0.])
    """
    load = matrix @ values
    coordinates = matrix.tocoo()
    size, differences = np.abs(coordinates.data), np.abs(values[coordinates.col] - values[coordinates.row])
    flow = np.bincount(coordinates.row, size * differences, len(values))
    total = np.bincount(coordinates.row, size * np.abs(values[coordinates.col]), len(values))
    noise = NO_LOAD[0] * flow + NO_LOAD[1] * total
    return np.zeros_like(load) if (np.abs(load) <= noise)[free].all() else load


def check_form(
    u: ngs.GridFunction, matrix: sp.csr_array, known: Iterable[sp.csr_array] = (), *, reaction: bool = False
) -> None:
    """Refuse forms that hold more than ∫ a ∇u·∇v, and what a reaction c and Robin sides that are given add.

    A·1 vanishes but for terms that do not differentiate u (a reaction, or a Robin term on the boundary), and A is
    symmetric but for convection.

    Parameters
    ----------
    u : coarse solution, for the size of the terms.
    matrix : of the form it was solved with, as of :func:`sparse_matrix`.
    known : matrices of ∫ a ∇u·∇v + c u v + ∫ α u v ds by the rules it may be integrated with, where c or α is given.
    reaction : whether c is.

    Raises
    ------
    InvalidProblem
        If the form has such a term.
    """
    values = u.vec.FV().NumPy()
    one = np.zeros(len(values))
    one[: u.space.mesh.nv] = 1.0  # the vertex functions of H1 sum to one, whatever the order
    energy = max(abs(float(values @ (matrix @ values))), 1e-300)
    boundary = np.zeros(len(values), bool)
    boundary[: u.space.mesh.nv] = [bool(b) for b in u.space.GetDofs(u.space.mesh.Boundaries(".*"))][: u.space.mesh.nv]
    rest = matrix @ one
    inside, outside = _shares(rest, values, boundary, energy)
    for other in known:
        found = _shares(rest - other @ one, values, boundary, energy)
        inside, outside = min((inside, outside), found, key=sum)
        if inside + outside <= FOREIGN:
            break
    if not reaction and inside > FOREIGN:
        raise InvalidProblem(
            f"form= has a reaction term (its matrix times 1 is not zero in the interior; {inside:.2g} "
            "of the energy of u_coarse). Pass reaction= the coefficient c ≥ 0 of its term c u v as well."
        )
    # Another reaction than the one that is given is left over inside more than on the boundary.
    if outside > max(FOREIGN, inside if reaction else 0.0):
        raise InvalidProblem(
            "form= has a term on the boundary (Robin or penalty: its matrix times 1 is not zero there) that is not the "
            "one of robin=. Pass robin= the coefficient α ≥ 0 of its term α u v, a number for all natural sides or a "
            "dict by boundary name."
        )
    if abs(matrix - matrix.T).max() > FOREIGN * abs(matrix).max():
        raise InvalidProblem(
            "form= is not symmetric: it has a convection term, or another one besides a∇u·∇v. Only −div(a∇u) = f is "
            "corrected; solve the full problem on the fine mesh."
        )


def _shares(rest: np.ndarray, values: np.ndarray, boundary: np.ndarray, energy: float) -> tuple[float, float]:
    """Shares of an energy that terms without derivatives have, with row sums (n,), inside and on the boundary."""
    share = np.abs(rest * values**2) / energy
    return float(share[~boundary].sum()), float(share[boundary].sum())
