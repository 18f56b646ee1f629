"""Named models: architectures by name, weights with cards, and loading that trusts nothing it has not checked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._version import __version__
from .errors import DeviceError, ModelFileError
from .registry import Registry

if TYPE_CHECKING:
    import torch

    from .networks.features import Sides
    from .networks.nhcsr import Architecture, CorrectorNetwork
    from .solvers.positions import Query
    from .solvers.substructuring.scheme import Scheme

#: Version of the card format; newer cards are refused.
CARD_FORMAT = 2
#: Fields of the architecture in cards of format 1 that are arguments of a call now (``solvers.scheme.Scheme``).
SCHEME_IN_FORMAT_1 = ("corrections", "tolerance")
#: Files above this size are refused before anything is allocated.
MAX_WEIGHT_BYTES = 200 * 2**20
MAX_CARD_BYTES = 2**20

architectures: Registry[Callable[[], Architecture]] = Registry("architecture")


@architectures.register("nhcsr-light")
def _light() -> Architecture:
    """U-Net on the cell map and low-rank Gabor coordinate basis; the default on CPUs."""
    from .networks.nhcsr import Architecture

    return Architecture()


@architectures.register("nhcsr")
def _paper() -> Architecture:
    """The paper's network: RDN-class encoder of solution and coefficient, two-branch attention decoder."""
    from .networks.nhcsr import Architecture

    return Architecture(
        encoder="rdn", decoder="nhcsr", inputs="coefficient+solution", output="first-order", upscaling=True
    )


