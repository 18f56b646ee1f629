"""The only door to NGSolve: reads coarse solutions, coefficients, forms and loads; makes meshes; writes fields back.

Everything behind it works on arrays. No other module but ``visual`` and ``demo`` imports ngsolve.

- In: ``read`` (a whole problem) puts together ``coarse_field``, ``coefficient``, ``load``, ``forms``, ``quadrature``,
  ``canonical`` (which solution and load it is) and ``notes`` (what is in doubt). ``boundary_data`` reads g.
- Out: ``write_back`` and ``velocity``.
- Solves of NGSolve's own: ``coarse_solve``, ``fine_solve``.
- For reading without assembly: ``quad_cells``, ``gauss``, ``cell_rules``, ``voxel_cache``.
- For all of them: ``meshes``, ``evaluate``, ``checks``; ``types`` for annotations elsewhere.
"""
