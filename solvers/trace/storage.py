"""Write fields to .npz files and read them: plain arrays, nothing pickled, the reference cell included.

Owns the format of these files. Reference cells alone are kept by ``cell_cache``.
"""

from __future__ import annotations

import dataclasses
import os
import zipfile
import zlib
from typing import Any

import numpy as np

from ...errors import InvalidProblem
from ...paths import replacing
from ..space import SIDES
from .boundary import BoundaryData
from .cell import TraceCell
from .field import TraceField, TraceInfo
from .layout import Boundary, TraceVector
from .loads import CellLoad
from .problem import TraceProblem

FORMAT = "ngs_nhcsr trace field 1"


def save_field(field: TraceField, path: str | os.PathLike[str]) -> None:
    """Write a field with its problem; an older file is replaced only when the new one is complete.

    Parameters
    ----------
    field : the field to write.
    path : the file's name; no ending is added.
    """
    problem, data = field.problem, field.problem.data
    arrays: dict[str, Any] = {
        "format": FORMAT,
        "a": problem.a,
        "size": problem.size,
        "lower": problem.lower,
        "exponents": problem.exponents,
        "natural": [s in data.boundary.natural for s in SIDES],
        "flux": [data.flux.get(s, 0.0) for s in SIDES],
        "levels": [data.levels.get(s, np.nan) for s in SIDES],
        "excess": data.excess,
        "load": field.source.coefficients,
        "rest": field.source.remainder,
        **{f"info_{k}": v for k, v in dataclasses.asdict(field.info).items()},
        **{f"cell_{f.name}": getattr(field.cell, f.name) for f in dataclasses.fields(TraceCell)},
        **_vector("trace", field.vector),
        **_vector("lift", data.lift),
    }
    with replacing(os.fspath(path)) as temporary, open(temporary, "wb") as file:  # np.savez would add an ending
        np.savez(file, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()})


def load_field(path: str | os.PathLike[str]) -> TraceField:
    """Read a field written by :func:`save_field`.

    Parameters
    ----------
    path : the file.

    Returns
    -------
    The field with its problem; solver and dual problem are set up again when needed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InvalidProblem
        If the file is damaged or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if str(arrays["format"]) != FORMAT:
            raise InvalidProblem(f"{os.fspath(path)} has format {arrays['format']}; this version reads {FORMAT!r}.")
        return _field(arrays)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InvalidProblem):
            raise
        raise InvalidProblem(f"{os.fspath(path)} is not a field saved by TraceField.save ({error}).") from error


def _field(arrays: dict[str, np.ndarray]) -> TraceField:
    """Rebuild a field from the arrays of a file."""
    cell = TraceCell(**{f.name: _plain(arrays[f"cell_{f.name}"], f.name) for f in dataclasses.fields(TraceCell)})
    info = TraceInfo(**{f.name: arrays[f"info_{f.name}"].item() for f in dataclasses.fields(TraceInfo)})
    data = BoundaryData(
        Boundary.of(s for s, on in zip(SIDES, arrays["natural"], strict=True) if on),
        _read_vector("lift", arrays),
        {s: float(v) for s, v in zip(SIDES, arrays["flux"], strict=True) if v},
        float(arrays["excess"]),
        {s: float(v) for s, v in zip(SIDES, arrays["levels"], strict=True) if not np.isnan(v)},
    )
    Ly, Lx = arrays["size"]
    exponents = tuple(float(g) for g in arrays["exponents"])
    x0, y0 = arrays.get("lower", (0.0, 0.0))  # earlier files have none
    lower = (float(x0), float(y0))
    problem = TraceProblem(arrays["a"], (float(Ly), float(Lx)), exponents, cell, data, lower)
    load = CellLoad(arrays["load"], arrays["rest"])
    interior = problem.interior(load)
    return TraceField(cell, problem.size, _read_vector("trace", arrays), interior, problem, load, info, lower=lower)


def _plain(value: np.ndarray, name: str) -> Any:
    """Return a number for a scalar, a tuple of exponents, the array otherwise."""
    if name == "exponents":
        return tuple(float(g) for g in value)
    return value if value.ndim else value.item()


def _vector(name: str, v: TraceVector) -> dict[str, np.ndarray]:
    """Return the arrays of a trace vector by name."""
    return {f"{name}_level": v.level, f"{name}_upright": v.upright, f"{name}_corners": v.corners}


def _read_vector(name: str, arrays: dict[str, np.ndarray]) -> TraceVector:
    """Return the trace vector whose arrays have that name."""
    return TraceVector(*(arrays[f"{name}_{part}"] for part in ("level", "upright", "corners")))
