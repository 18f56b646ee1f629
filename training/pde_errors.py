r"""Errors against the solution u of the PDE, where those against u_h are known.

A field v of the mesh's space with u_h's boundary values has, by Galerkin orthogonality,
:math:`|||u - v|||^2 = |||u - u_h|||^2 + |||u_h - v|||^2`, and :math:`|||u_h|||^2 = |||u|||^2 - |||u - u_h|||^2` for
zero boundary values: so the distance of u_h from u, known once for a problem, gives the errors of all fields.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..solvers.bvp import BoundaryValueProblem
from ..solvers.load import Load
from ..solvers.medium import Medium
from ..solvers.norms import energy_distance, functional, l2_norm, relative
from ..solvers.pde import PDE
from ..solvers.space import Space

#: Names of the metrics, those of u_h itself last.
ENERGY, L2, OF_UH = "energy, PDE", "L2, PDE", "energy of u_h, PDE"


@dataclass(frozen=True)
class Exact:
    """The solution u of the PDE for one problem on the unit square with zero Dirichlet data.

    Attributes
    ----------
    nodes : (n+1, n+1) values of u at the nodes of the mesh of u_h.
    distance : |||u − u_h||| / |||u|||.
    """

    nodes: np.ndarray
    distance: float

    @classmethod
    def of(cls, A: Tensor, F: Tensor, target: Tensor) -> Exact:
        """Solve the PDE by trace spaces.

        Parameters
        ----------
        A : (m, m) coefficient.
        F : (L+1, L+1) load vector; f is the bilinear function on its grid that has it.
        target : (n+1, n+1) nodal values of u_h.

        Returns
        -------
        Exact

        Raises
        ------
        SolverFailure
            If the iteration does not converge.
        """
        a, b, u_h = (v.double().numpy() for v in (A, F, target))
        load, cells = Load.from_vector(b), (u_h.shape[0] - 1, u_h.shape[1] - 1)
        space = Space((b.shape[0] - 1, b.shape[1] - 1))
        problem, pde = BoundaryValueProblem(space, Medium(a), load, np.zeros(space.shape)), PDE()
        field = pde.solve(problem)
        E_h = functional(u_h, a, load.vector(cells))
        return cls(field.nodes(cells), energy_distance(E_h, pde.energy(field, problem), field.energy))

    def errors(self, v: Tensor, energy: float) -> dict[str, float]:
        """Compute a field's errors.

        Parameters
        ----------
        v : (n+1, n+1) nodal values, zero on the boundary.
        energy : |||u_h − v||| / |||u_h|||.

        Returns
        -------
        Relative errors against u: ``ENERGY``; ``L2``, of nodal values; and ``OF_UH``, the energy error of u_h.

        Examples
        --------
        >>> import torch
        >>> u = Exact(np.eye(3), 0.6)
        >>> {k: round(x, 3) for k, x in u.errors(torch.eye(3), 0.5).items()}
        {'energy, PDE': 0.721, 'L2, PDE': 0.0, 'energy of u_h, PDE': 0.6}
        """
        d = self.distance
        return {
            ENERGY: math.sqrt(d * d + (1 - d * d) * energy * energy),
            L2: relative(l2_norm(v.double().numpy() - self.nodes), l2_norm(self.nodes)),
            OF_UH: d,
        }
