"""Names of NGSolve's types for annotations; modules outside the door import them under ``TYPE_CHECKING`` only."""

from ngsolve import BilinearForm, CoefficientFunction, FESpace, GridFunction, LinearForm, Mesh

__all__ = ["BilinearForm", "CoefficientFunction", "FESpace", "GridFunction", "LinearForm", "Mesh"]
