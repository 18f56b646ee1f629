r"""Guaranteed energy bound for any conforming field, by one equilibrated flux per coefficient and load.

For :math:`-\nabla\cdot(a\nabla u) = f` on a rectangle, any :math:`v` with the boundary values of :math:`u`
and any :math:`\sigma\in H(\mathrm{div})` with :math:`\nabla\cdot\sigma = -f`, the hypercircle identity

.. math:: |||u - v|||^2 + \|a^{-1/2}(\sigma - a\nabla u)\|^2 = \|a^{-1/2}(\sigma - a\nabla v)\|^2 =: \eta(v)^2

bounds the error of :math:`v` against the differential equation itself, without a constant and whatever
:math:`v` came from. The best :math:`\sigma` does not depend on :math:`v`: with zero boundary values
:math:`\eta^2 = \|\sigma\|_{1/a}^2 - 2(f, v) + |||v|||^2`.

Here :math:`\sigma = \sigma_0 + \operatorname{rot}\psi + \tau`. :math:`\sigma_0` is a lowest-order
Raviart-Thomas flux with the right mean divergence on every cell; :math:`\psi` is a Q1 stream function that
lowers the norm by some steps of multigrid-CG for the Neumann problem with coefficient :math:`1/a`;
:math:`\tau` is a cubic bubble on every cell, with no flow through edges, whose divergence is what a bilinear
:math:`f` deviates from its mean. So the divergence matches pointwise and no oscillation term is needed.

References: W. Prager and J. L. Synge, Quart. Appl. Math. 5 (1947) 241-269; D. Braess and J. Schöberl,
Math. Comp. 77 (2008) 651-672; S. Repin, *A Posteriori Estimates for Partial Differential Equations*, 2008.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...checks import check_coefficient_values
from ...errors import InvalidProblem
from ...number_checks import check_size, is_whole
from ..medium import Medium
from ..norms import energy_squared
from ..q1 import mass_apply
from ..space import Cells, Space, cell_pair
from .equilibration import Flux, add_rotation, averaged_flux, divergence, hierarchical_flux

Array = np.ndarray


@dataclass(frozen=True)
class Bilinear:
    """Parts of a Q1 function on every cell: ``mean + x*ξ + y*η + xy*ξη`` with ξ, η from -1 to 1.

    Attributes
    ----------
    mean : (ny, nx) means over the cells.
    x : (ny, nx) half the mean differences in x over a cell.
    y : (ny, nx) the same in y.
    xy : (ny, nx) mixed parts.
    """

    mean: Array
    x: Array
    y: Array
    xy: Array

    @staticmethod
    def of(f: Array) -> Bilinear:
        """Compute the parts of a Q1 function from its nodal values.

        Parameters
        ----------
        f : (ny+1, nx+1) nodal values.

        Returns
        -------
        Bilinear

        Examples
        --------
        >>> p = Bilinear.of(np.array([[0.0, 1.0], [2.0, 7.0]]))
        >>> [float(q[0, 0]) for q in (p.mean, p.x, p.y, p.xy)]
        [2.5, 1.5, 2.0, 1.0]
        """
        total, step = (f[:, :-1] + f[:, 1:]) / 4, (f[:, 1:] - f[:, :-1]) / 4
        (low, high), (left, right) = (total[:-1], total[1:]), (step[:-1], step[1:])
        return Bilinear(low + high, left + right, high - low, right - left)


@dataclass(frozen=True)
class _Moments:
    """What the norm of sigma - a grad v needs of sigma on every cell.

    Attributes
    ----------
    x : (ny, nx) means of the x component.
    y : (ny, nx) means of the y component.
    cross_x : (ny, nx) slopes of the x component in y, against the part of a grad v that varies within the cell.
    cross_y : (ny, nx) slopes of the y component in x.
    orthogonal : (ny, nx) squared norms in 1/a of what is orthogonal to every a grad v.
    """

    x: Array
    y: Array
    cross_x: Array
    cross_y: Array
    orthogonal: Array


class EquilibratedFlux:
    r"""Flux in H(div) with divergence -f, and the guaranteed bounds of the energy error against u that follow from it.

    Parameters
    ----------
    A : (my, mx) positive cell values of the coefficient, row 0 at the lowest y.
    cells : cells of the fine mesh, a number or (ny, nx); multiples of (my, mx).
    f : (ny+1, nx+1) nodal values of the load; the bounds are for the load that is Q1 with these values.
    size : (Ly, Lx) of the rectangle.
    cycles : steps of multigrid-CG, ≥ 0. Two suffice at contrast 10 and three at 100.
    start : (ny+1, nx+1) nodal values of a field whose averaged flux starts the iteration, in place of the
        flux that follows from ``A`` and ``f`` alone. Better at channels of contrast 1000 and more. Needed for
        boundary values other than zero: the flux is then fitted to those of ``start``.

    Attributes
    ----------
    space : Q1 space of the fine mesh.
    a : (ny, nx) coefficient on its cells.
    f : (ny+1, nx+1) nodal values of the load.
    flux : Qx (ny, nx+1) and Qy (ny+1, nx), the flow of :math:`\sigma_0 + \operatorname{rot}\psi` through the edges.
    norm : the norm :math:`\|a^{-1/2}\sigma\|`; for zero boundary values an upper bound of :math:`|||u|||`.

    Raises
    ------
    GridMismatch
        If ``cells`` are no multiples of the raster.
    NotCoercive
        If ``A`` is not positive.
    InvalidProblem
        If a shape or a value is wrong.

    Notes
    -----
    Fields must have the boundary values of the exact solution; this cannot be checked here. What the
    divergence misses by rounding, d, is part of the bound: by the Friedrichs inequality of the rectangle it
    adds :math:`\|d\| / (\pi (L_y^{-2} + L_x^{-2})^{1/2} a_{\min}^{1/2})`, usually some 1e-12 of the bound.

    Examples
    --------
    >>> n = 32
    >>> flux = EquilibratedFlux(np.ones((4, 4)), (n, n), np.ones((n + 1, n + 1)))
    >>> zero = np.zeros((n + 1, n + 1))
    >>> bool(flux.bound(zero) ** 2 > 0.0351442)  # the energy of the exact solution
    True
    >>> round(flux.bound(zero), 3), round(flux.relative_bound(zero), 12)
    (0.188, 1.0)
    """

    def __init__(
        self,
        A: Array,
        cells: Cells,
        f: Array,
        size: tuple[float, float] = (1.0, 1.0),
        *,
        cycles: int = 2,
        start: Array | None = None,
    ):
        size = check_size(size)
        self.space = Space(cell_pair(cells, "cells"), size=size)
        self.a = np.asarray(Medium(check_coefficient_values(A)).on(self.space.cells))
        self.f = self._nodal(f, "f")
        start = None if start is None else self._nodal(start, "start")
        if not is_whole(cycles) or cycles < 0:
            raise InvalidProblem(f"cycles must be a whole number ≥ 0, not {cycles!r}.")
        self._load = Bilinear.of(self.f)
        area = math.prod(self.space.spacing)
        self._weight = area / self.a
        Q = self._particular(area * self._load.mean, start)
        if cycles:
            Q = add_rotation(Q, self.a, self._shift(start), size, cycles)
        self.flux: Flux = Q
        self._moments = m = self._moments_of(Q)
        friedrichs = 1 / (math.pi * math.hypot(1 / size[0], 1 / size[1]))
        missed = float(np.linalg.norm(divergence(Q) + area * self._load.mean)) / math.sqrt(area)
        self._slack = friedrichs * missed / math.sqrt(float(self.a.min()))
        squared = float(self._norms(m.x, m.y, m.cross_x, m.cross_y).sum())
        self.norm = math.sqrt(squared) + self._slack
        self._least = 0.0  # of the energy norm of u
        if start is not None and start.any() and self._vanishes_on_boundary(start):
            work, energy = self._work_and_energy(start)
            self._least = abs(work) / math.sqrt(energy)

    def bound(self, v: Array) -> float:
        r"""Compute the guaranteed upper bound :math:`\eta(v)` of the energy error :math:`|||u - v|||`.

        Parameters
        ----------
        v : (ny+1, nx+1) nodal values with the boundary values of u.

        Returns
        -------
        The bound, in units of the energy norm.

        Raises
        ------
        InvalidProblem
            If the shape is wrong or a value is not finite.
        """
        return math.sqrt(float(self._squares(self._nodal(v, "v")).sum())) + self._slack

    def indicator(self, v: Array) -> Array:
        """Compute the contributions of the cells to the bound, which is the root of the sum of their squares.

        Parameters
        ----------
        v : (ny+1, nx+1) nodal values with the boundary values of u.

        Returns
        -------
        (ny, nx) contributions; only the allowance for rounding is missing in them.

        Raises
        ------
        InvalidProblem
            If the shape is wrong or a value is not finite.
        """
        return np.sqrt(self._squares(self._nodal(v, "v")))

    def relative_bound(self, v: Array) -> float:
        r"""Compute a guaranteed upper bound of the relative energy error :math:`|||u - v||| / |||u|||`.

        Parameters
        ----------
        v : (ny+1, nx+1) nodal values with the boundary values of u.

        Returns
        -------
        The bound; ``inf`` if nothing can be said.

        Raises
        ------
        InvalidProblem
            If the shape is wrong or a value is not finite.

        Notes
        -----
        With zero boundary values :math:`|||u-v|||^2 = |||u|||^2 - s`, :math:`s = 2(f,v) - |||v|||^2`. So the
        squared relative error is :math:`1 - s/|||u|||^2`. If :math:`s\ge 0` this grows with
        :math:`|||u|||\le\|\sigma\|`, and :math:`1 - s/\|\sigma\|^2 = \eta^2/\|\sigma\|^2`. If :math:`s<0` it
        falls with :math:`|||u|||\ge |(f,w)|/|||w|||`, which is the Cauchy-Schwarz inequality for :math:`(f,w)
        = a(u,w)`, here with :math:`w=v` or the start. Such a field is worse than zero and the value above 1.

        With other boundary values :math:`\eta` is divided by :math:`\|a^{-1/2}(\sigma + a\nabla v)\|/2 -
        \eta/2 \le |||u|||`: by the hypercircle identity :math:`a\nabla u` has the distance :math:`\eta/2`
        from the midpoint of :math:`\sigma` and :math:`a\nabla v`.
        """
        v = self._nodal(v, "v")
        eta = self.bound(v)
        if eta == 0.0:
            return 0.0
        work, energy = self._work_and_energy(v)
        if not self._vanishes_on_boundary(v):
            centre = math.sqrt(max((self.norm**2 + energy) / 2 - eta**2 / 4, 0.0))
            return eta / (centre - eta / 2) if centre > eta / 2 else math.inf
        surplus = 2 * work - energy
        if surplus >= 0:
            return eta / self.norm
        least = max(abs(work) / math.sqrt(energy), self._least)
        return math.sqrt(1 - surplus / least**2) if least > 0 else math.inf

    @property
    def divergence_defect(self) -> float:
        """Largest defect of a cell's mean divergence, by rounding, over the largest cell mean of |f|."""
        area = math.prod(self.space.spacing)
        largest = float(np.abs(self._load.mean).max())
        defect = float(np.abs(divergence(self.flux) / area + self._load.mean).max())
        return defect / largest if largest > 0 else defect

    def _nodal(self, v: Array, name: str) -> Array:
        v = np.asarray(v, dtype=float)
        if v.shape != self.space.shape:
            raise InvalidProblem(
                f"{name} has shape {v.shape}; nodal values on {self.space.cells} cells have {self.space.shape}. "
                "Interpolate it to the fine grid first (ngs_nhcsr.solvers.transfer.prolongate)."
            )
        if not np.isfinite(v).all():
            raise InvalidProblem(f"{name} has values that are not finite; remove them, no bound exists.")
        return v

    def _work_and_energy(self, v: Array) -> tuple[float, float]:
        """(f, v) and a(v, v)."""
        size = self.space.size
        return float(np.sum(v * mass_apply(self.f, size))), energy_squared(v, self.a, size)

    def _vanishes_on_boundary(self, v: Array) -> bool:
        return not v[~self.space.free].any()

    def _particular(self, load: Array, start: Array | None) -> Flux:
        """Flux whose divergence is minus the mean load, from the start's flux if there is one."""
        if start is None:
            return hierarchical_flux(load, self.a, self.space.size)
        Qx, Qy = averaged_flux(start, self.a, self.space.size)
        dx, dy = hierarchical_flux(load + divergence((Qx, Qy)), self.a, self.space.size)
        return Qx + dx, Qy + dy

    def _shift(self, start: Array | None) -> tuple[Array, Array]:
        """Cell means of the bubbles, less those of the start's flux if there is one."""
        hy, hx = self.space.spacing
        x, y = self._load.x * (hx / 6), self._load.y * (hy / 6)
        if start is not None:  # only its boundary values matter: other gradients are orthogonal to rotations
            g = Bilinear.of(start)
            x, y = x - self.a * g.x * (2 / hx), y - self.a * g.y * (2 / hy)
        return x, y

    def _moments_of(self, Q: Flux) -> _Moments:
        r"""Moments of the flux together with the bubbles.

        The bubble is :math:`\tau_x = (1-\xi^2)(p + q\eta)`, :math:`\tau_y = (1-\eta^2)(p' + q'\xi)` with
        :math:`p = h_x f_x/4`, :math:`q = w h_x f_{xy}/4`, :math:`q' = (1-w) h_y f_{xy}/4`; its divergence is
        :math:`-(f_x\xi + f_y\eta + f_{xy}\xi\eta)` for every share :math:`w`; the one taken has least norm.
        """
        hy, hx = self.space.spacing
        share = hy**2 / (hx**2 + hy**2)
        x, sx, other_x = _along(Q[0], hy, self._load.x * (hx / 4), self._load.xy * (hx * share / 4))
        y, sy, other_y = _along(Q[1].T, hx, self._load.y.T * (hy / 4), self._load.xy.T * (hy * (1 - share) / 4))
        return _Moments(x, y.T, sx, sy.T, self._weight * (other_x + other_y.T))

    def _squares(self, v: Array) -> Array:
        """Squared norm of a^(-1/2) (σ - a∇v) on every cell (ny, nx): a sum of squares, nothing cancels."""
        hy, hx = self.space.spacing
        m, g, a = self._moments, Bilinear.of(v), self.a
        cx, cy = 2 / hx, 2 / hy
        across = a * g.xy
        x, y = m.x - a * (cx * g.x), m.y - a * (cy * g.y)
        return self._norms(x, y, m.cross_x - cx * across, m.cross_y - cy * across)

    def _norms(self, x: Array, y: Array, cross_x: Array, cross_y: Array) -> Array:
        return self._weight * (x * x + y * y + (cross_x**2 + cross_y**2) / 3) + self._moments.orthogonal


def _along(Q: Array, edge: float, p: Array, q: Array) -> tuple[Array, Array, Array]:
    """Mean, slope across, and mean square of all other parts: of the flux along x with its bubble (1-ξ²)(p + qη)."""
    mean = (Q[:, :-1] + Q[:, 1:]) / (2 * edge) + p * (2 / 3)
    slope = np.diff(Q, axis=1) / (2 * edge)
    return mean, q * (2 / 3), slope**2 / 3 + p**2 * (4 / 45) + q**2 * (4 / 135)
