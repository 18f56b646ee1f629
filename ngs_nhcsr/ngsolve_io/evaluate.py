"""Values of NGSolve fields at the points of a tensor grid."""

from __future__ import annotations

import ngsolve as ngs
import numpy as np

from ..errors import GridMismatch


def mesh_points(mesh: ngs.Mesh, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Locate the tensor product of coordinates in a mesh.

    Parameters
    ----------
    mesh : two-dimensional mesh.
    y : (ny,) coordinates of the rows.
    x : (nx,) coordinates of the columns.

    Returns
    -------
    np.ndarray
        (ny nx,) NGSolve mesh points, row by row; a CoefficientFunction can be called with them.

    Raises
    ------
    GridMismatch
        If a point lies outside the mesh.
    """
    X, Y = np.meshgrid(x, y)
    points = mesh(X.ravel(), Y.ravel())
    outside = points["nr"] < 0
    if outside.any():
        k = int(np.argmax(outside))
        raise GridMismatch(
            f"point ({X.ravel()[k]:.6g}, {Y.ravel()[k]:.6g}) of the coarse domain lies outside the mesh of the "
            "coefficient or function that is evaluated there; the meshes must cover the same rectangle."
        )
    return points


def evaluate(field: ngs.CoefficientFunction, mesh: ngs.Mesh, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Evaluate a scalar field at the tensor product of coordinates.

    Parameters
    ----------
    field : real scalar CoefficientFunction or GridFunction.
    mesh : the mesh on which it is evaluated.
    y : (ny,) coordinates of the rows.
    x : (nx,) coordinates of the columns.

    Returns
    -------
    np.ndarray
        (ny, nx) values.

    Raises
    ------
    GridMismatch
        If a point lies outside the mesh.
    """
    return np.asarray(field(mesh_points(mesh, y, x)), dtype=float).reshape(len(y), len(x))
