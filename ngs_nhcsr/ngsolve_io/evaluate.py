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
    return located(mesh, Y.ravel(), X.ravel())


def located(mesh: ngs.Mesh, y: np.ndarray, x: np.ndarray, *, boundary: bool = False) -> np.ndarray:
    """Locate points in a mesh.

    Parameters
    ----------
    mesh : two-dimensional mesh.
    y : (n,) coordinates.
    x : (n,) coordinates.
    boundary : locate points of the boundary in its segments.

    Returns
    -------
    np.ndarray
        (n,) NGSolve mesh points.

    Raises
    ------
    GridMismatch
        If a point lies outside the mesh.
    """
    points = mesh(x, y, 0.0, ngs.BND) if boundary else mesh(x, y)
    outside = points["nr"] < 0
    if outside.any():
        k = int(np.argmax(outside))
        raise GridMismatch(
            f"point ({x[k]:.6g}, {y[k]:.6g}) of the coarse domain lies outside the mesh of the coefficient or function "
            "that is evaluated there; the meshes must cover the same rectangle."
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
