"""The reference cell of the trace space: harmonic extensions of a few functions per edge, integrated exactly.

Owns :class:`TraceCell`, an element of the trace space after static condensation (its stiffness matrix is the Schur
complement on the cell's boundary), and :func:`trace_cell`, which reduces the candidate traces of corner.py to the few
that carry most of their energy and keeps the result in memory and in the user's cache folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray

from ...errors import InvalidProblem
from . import cell_cache
from .assembly import assemble
from .candidates import default_bubbles
from .corner import Candidates, CornerFunctions
from .hp import Extension, extension
from .reduction import edge_basis, edge_candidates, edge_moments, reduction_matrix

Array = NDArray[np.float64]

_NEAR_ONE, _NEAR_EVEN = 2e-3, 1e-6
"""Exponents closer than this to 1 (trace s^1 - s = 0) or to an even integer (polynomial traces) are left out."""
_LARGEST = 8.0
_MOST_BUBBLES = 24
_DIGITS = 12


@dataclass(frozen=True, eq=False)
class TraceCell:
    """Trace functions of a cell of width 1 and height `aspect`, and integrals of their harmonic extensions.

    The n = 4p + 4 degrees of freedom are ``[bottom p | top p | left p | right p | corners (0,0), (0,1), (1,0), (1,1)]``
    with corners (iy, ix): the order of ``substructuring.condensation.CellLayout``, p functions for an edge's nodes::

            4p+2 ──── top: p … 2p-1 ───── 4p+3
              │                             │
        left: 2p … 3p-1           right: 3p … 4p-1
              │                             │
             4p ──── bottom: 0 … p-1 ───── 4p+1

    The functions of an edge vanish at its ends, are parametrised by s in [0, 1] from left to right or from bottom to
    top, and are even or odd about s = 1/2. A corner function is 1 at its corner and linear on the two edges there.
    H phi_k is the harmonic extension of trace function k into the cell; psi_m, m = 0, 1, 2, solves -laplace psi_m = g_m
    with g = 1, xi, eta and zero boundary values. Local coordinates (xi, eta) are in [0, 1]^2.

    Attributes
    ----------
    modes : number p of functions per edge.
    aspect : height / width.
    stiffness : (n, n) integrals of grad(H phi_k) . grad(H phi_l): the Schur complement of the cell for coefficient 1.
    moments : (3, n) integrals of g_m H phi_k over the cell.
    particular : (3, 3) integrals of grad psi_i . grad psi_j, which are those of g_i psi_j.
    edge_moments : (2, 3, p) integrals of s^q phi_k(s) over [0, 1], q = 0, 1, 2; first index 0 for horizontal, 1 for
        vertical edges.
    exponents : exponents gamma of the corner functions among the candidates, ascending.
    bubbles : number of polynomial candidates per edge.
    basis : (2, E, p) the functions of an edge as combinations of its E candidates; first index as in edge_moments.
    asymmetry : largest difference of the Schur complement of the candidates to its transpose before symmetrising,
        relative to its largest entry: the accuracy of the boundary integrals.
    """

    modes: int
    aspect: float
    stiffness: Array
    moments: Array
    particular: Array
    edge_moments: Array
    exponents: tuple[float, ...]
    bubbles: int
    basis: Array
    asymmetry: float

    @property
    def size(self) -> int:
        """Number n = 4p + 4 of degrees of freedom."""
        return 4 * self.modes + 4

    def edge_values(self, s: ArrayLike, axis: int) -> Array:
        """Evaluate the p functions of an edge.

        Parameters
        ----------
        s : (P,) points in [0, 1] along the edge, or one number.
        axis : 0 for a horizontal edge, 1 for a vertical one.

        Returns
        -------
        (P, p) values.
        """
        t = np.atleast_1d(np.asarray(s, dtype=float))
        return edge_candidates(t, self._gammas, self.bubbles).T @ self.basis[axis]

    def values(self, points: ArrayLike) -> Array:
        """Evaluate all H phi_k, then the three psi.

        Parameters
        ----------
        points : (P, 2) local coordinates (xi, eta) in [0, 1]^2.

        Returns
        -------
        (P, n + 3) values.

        Raises
        ------
        InvalidProblem
            If the array has another shape or a point lies outside the cell.
        """
        P = self._points(points)
        out = np.zeros((len(P), self.size + 3))
        for _, columns, C, functions, X, Y, _ in self._corners(P):
            out[:, columns] += functions.values(X, Y).T @ C
        return out + self._smooth_part(P)[0]

    def gradients(self, points: ArrayLike) -> Array:
        """Evaluate the gradients of `values` in physical coordinates (width 1, height `aspect`).

        They are unbounded in the corners of the cell if an exponent is below 1; there the result is huge but finite.

        Parameters
        ----------
        points : (P, 2) local coordinates (xi, eta) in [0, 1]^2.

        Returns
        -------
        (P, 2, n + 3) derivatives d/dx, then d/dy.

        Raises
        ------
        InvalidProblem
            If the array has another shape or a point lies outside the cell.
        """
        P = self._points(points)
        out = np.zeros((len(P), 2, self.size + 3))
        for axis, columns, C, functions, X, Y, (along, across) in self._corners(P):
            dX, dY = functions.gradients(X, Y)
            length = self.aspect if axis else 1.0
            out[:, axis, columns] += dX.T @ C * (along / length)
            out[:, 1 - axis, columns] += dY.T @ C * (across / length)
        _, dx, dy = self._smooth_part(P, gradients=True)
        return out + np.stack([dx, dy / self.aspect], 1)

    @cached_property
    def mass(self) -> Array:
        """Integrals (n, n) of H phi_k H phi_l over the cell, by graded tensor quadrature; computed on first use."""
        s, w = _graded_rule()
        L = self._extension.mesh.matrix(s)
        V = L @ self._fields[: self.size] @ L.T
        across, along = (grid.ravel() for grid in np.meshgrid(s, s, indexing="ij"))
        for axis in range(2):
            functions = self._candidates.corner_functions(axis)
            corner = functions.values(along, functions.height * across).reshape(-1, len(s), len(s))
            for flip in (False, True):
                part = np.tensordot(self._power_rows(axis, flip).T, corner, 1)[:, :, :: -1 if flip else 1]
                for far in (False, True):  # the points are symmetric: reflections reverse the arrays
                    block = slice((2 * axis + far) * self.modes, (2 * axis + far + 1) * self.modes)
                    image = part[:, :: -1 if far else 1]
                    V[block] += image.swapaxes(1, 2) if axis else image
        V = (V * np.sqrt(w * w[:, None] * self.aspect)).reshape(self.size, -1)
        return V @ V.T

    # ---- evaluation inside
    @cached_property
    def _gammas(self) -> Array:
        return np.array(self.exponents)

    @cached_property
    def _candidates(self) -> Candidates:
        return Candidates(self._gammas, self.bubbles, self.aspect)

    @cached_property
    def _extension(self) -> Extension:
        return extension(self.aspect)

    @cached_property
    def _fields(self) -> Array:
        """Coefficients (n + 3, N, N) of the smooth parts: minus the extensions of q, then psi."""
        q = self._candidates.smooth_traces(self._extension.mesh.nodes)
        reduced = np.asarray(np.tensordot(reduction_matrix(self.basis).T, q, 1), dtype=float)
        return np.concatenate([-self._extension.extend(reduced), self._extension.particular])

    def _points(self, points: ArrayLike) -> Array:
        """Return local points as an array (P, 2) after checks."""
        P = np.asarray(points, dtype=float)
        if P.ndim != 2 or P.shape[1] != 2 or not ((P >= 0) & (P <= 1)).all():
            raise InvalidProblem(f"points must be (P, 2) local coordinates in [0, 1], got an array {P.shape}")
        return P

    def _power_rows(self, axis: int, flip: bool) -> Array:
        """Return the rows (G, p) of the basis that belong to the powers from one end of an edge."""
        G = len(self.exponents)
        return self.basis[axis, G * flip : G * flip + G]

    def _corners(self, P: Array) -> list[tuple[int, slice, Array, CornerFunctions, Array, Array, tuple[int, int]]]:
        """List axis, degrees of freedom, basis, corner functions, coordinates and signs for both ends of every edge."""
        out = []
        for edge in range(4):
            axis, p = edge // 2, self.modes
            functions = self._candidates.corner_functions(axis)
            for flip in (False, True):
                X = 1 - P[:, axis] if flip else P[:, axis]
                Y = 1 - P[:, 1 - axis] if edge % 2 else P[:, 1 - axis]
                signs = (-1 if flip else 1, -1 if edge % 2 else 1)
                C = self._power_rows(axis, flip)
                out.append((axis, slice(edge * p, (edge + 1) * p), C, functions, X, Y * functions.height, signs))
        return out

    def _smooth_part(self, P: Array, gradients: bool = False) -> list[Array]:
        """Evaluate `_fields` at local points: values, and with gradients d/dxi and d/deta, (P, n + 3) each."""
        mesh = self._extension.mesh
        (ix, Bx), (iy, By) = mesh.local_basis(P[:, 0]), mesh.local_basis(P[:, 1])
        pairs = [(Bx, By)]
        if gradients:
            pairs += [(mesh.local_basis(P[:, 0], True)[1], By), (Bx, mesh.local_basis(P[:, 1], True)[1])]
        out = [np.empty((len(P), self.size + 3)) for _ in pairs]
        d = mesh.degree
        for box in np.unique(np.stack([iy, ix], 1), axis=0):
            here = np.flatnonzero((iy == box[0]) & (ix == box[1]))
            rows, cols = slice(box[0] * d, box[0] * d + d + 1), slice(box[1] * d, box[1] * d + d + 1)
            local = self._fields[:, rows, cols].reshape(self.size + 3, -1)
            for part in np.array_split(here, max(1, len(here) // 4096)):
                for target, (bx, by) in zip(out, pairs, strict=True):
                    target[part] = (by[part, :, None] * bx[part, None, :]).reshape(len(part), -1) @ local.T
        return out


@lru_cache(maxsize=1)
def _graded_rule(layers: int = 8, ratio: float = 0.15, points: int = 10) -> tuple[Array, Array]:
    """Points and weights on [0, 1], graded towards both ends."""
    half = 0.5 * ratio ** np.arange(layers - 1, -1, -1.0)
    breaks = np.concatenate([[0.0], half, 1 - half[-2::-1], [1.0]])
    x, w = legendre.leggauss(points)
    h = np.diff(breaks)
    return (breaks[:-1, None] + (x + 1) / 2 * h[:, None]).ravel(), (h[:, None] * w / 2).ravel()


def _build(exponents: tuple[float, ...], modes: int, aspect: float, count: int) -> TraceCell:
    """Assemble the candidates and reduce them; adds bubbles until `modes` independent functions are there."""
    gammas = np.array(exponents)
    ext = extension(aspect)
    for bubbles in range(max(count, modes - 2 * len(gammas)), _MOST_BUBBLES + 1):
        candidates = Candidates(gammas, bubbles, aspect)
        S, moments = assemble(candidates, ext)
        E, edges = candidates.per_edge, []
        for axis in range(1 if aspect == 1 else 2):
            edge = slice(2 * axis * E, (2 * axis + 1) * E)
            edges.append(edge_basis((S[edge, edge] + S[edge, edge].T) / 2, len(gammas), modes))
        if all(C.shape[1] == modes for C in edges):
            break
    else:
        raise InvalidProblem(f"no {modes} independent functions per edge; ask for at most modes={_MOST_BUBBLES}")
    basis = np.stack([edges[0], edges[-1]])
    asymmetry = float(abs(S - S.T).max() / abs(S).max())
    R = reduction_matrix(basis)
    return TraceCell(
        modes=modes,
        aspect=aspect,
        stiffness=R.T @ ((S + S.T) / 2) @ R,
        moments=moments @ R,
        particular=ext.particular_energy,
        edge_moments=np.einsum("qe,aep->aqp", edge_moments(gammas, bubbles), basis),
        exponents=exponents,
        bubbles=bubbles,
        basis=basis,
        asymmetry=asymmetry,
    )


def trace_cell(exponents: tuple[float, ...], modes: int, aspect: float = 1.0, bubbles: int | None = None) -> TraceCell:
    """Return the reference cell for given candidates, from memory, from the cache folder, or newly computed.

    Parameters
    ----------
    exponents : exponents gamma of the corner functions, in (0, 8], see `candidates.exponents_for`.
    modes : number of functions per edge that are kept, 1 … 24.
    aspect : height / width of the cell, between 1/16 and 16.
    bubbles : number of polynomial candidates per edge (default 2, or 4 with the larger set of exponents). If there
        are fewer independent candidates than modes, more are added.

    Returns
    -------
    The cell, with the exponents rounded to 12 digits; those next to 1 or to an even integer are left out, since their
    traces are zero or polynomials.

    Raises
    ------
    InvalidProblem
        If an argument is out of range.

    Examples
    --------
    >>> from ngs_nhcsr.solvers.trace.candidates import two_value_exponents
    >>> from ngs_nhcsr.solvers.trace.cell import trace_cell
    >>> cell = trace_cell(two_value_exponents(100.0, 2.9), 6)
    >>> x = [0.0] * 24 + [0.0, 1.0, 0.0, 1.0]  # the function x: 1 at the two right corners
    >>> round(float(x @ cell.stiffness @ x), 10)  # its energy
    1.0
    """
    if any(not 0 < g <= _LARGEST for g in exponents):
        raise InvalidProblem(f"exponents must lie in (0, {_LARGEST:g}], got {exponents}")
    if not 1 <= modes <= _MOST_BUBBLES:
        raise InvalidProblem(f"modes, the functions per edge, must lie between 1 and {_MOST_BUBBLES}, got {modes}")
    if not 1 / 16 <= aspect <= 16:
        raise InvalidProblem(
            f"height / width of pixels must lie between 1/16 and 16, not at {aspect:.3g}; divide them."
        )
    kept = {round(float(g), _DIGITS) for g in exponents}
    kept = sorted(g for g in kept if abs(g - 1) > _NEAR_ONE and abs(g - max(2, 2 * round(g / 2))) > _NEAR_EVEN)
    count = default_bubbles(tuple(kept), modes) if bubbles is None else bubbles
    return _cached(tuple(kept), int(modes), round(float(aspect), _DIGITS), int(count))


@lru_cache(maxsize=32)
def _cached(exponents: tuple[float, ...], modes: int, aspect: float, bubbles: int) -> TraceCell:
    """Return the cell of checked arguments, whose text is the key in the cache folder."""
    key = f"{exponents} {modes} {aspect} {bubbles}"
    stored = cell_cache.load(key)
    if stored is not None:
        return _from_arrays(stored)
    cell = _build(exponents, modes, aspect, bubbles)
    cell_cache.save(key, _to_arrays(cell))
    return cell


def _to_arrays(cell: TraceCell) -> dict[str, NDArray]:
    scalars = np.array([cell.modes, cell.aspect, cell.bubbles, cell.asymmetry])
    names = ("stiffness", "moments", "particular", "edge_moments", "basis")
    return {"scalars": scalars, "exponents": np.array(cell.exponents), **{k: getattr(cell, k) for k in names}}


def _from_arrays(arrays: dict[str, NDArray]) -> TraceCell:
    modes, aspect, bubbles, asymmetry = arrays["scalars"]
    return TraceCell(
        modes=int(modes),
        aspect=float(aspect),
        stiffness=arrays["stiffness"],
        moments=arrays["moments"],
        particular=arrays["particular"],
        edge_moments=arrays["edge_moments"],
        exponents=tuple(float(g) for g in arrays["exponents"]),
        bubbles=int(bubbles),
        basis=arrays["basis"],
        asymmetry=float(asymmetry),
    )
