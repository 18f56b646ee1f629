"""A boundary value problem as a user writes it in NGSolve, its coarse solution, and errors against its fine one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import ngsolve as ngs
import numpy as np
import scipy.sparse as sp
from ngsolve import CF, H1, BilinearForm, GridFunction, IfPos, LinearForm, ds, dx, grad, x, y
from ngsolve.meshes import MakeStructured2DMesh
from scipy.sparse.linalg import splu

from ngs_nhcsr.solvers.norms import relative

from .pixels import box_moments, pixel_stiffness, row_order


@dataclass(eq=False)
class Pde:
    """−div(a∇u) + b ∂u/∂x + c u = f + point sources; u = g, or a ∂u/∂n + α u = q, on the boundary.

    Attributes
    ----------
    a : CoefficientFunction; by default the one of ``pixels``.
    pixels : (my, mx) values of a on the rectangle, where that is what it is; then fine matrices are exact, whatever
        mesh.
    f, g, reaction, flow : numbers or CoefficientFunctions; flow is b.
    jumps : (weight, (x0, x1, y0, y1)): parts of f that are constant in a box and zero outside, which fine loads have
        exactly.
    points : (x, y, weight) each.
    flux, robin : q and α by boundary name.
    dirichlet : boundary names.
    size : (Lx, Ly).
    fixed_y : lines y = const on which u = 0.
    bonus : integration order of fine forms beyond NGSolve's default; 12 for loads at least.
    """

    a: Any = None
    pixels: Any = None
    f: Any = 1.0
    g: Any = 0.0
    reaction: Any = 0.0
    flow: float = 0.0
    jumps: tuple[tuple[float, tuple[float, float, float, float]], ...] = ()
    points: tuple[tuple[float, float, float], ...] = ()
    flux: dict[str, Any] = field(default_factory=dict)
    robin: dict[str, float] = field(default_factory=dict)
    dirichlet: str = ".*"
    size: tuple[float, float] = (1.0, 1.0)
    bonus: int = 0
    fixed_y: tuple[float, ...] = ()
    _fine: dict = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.a is None:
            self.a = voxels(self.pixels, self.size)

    def space(self, mesh: ngs.Mesh, order: int = 1) -> H1:
        """Make the H1 space with the Dirichlet boundaries of the problem."""
        return H1(mesh, order=order, dirichlet=self.dirichlet)

    def form(self, space: H1, bonus: int = 0, *, a: Any = None, symmetric: bool = False) -> BilinearForm:
        """Assemble the operator; ``a`` replaces the coefficient, ``symmetric`` leaves the flow out."""
        u, v = space.TnT()
        form = BilinearForm(space)
        form += (CF(self.a) if a is None else CF(a)) * grad(u) * grad(v) * dx(bonus_intorder=bonus)
        if not isinstance(self.reaction, (int, float)) or self.reaction:
            form += CF(self.reaction) * u * v * dx(bonus_intorder=bonus)
        if self.flow and not symmetric:
            form += CF(self.flow) * grad(u)[0] * v * dx
        for name, alpha in self.robin.items():
            form += CF(alpha) * u * v * ds(name)
        return form.Assemble()

    def load(self, space: ngs.FESpace, bonus: int = 12) -> LinearForm:
        """Assemble the load: f, point sources, fluxes through natural sides."""
        v = space.TestFunction()
        load = LinearForm(space)
        load += CF(self.f) * v * dx(bonus_intorder=bonus)
        for name, q in self.flux.items():
            load += CF(q) * v * ds(name, bonus_intorder=bonus)
        load.Assemble()
        for x0, y0, weight in self.points:
            hats = GridFunction(space)  # the hats at a point, by their values on its element
            mip = space.mesh(x0, y0)
            element = ngs.ElementId(mip.nr) if hasattr(mip, "nr") else ngs.ElementId(ngs.VOL, mip[0])
            for dof in space.GetDofNrs(element):
                hats.vec[:] = 0
                hats.vec[dof] = 1
                load.vec[dof] += weight * hats(mip)
        return load

    def exact_load(self, space: H1) -> LinearForm:
        """Assemble the load on a uniform mesh of quads, parts of f that jump without quadrature."""
        rest = CF(self.f)
        for weight, (x0, x1, y0, y1) in self.jumps:
            inside = [IfPos(side, 1.0, 0.0) for side in (x - x0, x1 - x, y - y0, y1 - y)]
            rest -= weight * inside[0] * inside[1] * inside[2] * inside[3]
        load = replace(self, f=rest, jumps=()).load(space, max(self.bonus, 12))
        order, cells = row_order(space.mesh)
        for weight, box in self.jumps:
            load.vec.FV().NumPy()[order] += weight * box_moments(box, cells, self.size[::-1]).ravel()
        return load

    def coarse(
        self, mesh: ngs.Mesh, *, order: int = 1, bonus: int = 0
    ) -> tuple[GridFunction, BilinearForm, LinearForm]:
        """Solve on a coarse mesh as a user does: NGSolve's default quadrature of the coefficient, f well integrated."""
        space = self.space(mesh, order)
        # Where f jumps a user has to integrate with more points, or solves another problem.
        form, load, u = self.form(space, bonus), self.load(space, 40 if self.jumps else 12), GridFunction(space)
        u.Set(CF(self.g), definedon=mesh.Boundaries(self.dirichlet))
        rest = load.vec.CreateVector()
        rest.data = load.vec - form.mat * u.vec
        if self.flow:
            free = np.flatnonzero(_mask(space.FreeDofs()))
            K = _csr(form).tocsc()[free][:, free]
            u.vec.FV().NumPy()[free] += splu(K).solve(rest.FV().NumPy()[free])
        else:
            u.vec.data += form.mat.Inverse(space.FreeDofs(), "sparsecholesky") * rest
        return u, form, load

    def matrices(self, space: H1) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        """Assemble the operator and its energy on a fine space, in NGSolve; by overlaps where pixels are cut."""
        order, (ny, nx) = row_order(space.mesh)
        pixels = self.pixels
        exact = pixels is None or not (ny % pixels.shape[0] or nx % pixels.shape[1])
        bonus = 0 if exact and pixels is not None else max(self.bonus, 8)
        K = _csr(self.form(space, bonus, a=None if exact else 0.0))
        if pixels is not None and not exact:
            part = pixel_stiffness(pixels, (ny, nx), (self.size[1], self.size[0])).tocoo()
            K = K + sp.csr_matrix((part.data, (order[part.row], order[part.col])), shape=K.shape)
        E = K if not self.flow else _csr(self.form(space, bonus, symmetric=True))
        return K, E

    def fine(self, mesh: ngs.Mesh) -> tuple[np.ndarray, sp.csr_matrix]:
        """Solve on a fine mesh of quads; kept by its number of cells.

        Parameters
        ----------
        mesh : uniform, of quads.

        Returns
        -------
        Values of all dofs, and the energy matrix.
        """
        key = row_order(mesh)[1]
        if key not in self._fine:
            space = self.space(mesh)
            with ngs.TaskManager():
                K, E = self.matrices(space)
                load, u = self.exact_load(space), GridFunction(space)
            u.Set(CF(self.g), definedon=mesh.Boundaries(self.dirichlet))
            values, b = u.vec.FV().NumPy(), load.vec.FV().NumPy()
            free = self.free(space)
            if self.flow:
                inner = np.flatnonzero(_mask(free))
                values[inner] += splu(K.tocsc()[inner][:, inner]).solve((b - K @ values)[inner])
            else:
                part: Any = K.tocoo()
                mat = ngs.la.SparseMatrixd.CreateFromCOO(part.row, part.col, part.data, len(b), len(b))
                rest, step = load.vec.CreateVector(), load.vec.CreateVector()
                rest.FV().NumPy()[:] = b - K @ values
                step.data = mat.Inverse(free, "sparsecholesky") * rest
                values += step.FV().NumPy()
            self._fine[key] = (values.copy(), E)
        return self._fine[key]

    def free(self, space: H1) -> Any:
        """Make the mask of the free dofs of a space of order 1: without those on lines ``fixed_y``."""
        free = ngs.BitArray(space.FreeDofs())
        if self.fixed_y:
            y = space.mesh.ngmesh.Coordinates()[:, 1]
            for k in np.flatnonzero(np.abs(y[:, None] - np.array(self.fixed_y)).min(1) < 1e-9):
                free.Clear(int(k))
        return free

    def error(self, v: GridFunction) -> float:
        """Relative energy error of a field of order 1 on a fine mesh against the solution on that mesh."""
        u, E = self.fine(v.space.mesh)
        return relative(_norm(v.vec.FV().NumPy()[: len(u)] - u, E), _norm(u, E))

    def error_of(self, values: np.ndarray) -> float:
        """Relative energy error of nodal values (ny+1, nx+1) against the solution on their grid."""
        return self.error(self.field(values))

    def field(self, values: np.ndarray) -> GridFunction:
        """Make the field of nodal values (ny+1, nx+1) on a mesh of its own."""
        v = GridFunction(self.space(quads(values.shape[1] - 1, values.shape[0] - 1, self.size)))
        v.vec.FV().NumPy()[row_order(v.space.mesh)[0]] = values.ravel()
        return v


