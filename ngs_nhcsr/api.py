"""``correct``: from an NGSolve coarse solution and a rough coefficient to a fine-mesh GridFunction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from .corrector import Corrector
from .errors import InvalidProblem
from .options import OnUntrusted, Options, Request, TargetName
from .pipeline import make_reader, run_with_target
from .problem import MEAN

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .models import Model
    from .ngsolve_io.types import BilinearForm, FESpace, GridFunction, Mesh
    from .result import Correction
    from .solvers.substructuring.scheme import Scheme
    from .solvers.target import Target


@overload
def correct(
    u_coarse: GridFunction,
    a: Any,
    scale: float = ...,
    *,
    full: Literal[True],
    model: str | Path | Model | None = ...,
    device: Any = ...,
    symmetrize: bool = ...,
    scheme: Scheme | None = ...,
    **options: Unpack[Options],
) -> Correction: ...
@overload
def correct(
    u_coarse: GridFunction,
    a: Any,
    scale: float = ...,
    *,
    full: Literal[False] = ...,
    model: str | Path | Model | None = ...,
    device: Any = ...,
    symmetrize: bool = ...,
    scheme: Scheme | None = ...,
    **options: Unpack[Options],
) -> GridFunction: ...


def correct(
    u_coarse: GridFunction,
    a: Any,
    scale: float = 16,
    *,
    f: Any = None,
    points: Sequence[tuple[float, float, float]] = (),
    flux: Any = None,
    reaction: Any = None,
    robin: Any = None,
    form: BilinearForm | None = None,
    mesh: Mesh | None = None,
    cells_per_coarse: int | None = None,
    fes: FESpace | None = None,
    refine: int | None = None,
    refine_to: float | None = None,
    model: str | Path | Model | None = None,
    device: Any = "auto",
    symmetrize: bool = False,
    scheme: Scheme | None = None,
    target: TargetName | Target = "fine",
    accuracy: float | None = None,
    g: Any = None,
    full: bool = False,
    on_untrusted: OnUntrusted = "warn",
) -> Correction | GridFunction:
    """Correct a coarse solution of −div(a∇u) + c u = f towards the Q1 solution on a mesh ``scale`` times finer.

    Parameters
    ----------
    u_coarse : solution in a scalar H1 space on a rectangle; order 1 on a uniform grid of quads is read as it is,
        anything else is brought to a tensor grid of matching size.
    a : coefficient: CoefficientFunction, GridFunction, number, or array ``[iy, ix]`` of cell values (row 0 at the
        lowest y). CoefficientFunctions are sampled on 4 raster cells per coarse cell and axis. Symmetric positive
        definite tensors as 2 x 2 CoefficientFunction or array (my, mx, 2, 2): multigrid takes the network's place.
    scale : fine cells per coarse cell and axis; any number that gives whole fine cells.
    f : the load, as number, CoefficientFunction or callable f(x, y) (integrated with their jumps), nodal array, or the
        assembled LinearForm. Default: recovered from the coarse solution; zero where there are points or a flux.
    points : (x, y, weight) of point sources; with ``target="fine"``.
    flux : a∂u/∂n on natural sides, as number, CoefficientFunction, callable g(x, y), or a dict of these by boundary
        name; with ``target="fine"``.
    reaction : c ≥ 0, as number, CoefficientFunction (taken as its mean on the raster's cells), or array ``[iy, ix]`` of
        cell values whose raster divides that of ``a``; with ``target="fine"``. Default: none.
    robin : α ≥ 0 in a∂u/∂n + α u = q on natural sides, as number for all of them, or a dict of numbers by boundary name;
        q is ``flux``. With ``target="fine"``; multigrid takes the network's place. Default: none.
    form : the assembled BilinearForm that ``u_coarse`` was solved with; makes recognising its quadrature unnecessary.
    mesh : mesh of a region-wise coefficient (``MaterialCF``) that lives on another mesh than ``u_coarse``.
    cells_per_coarse : raster cells per coarse cell for CoefficientFunctions.
    fes : space for the result, if not H1 of order 1 on the fine mesh.
    refine : number of multigrid-CG steps on the fine mesh after the network. Default: none where its estimated
        relative energy error against u_h is below 3e-4, as it is for media like those it was trained with; else as many
        as bring it there.
    refine_to : take them until the estimated relative energy error against u_h is below this instead.
    model : name of a shipped model, ``pathlib.Path`` of a model card, or a loaded ``Model``; default:
        ``basis-hybrid``, the most accurate one. Model, device, symmetrize and scheme are for ``target="fine"``.
    device : "auto", "cpu", "cuda", …
    symmetrize : average the network over the symmetries of the square.
    scheme : how often the effective problem is solved again for the residual, and until when.
    target : "fine": u_h, the Q1 solution on the fine mesh, by the network. "pde": the solution of the differential
        equation itself for the pixels, by trace spaces and without a network; the GridFunction then has its nodal
        values, and ``Correction.field`` the gradients, fluxes and guaranteed bounds. On rough media u_h is far from
        it (docs/pde.md). Or a ``solvers.target.Target`` of your own.
    accuracy : with ``target="pde"``: relative energy error that ``Correction.field`` is guaranteed to have.
    g : the Dirichlet data, as number, CoefficientFunction or callable g(x, y). Default: those of ``u_coarse``, linear
        between its nodes; bounds are then for these, and what curved ones may differ by is in ``Correction.budget``.
    full : return the :class:`Correction` (status, timings, notes) instead of the GridFunction.
    on_untrusted : what to do when the status is not ACCEPTED: "raise" ``UntrustedResult``, "warn" (``NhcsrWarning``)
        or "return" silently.

    Returns
    -------
    GridFunction on the fine mesh, which carries the boundary and material names of the coarse one; or the
    ``Correction``. Its energy error is never larger than the coarse solution's where the load is known.

    Raises
    ------
    InvalidProblem, NotCoercive, GridMismatch, ModelFileError, DeviceError, UntrustedResult

    Examples
    --------
    >>> import numpy as np
    >>> from ngsolve import H1, BilinearForm, GridFunction, LinearForm, VoxelCoefficient, dx, grad
    >>> from ngsolve.meshes import MakeStructured2DMesh
    >>> mesh = MakeStructured2DMesh(quads=True, nx=16, ny=16)
    >>> fes = H1(mesh, order=1, dirichlet=".*")
    >>> u, v = fes.TnT()
    >>> kappa = np.where(np.random.default_rng(0).random((64, 64)) < 0.5, 1.0, 10.0)
    >>> a = VoxelCoefficient((0, 0), (1, 1), kappa, linear=False)
    >>> A, F, u_coarse = BilinearForm(a * grad(u) * grad(v) * dx).Assemble(), LinearForm(v * dx).Assemble(), GridFunction(fes)
    >>> u_coarse.vec.data = A.mat.Inverse(fes.FreeDofs(), "sparsecholesky") * F.vec
    >>> correct(u_coarse, a, scale=8).space.ndof
    16641
    """  # noqa: E501
    options: Options = {
        "f": f, "points": points, "flux": flux, "reaction": reaction, "robin": robin, "form": form,
        "mesh": mesh, "cells_per_coarse": cells_per_coarse, "fes": fes,
        "refine": refine, "refine_to": refine_to, "target": target, "accuracy": accuracy, "g": g,
        "on_untrusted": on_untrusted,
    }  # fmt: skip
    request = Request.of(options)
    if request.fine:
        result = Corrector(model, device, symmetrize=symmetrize, scheme=scheme)(u_coarse, a, scale, **options)
    else:  # no network is needed, so none is loaded
        if model is not None or device != "auto" or symmetrize or scheme is not None:
            raise InvalidProblem(
                'model=, device=, symmetrize= and scheme= are for target="fine": no other target has a network.'
            )
        result = run_with_target(u_coarse, make_reader(a, request, MEAN), scale, request)
    return result if full else result.u_fine
