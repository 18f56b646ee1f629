"""The PDE's own solution on pixel media: trace spaces with corner functions.

On media with constant cells, meshes converge slowly: where four cells meet, the solution is like a small power of the
distance. Here the solution is represented by its trace on the cells' edges, with these powers among the functions of
an edge; inside a cell it is exact.

The package owns everything between a raster and the PDE's own solution:

- ``cell`` with ``candidates``, ``corner``, ``hp``, ``assembly``, ``reduction``, ``edges``, ``cell_cache``: the
  reference cell, an element after static condensation.
- ``layout``, ``loads``, ``boundary``, ``problem``, ``start``, ``solve``: the discrete problem of one medium.
- ``schwarz`` with ``cg``, ``estimate``, ``symmetry``, ``vertices``; ``compiled``, ``kernels``, ``local_solvers``,
  ``local_kernels``, ``vertex_kernels`` in numba; ``twin``, ``periodic`` in torch: its iterative solution, with the
  coarse problem of ``solvers.blackbox``.
- ``function`` with ``function_kernels``, ``field``, ``particular``, ``dual``, ``bounds``, ``goals``, ``effective``,
  ``storage``: solutions, equilibrated fluxes, guaranteed bounds.

Examples
--------
>>> import numpy as np
>>> from ngs_nhcsr.solvers.trace import solve_pde
>>> A = np.where(np.random.default_rng(3).random((8, 8)) < 0.5, 1.0, 10.0)
>>> u = solve_pde(A, 1.0)
>>> u.nodes(32).shape, bool(u.relative_error_bound < 0.02)
((33, 33), True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy

if TYPE_CHECKING:
    from .effective import Conductivity, effective_conductivity
    from .field import TraceField
    from .solve import solve_pde

__getattr__, __dir__ = lazy(
    globals(),
    {
        "Conductivity": "effective",
        "TraceField": "field",
        "effective_conductivity": "effective",
        "solve_pde": "solve",
    },
)

__all__ = ["Conductivity", "TraceField", "effective_conductivity", "solve_pde"]
