"""Domain decomposition on the coefficient's cells: static condensation, local solves, coarse corrections."""
