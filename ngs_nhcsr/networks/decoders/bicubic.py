"""Bicubic interpolation of the first feature channels: the decoder without anything to learn.

What remains to be learned is the encoder: it predicts the correction's terms cell by cell. (Interpolating the coarse
solution itself, with nothing learned at all, needs no network: see the comparison method of the same name.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...solvers.linalg import apply_x, apply_y
from ...solvers.positions import Axis, Nodes, Query
from ..local import in_pieces, locate
from .decoder import Decoder, decoders


def keys(t: Tensor) -> Tensor:
    """Compute the weights of Keys' cubic convolution, a = -1/2 (R. Keys, IEEE Trans. ASSP 29, 1981).

    Parameters
    ----------
    t : places between the centres of cell 0 and cell 1, 0 … 1.

    Returns
    -------
    Weights (..., 4) of the cells -1, 0, 1, 2.

    Examples
    --------
    >>> w = keys(torch.tensor([0.25]))
    >>> float(w.sum()), float((w * torch.tensor([-1.0, 0, 1, 2])).sum())
    (1.0, 0.25)
    """
    t2, t3 = t * t, t * t * t
    return torch.stack([-t + 2 * t2 - t3, 2 - 5 * t2 + 3 * t3, t + 4 * t2 - 3 * t3, t3 - t2], -1) / 2


def _matrix(axis: Axis, n: int) -> Tensor:
    """Interpolation matrix (nodes, n + 4) on values continued by two cells at both ends."""
    P = torch.zeros(len(axis.base), n + 4, dtype=torch.float64, device=axis.base.device)
    columns = axis.base[:, None] + torch.arange(1, 5, device=axis.base.device)
    return P.scatter_(1, columns, keys(axis.frac))


def _continued(v: Tensor, dim: int) -> Tensor:
    """Two more cells at both ends of an axis, linear in the distance."""
    v = v.movedim(dim, -1)
    if v.shape[-1] == 1:
        return F.pad(v, (2, 2), mode="replicate").movedim(-1, dim)
    steps = torch.arange(1, 3, dtype=v.dtype, device=v.device)
    low = v[..., :1] + (v[..., :1] - v[..., 1:2]) * steps.flip(0)
    high = v[..., -1:] + (v[..., -1:] - v[..., -2:-1]) * steps
    return torch.cat([low, v, high], -1).movedim(-1, dim)


@decoders.register("bicubic")
class Bicubic(Decoder):
    """Cubic convolution between cell centres, continued linearly beyond the outermost; exact for bilinear maps.

    It has nothing to learn: the features' first ``outputs`` channels are the fields, and so it does not start at zero.

    Parameters
    ----------
    channels : channels of the features, at least ``outputs``.
    outputs : number of decoded fields.

    Raises
    ------
    ValueError
        If there are fewer channels than outputs.
    """

    def __init__(self, channels: int, outputs: int):
        super().__init__()
        if channels < outputs:
            raise ValueError(f"{outputs} terms need as many feature channels, not {channels}")
        self.outputs = outputs

    def prepare(self, features: Tensor) -> Tensor:
        """Continue the first channels by two cells at every side: (B, C, my, mx) to (B, outputs, my + 4, mx + 4)."""
        return _continued(_continued(features[:, : self.outputs], -1), -2)

    def evaluate(self, prepared: Tensor, query: Query, ratio: float) -> Tensor:
        """Interpolate the prepared values; see :meth:`Decoder.evaluate`."""
        values, size = prepared, (prepared.shape[-2] - 4, prepared.shape[-1] - 4)
        if isinstance(query, Nodes):
            at = locate(query, size, centred=True, device=values.device)
            y, x = (
                _matrix(Axis(a.base.flatten(), a.frac.flatten()), n) for a, n in zip((at.y, at.x), size, strict=True)
            )
            return apply_x(x.to(values), apply_y(y.to(values), values))

        def at_points(piece: Query) -> Tensor:
            at = locate(piece, size, centred=True, device=values.device)
            wy, wx = keys(at.y.frac).to(values), keys(at.x.frac).to(values)
            total = torch.zeros((), dtype=values.dtype, device=values.device)
            for i in range(4):
                for j in range(4):
                    total = total + values[..., at.y.base + 1 + i, at.x.base + 1 + j] * (wy[:, i] * wx[:, j])
            return total

        return in_pieces(at_points, query, len(values))
