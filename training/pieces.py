"""Files in pieces small enough for narrow channels, with a manifest that proves the whole."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from ..paths import replacing

#: Largest piece by default, bytes.
LIMIT = 16 * 2**20


def split(path: Path, folder: Path, limit: int = LIMIT) -> list[Path]:
    """Cut a file into pieces ``NAME.000``, ``NAME.001`` …, and write a manifest ``NAME.json``.

    Parameters
    ----------
    path : of the file.
    folder : receives the pieces.
    limit : most bytes of a piece.

    Returns
    -------
    Paths of the files written, the manifest last.

    Raises
    ------
    ValueError
        For a limit below one byte.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1 byte, not {limit}")
    data = path.read_bytes()
    folder.mkdir(parents=True, exist_ok=True)
    pieces = []
    for k, start in enumerate(range(0, max(len(data), 1), limit)):
        piece = folder / f"{path.name}.{k:03d}"
        piece.write_bytes(data[start : start + limit])
        pieces.append(piece)
    manifest = folder / f"{path.name}.json"
    about = {"name": path.name, "pieces": len(pieces), "bytes": len(data), "sha256": sha256(data).hexdigest()}
    manifest.write_text(json.dumps(about), encoding="utf-8")
    return [*pieces, manifest]


def join(manifest: Path, to: Path) -> Path:
    """Put pieces together; nothing is written unless the hash agrees.

    Parameters
    ----------
    manifest : path of the manifest, beside the pieces.
    to : path of the whole file.

    Returns
    -------
    ``to``.

    Raises
    ------
    ValueError
        If a piece is missing or damaged, or the manifest is none.
    """
    try:
        about = json.loads(manifest.read_text(encoding="utf-8"))
        names = [f"{Path(about['name']).name}.{k:03d}" for k in range(int(about["pieces"]))]
        data = b"".join((manifest.parent / name).read_bytes() for name in names)
        expected = about["sha256"]
    except FileNotFoundError as error:
        raise ValueError(f"{manifest}: {error.filename} is missing") from error
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{manifest} is not a manifest of pieces: {error}") from error
    if sha256(data).hexdigest() != expected:
        raise ValueError(f"{manifest}: the pieces do not give the file they were cut from; carry them again")
    with replacing(to) as temporary:
        temporary.write_bytes(data)
    return to