def voxels(pixels: np.ndarray, size: tuple[float, float] = (1.0, 1.0), linear: bool = False) -> Any:
    """Make the coefficient of an image with row 0 at the bottom."""
    return ngs.VoxelCoefficient((0, 0), size, pixels, linear=linear)


def nodal(v: GridFunction) -> np.ndarray:
    """Read the values (ny+1, nx+1) of a field of order 1 on a uniform mesh of quads, whatever the numbering."""
    order, (ny, nx) = row_order(v.space.mesh)
    return v.vec.FV().NumPy()[order].reshape(ny + 1, nx + 1)


def quads(nx: int, ny: int | None = None, size: tuple[float, float] = (1.0, 1.0)) -> ngs.Mesh:
    """Make a uniform mesh of quads of a rectangle with sides bottom, right, top, left."""
    return MakeStructured2DMesh(quads=True, nx=nx, ny=ny or nx, mapping=lambda x, y: (x * size[0], y * size[1]))


def _mask(bits: Any) -> np.ndarray:
    return np.array([bits[k] for k in range(len(bits))], bool)


def _csr(form: BilinearForm) -> sp.csr_matrix:
    rows, cols, values = form.mat.COO()
    return sp.csr_matrix((np.asarray(values), (np.asarray(rows), np.asarray(cols))), shape=(form.mat.height,) * 2)


def _norm(v: np.ndarray, E: sp.csr_matrix) -> float:
    return float(max(v @ (E @ v), 0.0)) ** 0.5
