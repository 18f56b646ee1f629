"""The only door to NGSolve: reads coarse solutions, coefficients, forms and loads; makes meshes; writes fields back.

Everything behind it works on arrays. No other module but ``visual`` and ``demo`` imports ngsolve.

- In: ``read`` (a whole problem) puts together ``coarse_field``, ``coefficient`` with ``tensor_coefficient`` and
  ``pixels``, ``reaction``, ``robin``, ``load``, ``forms``, ``quadrature``, ``canonical`` (which solution and load it
  is) and ``notes`` (what is in doubt). ``boundary_data`` reads g.
- Loads: ``linear_form``, ``flux``, ``density`` and ``samplers`` take them apart for ``load``.
- Out: ``write_back`` and ``velocity``.
- Solves: ``coarse_solve``, ``fine_solve``, ``preconditioner``; ``fine_times`` for timings.
- For reading without assembly: ``quad_space``, ``quad_cells``, ``gauss``, ``cell_rules``, ``voxel_cache``.
- For all of them: ``meshes``, ``evaluate``, ``checks``; ``types`` for annotations elsewhere.
"""
