"""Coefficients and loads without a mesh: random families, the paper's maps, test loads, and the user's own images."""
