"""Losses and error measures on batches of nodal fields (torch). "Error" is relative to the target Q1 solution.

A loss is a function ``(prediction, target, A, rng) -> scalar``; register it under a name to select it by configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..registry import Registry
from ..solvers.multigrid import Multigrid
from ..solvers.positions import Nodes, bilinear

Loss = Callable[[Tensor, Tensor, Tensor, torch.Generator], Tensor]
losses: Registry[Loss] = Registry("loss")

#: Draws of the stochastic cosine similarity, and nodes per draw.
REPEATS, POINTS = 10, 64


def energy_squared(v: Tensor, A: Tensor) -> Tensor:
    """Squared energy norms (B,) of nodal fields (B, n+1, n+1) on square cells, coefficient (B, m, m) exact.

    The unit of length drops out in two dimensions. Where the mesh is coarser than the raster of the coefficient, the
    field is prolonged to the raster first.
    """
    my, mx = A.shape[-2:]
    if v.shape[-2] - 1 < my:
        v = bilinear(v, Nodes((my, mx)))
    r = (v.shape[-2] - 1) // my
    dx = v[..., :, 1:] - v[..., :, :-1]
    dy = v[..., 1:, :] - v[..., :-1, :]
    x0, x1, y0, y1 = dx[..., :-1, :], dx[..., 1:, :], dy[..., :, :-1], dy[..., :, 1:]
    density = x0 * (x0 + x1) + x1.square() + y0 * (y0 + y1) + y1.square()
    if r > 1:
        density = F.avg_pool2d(density, r) * r**2
    return (density * A.to(v)).sum((-2, -1)) / 3


def l2_squared(v: Tensor) -> Tensor:
    """Squared L2 norms (B,) of nodal fields by the trapezoidal rule, unit square."""
    n = v.shape[-1] - 1
    return v[..., 1:-1, 1:-1].square().sum((-2, -1)) / n**2


def relative_errors(prediction: Tensor, target: Tensor, A: Tensor) -> tuple[Tensor, Tensor]:
    """Relative energy and L2 errors (B,), (B,)."""
    e = prediction - target
    energy = (energy_squared(e, A) / energy_squared(target, A)).clamp_min(1e-14).sqrt()
    l2 = (l2_squared(e) / l2_squared(target)).clamp_min(1e-14).sqrt()
    return energy, l2


@losses.register("energy")
def energy_loss(prediction: Tensor, target: Tensor, A: Tensor, rng: torch.Generator) -> Tensor:
    """Relative energy error + 2 x relative L2 error, mean over the batch."""
    energy, l2 = relative_errors(prediction, target, A)
    return (energy + 2 * l2).mean()


@losses.register("l2")
def l2_loss(prediction: Tensor, target: Tensor, A: Tensor, rng: torch.Generator) -> Tensor:
    """Relative L2 error, mean over the batch."""
    return (l2_squared(prediction - target) / l2_squared(target)).clamp_min(1e-14).sqrt().mean()


@losses.register("log")
def log_loss(prediction: Tensor, target: Tensor, A: Tensor, rng: torch.Generator) -> Tensor:
    """Logarithm of (relative energy error + 8 x relative L2 error), mean over the batch.

    Every problem counts by the factor by which its error falls: else those of high contrast, whose errors are a
    hundred times those of low contrast, would be all that is trained.
    """
    energy, l2 = relative_errors(prediction, target, A)
    return (energy + 8 * l2).log().mean()


@losses.register("l1")
def l1_loss(prediction: Tensor, target: Tensor, A: Tensor, rng: torch.Generator) -> Tensor:
    """Mean absolute error relative to the target's mean absolute value (the paper's point-wise loss, all nodes)."""
    scale = target.abs().mean((-2, -1), keepdim=True)
    return ((prediction - target) / scale).abs().mean()


def _interior(v: Tensor) -> Tensor:
    return v if v.shape[-2] == 1 else v[..., 1:-1, 1:-1]


def _samples(v: Tensor, index: Tensor) -> Tensor:
    """Values (B, M, K) of interior nodes (or of the points of (B, 1, P)), with the mean of the field removed."""
    inner = _interior(v).flatten(1)
    return (inner - inner.mean(1, keepdim=True))[:, index]


def _draw(prediction: Tensor, rng: torch.Generator) -> Tensor:
    """Random node numbers (REPEATS, POINTS) of the interior."""
    count = _interior(prediction)[0].numel()
    return torch.randint(count, (REPEATS, min(POINTS, count)), generator=rng).to(prediction.device)


@losses.register("scs")
def stochastic_cosine(prediction: Tensor, target: Tensor, A: Tensor, rng: torch.Generator) -> Tensor:
    """1 - stochastic cosine similarity (arXiv 2411.07576, eq. 10, read pairwise).

    For each of ``REPEATS`` draws of ``POINTS`` nodes the cosine between the two vectors of values, means removed:
    on positive fields the cosine of raw values is blind.
    """
    index = _draw(prediction, rng)
    return 1 - F.cosine_similarity(_samples(prediction, index), _samples(target, index), dim=-1).mean()


@losses.register("scs-relational")
def relational_cosine(prediction: Tensor, target: Tensor, A: Tensor, rng: torch.Generator) -> Tensor:
    """Distance of the cosine similarities *between draws* of prediction and target (eq. 10, read relationally)."""
    index = _draw(prediction, rng)

    def gram(v: Tensor) -> Tensor:
        unit = F.normalize(_samples(v, index), dim=-1)
        return (unit.unsqueeze(2) * unit.unsqueeze(1)).sum(-1)

    return (gram(prediction) - gram(target)).abs().mean()


def sine_transform(v: Tensor) -> Tensor:
    """Type-I discrete sine transform of the interior of nodal fields (..., n+1, m+1), both axes.

    The eigenfunctions of the Dirichlet Laplacian: no jump at the boundary as a periodic transform would have.
    """
    for dim in (-1, -2):
        w = v.movedim(dim, -1)[..., 1:-1]
        zero = torch.zeros_like(w[..., :1])
        odd = torch.cat([zero, w, zero, -w.flip(-1)], -1)
        out = -torch.fft.rfft(odd, dim=-1).imag[..., 1:-1]
        v = F.pad(out, (1, 1)).movedim(-1, dim)
    return v[..., 1:-1, 1:-1]


@losses.register("spectral")
def spectral_loss(prediction: Tensor, target: Tensor, A: Tensor, rng: torch.Generator) -> Tensor:
    """Relative distance of the sine spectra, every frequency weighted by its modulus (an H1-like norm).

    After FRL's spectral consistency term (arXiv 2512.05132, from second-hand notes), with the transform that suits
    Dirichlet data.
    """
    error, truth = sine_transform(prediction - target), sine_transform(target)
    ky = torch.arange(1, error.shape[-2] + 1, device=error.device, dtype=error.dtype)[:, None]
    kx = torch.arange(1, error.shape[-1] + 1, device=error.device, dtype=error.dtype)[None, :]
    weight = ky.square() + kx.square()

    def norm(w: Tensor) -> Tensor:
        return (weight * w.square()).sum((-2, -1))

    return (norm(error) / norm(truth)).clamp_min(1e-14).sqrt().mean()


class _AfterCycle(torch.autograd.Function):
    """Error propagation e -> (I - B A) e of one V-cycle; A and the cycle B are symmetric, which gives the gradient."""

    @staticmethod
    def forward(ctx: Any, e: Tensor, mg: Multigrid) -> Tensor:
        ctx.mg = mg
        return e - mg.cycle(mg.levels[0].smoother.apply(e))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        top = ctx.mg.levels[0]
        return grads[0] - top.smoother.apply(ctx.mg.cycle(grads[0])), None


@losses.register("cycle")
def cycle_loss(prediction: Tensor, target: Tensor, A: Tensor, rng: torch.Generator) -> Tensor:
    """Relative energy error after one multigrid cycle: what ``refine=1`` starts from counts, not what it removes."""
    n = target.shape[-1] - 1
    mg = Multigrid(A.double(), (n, n))
    error = _AfterCycle.apply((prediction - target).float(), mg)
    return (energy_squared(error, A) / energy_squared(target, A)).clamp_min(1e-14).sqrt().mean()  # type: ignore[arg-type]


def combine(specification: str) -> Loss:
    """A weighted sum of registered losses, written ``"l1 + 0.1 scs"``.

    Raises
    ------
    ValueError
        For unknown names or weights that are no numbers.

    Examples
    --------
    >>> v = torch.rand(1, 9, 9)
    >>> float(combine("l1 + 0.1 spectral")(v, v, torch.ones(1, 4, 4), torch.Generator())) < 1e-6
    True
    """
    terms: list[tuple[float, Loss]] = []
    for term in specification.split("+"):
        words = term.split()
        if len(words) not in (1, 2):
            raise ValueError(f"cannot read the loss {specification!r}; write it like 'l1 + 0.1 scs'")
        terms.append((float(words[0]) if len(words) == 2 else 1.0, losses[words[-1]]))

    def total(prediction: Tensor, target: Tensor, A: Tensor, rng: torch.Generator) -> Tensor:
        return torch.stack([w * loss(prediction, target, A, rng) for w, loss in terms]).sum()

    return total


def finite(value: Tensor) -> bool:
    """True if every entry is finite."""
    return bool(torch.isfinite(value).all())