@dataclass(frozen=True)
class Contract:
    """What a model was trained for. Inputs outside are still corrected, checked, and flagged.

    Attributes
    ----------
    scales : trained numbers of fine cells per coarse cell.
    contrast, coarse : closed ranges.
    cells_per_coarse : allowed numbers of coefficient cells per coarse cell.
    mean : how a raster cell in which the coefficient varies gets its value (``raster.MEANS``).
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
        """Sentences that say in what an input leaves the contract; empty if it does not."""
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

    ``sha256`` covers the weights and all other fields of the card.
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
        """SHA-256 over the weights and the card without its ``sha256``."""
        rest = {k: v for k, v in dataclasses.asdict(self).items() if k != "sha256"}
        return hashlib.sha256(weights + json.dumps(rest, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Model:
    """A loaded network with its card, on a device, ready to predict."""

    card: ModelCard
    network: CorrectorNetwork
    device: torch.device

    def predict(
        self,
        U: np.ndarray,
        A: np.ndarray,
        query: Query,
        ratio: float,
        *,
        sides: Sides = (True, True, True, True),
        free: np.ndarray | None = None,
        size: tuple[float, float] = (1.0, 1.0),
        f: np.ndarray | None = None,
        scheme: Scheme | None = None,
        symmetrize: bool = False,
    ) -> np.ndarray:
        """Corrected field at a query, float64.

        Parameters
        ----------
        U : (N+1, M+1) canonical coarse solution.
        A : (my, mx) coefficient cell values.
        query : ``Nodes((ny, nx))`` or ``Points(yx)`` of ``networks.positions`` in the unit square.
        ratio : fine cells per coefficient cell.
        sides, free, size, f : see ``CorrectorNetwork.encode``; f without batch dimension.
        scheme : of the local solves and corrections.
        symmetrize : average over the eight symmetries of the square (node queries; four on rectangles).
        """
        import torch

        from .networks.symmetry import SIDE_ORDER, symmetries, transform
        from .solvers.linalg import quiet_blas
        from .solvers.positions import Nodes

        def to_tensor(v: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.array(v, order="C"))[None].to(self.device)

        free = None if free is None else np.asarray(free, bool)
        if not symmetrize or not isinstance(query, Nodes):
            mask = None if free is None else torch.from_numpy(np.ascontiguousarray(free)).to(self.device)
            with torch.inference_mode(), quiet_blas():
                told = None if f is None else to_tensor(f)
                encoding = self.network.encode(to_tensor(U), to_tensor(A), ratio, sides, mask, size, f=told)
                return self.network.decode(encoding, query, scheme)[0].cpu().numpy()
        square = A.shape[0] == A.shape[1] and query.cells[0] == query.cells[1] and U.shape[0] == U.shape[1]
        group = symmetries(transpositions=square)
        total = np.zeros((query.cells[0] + 1, query.cells[1] + 1))
        for g in group:
            turned = tuple(sides[i] for i in SIDE_ORDER[g])
            part = self.predict(
                transform(U, g),
                transform(A, g),
                query,
                ratio,
                sides=turned,  # type: ignore[arg-type]
                free=None if free is None else transform(free, g),
                size=(size[1], size[0]) if g & 4 else size,
                f=None if f is None else transform(f, g),
                scheme=scheme,
            )
            total += transform(part, g, inverse=True)
        return total / len(group)


def resolve_device(device: Any) -> torch.device:
    """``"auto"`` (CUDA if there is one, else CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or a ``torch.device``.

    Raises
    ------
    DeviceError
        If the device does not exist here; never a silent fall-back.
    """
    import torch

    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(f"no device {device!r}; here are: {', '.join(there)} (or 'auto').") from error
    index = resolved.index or 0
    if resolved.type == "cpu" or (resolved.type == "cuda" and index < torch.cuda.device_count()):
        return resolved
    raise DeviceError(f"device {device!r} is not available here; there are: {', '.join(there)} (or 'auto').")


def _shipped() -> dict[str, Path]:
    folder = Path(str(files("ngs_nhcsr.weights")))
    return {p.stem: p for p in sorted(folder.glob("*.json"))}


def list_models() -> list[str]:
    """Names of the models shipped with weights, sorted.

    Examples
    --------
    >>> "nhcsr-light" in list_models()
    True
    """
    return sorted(_shipped())


def default_model(device: torch.device) -> str:
    """``nhcsr`` on GPUs once its weights are shipped, else ``nhcsr-light``."""
    return "nhcsr" if device.type == "cuda" and "nhcsr" in _shipped() else "nhcsr-light"


def load_model(name_or_path: str | Path, device: Any = "auto") -> Model:
    """Load a shipped model by name (``str``) or a model card by path (``Path`` to the ``.json``).

    The weights stand beside the card with the suffix ``.safetensors``. Sizes, format, hash, names, shapes and
    finiteness are checked; nothing is ever unpickled.

    Raises
    ------
    ModelFileError
        With the path and the reason.
    DeviceError
        If the device is not there.

    Examples
    --------
    >>> load_model("nhcsr-light", device="cpu").card.name
    'nhcsr-light'
    """
    resolved = resolve_device(device)
    if isinstance(name_or_path, Path):
        path = name_or_path.resolve()
    elif isinstance(name_or_path, str):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name_or_path) or ".." in name_or_path:
            raise ModelFileError(
                f"{name_or_path!r} is not a model name; there are: {', '.join(list_models())}. For a file pass a "
                "pathlib.Path."
            )
        shipped = _shipped()
        if name_or_path not in shipped:
            hint = " It is an architecture without shipped weights; train it first." * (
                name_or_path in architectures.names()
            )
            raise ModelFileError(f"no model {name_or_path!r}; there are: {', '.join(shipped) or 'none'}.{hint}")
        path = shipped[name_or_path]
    else:
        raise ModelFileError(f"a model is named by str or pathlib.Path, not {type(name_or_path).__name__}.")
    stamp = _stamp(path), _stamp(path.with_suffix(".safetensors"))
    return _load(path, stamp, str(resolved))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror}.") from error
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=8)
def _load(path: Path, stamp: tuple, device: str) -> Model:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    from .networks.nhcsr import CorrectorNetwork

    card = read_card(path)
    weights_path = path.with_suffix(".safetensors")
    data = _read_bytes(weights_path, MAX_WEIGHT_BYTES)
    if card.digest(data) != card.sha256:
        raise ModelFileError(
            f"{weights_path} and {path.name} do not match the SHA-256 in the card: one of them was changed or "
            "damaged. Install or export the model again."
        )
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ModelFileError(f"{weights_path} is not a valid safetensors file: {error}.") from error
    bad = [k for k, v in tensors.items() if not bool(torch.isfinite(v).all())]
    if bad:
        raise ModelFileError(f"{weights_path} has values that are not finite in {', '.join(bad[:3])}.")
    try:
        network = CorrectorNetwork(_architecture(card))
        network.load_state_dict(tensors, strict=True)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ModelFileError(f"{weights_path} does not fit the architecture of its card: {error}") from error
    network = network.eval().requires_grad_(False).to(torch.device(device))
    return Model(card, network.to(memory_format=torch.channels_last), torch.device(device))  # type: ignore[call-overload]


def _architecture(card: ModelCard) -> Architecture:
    from .networks.nhcsr import Architecture

    dropped = SCHEME_IN_FORMAT_1 if card.format == 1 else ()
    return Architecture(**{k: v for k, v in card.architecture.items() if k not in dropped})


def _read_bytes(path: Path, limit: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > limit:
            raise ModelFileError(f"{path} has {size} bytes, more than the limit of {limit}.")
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror}.") from error


def read_card(path: Path) -> ModelCard:
    """Read and check a model card; raises ``ModelFileError``."""
    try:
        fields = json.loads(_read_bytes(path, MAX_CARD_BYTES).decode())
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


def export_model(
    tensors: dict[str, torch.Tensor],
    path: Path,
    *,
    name: str,
    architecture: Architecture,
    contract: Contract,
    training: dict[str, Any],
    validation: dict[str, Any],
) -> ModelCard:
    """Write ``path`` (``.json`` card) and the weights beside it; the card carries the hash of both."""
    from safetensors.torch import save

    weights = save({k: v.detach().cpu().float().contiguous() for k, v in tensors.items()})
    plain = json.loads(json.dumps(dataclasses.asdict(architecture)))
    card = ModelCard(name, plain, contract, training, validation)
    # Through JSON once, so that the digest is that of the card as it will be read.
    card = dataclasses.replace(
        card, training=json.loads(json.dumps(training)), validation=json.loads(json.dumps(validation))
    )
    card = dataclasses.replace(card, sha256=card.digest(weights))
    path.with_suffix(".safetensors").write_bytes(weights)
    path.write_text(json.dumps(dataclasses.asdict(card), indent=1) + "\n")
    return card
