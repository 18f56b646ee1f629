"""Model cards: what stands beside the weights, read without trust."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import ModelFileError

#: Version of the card format; newer cards are refused.
CARD_FORMAT = 2
#: Cards above this size are refused before anything is allocated.
MAX_CARD_BYTES = 2**20


@dataclass(frozen=True)
class Contract:
    """What a model was trained for. Inputs outside are still corrected, checked, and flagged.

    Attributes
    ----------
    scales : trained numbers of fine cells per coarse cell.
    contrast : closed range of largest over smallest coefficient.
    coarse : closed range of coarse cells a side.
    cells_per_coarse : allowed numbers of coefficient cells per coarse cell and axis.
    mean : how a raster cell in which the coefficient varies gets its value (``solvers.medium.MEANS``).
    boundary : boundary conditions seen in training.
    """

    scales: tuple[float, ...] = (2, 4, 8, 16)
    contrast: tuple[float, float] = (1, 200)
    coarse: tuple[int, int] = (8, 128)
    cells_per_coarse: tuple[int, ...] = (4,)
    mean: str = "geometric"
    boundary: str = "Dirichlet"

    def violations(
        self, *, scale: float, contrast: float, coarse: tuple[int, int], per: tuple[int, int], dirichlet: bool
    ) -> list[str]:
        """Say in what an input leaves the contract.

        Parameters
        ----------
        scale : fine cells per coarse cell.
        contrast : largest over smallest coefficient.
        coarse : (Ny, Nx) coarse cells.
        per : (ry, rx) coefficient cells per coarse cell.
        dirichlet : whether all sides carry Dirichlet conditions.

        Returns
        -------
        list[str]
            Half sentences; empty if it stays inside.

        Examples
        --------
        >>> Contract().violations(scale=16, contrast=1e3, coarse=(32, 32), per=(4, 4), dirichlet=True)
        ['contrast 1e+03 above the trained 200']
        """
        out = []
        if scale not in self.scales:
            out.append(f"scale {scale:g} is none of the trained {', '.join(f'{s:g}' for s in self.scales)}")
        if contrast > self.contrast[1] * (1 + 1e-9):
            out.append(f"contrast {contrast:.3g} above the trained {self.contrast[1]:g}")
        if min(coarse) < self.coarse[0] or max(coarse) > self.coarse[1]:
            out.append(f"{coarse[1]} x {coarse[0]} coarse cells outside {self.coarse[0]} … {self.coarse[1]} a side")
        if any(p not in self.cells_per_coarse for p in per):
            allowed = ", ".join(map(str, self.cells_per_coarse))
            out.append(f"{per[1]} x {per[0]} coefficient cells per coarse cell, trained with {allowed}")
        if not dirichlet:
            out.append("not all sides carry Dirichlet conditions")
        return out


@dataclass(frozen=True)
class ModelCard:
    """What stands beside the weights: architecture, contract, how it was trained, and how good it is.

    Attributes
    ----------
    name : of the model.
    architecture : fields of ``networks.architecture.Architecture``.
    contract : what it was trained for.
    training : how it was trained: steps, minutes, hardware and the like.
    validation : its errors on test problems, by kind of medium.
    format : version of the card's format.
    needs : oldest version of this package that reads it.
    licence : of the weights.
    sha256 : over the weights and all other fields, see :meth:`digest`.
    """

    name: str
    architecture: dict[str, Any]
    contract: Contract
    training: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)
    format: int = CARD_FORMAT
    needs: str = __version__
    licence: str = "MIT"
    sha256: str = ""

    def digest(self, weights: bytes) -> str:
        """Compute the SHA-256 over the weights and the card without its ``sha256``.

        Parameters
        ----------
        weights : content of the weights' file.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        fields = {k: v for k, v in dataclasses.asdict(self).items() if k != "sha256"}
        return hashlib.sha256(weights + json.dumps(fields, sort_keys=True).encode()).hexdigest()


def read_card(path: Path) -> ModelCard:
    """Read a model card and check its format and fields.

    Parameters
    ----------
    path : the ``.json`` file.

    Returns
    -------
    ModelCard
        Its hash is not checked: that needs the weights.

    Raises
    ------
    ModelFileError
        With the path and the reason.
    """
    try:
        fields = json.loads(read_bytes(path, MAX_CARD_BYTES).decode())
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not a model card: {error}.") from error
    if not isinstance(fields, dict):
        raise ModelFileError(f"{path} is not a model card: it holds no JSON object.")
    version = fields.get("format")
    if not isinstance(version, int) or version > CARD_FORMAT:
        raise ModelFileError(
            f"{path} has card format {version!r}; this ngs_nhcsr {__version__} reads up to {CARD_FORMAT}. It needs "
            f"ngs_nhcsr ≥ {fields.get('needs', '?')}."
        )
    for kind, given in ((ModelCard, fields), (Contract, fields.get("contract"))):
        known = {f.name for f in dataclasses.fields(kind)}
        if not isinstance(given, dict) or known - set(given):
            raise ModelFileError(f"{path} is not a complete model card: {kind.__name__} needs {', '.join(known)}.")
        if set(given) - known:
            raise ModelFileError(f"{path} has unknown fields: {', '.join(sorted(set(given) - known))}.")
    try:
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields["contract"].items()}
        contract = Contract(**plain)
        return ModelCard(**{**fields, "contract": contract})
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{path} is not a complete model card: {error}.") from error


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a file that is not larger than a limit.

    Parameters
    ----------
    path : of the file.
    limit : largest size in bytes.

    Returns
    -------
    bytes
        Its content.

    Raises
    ------
    ModelFileError
        If it is larger or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise ModelFileError(f"{path} has {size} bytes, more than the limit of {limit}.")
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror}.") from error
