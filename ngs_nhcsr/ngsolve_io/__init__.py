"""The only door to NGSolve: reads coarse solutions, coefficients, forms and loads; makes meshes; writes fields back.

Everything behind it works on arrays. No other module but ``visual`` and ``demo`` imports ngsolve.
"""
